"""Says that a server has a newer mograder than this one: one line on stderr, at most once a day for each server."""

from __future__ import annotations

import contextlib
import json
from datetime import date
from pathlib import Path

import click

from mograder import __version__
from mograder.cli.output import note
from mograder.client.files import write_private


def tell_if_newer(address: str, version: str) -> None:
    """Says where to get the `version` of the server at `address` if it is newer; nothing to a program (--json)."""
    context = click.get_current_context(silent=True)
    if version == __version__ or (context and context.params.get("as_json")) or not _is_newer(version):
        return
    path, today = Path(click.get_app_dir("mograder")) / "newer.json", date.today().isoformat()  # noqa: DTZ011 (the person's own day)
    said: dict[str, str] = {}
    with contextlib.suppress(OSError, ValueError, AttributeError):
        said = dict(json.loads(path.read_bytes()).items())
    if said.get(address) == today:
        return
    note(f"{address} has mograder {version}, and this is {__version__}: see {address}/install")
    with contextlib.suppress(OSError):  # then it is said again
        write_private(path, json.dumps({**said, address: today}).encode())


def _is_newer(version: str) -> bool:
    """Whether it is a version, and newer than this one."""
    from packaging.version import InvalidVersion, Version  # only where the versions differ

    try:
        return Version(version) > Version(__version__)
    except InvalidVersion:
        return False
