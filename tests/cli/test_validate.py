"""`mograder validate`: its report about the notebook of a student, and the changes of `--fix`."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mograder.cli import run
from mograder.notebook.cells import parse
from mograder.notebook.hashes import changed_cells
from mograder.notebook.release import make_release
from mograder.notebook.source import read_source
from tests.cli.conftest import CommandResult
from tests.notebook.notebooks import SOURCE, line_of, notebook

Validate = Callable[..., CommandResult]
RELEASE = make_release(read_source(SOURCE, "hw1")).text
BLANK = "    # YOUR CODE HERE\n    pass"
HALF = RELEASE.replace(f"    total = ...\n{BLANK}", "    total = 6", 1)
RIGHT = HALF.replace(BLANK, "    return sorted(xs)[len(xs) // 2]")
# These have no checks (exit code 8), so that marimo, which starts slowly, is not needed.
LIGHT = "Grader = grader = check = hint = mo = None"
LIGHT_RELEASE, LIGHT_RIGHT = (
    parse(text).text.replace("import marimo as mo\n    from mograder.runtime import Grader, check, hint", LIGHT)
    for text in (RELEASE, RIGHT)
)


@pytest.fixture
def validate(own_home: None, capsys: pytest.CaptureFixture[str]) -> Validate:
    def ran(*words: str, code: int = 0) -> CommandResult:
        capsys.readouterr()
        left = run(["validate", *words])
        out, err = capsys.readouterr()
        assert left == code, out + err
        assert "Traceback" not in err
        return CommandResult(left, out, err)

    return ran


def put(text: str, path: str = "hw1.py") -> Path:
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    return place


def test_passing_all_checks_is_exit_code_0(validate: Validate) -> None:
    put(RIGHT)
    assert validate("hw1.py").out.splitlines() == [
        "hw1.py", "  passed   Q1: total", "  passed   Q2: median", "2 of 2 checks passed",
    ]  # fmt: skip


SECRETS = {
    "MOGRADER_HTTPS_TOKEN": "alice:5f0c", "MOGRADER_ENROLLMENT_CODE": "swordfish",
    "MOGRADER_STORE": "postgresql://me:pass@db/mograder",
}  # fmt: skip


def test_a_notebook_sees_no_secret_in_its_environment(validate: Validate, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    look = "__import__('pathlib').Path('seen').write_text(' '.join(__import__('os').environ))"
    put(LIGHT_RIGHT.replace("total = 6", f"total = 6; {look}"))
    validate("hw1.py", code=8)
    assert not SECRETS.keys() & set(Path("seen").read_text().split())
    assert "PATH" in Path("seen").read_text().split()


def test_failed_and_waiting_checks_are_exit_code_1(validate: Validate) -> None:
    put(HALF.replace("total = 6", "total = 7"))
    out = validate("hw1.py", code=1).out
    assert out.splitlines()[1:5] == [
        "  failed   Q1: total", "             should be six", "  failed   Q2: median", "             of 3, 1, 2",
    ]  # fmt: skip
    put(RELEASE)
    assert "  waits    Q1: total" in validate("hw1.py", code=1).out


@pytest.mark.parametrize(
    ("made_by", "said"),
    [("uv-receipt.toml", "uv tool install --with marimo"), ("pipx_metadata.json", "pipx inject mograder-course marimo"),
     ("pyvenv.cfg", f"{sys.executable} -m pip install marimo")],
)  # fmt: skip
def test_without_marimo_the_error_says_how_to_add_it_to_this_environment(
    validate: Validate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_by: str, said: str
) -> None:
    put(RELEASE)
    (tmp_path / made_by).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert said in validate("hw1.py", code=2).err


def test_a_notebook_without_a_check_is_exit_code_8(validate: Validate) -> None:
    put(notebook("x = 1"))
    assert "there is no check in hw1.py" in validate("hw1.py", code=8).err


def test_a_failing_cell_is_reported_with_its_line_and_error(validate: Validate) -> None:
    text = RIGHT.replace("    total = 6", "    parts = [1, 0]\n    total = parts[0] / parts[1]")
    put(text)
    out = validate("hw1.py", code=1).out
    line = line_of(text, "parts[0] / parts[1]")
    assert f"  line {line}, the cell that begins with `parts = [1, 0]`: ZeroDivisionError: division by zero" in out
    assert f"      line {line}: total = parts[0] / parts[1]" in out
    assert "  not run  Q1: total" in out
    assert "  passed   Q2: median" in out


def test_an_endless_cell_is_stopped_and_named(validate: Validate) -> None:
    put(notebook("total = 6\nwhile total: ...", setup=""))
    for seconds in ("1", "8", "64"):  # on a busy machine the cell may not have started after one second
        out = validate("hw1.py", "--timeout", seconds, code=8).out
        if "while this cell ran" in out:
            break
    assert "the time was over while this cell ran: line" in out
    assert "the cell that begins with `total = 6`" in out


def test_a_cell_that_ends_the_python_process_is_named(validate: Validate) -> None:
    put(notebook("x = 1", "__import__('os')._exit(0)", setup=""))
    assert "Python ended while this cell ran: line" in validate("hw1.py", code=8).out


def test_duplicate_definitions_and_cycles_are_explained(validate: Validate) -> None:
    put(notebook("x = 1", "x = 2", "a = b", "b = a", 'check("Q1: a", [(True, "")])', 'check("Q2: x", [(x, "")])'))
    out = validate("hw1.py", code=1).out
    assert "`x` is defined in more than one cell (lines" in out
    assert "need each other in a circle" in out
    assert "  passed   Q1: a" in out
    assert "  not run  Q2: x" in out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = (1\n", "hw1.py:1: this is not valid Python"),
        ("print(1)\n", "not a marimo notebook"),
        ('{"cells": [], "nbformat": 4}', "Jupyter notebook"),
    ],
)
def test_a_file_that_is_not_a_notebook_is_a_one_line_error(text: str, words: str, validate: Validate) -> None:
    put(text)
    assert words in validate("hw1.py", code=1).err


def test_a_disabled_cell_and_the_cells_that_need_it_do_not_run(validate: Validate) -> None:
    put(notebook("@app.cell(disabled=True)\ndef _():\n    x = 1\n    return (x,)", 'check("Q1: x", [(x == 1, "")])'))
    assert validate("hw1.py", code=1).out.splitlines()[1:2] == ["  not run  Q1: x"]


def test_modules_and_data_beside_the_notebook_are_found(validate: Validate) -> None:
    put("def six():\n    return 6\n", "hw/helper.py")
    put("6", "hw/data.txt")
    put(
        notebook(
            "import helper\nvalue = int((mo.notebook_dir() / 'data.txt').read_text())",
            "same = open('data.txt').read()",
            'check("Q1: a", [(helper.six() == value, "module"), (int(same) == value, "folder")])',
        ),
        "hw/hw1.py",
    )  # fmt: skip
    validate("hw/hw1.py")


def test_a_file_of_the_student_named_like_a_standard_module_does_not_disturb_the_run(validate: Validate) -> None:
    put("raise SystemExit('not this one')", "traceback.py")
    put("raise SystemExit('nor this one')", "linecache.py")
    put("value = 6", "mine.py")
    put(notebook("import asyncio\nimport mine\nx = await asyncio.sleep(0, mine.value)", "1 / (x - 6)", setup=""))
    out = validate("hw1.py", code=8).out
    assert "ZeroDivisionError: division by zero" in out
    assert "Python ended" not in out


def test_names_with_an_underscore_are_local_to_their_cells(validate: Validate) -> None:
    put(notebook("_n = 1\ndef f():\n    return _n", "_n = 2", 'check("Q1: a", [(f() == 1, "")])'))
    validate("hw1.py")


def test_a_name_selects_the_source_or_the_notebook_of_that_name(validate: Validate) -> None:
    put(LIGHT_RIGHT, "hw1/hw1.py")
    assert validate("hw1", code=8).out.startswith("hw1/hw1.py\n")
    put(LIGHT_RELEASE, "source/hw1/hw1.py")
    assert validate("hw1", code=8).out.startswith("source/hw1/hw1.py\n")
    assert "there is no notebook of 'hw9'" in validate("hw9", code=4).err
    assert "there is no file x/hw9.py" in validate("x/hw9.py", code=4).err


def test_the_exit_code_is_that_of_the_worst_notebook(validate: Validate) -> None:
    put(RIGHT)
    put(RELEASE, "hw2.py")
    put(notebook("x = 1"), "hw3.py")
    validate("hw1.py", "hw3.py", code=8)
    validate("hw1.py", "hw3.py", "hw2.py", code=1)


def test_changed_cells_are_found_by_comparison_with_the_copy_kept_by_fetch(validate: Validate) -> None:
    put(LIGHT_RELEASE, ".mograder/release/hw1/hw1.py")
    put(LIGHT_RIGHT.replace("total == 6", "True"))
    out = validate("hw1.py", code=8).out
    assert "  changed: the check “Q1: total”" in out
    assert "mograder validate --fix hw1.py" in out


def test_without_a_copy_the_hashes_in_the_notebook_tell_how_many_cells_changed(validate: Validate) -> None:
    light = (LIGHT_RIGHT, LIGHT_RIGHT.replace("total == 6", "True"))
    outputs = [validate(str(put(text)), code=8).out for text in light]
    # The setup cell differs from the one that was hashed.
    assert ["of the instructor's" in out for out in outputs] == [True, True]
    assert "1 cell of the instructor's was changed or removed" in outputs[0]
    assert "2 cells of the instructor's were changed or removed" in outputs[1]


@pytest.mark.parametrize(
    "place", [".mograder/release/hw1/hw1.py", "release/hw1/hw1.py", "release/hw1/files/hw1.py", "given/original.py"]
)
def test_fix_restores_cells_and_keeps_a_copy_of_the_notebook(place: str, validate: Validate) -> None:
    put(LIGHT_RELEASE, place)
    broken = LIGHT_RIGHT.replace("total == 6", "True").replace('"Q2": 10', '"Q2": 99')
    path = put(broken)
    words = ["--release", place] if place.startswith("given") else []
    out = validate("--fix", "hw1.py", *words, code=8).out
    assert "put back the check “Q1: total”" in out
    assert path.read_text() == LIGHT_RIGHT
    assert Path("hw1.py.bak").read_text() == broken
    path.write_text(broken)
    validate("--fix", "hw1.py", *words, code=8)
    assert Path("hw1.py.bak2").read_text() == broken
    again = validate("--fix", "hw1.py", *words, code=8)
    assert "no cell of the instructor's was changed" in again.out
    assert not Path("hw1.py.bak3").exists()


def test_fix_never_changes_a_cell_of_the_student(validate: Validate) -> None:
    put(LIGHT_RELEASE, ".mograder/release/hw1/hw1.py")
    mine = "\n\n@app.cell\ndef _():\n    mine = 'a cell of my own'\n    return\n"
    broken = LIGHT_RIGHT.replace("total == 6", "True").replace("\n\n@app.function", mine + "\n\n@app.function")
    path = put(broken)
    validate("--fix", "hw1.py", code=8)
    fixed = path.read_text()
    for answer in ("    total = 6\n", "    return sorted(xs)[len(xs) // 2]\n", "    mine = 'a cell of my own'\n"):
        assert answer in fixed
    assert changed_cells(parse(LIGHT_RELEASE), parse(fixed)) == ()


def test_fix_keeps_line_ends_and_byte_order_mark(validate: Validate) -> None:
    put(LIGHT_RELEASE, ".mograder/release/hw1/hw1.py")
    as_saved = b"\xef\xbb\xbf" + LIGHT_RIGHT.replace("\n", "\r\n").encode()
    path = put("")
    path.write_bytes(as_saved.replace(b"total == 6", b"True"))
    validate("--fix", "hw1.py", code=8)
    assert path.read_bytes() == as_saved


def test_fix_without_a_copy_says_what_to_do(validate: Validate) -> None:
    put(LIGHT_RIGHT)
    assert "fetch it again, or name it with --release" in validate("--fix", "hw1.py", code=2).err


def test_a_notebook_is_not_changed_while_it_runs(validate: Validate) -> None:
    put(LIGHT_RIGHT)
    validate("hw1.py", code=8)
    assert sorted(path.name for path in Path().iterdir()) == ["hw1.py"]
