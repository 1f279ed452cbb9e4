"""A group of commands whose modules are imported when they are called."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import click


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed: `places` maps a name to "module:attribute"."""

    def __init__(self, *args: object, places: Mapping[str, tuple[str, str]], **extra: object) -> None:
        super().__init__(*args, **extra)  # type: ignore[arg-type]
        self.places = places

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.places:
            return None
        module, _, attribute = self.places[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with their short helps from `places`, so that --help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place[1]) for name, place in self.places.items()])
