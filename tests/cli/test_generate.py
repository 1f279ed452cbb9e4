"""`mograder generate`: its output, its refusals, and what is never written."""

from __future__ import annotations

import hashlib
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from mograder.cli import run
from mograder.notebook import pep723
from mograder.notebook.cells import parse
from mograder.notebook.hashes import instructor_hashes
from tests.cli.conftest import CommandResult
from tests.notebook.notebooks import CHECK_TOTAL, MARKS, MEDIAN, SOURCE, TOTAL, line_of, notebook

Generate = Callable[..., CommandResult]


@pytest.fixture
def generate(own_home: None, capsys: pytest.CaptureFixture[str]) -> Generate:
    """Runs `mograder generate` in a course's folder; without the trial run unless `trial` is true."""

    def ran(*words: str, code: int = 0, trial: bool = False) -> CommandResult:
        capsys.readouterr()
        left = run(["generate", *words, *([] if trial or "--validate" in words else ["--no-validate"])])
        out, err = capsys.readouterr()
        assert left == code, out + err
        return CommandResult(left, out, err)

    return ran


def put(path: str, text: str | bytes = SOURCE) -> Path:
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return place


def released() -> list[str]:
    return sorted(str(path.relative_to("release")) for path in Path("release").rglob("*") if path.is_file())


def test_a_release_is_the_notebook_with_its_files_and_an_archive(generate: Generate) -> None:
    put("source/hw1/hw1.py")
    put("source/hw1/data/points.csv", "a,b\n1,2\n")
    put("source/hw1/charts.py", "def draw(): ...\n")
    ran = generate("hw1")
    assert released() == ["hw1/charts.py", "hw1/data/points.csv", "hw1/hw1.py", "hw1/hw1.zip"]
    assert "source/hw1/hw1.py: wrote release/hw1/hw1.py (2 solutions and 1 hidden test removed)" in ran.out
    text = Path("release/hw1/hw1.py").read_text()
    assert "sum(parts)" not in text
    assert pep723.read_facts(text).cell_hashes == instructor_hashes(parse(text))
    with zipfile.ZipFile("release/hw1/hw1.zip") as archive:
        assert archive.namelist() == ["charts.py", "data/points.csv", "hw1.py"]
        assert archive.read("hw1.py") == text.encode()


def test_a_release_has_the_encoding_and_line_ends_of_its_source(generate: Generate) -> None:
    text = "# coding: latin-1\n" + SOURCE.replace("should be six", "schön wäre 6")
    put("source/hw1/hw1.py", text.replace("\n", "\r\n").encode("latin-1"))
    generate("hw1", trial=True)
    written = Path("release/hw1/hw1.py").read_bytes()
    assert "schön wäre 6".encode("latin-1") in written
    assert written.count(b"\n") == written.count(b"\r\n")


def test_a_release_of_a_single_notebook_has_no_archive(generate: Generate) -> None:
    put("source/hw1/hw1.py")
    generate("hw1")
    assert released() == ["hw1/hw1.py"]


def test_the_same_source_gives_the_same_bytes(generate: Generate) -> None:
    put("source/hw1/hw1.py")
    put("source/hw1/data.csv", "1")
    generate("hw1")
    digest = hashlib.sha256(Path("release/hw1/hw1.zip").read_bytes()).hexdigest()
    before = Path("release/hw1/hw1.py").stat().st_mtime_ns
    Path("release/hw1/hw1.zip").unlink()
    ran = generate("hw1")
    assert hashlib.sha256(Path("release/hw1/hw1.zip").read_bytes()).hexdigest() == digest
    assert Path("release/hw1/hw1.py").stat().st_mtime_ns == before
    assert "unchanged: release/hw1/hw1.py" in ran.out


