"""The command line: `main`, and one module a command group, imported when it is called.

The law: every failure that we foresaw is one line on stderr and an exit code (docs/reference/commands.md); nothing
that a server says can steer the terminal; no traceback ever reaches a user.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Mapping

import click

from mograder import __version__
from mograder.domain.errors import MograderError
from mograder.domain.names import printable


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
        """The short helps stand in the table, so that --help imports no command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place[1]) for name, place in self.places.items()])


PLACES = {
    "serve": ("mograder.cli.serve:serve", "Serve a course folder."),
    "https": ("mograder.cli.https:https", "Fetch, submit, collect and grade against a server."),
    "student": ("mograder.cli.student:student", "Open your page of a course in the browser."),
    "generate": ("mograder.cli.generate:generate", "Make the release of an assignment from its source."),
    "validate": ("mograder.cli.validate:validate", "Run a notebook's visible checks, and put instructors' cells back."),
    "roster": ("mograder.cli.roster:roster", "Say who is in the course; personal codes, resets, roles."),
    "extend": ("mograder.cli.extend:extend", "Give students more time; grant and decline what they ask for."),
    "schedule": ("mograder.cli.schedule:schedule", "Show and change an assignment's times, title and limits."),
    "token": ("mograder.cli.token:token", "Make tokens from a course's secret."),
    "autograde": ("mograder.cli.autograde:autograde", "Grade submissions: a signed record and a page for each."),
    "feedback": ("mograder.cli.feedback:feedback", "Make a feedback page a student, and the table of grades."),
    "doctor": ("mograder.cli.care:doctor", "Check a course folder, and mend what is safe to mend."),
    "verify": ("mograder.cli.care:verify", "Re-hash a course against its chain of receipts."),
    "erase": ("mograder.cli.care:erase", "Erase a person's data; the chain of receipts stays valid."),
    "backup": ("mograder.cli.care:backup", "Archive a course, also while it is served."),
    "restore": ("mograder.cli.care:restore", "Bring an archived course back."),
    "rehearse": ("mograder.cli.rehearse:rehearse", "Rehearse an exam with a copy of a course."),
    "secret": ("mograder.cli.secret:secret", "Change the secret that tokens are made from."),
    "course": ("mograder.cli.course:course", "Make, list and close the courses of a server that has many."),
    "store": ("mograder.cli.course:store", "Look after the database that courses are in; copy a course into it."),
    "mirror": ("mograder.cli.course:mirror", "Write a database's hand-ins into a folder, for tools that grade files."),
    "demo": ("mograder.cli.demo:demo", "Serve a small real course to try everything on."),
}


@click.group(cls=LazyGroup, places=PLACES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mograder")
def mograder() -> None:
    """One command turns a folder into a course.

    \b
    Examples:
      mograder demo                      try it on a small course
      mograder serve course/release/     serve your own
      mograder https fetch --list        what there is to do, as a student
    """


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Run one command; its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that this terminal cannot show is no failure
    try:
        code = mograder.main(words, prog_name="mograder", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Abort:
        return _fail("interrupted", 130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        help_words = f" (try: {error.ctx.command_path} --help)" if error.ctx else ""
        return _fail(f"error: {error.format_message()}{help_words}", error.exit_code)
    except MograderError as error:
        place = getattr(error, "place", "")
        return _fail(f"error: {error.message}" + (f" ({place})" if place else ""), error.exit_code)
    except BrokenPipeError:
        # Whoever read our output has enough; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # A full disk, a folder that may not be written: the person at the keyboard can mend it.
        place = f": {error.filename}" if error.filename else ""
        return _fail(f"error: {(error.strerror or str(error)).lower()}{place}", 1)
    except Exception as error:
        if os.environ.get("MOGRADER_DEBUG"):
            raise
        return _fail(f"internal error: {type(error).__name__}: {error} (MOGRADER_DEBUG=1 shows where)", 1)


def _fail(message: str, code: int) -> int:
    click.echo(printable(message.replace("\n", " "), 2000), err=True)
    return code
