"""What commands print: data on stdout, messages on stderr, and no control sequences.

rich is imported only for a terminal.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import click

from mograder.domain.deadlines import zone_name
from mograder.domain.errors import Usage
from mograder.domain.names import counted, printable

STDOUT = Path("-")
"""The name of stdout where a file is wanted."""

LONGEST_LINE = 2000
_MOMENT = re.compile(r"\w{3} \d{4}-\d\d-\d\d \d\d:\d\d")  # as `when` shows one
WORTH_A_BAR = 1024 * 1024  # bytes of a transfer
Progress = Callable[[int, int | None], None]


def clean(text: str) -> str:
    """`text` line by line, with everything that could control a terminal replaced."""
    return "\n".join(printable(line.expandtabs(4), LONGEST_LINE) for line in text.splitlines())


def tell(text: str) -> None:
    """Print a result on stdout."""
    click.echo(clean(text))


def note(text: str) -> None:
    """Print a message to the person on stderr."""
    # Not err=True, with which click bypasses a progress bar that has replaced sys.stderr.
    click.echo(clean(text), file=sys.stderr)


def is_sure(question: str, abort: bool = False) -> bool:
    """Ask the person a question. Only a yes is True; with `abort` a no ends the command."""
    return click.confirm(clean(question), abort=abort, err=True)


def ask(question: str, hidden: bool = False) -> str:
    """Ask the person for a text."""
    answer: str = click.prompt(clean(question), hide_input=hidden, err=True)
    return answer


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def result(as_json: bool, value: object, text: str) -> None:
    """Print the result of a command: `value` as JSON for a program, else `text`."""
    if as_json:
        tell_json(value)
    else:
        tell(text)


@contextlib.contextmanager
def writing(path: Path, shared: bool = True) -> Iterator[BinaryIO]:
    """A file about people to write, which is replaced whole or not at all; stdout for "-".

    Its owner alone can read it, and if `shared` the group that its folder is shared with.
    """
    if path == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    from mograder.client.files import replacing

    with replacing(path, 0o600, private=shared) as file:
        yield file


def check_stdout(path: Path | None, as_json: bool) -> None:
    """Raises Usage where a file and JSON would both go to stdout."""
    if path == STDOUT and as_json:
        raise Usage("--json writes to stdout, and so would '-': name a file, or leave out --json")


def written(path: Path | None, as_json: bool, value: object, text: str) -> None:
    """`result` of a command that wrote `path`; on stderr where that is stdout."""
    if path == STDOUT:
        note(text)
    else:
        result(as_json, value, text)


def when(moment: float, seconds: bool = False) -> str:
    """A moment (Unix seconds) by the person's own clock, with weekday and zone: Thu 2026-03-12 17:00 CET.

    One beyond the calendar, which a server may say, is "unknown".
    """
    try:
        here = datetime.fromtimestamp(moment, UTC).astimezone()
    except (ValueError, OverflowError, OSError):
        return "unknown"
    return here.strftime(f"%a %Y-%m-%d %H:%M{':%S' if seconds else ''} {zone_name(here)}")


def lateness(due: float | None, days: int, penalty: float) -> str:
    """How late a submission is and what that costs, by the person's own clock; `penalty` is in percentage points."""
    after = f" after {when(due)}" if due else ""
    cost = f", which costs {penalty:g} %" if penalty else ""
    return f"late: {counted(days, 'day')} begun{after}{cost}"


def tell_json(value: object) -> None:
    """Print a result as JSON on stdout, without the keys that are not known.

    Letters that stdout cannot show are escaped, and so is everything that could control a terminal.
    """
    import msgspec

    plain = msgspec.to_builtins(value, enc_hook=str)
    text = json.dumps(plain, indent=2, ensure_ascii=False)
    text = "".join(each if each.isprintable() or each == "\n" else json.dumps(each)[1:-1] for each in text)
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        text = json.dumps(plain, indent=2)
    click.echo(text)


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout: drawn on a terminal, plain aligned columns elsewhere."""
    columns, cells = [printable(each) for each in columns], [[printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        drawn = Table(box=SIMPLE_HEAD)
        for at, column in enumerate(columns):
            times = any(_MOMENT.match(row[at]) for row in cells)  # those stay on one line
            drawn.add_column(Text(column), no_wrap=times)  # as text: a string would be read as markup
        for row in cells:
            drawn.add_row(*(Text(cell) for cell in row))
        Console().print(drawn)
        return
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in (columns, *cells):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@contextlib.contextmanager
def progress(label: str) -> Iterator[Progress | None]:
    """A bar on stderr for the bytes of a transfer that takes a while; None if stderr is no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    with contextlib.ExitStack() as drawn:
        bar: Progress | None = None

        def update(done: int, total: int | None) -> None:
            nonlocal bar
            if bar is None and (done if total is None else total) >= WORTH_A_BAR:
                bar = drawn.enter_context(_bar(label))
            if bar:
                bar(done, total)

        yield update


@contextlib.contextmanager
def _bar(label: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
    from rich.text import Text

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(Text(printable(label, 40)).plain.replace("[", r"\["), total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
