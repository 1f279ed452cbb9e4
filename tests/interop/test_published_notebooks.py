"""Our releases are used with the published mograder, and its notebooks with ours; both as black boxes."""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mograder.notebook.cells import parse
from mograder.notebook.hashes import changed_cells
from mograder.notebook.pep723 import read_facts
from tests.interop.conftest import OURS, Shell
from tests.notebook.notebooks import SAVED, SOURCE

BLANK = "    # YOUR CODE HERE\n    pass"

# The published mograder runs notebooks with `uv`, which downloads packages. This program replaces it: all packages are
# installed already, in the environment of the published mograder.
UV = """\
#!{python}
import os, subprocess, sys
words = sys.argv[1:]
if words[0] == "--version":
    print("uv 0.9.0")
elif words[0] == "sync":
    print('{{"sync": {{"action": "check", "environment": {{"path": "{folder}", "python": {{"path": "{inside}"}}}}}}}}')
elif words[0] == "run":
    words = words[words.index("--") + 1 :]
    os.execv("{inside}", ["{inside}", *words[1:]])
"""


@pytest.fixture
def theirs(published: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The published command line, with a stand-in for `uv` that finds its packages installed."""
    folder = Path(published[0]).parent.parent
    inside = next(path for path in (folder / "bin" / "python", folder / "Scripts" / "python.exe") if path.exists())
    uv = tmp_path / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text(UV.format(python=sys.executable, folder=folder, inside=inside))
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", f"{uv.parent}:/usr/bin:/bin")
    return published


def answered(release: str, *, right: bool = True) -> str:
    text = release.replace(f"    total = ...\n{BLANK}", "    total = 6", 1)
    return text.replace(BLANK, "    return sorted(xs)[len(xs) // 2]" if right else "    return 0", 1)


def put(course: Path, path: str, text: str) -> None:
    (course / path).parent.mkdir(parents=True, exist_ok=True)
    (course / path).write_text(text, encoding="utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="what stands for uv is a script")
def test_the_published_validate_and_autograde_accept_a_generated_release(
    theirs: list[str], shell: Callable[[list[str], str], Shell]
) -> None:
    published = shell(theirs, "instructor")
    course = published.folder
    put(course, "source/hw1/hw1.py", SOURCE)
    Shell(OURS, published.home, course)("generate", "hw1", "--no-validate")
    release = (course / "release/hw1/hw1.py").read_text()
    put(course, "submitted/hw1/alice.py", answered(release))
    put(course, "submitted/hw1/bob.py", answered(release, right=False))

    said = published("validate", "submitted/hw1/alice.py")
    assert ("PASS: Q1: total" in said, "PASS: Q2: median" in said) == (True, True)
    said = published("validate", "submitted/hw1/bob.py", code=1)
    assert "FAIL: Q2: median" in said

    published("autograde", "hw1", "--csv", "out.csv", "-j", "1")
    with (course / "out.csv").open(newline="") as file:
        rows = {row["notebook"]: row for row in csv.DictReader(file)}
    assert (rows["alice"]["Q1"], rows["alice"]["Q2"], rows["alice"]["auto_mark"]) == ("PASS", "PASS", "15")
    assert rows["bob"]["Q1"] == "PASS"
    assert rows["bob"]["Q2"] != "PASS"


def test_both_make_the_same_release_of_a_source_except_for_known_faults(
    published: list[str], shell: Callable[[list[str], str], Shell]
) -> None:
    """Theirs keeps names in signatures and `return` lines that only a solution used."""
    instructor = shell(published, "instructor")
    source = '# /// script\n# dependencies = ["marimo"]\n# ///\n\n' + SOURCE
    put(instructor.folder, "source/hw1/hw1.py", source)
    instructor("generate", "hw1", "--no-validate", "-o", "theirs")
    Shell(OURS, instructor.home, instructor.folder)("generate", "hw1", "--no-validate", "-o", "ours")
    theirs, ours = ((instructor.folder / who / "hw1" / "hw1.py").read_text() for who in ("theirs", "ours"))
    assert changed_cells(parse(theirs), parse(ours)) == ()
    assert read_facts(theirs) == read_facts(ours)
    assert _without_frames(theirs) == _without_frames(ours).replace("    total = ...\n", "")


def _without_frames(text: str) -> str:
    """Without signatures and `return` lines, which marimo writes anew each time it saves."""
    return re.sub(r"(?m)^(async )?def _\(.*\n|^    return ?[\w,() ]*\n", "", text)


def test_a_release_by_the_published_mograder_equals_ours_for_every_marimo_version(
    published: list[str], shell: Callable[[list[str], str], Shell]
) -> None:
    instructor = shell(published, "instructor")
    for path in sorted(SAVED.glob("*.py")):
        put(instructor.folder, f"source/{path.stem}/{path.name}", path.read_text(encoding="utf-8"))
    names = [path.stem for path in sorted(SAVED.glob("*.py"))]
    instructor("generate", *names, "--no-validate", "-o", "theirs")
    Shell(OURS, instructor.home, instructor.folder)("generate", *names, "--no-validate", "-o", "ours")
    for name in names:
        theirs, ours = (
            (instructor.folder / who / name / f"{name}.py").read_text("utf-8") for who in ("theirs", "ours")
        )
        assert changed_cells(parse(theirs), parse(ours)) == ()
        assert changed_cells(parse(ours), parse(theirs)) == ()
