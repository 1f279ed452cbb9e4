"""The published `autograde` and ours, as a person calls them, on one class's hw1; and memory over very many."""
# ruff: noqa: S603  (it runs programs)

from __future__ import annotations

import contextlib
import csv
import ctypes
import os
import resource
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cases import Figures, Size, expect
from servers import OURS, Contestant, environment
from styles import Submission, class_of, source_text

JOBS = 2
_CHILD_SUBREAPER = 36  # prctl(2): PR_SET_CHILD_SUBREAPER

# The published program runs every notebook with `uv`, which loads packages from the network. This stands for it, so
# that neither is counted: what is asked for is there already, in the environment of the published program.
UV = """\
#!{python}
import os, sys
words = sys.argv[1:]
if words[0] == "--version":
    print("uv 0.9.0")
elif words[0] == "sync":
    print('{{"sync": {{"action": "check", "environment": {{"path": "{folder}", "python": {{"path": "{inside}"}}}}}}}}')
elif words[0] == "run":
    words = words[words.index("--") + 1 :]
    os.execv("{inside}", ["{inside}", *words[1:]])
"""


def make_course(course: Path, students: list[Submission]) -> Path:
    """A course folder with the example's source and these submissions; the CSV that autograde is to write."""
    for place in ("source/hw1", "submitted/hw1"):
        (course / place).mkdir(parents=True)
    (course / "source/hw1/hw1.py").write_text(source_text())
    for number, each in enumerate(students):
        (course / f"submitted/hw1/student{number:03}.py").write_text(each.text)
    return course / "marks.csv"


def autograde(contestant: Contestant, folder: Path, size: Size) -> Figures:
    """Submissions a minute and processor seconds a submission of `autograde hw1 -j 2`, from the command to its end."""
    students = class_of(size.notebooks[contestant is not OURS])
    marks = make_course(folder, students)
    words = [*contestant.program, "autograde", "hw1", "-j", str(JOBS), "--csv", str(marks)]
    _adopt_orphans()
    began, used = time.monotonic(), _used()
    done = subprocess.run(
        words, cwd=folder, env=_environment(contestant, folder), capture_output=True, text=True, check=False
    )
    wall = time.monotonic() - began
    _wait_for_orphans()
    spent = _used() - used
    expect(marks.is_file(), f"{contestant.name}: {done.stdout[-800:]}{done.stderr[-800:]}")
    rows = {row["notebook"]: row for row in csv.DictReader(marks.open(newline=""))}
    for number, each in enumerate(students):
        row = rows[f"student{number:03}"]
        got = float(row["auto_mark"] or -1)
        if contestant is OURS or each.points == 16:
            expect(got == each.points, f"{contestant.name}: student{number:03} has {got}, not {each.points}: {row}")
    return {"rate": 60 * len(students) / wall, "processor": spent / len(students), "wall": wall}


def _environment(contestant: Contestant, folder: Path) -> dict[str, str]:
    if contestant is OURS:
        return environment(folder)
    bin_folder = Path(contestant.program[0]).parent
    uv = folder / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(UV.format(python=sys.executable, folder=bin_folder.parent, inside=bin_folder / "python"))
    uv.chmod(0o755)
    return environment(folder) | {"PATH": f"{uv.parent}:/usr/bin:/bin"}


def grader_memory(folder: Path, size: Size) -> Figures:
    """MiB of what grades and all its processes, after a tenth of `size.students` submissions and after all.

    `processor` is that of one submission beyond its own run, `own` that of the run, in seconds, without the start.
    """
    from mograder.grading.environment import current_environment
    from mograder.grading.runner import Grader, Tests
    from mograder.grading.sandbox import find_sandbox

    students, many = class_of(40), size.students
    with Grader(Tests(source_text(), "hw1"), current_environment(), find_sandbox(), JOBS) as grader:
        with ThreadPoolExecutor(JOBS) as pool:

            def grade(number: int) -> float:
                report = grader.grade(students[number % 40].text.encode(), "hw1.py")
                expect(report.outcome in ("graded", "code_failed"), f"{report}")
                return report.cpu_seconds

            list(pool.map(grade, range(max(many // 10, 2 * JOBS))))
            first, used = _resident(), _used()
            own = sum(pool.map(grade, range(many)))
            spent = _used() - used
        return {
            "first": first, "last": _resident(), "processor": (spent - own) / many, "own": own / many
        }  # fmt: skip


def _adopt_orphans() -> None:
    """From now on, whose parent is gone is a child of this process, so that its processor time is counted here."""
    ctypes.CDLL(None, use_errno=True).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)


def _wait_for_orphans() -> None:
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


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
