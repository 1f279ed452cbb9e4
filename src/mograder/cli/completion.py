"""Completes the names of assignments in the shell: from the server that a command would ask, or from the folder."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click
from click.shell_completion import CompletionItem

PATIENCE = 2.0
"""Seconds of silence after which nothing is completed."""


def assignment_names(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """The names that begin with what was typed. Any error gives no names and no message: no command was run yet."""
    with contextlib.suppress(Exception, KeyboardInterrupt):
        from mograder.cli.connect import Server
        from mograder.client.client import Client
        from mograder.client.connection import RetryPolicy, trusting
        from mograder.client.logins import Logins
        from mograder.client.trust import TrustedServers

        server = Server(context.params.get("url"), context.params.get("token"), 0, token_typed=True)
        address = server.required_address()
        if not server.url and not TrustedServers().vouches(address):
            return []
        login = Logins().find(address)
        verify = trusting(login.authority if login else "")
        with Client(
            address, server.token_for(address), patience=RetryPolicy(total=0), timeout=PATIENCE, verify=verify
        ) as client:
            return sorted(each.name for each in client.assignments() if each.name.startswith(begun))
    return []


def local_names(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The assignments of the course in the working folder that begin with what was typed, else files."""
    found: set[str] = set()
    with contextlib.suppress(Exception, KeyboardInterrupt):
        from mograder.coursework.folders import GradingFolders

        folders = GradingFolders.of(Path())
        for place in (folders.source, folders.submitted):
            if place.is_dir():
                found |= {each.name for each in place.iterdir() if each.is_dir() and each.name.startswith(begun)}
    names = sorted(each for each in found if not each.startswith("."))
    return [CompletionItem(each) for each in names] or [CompletionItem(begun, type="file")]
