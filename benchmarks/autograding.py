#!/usr/bin/env python3
"""Grades one class's hw1 with the published `autograde -j 2` and with ours, two at a time, in one run.

    python3 benchmarks/autograding.py                     40 submissions; needs `pip install 'mograder[grading]'`
    python3 benchmarks/autograding.py --many 500          also: does memory stay flat over so many?
    MOGRADER_PUBLISHED=…/bin/mograder … --published 8     the published one, on so many of them (it is slow)

Every figure is kept only when the marks were right.
"""
# ruff: noqa: S603, E501  (it runs programs; its tables are notebooks' code)

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from uv import find_uv_bin

from mograder.grading.environment import current_environment
from mograder.grading.runner import Grader, Tests
from mograder.grading.sandbox import find_sandbox

HEAD = """\
import marimo

__generated_with = "0.25.2"
app = marimo.App()

with app.setup:
    import math
    import statistics

    import marimo as mo
    from mograder.runtime import Grader, check


@app.cell
def _():
    # === MOGRADER: MARKS ===
    _marks = {"Q1": 2, "Q2": 3, "Q3": 3, "Q4": 4}
    grader = Grader(_marks)
    return (grader,)


@app.cell
def _():
    timings = [19.89, 20.11, 20.05, 20.03, 19.96, 19.94, 20.10, 20.04, 20.14, 19.91, 19.97, 18.03]
    return (timings,)
"""
TEXT = """
@app.cell(hide_code=True)
def _():
    mo.md(r\"\"\"## Exercise {number}: $x_{number}$, the text that stands before it\"\"\")
    return
"""
ANSWERS = {
    "mean": (
        "return sum(values) / len(values)",
        "total = 0.0\n    for value in values:\n        total += value\n    return total / len(values)",
        "return math.fsum(values) / len(values)",
        "return ...",
    ),
    "median": (
        "s = sorted(values)\n    n = len(s)\n    return s[n // 2] if n % 2 else (s[n // 2 - 1] + s[n // 2]) / 2",
        "values = list(values)\n    values.sort()\n    m = len(values) // 2\n    return (values[m] + values[~m]) / 2",
        "values.sort()\n    m = len(values) // 2\n    return (values[m] + values[~m]) / 2",
    ),
    "deviation": (
        "m = mean(values)\n    return math.sqrt(sum((v - m) ** 2 for v in values) / (len(values) - 1))",
        "m = sum(values) / len(values)\n    return (sum((v - m) ** 2 for v in values) / len(values)) ** 0.5",
    ),
    "outliers": (
        "m = median(list(values))\n    d = median([abs(v - m) for v in values])\n    return [v for v in values if abs(v - m) > 3 * 1.4826 * d]",
        "return [v for v in values if abs(v - 20) > 1]",
        "return values",
    ),
}  # fmt: skip
CHECKS = {
    "mean": "    grader.check('Q1: mean', [(mean([2, 4, 9]) == 5, 'of 2, 4, 9'),"
            " (abs(mean(timings) - statistics.mean(timings)) < 1e-9, 'of the timings')])",
    "median": "    _v = [3, 1, 2]\n    _m = median(_v)\n    grader.check('Q2: median', [(_m == 2, 'of three'), (_v == [3, 1, 2], 'unchanged')])",
    "deviation": "    ### BEGIN HIDDEN TESTS\n    grader.check('Q3: deviation', [(abs(deviation([1, 2, 3]) - 1) < 1e-9, 'of three'),"
                 " (deviation([5, 5]) == 0, 'none')])\n    ### END HIDDEN TESTS",
    "outliers": "    grader.check('Q4: outliers', [(outliers([1, 2, 3, 4, 100]) == [100], 'one'), (outliers(timings) == [18.03], 'of the timings')])",
}  # fmt: skip
RIGHT = {  # of each answer above: the share of its question that it earns
    "mean": (1, 1, 1, 0), "median": (1, 1, 0.5), "deviation": (1, 0.5), "outliers": (1, 0.5, 0),
}  # fmt: skip


def notebook(chosen: dict[str, int], source: bool = False) -> str:
    """The notebook with these answers; the source has its marks and the hidden tests."""
    parts = [HEAD]
    for number, (name, answers) in enumerate(ANSWERS.items(), 1):
        body = answers[chosen[name]]
        marked = f"### BEGIN SOLUTION\n    {body}\n    ### END SOLUTION" if source else body
        parts.append(TEXT.format(number=number))
        parts.append(f"\n@app.function\ndef {name}(values):\n    {marked}\n")
        check = CHECKS[name] if source or "HIDDEN" not in CHECKS[name] else "    # HIDDEN TESTS"
        parts.append(f"\n@app.cell\ndef _(grader, timings):\n{check}\n    return\n")
    return "\n".join(parts) + '\n\nif __name__ == "__main__":\n    app.run()\n'


