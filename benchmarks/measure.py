"""Runs the cases, interleaved and in several rounds, and says what came of them. Started by run.py."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cases
import grading
import living
import machine
import report
from servers import LARGE, OURS, SMALL, Contestant, content, nginx, published, scratch

NAMES = (
    *living.LIVING,
    *living.CASES,
    *cases.READING,
    *cases.WRITING,
    *grading.BESIDE,
    *grading.CASES,
    "flushes",
    "disk",
    "nginx",
)
Results = dict[str, dict[str, list[cases.Figures]]]
"""By case, by contestant: the figures of each round."""


def main() -> int:
    words = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    words.add_argument("--quick", action="store_true", help="every case once, small; writes nothing")
    words.add_argument("--case", action="append", choices=NAMES, help="measure this case (may be repeated)")
    words.add_argument("--rounds", type=int, default=None, help="rounds [default: 5; 1 with --quick]")
    words.add_argument("--folder", type=Path, help="where the courses stand, to measure another disk")
    given = words.parse_args()
    size = cases.QUICK if given.quick else cases.Size()
    theirs = published()
    if theirs is None:
        print("left out: the published mograder (set MOGRADER_PUBLISHED to its executable)")
    results: Results = {}
    began = time.monotonic()
    with scratch(given.folder) as folder:
        for number in range(given.rounds or (1 if given.quick else 5)):
            contestants = [OURS, theirs] if theirs else [OURS]
            run_round(results, folder / f"round{number}", contestants[:: 1 if number % 2 else -1], size, given.case)
            print(f"round {number + 1} is done, {time.monotonic() - began:.0f} s", flush=True)
    print()
    print(report.tables(results))
    if not given.quick and not given.case:
        report.write(results)
        print(f"written: {report.PAGE.name} and {report.PLOT.name} in {report.PAGE.parent}")
    return 0


def run_round(
    results: Results, folder: Path, contestants: list[Contestant], size: cases.Size, chosen: list[str] | None
) -> None:
    """Every case once for each contestant, one after the other, and once for the machine."""

    def wanted(case: str) -> bool:
        return not chosen or case in chosen

    def keep(case: str, who: str, figures: cases.Figures) -> None:
        results.setdefault(case, {}).setdefault(who, []).append(figures)
        print(
            f"  {case:9} {who:10} " + "  ".join(f"{name} {value:,.4g}" for name, value in figures.items()), flush=True
        )

    def place(*parts: str) -> Path:
        path = folder.joinpath(*parts)
        path.mkdir(parents=True)
        return path

    _living(folder, contestants, size, wanted, keep)
    status = b"{}"
    if any(map(wanted, (*cases.READING, "nginx"))):
        if shutil.which("wrk") is None:
            print("  left out: everything that is read (it needs wrk: apt-get install wrk)")
        else:
            for contestant in contestants:
                figures, answer = cases.reading(contestant, place("reading", contestant.name), size, wanted)
                status = answer if contestant is OURS else status
                for case, measured in figures.items():
                    keep(case, contestant.name, measured)
            if wanted("nginx"):
                _nginx(place("nginx"), status, size, keep)
    for case, measure in cases.WRITING.items():
        if wanted(case):
            for contestant in contestants:
                keep(case, contestant.name, measure(contestant, place(case, contestant.name), size))
    for case, compare in grading.BESIDE.items():
        if wanted(case):
            for contestant in contestants:
                keep(case, contestant.name, compare(contestant, place(case, contestant.name), size))
    for case, grade in grading.CASES.items():
        if wanted(case):
            keep(case, OURS.name, grade(place(case.replace(" ", "-")), size))
    if wanted("flushes"):
        keep("flushes", OURS.name, cases.count_flushes(OURS, place("flushes")))
    if wanted("disk"):
        disk, count = place("disk"), 20 if size is cases.QUICK else 500
        rates = {
            "one": machine.one_writer(disk, count),
            "eight": machine.eight_writers(disk, count // 4),
            "batched": machine.batched(disk, max(2, count // 10)),
            "appended": machine.appended(disk, max(2, count // 10)),
        }
        keep("disk", "machine", rates)


def _living(
    folder: Path, contestants: list[Contestant], size: cases.Size, wanted: Callable[[str], bool],
    keep: Callable[[str, str, cases.Figures], None],
) -> None:  # fmt: skip
    """The cases of a course that lives."""

    def place(case: str, contestant: Contestant) -> Path:
        path = folder / case.replace(" ", "-") / contestant.name
        path.mkdir(parents=True)
        return path

    if any(map(wanted, living.LIVING)) and shutil.which("wrk"):
        for contestant in contestants:
            for case, figures in living.living(contestant, place("living", contestant), size, wanted).items():
                keep(case, contestant.name, figures)
    for case, measure in living.CASES.items():
        if wanted(case):
            for contestant in living.contestants_of(case, contestants):
                keep(case, contestant.name, measure(contestant, place(case, contestant), size))


def _nginx(folder: Path, status: bytes, size: cases.Size, keep: Callable[[str, str, cases.Figures], None]) -> None:
    files = {"status": status, "file": content(SMALL, (1, "notebook.py")), "large": content(LARGE, "large")}
    with nginx(folder, files) as url:
        if url is None:
            print("  left out: nginx (apt-get install nginx-light)")
            return
        keep("nginx", "machine", {
            name: cases.wrk(folder, url, [(f"/{name}", "none")], size.seconds) for name in files
        })  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
