#!/usr/bin/env python3
"""Measures one and several servers on PostgreSQL beside one on a folder, in one run, and writes docs/scaling.md.

    python3 tools/test.py --setup
    .venv-test/bin/python benchmarks/scaling.py            writes the figures into docs/scaling.md
    .venv-test/bin/python benchmarks/scaling.py --quick    does it work?

Everything runs on this machine: servers, database and whoever submits share its cores, so that what more servers
bring on machines of their own is not seen here; what the database costs is.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from cases import wrk  # noqa: E402

from mograder.domain.names import INSTRUCTOR, Username  # noqa: E402
from mograder.domain.tokens import sign  # noqa: E402
from mograder.rehearsal.load import Answer, Ask, quantile, rate, run, send_all  # noqa: E402
from mograder.store.folder.layout import Folders  # noqa: E402
from mograder.store.postgres.courses import PostgresCourses  # noqa: E402
from tests.parts import SERVE, make_course_folder, serving  # noqa: E402
from tests.postgres import Server, fresh_database, new_course, running_server  # noqa: E402

DOCUMENT = ROOT / "docs" / "scaling.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
SIZE = 20 * 1024
CONNECTIONS = 100
READERS = 500

Figures = dict[str, float]
"""Answers a second by what is asked, and `p50` and `p99` of submissions in milliseconds."""


@dataclass(frozen=True)
class Target:
    """Where to send: a server's address, and below which path and with which secret."""

    address: tuple[str, int]
    path: str
    secret: str


@contextmanager
def on_folder(parent: Path) -> Iterator[list[Target]]:
    root = make_course_folder(parent)
    with serving(str(root), program=SERVE) as (_, port, _):
        yield [Target(("127.0.0.1", port), "", (root / ".mograder-secret").read_text().strip())]


@contextmanager
def on_postgres(database: Server, parent: Path, servers: int, courses: int) -> Iterator[list[Target]]:
    url = fresh_database(database)
    shelf = PostgresCourses(url)
    names = [new_course(shelf, Folders.of(make_course_folder(parent / str(number)))) for number in range(courses)]
    secrets = [shelf.open(name).keys.secrets()[0] for name in names]
    shelf.close()
    with ExitStack() as stack:
        ports = [stack.enter_context(serving("--store", url, program=SERVE))[1] for _ in range(servers)]
        yield [
            Target(("127.0.0.1", port), f"/c/{name}", secret)
            for port in ports
            for name, secret in zip(names, secrets, strict=True)
        ]


def rush(targets: list[Target], submissions: int) -> list[Answer]:
    """Students submit 20 KB each, all different, spread over the targets; connections are spread alike."""
    asks: list[list[Ask]] = [[] for _ in targets]
    for number in range(submissions):
        user, target = Username(f"s{number:05}"), targets[number % len(targets)]
        body = os.urandom(SIZE)
        path = f"{target.path}/assignments/hw1/submit?user={user}"
        asks[number % len(targets)].append(Ask("POST", path, sign(target.secret, user), body))

    async def all_at_once() -> list[list[Answer]]:
        share = max(1, CONNECTIONS // len(targets))
        return await asyncio.gather(
            *(send_all(target.address, part, share) for target, part in zip(targets, asks, strict=True))
        )

    answers = [answer for part in run(all_at_once()) for answer in part]
    failed = [answer for answer in answers if not answer.ok]
    assert not failed, f"{len(failed)} of {len(answers)} were not taken: {failed[0].status} {failed[0].body!r}"
    return answers


def reads(folder: Path, target: Target, seconds: float) -> Figures:
    """Answers a second of one server: everybody's status and list of assignments, and the instructor's list of
    submissions, 32 at once.
    """
    users = [f"s{number:05}" for number in range(READERS)]
    cases = {
        "status": [(f"/assignments/hw1/status?user={user}", user) for user in users],
        "assignments": [("/assignments", user) for user in users],
        "submissions": [("/assignments/hw1/submissions", INSTRUCTOR)],
    }
    host, port = target.address
    return {
        name: wrk(
            folder, f"http://{host}:{port}",
            [(f"{target.path}{path}", sign(target.secret, Username(user))) for path, user in asks], seconds,
        )
        for name, asks in cases.items()
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    submissions, rounds, seconds = (60, 1, 1) if options.quick else (1500, options.rounds, 3)
    if shutil.which("wrk") is None:
        raise SystemExit("this needs wrk: apt-get install wrk")
    figures: dict[str, list[Figures]] = {}
    with running_server() as database, tempfile.TemporaryDirectory(dir=ROOT) as scratch:
        for turn in range(rounds):
            place = Path(scratch, str(turn))
            cases = {
                "a folder, one server": on_folder(place / "folder"),
                "PostgreSQL, one server": on_postgres(database, place / "1", 1, 1),
                "PostgreSQL, two servers": on_postgres(database, place / "2", 2, 1),
                "PostgreSQL, three servers": on_postgres(database, place / "3", 3, 1),
                "PostgreSQL, three servers, three courses": on_postgres(database, place / "33", 3, 3),
            }
            for name, case in cases.items():
                with case as targets:
                    rush(targets, 20)
                    answers = rush(targets, submissions)
                    figure = reads(Path(scratch), targets[0], seconds)
                figure |= {"rush": rate(answers)}
                figure |= {f"p{part}": quantile(answers, part / 100) * 1000 for part in (50, 99)}
                figures.setdefault(name, []).append(figure)
                print(name, " ".join(f"{key} {value:.0f}" for key, value in figure.items()), flush=True)
    table = written(figures, submissions, rounds)
    print(table)
    if not options.quick:
        text = DOCUMENT.read_text()
        before, after = text.split(BEGIN)[0], text.split(END)[1]
        DOCUMENT.write_text(before + BEGIN + table + END + after)


def written(figures: dict[str, list[Figures]], submissions: int, rounds: int) -> str:
    """The table of docs/scaling.md: medians, and in brackets medians of the ratios to the folder of the same round."""
    first = next(iter(figures.values()))

    def cell(of: list[Figures], key: str) -> str:
        ratio = statistics.median(each[key] / base[key] for each, base in zip(of, first, strict=True))
        return f"{statistics.median(each[key] for each in of):,.0f}" + ("" if of is first else f" ({ratio:.2f})")

    heads = {
        "rush": "submissions/s", "p50": "p50, ms", "p99": "p99, ms", "status": "status/s",
        "assignments": "assignments/s", "submissions": "lists of submissions/s",
    }  # fmt: skip
    lines = [
        f"{submissions} submissions of 20 KB over {CONNECTIONS} connections, each new; then what one of the servers "
        f"answers to {READERS} students and the\ninstructor. Medians of {rounds} round(s), in brackets beside the "
        f"folder of the same round; servers and database on one machine with\n{os.cpu_count()} cores "
        f"(Python {platform.python_version()}):\n",
        f"\n| store | {' | '.join(heads.values())} |\n|{' --- |' * (1 + len(heads))}\n",
    ]
    for name, of in figures.items():
        lines.append(f"| {name} | {' | '.join(cell(of, key) for key in heads)} |\n")
    return "".join(lines)


if __name__ == "__main__":
    main()