def class_of(size: int) -> list[dict[str, int]]:
    """Every student another mixture of styles."""
    names = list(ANSWERS)
    return [
        {name: (number // (place + 1) + number) % len(ANSWERS[name]) for place, name in enumerate(names)}
        for number in range(size)
    ]


def expected(chosen: dict[str, int]) -> list[float]:
    shares = [RIGHT[name][place] for name, place in chosen.items()]
    if chosen["mean"] == 3 and chosen["deviation"] == 0:
        shares[2] = 0  # it builds on the mean
    return shares


def ours(students: list[dict[str, int]], jobs: int) -> dict[str, float]:
    """Submissions a minute, and processor seconds a submission: the start of the sandboxes counts."""
    tests = Tests(notebook(dict.fromkeys(ANSWERS, 0), source=True), "hw1")
    began, used = time.monotonic(), _used()
    with Grader(tests, current_environment(), find_sandbox(), jobs) as grader, ThreadPoolExecutor(jobs) as pool:
        reports = list(pool.map(lambda chosen: grader.grade(notebook(chosen).encode(), "hw1.py"), students))
        own = sum(report.cpu_seconds for report in reports)
        spent, wall = _used() - used, time.monotonic() - began
    for chosen, report in zip(students, reports, strict=True):
        got = [check.earned_weight / check.total_weight for check in report.checks]
        if got != expected(chosen):
            raise SystemExit(f"wrong marks for {chosen}: {got}, not {expected(chosen)}: {report}")
    return {
        "rate": 60 * len(students) / wall,
        "processor": spent / len(students),
        "own": own / len(students),
        "wall": wall,
    }


def published(program: str, students: list[dict[str, int]], folder: Path) -> dict[str, float]:
    """The same of the published program, as a person would call it."""
    for place in ("source/hw1", "submitted/hw1"):
        (folder / place).mkdir(parents=True)
    (folder / "source/hw1/hw1.py").write_text(notebook(dict.fromkeys(ANSWERS, 0), source=True))
    for number, chosen in enumerate(students):
        (folder / f"submitted/hw1/student{number:03}.py").write_text(notebook(chosen))
    began, used = time.monotonic(), _used()
    words = [program, "autograde", "hw1", "-j", "2", "--csv", "marks.csv"]
    path = os.pathsep.join((str(Path(find_uv_bin()).parent), os.environ["PATH"]))  # it needs a uv
    done = subprocess.run(
        words, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    wall = time.monotonic() - began
    found = list(csv.DictReader((folder / "marks.csv").open())) if (folder / "marks.csv").exists() else []
    graded = sum(not row.get("export_error") for row in found)
    if graded != len(students):
        print(f"the published program graded {graded} of {len(students)}: {done.stdout[-800:]}{done.stderr[-800:]}")
    return {"rate": 60 * len(students) / wall, "processor": (_used() - used) / len(students), "wall": wall}


def memory(many: int) -> dict[str, float]:
    """Resident memory of the grader and all its processes after a tenth of them, and after all (MiB)."""
    tests = Tests(notebook(dict.fromkeys(ANSWERS, 0), source=True), "hw1")
    students = class_of(40)
    with Grader(tests, current_environment(), find_sandbox(), 2) as grader, ThreadPoolExecutor(2) as pool:

        def grade(number: int) -> None:
            grader.grade(notebook(students[number % 40]).encode(), "hw1.py")

        list(pool.map(grade, range(many // 10)))
        first = _resident()
        list(pool.map(grade, range(many // 10, many)))
        return {"first": first, "last": _resident()}


def _used() -> float:
    """Processor seconds of this process, of those that it has waited for, and of all that descend from it now."""
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    ticks = sum(sum(map(int, each[11:15])) for process, each in _descendants().items() if process != os.getpid())
    return sum(part.ru_utime + part.ru_stime for part in parts) + ticks / os.sysconf("SC_CLK_TCK")


def _resident() -> float:
    """MiB of this process and of all that descend from it, what they share counted once for each."""
    return sum(int(each[21]) for each in _descendants().values()) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def _descendants() -> dict[int, list[str]]:
    """The fields of /proc/<pid>/stat after the name, of this process and of all that descend from it."""
    found: dict[int, list[str]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                found[int(entry)] = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
    mine = {os.getpid()}
    while more := {process for process, fields in found.items() if int(fields[1]) in mine} - mine:
        mine |= more
    return {process: found[process] for process in mine}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=40)
    parser.add_argument("--published", type=int, default=40)
    parser.add_argument("--many", type=int, default=0)
    options = parser.parse_args()
    students = class_of(options.size)
    results = {"ours": ours(students, 2)}
    program = os.environ.get("MOGRADER_PUBLISHED")
    if program and options.published:
        with tempfile.TemporaryDirectory() as folder:
            results["published"] = published(program, students[: options.published], Path(folder))
        results["ratio"] = {"rate": results["ours"]["rate"] / results["published"]["rate"]}
    if options.many:
        results["memory"] = memory(options.many)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
