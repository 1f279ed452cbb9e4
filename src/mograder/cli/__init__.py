"""The command line: `main`, and one module a command group, imported when it is called.

Invariant: every failure that we foresaw is one line on stderr and an exit code (docs/reference/commands.md); nothing
that a server says can control the terminal; no traceback ever reaches a user.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import re
import sys

import click

from mograder import __version__
from mograder.cli.lazy import LazyGroup
from mograder.domain.errors import MograderError
from mograder.domain.names import printable

COMPLETING = "_MOGRADER_COMPLETE"
"""The variable that the shell sets while it completes words."""

PLACES = {
    "serve": ("mograder.cli.serve:serve", "Serve a course folder."),
    "https": ("mograder.cli.https:https", "Work with a course server: fetch, submit, collect, return grades."),
    "student": ("mograder.cli.student:student", "Open your page of a course in the browser."),
    "generate": ("mograder.cli.generate:generate", "Make the release of an assignment from its source."),
    "validate": ("mograder.cli.validate:validate", "Run a notebook's visible checks, and put instructors' cells back."),
    "roster": ("mograder.cli.roster:roster", "Manage the people of a course: personal codes, resets, roles."),
    "extend": ("mograder.cli.extend:extend", "Give students more time; grant and decline what they ask for."),
    "schedule": ("mograder.cli.schedule:schedule", "Show and change an assignment's times, title and limits."),
    "audit": ("mograder.cli.audit:audit", "Show the audit log: who did what in the course."),
    "token": ("mograder.cli.token:token", "Make tokens from a course's secret."),
    "autograde": ("mograder.cli.autograde:autograde", "Grade submissions: a signed record and a page for each."),
    "regrade": ("mograder.cli.regrade:regrade", "Grade again with new tests: show what changes, and apply it."),
    "worker": ("mograder.cli.worker:worker", "Grade submissions as they come in."),
    "grader": ("mograder.cli.grader:grader", "Mark submissions in the browser, on this machine alone."),
    "feedback": ("mograder.cli.feedback:feedback", "Make a feedback page a student, and the table of grades."),
    "doctor": ("mograder.cli.maintenance:doctor", "Check a course, and repair what is safe to repair."),
    "verify": ("mograder.cli.maintenance:verify", "Verify a course, receipts and grading records."),
    "erase": ("mograder.cli.maintenance:erase", "Erase a person's data; the chain of receipts stays valid."),
    "backup": ("mograder.cli.maintenance:backup", "Archive a course, also while it is served."),
    "restore": ("mograder.cli.maintenance:restore", "Restore a course from an archive."),
    "rehearse": ("mograder.cli.rehearse:rehearse", "Rehearse an exam with a copy of a course."),
    "secret": ("mograder.cli.secret:secret", "Change the secret that tokens are made from."),
    "course": ("mograder.cli.course:course", "Make, list and close the courses of a server that has many."),
    "store": ("mograder.cli.course:store", "Upgrade a database of courses; copy a course into it, or out of it."),
    "mirror": (
        "mograder.cli.course:mirror",
        "Write a database's submissions into a folder, for tools that grade files.",
    ),
    "demo": ("mograder.cli.demo:demo", "Serve a small real course to try everything on."),
}


def _version(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        from mograder.cli.installed import warning

        said = warning()
        click.echo(f"mograder, version {__version__}" + (f" (warning: {said})" if said else ""))
        context.exit()


@click.group(cls=LazyGroup, places=PLACES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit."
)
def mograder() -> None:
    """One command turns a folder into a course.

    \b
    Examples:
      mograder demo                      try it on a small course
      mograder serve course/release/     serve your own
      mograder https fetch --list        what there is to do, as a student
    """


def main() -> None:
    """Run the command line and exit with its code. A crash leaves no core file, which would contain secrets."""
    with contextlib.suppress(ImportError, OSError):  # Windows has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if sys.argv[1:2] == ["serve"]:
        gc.disable()  # nothing that a start loads is garbage; the server enables it once it serves
    sys.exit(run(sys.argv[1:]))


def run(words: list[str]) -> int:
    """Run one command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that this terminal cannot show is no failure
    _fail = _fail_in_json if "--json" in words else _fail_in_words
    try:
        code = mograder.main(words, prog_name="mograder", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except (click.exceptions.Abort, KeyboardInterrupt):  # the latter while the shell completes words
        return 130 if COMPLETING in os.environ else _fail("interrupted", 130)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.UsageError as error:
        help_words = f" (try: {error.ctx.command_path} --help)" if error.ctx else ""
        return _fail(f"error: {error.format_message()}{help_words}", error.exit_code, "usage")
    except MograderError as error:
        place = getattr(error, "place", "")
        said = error.message + (f" ({place})" if place else "")
        return _fail(f"error: {said}", error.exit_code, error.code)
    except BrokenPipeError:
        # The reader of our output has closed it. Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # A full disk, a folder that may not be written: the person at the keyboard can mend it.
        place = f": {error.filename}" if error.filename else ""
        reason = error.strerror or str(error)
        return _fail(f"error: {reason[:1].lower()}{reason[1:]}{place}", 1)
    except Exception as error:
        if os.environ.get("MOGRADER_DEBUG"):
            raise
        return _fail(f"internal error: {type(error).__name__}: {error} (MOGRADER_DEBUG=1 shows where)", 1)


def _shown(message: str) -> str:
    """The message on one line, without passwords in addresses, because it may end up in a log."""
    return printable(re.sub(r"(://[^/\s:@]*):[^/\s]*@", r"\1:…@", message.replace("\n", " ")), 2000)


def _fail_in_words(message: str, exit_code: int, code: str = "failed") -> int:
    click.echo(_shown(message), err=True)
    return exit_code


def _fail_in_json(message: str, exit_code: int, code: str = "failed") -> int:
    """For programs: the last line on stderr is an object with the keys error, code and exit_code."""
    said = _shown(message.removeprefix("error: "))
    click.echo(json.dumps({"error": said, "code": code, "exit_code": exit_code}), err=True)
    return exit_code