def test_files_that_tools_leave_behind_are_never_released(generate: Generate, tmp_path: Path) -> None:
    put("source/hw1/hw1.py")
    for path in (".venv/lib/x.py", "__marimo__/session/hw1.py.json", "__pycache__/hw1.pyc", ".env", "sub/.git/config",
                 "sub/__marimo__/x", "hw1.html", "hw1.zip", "hw1.py~"):  # fmt: skip
        put(f"source/hw1/{path}", "sum(parts)")
    secret = tmp_path / "secret.txt"
    secret.write_text("x")
    Path("source/hw1/link.txt").symlink_to(secret)
    put("source/hw1/data.csv", "1")
    generate("hw1")
    assert released() == ["hw1/data.csv", "hw1/hw1.py", "hw1/hw1.zip"]


@pytest.mark.parametrize("words", [["--files"], []])
def test_the_release_for_a_served_course_is_written_to_its_files_folder(words: list[str], generate: Generate) -> None:
    put("source/hw1/hw1.py")
    put("source/hw1/data.csv", "1")
    if not words:
        put("release/hw0/files/hw0.py", "x")
    generate("hw1", *words)
    assert [name for name in released() if name.startswith("hw1")] == [
        "hw1/files/data.csv", "hw1/files/hw1.py", "hw1/files/hw1.zip",
    ]  # fmt: skip


def test_folders_are_named_as_mograder_toml_says(generate: Generate) -> None:
    put("mograder.toml", '[dirs]\nsource = "quellen"\nrelease = "aus"\n')
    put("quellen/hw1/hw1.py")
    generate("hw1")
    assert Path("aus/hw1/hw1.py").is_file()
    generate("hw1", "-o", "elsewhere")
    assert Path("elsewhere/hw1/hw1.py").is_file()


def test_a_path_selects_a_notebook_in_a_folder_or_a_single_notebook(generate: Generate) -> None:
    put("source/hw1/hw1.py")
    put("source/hw1/data.csv", "1")
    put("alone.py")
    generate("source/hw1/hw1.py", "./alone.py")
    assert released() == ["alone/alone.py", "hw1/data.csv", "hw1/hw1.py", "hw1/hw1.zip"]
    assert pep723.read_facts(Path("release/alone/alone.py").read_text()).assignment == "alone"


def test_a_dry_run_writes_nothing(generate: Generate) -> None:
    put("source/hw1/hw1.py")
    put("source/hw1/data.csv", "1")
    ran = generate("hw1", "--dry-run")
    assert "would write release/hw1/hw1.py (2 solutions and 1 hidden test removed)" in ran.out
    assert "would write release/hw1/data.csv" in ran.out
    assert not Path("release").exists()


def test_validate_checks_the_markers_and_writes_nothing(generate: Generate) -> None:
    path = put("source/hw1/hw1.py")
    assert "the markers fit" in generate("hw1", "--validate").out
    assert not Path("release").exists()
    path.write_text(SOURCE.replace("### END HIDDEN TESTS", ""))
    generate("hw1", "--validate", code=1)


def test_every_mistake_is_reported_with_file_and_line_and_nothing_is_written(generate: Generate) -> None:
    bad = notebook(MARKS, "### END SOLUTION", 'grader.check("Q9: x", [(True, "")])', "### BEGIN SOLUTION")
    put("source/hw1/hw1.py", bad)
    put("source/hw2/hw2.py")
    ran = generate("hw1", "hw2", code=1)
    assert ran.err.splitlines() == [
        f"source/hw1/hw1.py:{line_of(bad, 'END SOL')}: END SOLUTION has no BEGIN SOLUTION before it",
        f"source/hw1/hw1.py:{line_of(bad, 'Q9')}: the check 'Q9' has no marks: add 'Q9' to `_marks`",
        f"source/hw1/hw1.py:{line_of(bad, 'BEGIN SOL')}: BEGIN SOLUTION has no END SOLUTION after it",
        "hw1: nothing was written",
    ]
    assert released() == ["hw2/hw2.py"]
    assert "mograder serve . in this folder" in generate("hw2").err
    assert generate("hw2", "--files").err == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("print('no notebook')\n", "there is no marimo notebook in source/hw1"),
        (None, "there is no folder source/hw1"),
    ],
)
def test_an_assignment_without_a_notebook_is_refused(text: str | None, words: str, generate: Generate) -> None:
    if text is not None:
        put("source/hw1/hw1.py", text)
    assert words in generate("hw1", code=4).err


def test_a_notebook_with_a_syntax_error_is_not_treated_as_a_data_file(generate: Generate) -> None:
    put("source/hw1/hw1.py", SOURCE.replace("sum(parts)", "sum(parts"))
    assert "source/hw1/hw1.py:23: this is not valid Python" in generate("hw1", code=1).err


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("old.py", "def f(xs):\n    in_order = sorted(xs)\n", "source/hw1/old.py:2 would still show this line"),
        ("notes.html", "<p>x</p>\n<b>return in_order[len(in_order) // 2]</b>", "notes.html:2 would still show"),
        ("page.html", "total = sum(parts) &amp; x\nparts = [1,&#32;2, 3]", "page.html:2 would still show"),
        ("help.py", "### BEGIN SOLUTION\nx = 1\n### END SOLUTION\n", "source/hw1/help.py:1: a marker in a file"),
    ],
)
def test_a_file_that_contains_a_solution_is_not_released(name: str, text: str, words: str, generate: Generate) -> None:
    put("source/hw1/hw1.py")
    put(f"source/hw1/{name}", text)
    assert words in generate("hw1", code=1).err
    assert not Path("release").exists()


def test_a_solution_left_in_another_cell_is_reported_with_both_lines(generate: Generate) -> None:
    text = notebook(MARKS, TOTAL, "# old: total = sum(parts)", CHECK_TOTAL, MEDIAN, 'check("Q2: x", [(True, "")])')
    put("source/hw1/hw1.py", text)
    err = generate("hw1", code=1).err
    assert f"source/hw1/hw1.py:{line_of(text, '    total = sum(parts)')}: the release's line " in err
    assert "would still show this line: total = sum(parts)" in err
    assert not Path("release").exists()


def test_a_lecture_is_released_without_a_trial_run(generate: Generate) -> None:
    put("talk.py", notebook(TOTAL, head='import marimo\n\napp = marimo.App(layout_file="l.json")\n'))
    generate("talk.py", "--lecture", trial=True)
    text = Path("release/talk/talk.py").read_text()
    assert ("layout_file" in text, pep723.read_facts(text).type) == (False, "lecture")


def test_mutually_exclusive_options_are_refused(generate: Generate) -> None:
    assert run(["generate", "hw1", "--validate", "--no-validate"]) == 2


def test_a_valid_source_is_run_and_its_release_written(generate: Generate) -> None:
    put("source/hw1/hw1.py")
    generate("hw1", trial=True)
    assert released() == ["hw1/hw1.py"]


def test_a_model_solution_that_misses_points_and_a_release_that_gets_them_are_reported_by_question(
    generate: Generate,
) -> None:
    text = SOURCE.replace("should be six", "no").replace("total == 6", "total == 7")
    text = text.replace("median([3, 1, 2]) == 2", "True").replace("median([50, 10, 90]) == 50", "True")
    put("source/hw1/hw1.py", text)
    err = generate("hw1", trial=True, code=1).err
    assert "source/hw1/hw1.py: Q1: with the model solution the check “Q1: total” fails: no" in err
    assert "source/hw1/hw1.py: Q2: the release passes every check and all 10 points without an answer" in err
    assert not Path("release").exists()


def test_the_submit_cell_of_a_release_names_server_and_assignment(generate: Generate) -> None:
    put("source/hw1/hw1.py")
    generate("hw1", "--submit-url", "https://course.example")
    text = Path("release/hw1/hw1.py").read_text()
    compiled = subprocess.run(["python3", "-m", "py_compile", "release/hw1/hw1.py"], capture_output=True, check=False)
    assert compiled.returncode == 0
    assert '"https://course.example", "hw1", __file__' in text
