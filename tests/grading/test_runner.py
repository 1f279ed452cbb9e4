"""Broken submissions, failures of the grader, and other modes of running."""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import signal
import threading
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mograder.domain.rendered import RenderedNotebook
from mograder.domain.results import CheckStatus, Outcome, RunReport
from mograder.grading.environment import Environment
from mograder.grading.limits import Limits, Tests, data_files
from mograder.grading.runner import Grader
from mograder.grading.sandbox import DataFile, Sandbox
from mograder.wire.rendered import pack, unpack
from tests.grading.conftest import LIMITS, Grade
from tests.grading.notebooks import (
    ANSWERS,
    CHECKS,
    MARKS,
    SOURCE,
    check_of,
    earned,
    hidden,
    notebook,
    solution,
    submission,
)
from tests.parts import until

PAGE = os.sysconf("SC_PAGE_SIZE")


def _zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.py", submission())
        archive.writestr("b.py", submission())
    return buffer.getvalue()


JUPYTER = json.dumps({"cells": [{"cell_type": "code", "source": ["answer = 42"]}], "nbformat": 4})
UNREADABLE = {
    "a syntax error": (submission({"answer": "answer = (42"}).encode(), "not valid Python"),
    "a script": (b"print('hello')\n", "not a marimo notebook"),
    "an empty file": (b"", "empty"),
    "a Jupyter notebook": (JUPYTER.encode(), "Jupyter"),
    "a zip of several": (_zip(), "zip"),
    "bytes": (bytes(range(256)) * 10, "NUL"),
    "latin-1 bytes": (submission({"honest": "name = 'Adäle'"}).encode("latin-1"), "UTF-8"),
    "UTF-16": (submission().encode("utf-16"), "UTF-16"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(100), "NUL"),
    "deep brackets": (b"import marimo\napp = marimo.App()\nx = " + b"(" * 50_000, "Python"),
    "a long chain": (b"import marimo\napp = marimo.App()\nx = " + b"-" * 200_000 + b"1\n", "Python"),
    "too many cells": (notebook(*(f"a{n} = a{n + 1}" for n in range(1_100))).encode(), "1000 cells"),
    "too large a file": (submission().encode() + b"#" * (3 << 20), "larger than"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_a_file_that_is_no_notebook_is_reported_with_one_sentence(grade: Grade, grader: Grader, name: str) -> None:
    data, words = UNREADABLE[name]
    report = grader.grade(data, "hw1.py")
    assert report.outcome is Outcome.CODE_FAILED
    assert words in report.failures[0].error
    assert report.failures[0].cell == "hw1.py"


@pytest.fixture(scope="module")
def grader(sandbox: Sandbox, environment: Environment):  # type: ignore[no-untyped-def]
    with Grader(Tests(SOURCE, "hw1", limits=LIMITS), environment, sandbox, 1) as grader:
        yield grader


def test_a_syntax_error_is_reported_with_its_line(grader: Grader) -> None:
    text = submission({"answer": "answer = (42"})
    failure = grader.grade(text.encode(), "hw1.py").failures[0]
    assert failure.line is not None
    assert "(42" in text.split("\n")[failure.line - 1]


def test_the_notebook_of_another_assignment_earns_nothing_and_the_missing_names_are_reported(grader: Grader) -> None:
    report = grader.grade(notebook("x = 1", "y = x + 1").encode(), "hw1.py")
    assert report.outcome is Outcome.GRADED
    assert set(earned(report).values()) == {0.0}
    assert check_of(report, "answer").status is CheckStatus.NOT_RUN
    assert check_of(report, "answer").messages == ("`answer` is not there: no cell defines it",)
    assert report.changed_cells


def test_a_cell_that_raises_is_reported_with_its_line_and_the_rest_is_graded(grader: Grader) -> None:
    text = submission({"answer": "def _divide(x):\n    return 1 / x\nanswer = _divide(0)"})
    report = grader.grade(text.encode(), "hw1.py")
    assert report.outcome is Outcome.CODE_FAILED
    failure = report.failures[0]
    assert failure.cell == "answer"
    assert failure.line is not None
    assert text.split("\n")[failure.line - 1].strip() == "return 1 / x"
    assert failure.error == "ZeroDivisionError: division by zero"
    assert "answer = _divide(0)" in failure.traceback
    assert "mograder" not in failure.traceback
    check = check_of(report, "answer")
    assert check.status is CheckStatus.NOT_RUN
    assert "did not run to its end" in check.messages[0]
    assert check.total_weight == 2
    assert [key for key, share in earned(report).items() if share < 1] == ["answer", "secret"]


def test_a_function_that_raises_in_a_check_is_reported_with_its_line(grader: Grader) -> None:
    text = submission({"even": "def is_even(number):\n    return number.even"})
    check = check_of(grader.grade(text.encode(), "hw1.py"), "even")
    line = next(n for n, each in enumerate(text.split("\n"), 1) if "number.even" in each)
    assert check.status is CheckStatus.DANGER
    assert check.messages == (f"AttributeError: 'int' object has no attribute 'even' (your line {line})",)
    assert (check.earned_weight, check.total_weight) == (0, 3)


def test_a_missing_data_file_fails_only_its_cell(grader: Grader) -> None:
    report = grader.grade(submission({"answer": "answer = open('tea.csv').read()"}).encode(), "hw1.py")
    assert report.outcome is Outcome.CODE_FAILED
    assert "FileNotFoundError" in report.failures[0].error
    assert "tea.csv" in report.failures[0].error


def test_a_duplicate_definition_is_reported_with_its_lines(grader: Grader) -> None:
    report = grader.grade(submission({}, "answer = 1").encode(), "hw1.py")
    assert report.outcome is Outcome.CODE_FAILED
    assert "`answer` is defined in more than one cell (lines " in report.failures[0].error
    assert [key for key, share in earned(report).items() if share < 1] == ["answer", "secret"]


def test_a_cycle_between_cells_is_reported_with_its_lines(grader: Grader) -> None:
    report = grader.grade(submission({"answer": "answer = other"}, "other = answer").encode(), "hw1.py")
    assert report.outcome is Outcome.CODE_FAILED
    assert "need each other in a circle" in report.failures[0].error
    assert [key for key, share in earned(report).items() if share < 1] == ["answer", "secret"]


def test_only_the_cell_that_marimo_could_not_parse_fails(grader: Grader) -> None:
    cell = 'app._unparsable_cell("answer = (", name="_")\n\n'
    text = submission({"answer": "x_ = 1"}).replace("if __name__ ==", cell + "if __name__ ==")
    report = grader.grade(text.encode(), "hw1.py")
    assert report.outcome is Outcome.CODE_FAILED
    assert "not valid Python" in report.failures[0].error
    assert [key for key, share in earned(report).items() if share < 1] == ["answer", "secret"]


def test_an_unanswered_release_is_graded_with_waiting_checks(grader: Grader) -> None:
    from mograder.notebook.release import make_release

    report = grader.grade(make_release(Tests(SOURCE, "hw1").source).text.encode(), "hw1.py")
    assert report.outcome in (Outcome.GRADED, Outcome.CODE_FAILED)
    assert set(earned(report).values()) == {0.0}
    assert report.changed_cells == ()


def test_windows_line_ends_and_a_byte_order_mark_change_nothing(grader: Grader) -> None:
    data = b"\xef\xbb\xbf" + submission().replace("\n", "\r\n").encode()
    report = grader.grade(data, "hw1.py")
    assert [key for key, share in earned(report).items() if share < 1] == ["secret"]


def test_the_same_submission_gives_the_same_report(grader: Grader) -> None:
    text = submission({"answer": "import random\nanswer = random.random() + hash('x') + np.random.rand()"}).encode()
    reports = [grader.grade(text, "hw1.py") for _ in range(2)]
    assert reports[0].checks == reports[1].checks


def test_submissions_reuse_warm_processes(sandbox: Sandbox, environment: Environment) -> None:
    with Grader(Tests(SOURCE, "hw1", limits=LIMITS), environment, sandbox, 2) as grader:
        for _ in range(2):
            assert grader.grade(submission().encode(), "hw1.py").outcome is Outcome.GRADED
        assert sorted(sum(warm._process is not None for warm in pair) for pair in grader._all) == [0, 2]


@pytest.mark.parametrize("place", ["answers", "checks"])
def test_a_killed_warm_process_is_restarted(grader: Grader, place: str) -> None:
    grader.grade(submission().encode(), "hw1.py")
    for pair in grader._all:
        warm = pair[place == "checks"]
        assert warm._process is not None
        os.kill(warm._process.pid, signal.SIGKILL)
    report = grader.grade(submission().encode(), "hw1.py")
    assert [key for key, share in earned(report).items() if share < 1] == ["secret"], report


def test_processes_killed_during_a_run_do_not_change_the_grade(grader: Grader) -> None:
    """Such a failure is not the student's, so the run is repeated."""
    text = submission({"answer": "import time\ntime.sleep(0.6)\nanswer = 42"}).encode()
    reports: list[RunReport] = []
    thread = threading.Thread(target=lambda: reports.append(grader.grade(text, "hw1.py")))
    thread.start()
    process = grader._all[0][1]._process
    if process is not None:
        os.kill(process.pid, signal.SIGKILL)
    thread.join()
    assert [key for key, share in earned(reports[0]).items() if share < 1] == ["secret"], reports


def _descendants(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in map(int, (task / "children").read_text().split()):
            yield child
            yield from _descendants(child)


def test_a_process_killed_from_outside_while_a_cell_runs_does_not_change_the_grade(grader: Grader) -> None:
    """The kernel kills processes when the machine runs out of memory."""
    text = submission({"answer": "import time\nfilled = b'x' * (200 << 20)\ntime.sleep(1)\nanswer = 42"}).encode()
    grader.grade(submission().encode(), "hw1.py")
    outer = grader._all[0][0]._process
    assert outer is not None

    def in_cell() -> list[int]:
        with contextlib.suppress(OSError):  # some end meanwhile
            pages = {pid: int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in _descendants(outer.pid)}
            return [pid for pid, size in pages.items() if size * PAGE > 200 << 20]
        return []

    with ThreadPoolExecutor(1) as pool:
        graded = pool.submit(grader.grade, text, "hw1.py")
        until(in_cell)
        os.kill(in_cell()[0], signal.SIGKILL)
        assert [key for key, share in earned(graded.result()).items() if share < 1] == ["secret"], graded.result()


def test_an_environment_that_does_not_start_is_a_failure_of_the_grader(sandbox: Sandbox, tmp_path: Path) -> None:
    nowhere = Environment("/nowhere/python", (), "0")
    with Grader(Tests(SOURCE, "hw1", limits=LIMITS), nowhere, sandbox, 1) as grader:
        report = grader.grade(submission().encode(), "hw1.py")
    assert report.outcome is Outcome.OUR_FAILURE
    assert report.checks == ()
    assert "/nowhere/python" in report.error


def test_parallel_grading_gives_the_same_results(sandbox: Sandbox, environment: Environment) -> None:
    texts = [submission({"answer": f"answer = {number}"}).encode() for number in (41, 42, 43, 42)]
    with (
        Grader(Tests(SOURCE, "hw1", limits=LIMITS), environment, sandbox, 2) as grader,
        ThreadPoolExecutor(4) as pool,
    ):
        shares = [earned(report)["answer"] for report in pool.map(lambda text: grader.grade(text, "hw1.py"), texts)]
    assert shares == [0.25, 1.0, 0.0, 1.0]


def test_without_a_sandbox_the_results_are_the_same(environment: Environment) -> None:
    with Grader(Tests(SOURCE, "hw1", limits=LIMITS), environment, None, 1) as grader:
        report = grader.grade(submission().encode(), "hw1.py")
        assert [key for key, share in earned(report).items() if share < 1] == ["secret"], report
        looping = grader.grade(submission({"answer": "while True:\n    pass"}).encode(), "hw1.py")
        assert [key for key, share in earned(looping).items() if share < 1] == ["answer", "secret"], looping


def test_checks_in_the_process_of_the_answers_are_reported_as_not_isolated(
    sandbox: Sandbox, environment: Environment
) -> None:
    source = notebook(
        '_marks = {"Q": 1}\ngrader = Grader(_marks)', solution("class Thing:\n    __slots__ = ('x',)\nthing = Thing()"),
        hidden("import gc\ngrader.check('Q: in one process', [(thing in gc.get_objects() or True, ''), (type(thing) is Thing, '')])"),
    )  # fmt: skip
    with Grader(Tests(source, "hw1", isolate=False, limits=LIMITS), environment, sandbox, 1) as grader:
        report = grader.grade(source.encode(), "hw1.py")
        assert report.isolated is False
        assert earned(report) == {"Q": 1.0}, report
        wrong = grader.grade(source.replace("class Thing:", "class Thing(list):").encode(), "hw1.py")
        assert wrong.isolated is False


def test_files_beside_the_notebook_are_there_and_read_only(
    sandbox: Sandbox, environment: Environment, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "tea.csv").write_text("minute,tea\n0,90\n")
    (tmp_path / "helper.py").write_text("def twice(x):\n    return 2 * x\n")
    (tmp_path / "hw1.py").write_text(SOURCE)
    (tmp_path / "old.py").write_text(SOURCE)
    (tmp_path / ".hidden").write_text("x")
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "x.pyc").write_text("x")
    files = data_files(tmp_path, "hw1.py")
    assert [file.name for file in files] == ["data/tea.csv", "helper.py"]
    source = notebook(
        '_marks = {"Q": 1}\ngrader = Grader(_marks)', solution("rows = 0\nfound = []"),
        'grader.check("Q: rows", [(rows == 4, ""), (found == ["data", "helper.py", "hw1.py"], str(found))])',
    )  # fmt: skip
    answer = """
        import csv, os
        import helper
        with (mo.notebook_dir() / "data" / "tea.csv").open() as _file:
            rows = helper.twice(len(list(csv.reader(_file))))
        found = sorted(os.listdir())
        for _change in (lambda: open("data/tea.csv", "w"), lambda: open("helper.py", "a"), lambda: open("/mograder/data/x", "w")):
            try:
                _change()
            except OSError:
                continue
            found = "a file could be changed"
    """
    text = notebook('_marks = {"Q": 1}\ngrader = Grader(_marks)', answer)
    with Grader(Tests(source, "hw1", files, limits=LIMITS), environment, sandbox, 1) as grader:
        for _ in range(2):
            report = grader.grade(text.encode(), "hw1.py")
            assert earned(report) == {"Q": 1.0}, report
    assert (tmp_path / "data" / "tea.csv").read_text() == "minute,tea\n0,90\n"


def test_a_waiting_check_is_reported_as_waiting(sandbox: Sandbox, environment: Environment) -> None:
    source = notebook(
        '_marks = {"Q1": 1, "Q2": 2}\ngrader = Grader(_marks)', solution("x = 3"),
        'mo.stop(x is None, grader.check("Q1: x", []))\ngrader.check("Q1: x", [(x == 3, "is 3")])',
        'grader.check("Q2: x", [(x == 3, "is 3", 3), (x > 0, "positive")])\ngrader.check("Q2: more", [(x < 9, "small", 2)])',
    )  # fmt: skip
    with Grader(Tests(source, "hw1", limits=LIMITS), environment, sandbox, 1) as grader:
        waiting = grader.grade(notebook("grader = 1", "x = None").encode(), "hw1.py")
        assert check_of(waiting, "Q1").status is CheckStatus.WARN
        assert (check_of(waiting, "Q1").earned_weight, check_of(waiting, "Q1").total_weight) == (0, 1)
        partial = grader.grade(notebook("x = 4").encode(), "hw1.py")
        assert [(c.label, c.status, c.earned_weight, c.total_weight) for c in partial.checks] == [
            ("Q1: x", CheckStatus.DANGER, 0, 1), ("Q2: x", CheckStatus.PARTIAL, 1, 4), ("Q2: more", CheckStatus.SUCCESS, 2, 2),
        ]  # fmt: skip
        assert check_of(partial, "Q2").messages == ("is 3",)


def test_the_memory_of_the_grader_does_not_grow(grader: Grader) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    text = submission().encode()
    for _ in range(5):
        grader.grade(text, "hw1.py")
    gc.collect()  # objects of other tests are not freed during the measurement
    before, descriptors = resident(), len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        grader.grade(text, "hw1.py")
    assert resident() - before < 1_000  # pages
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_limits_files_and_tests_are_compared_by_value() -> None:
    assert Limits() == Limits()
    assert DataFile("a", Path("a")) == DataFile("a", Path("a"))
    assert Tests(SOURCE, "hw1") == Tests(SOURCE, "hw1")
    assert set(ANSWERS) == set(CHECKS)
    assert all(f'"{key}"' in MARKS for key in ANSWERS)


HTML = 'class Html:\n    def _repr_html_(self):\n        return "<b>bold</b>"\nHtml()'
SLOW = "class Slow:\n    def __repr__(self):\n        while True:\n            pass\nSlow()"


def test_cell_outputs_are_recorded_and_a_failure_to_record_them_is_no_failure_of_the_cell(grader: Grader) -> None:
    cells = (
        "print('hello')\n[1, 2]",
        "mo.md('**strong**')",
        HTML,
        SLOW,
        "'x' * 1_000_000",
        "1 / 0",
        "_y = 1",
        "(mo.ui.slider(1, 3, value=2, label='k'), 5)",
    )
    seen: list[RenderedNotebook] = []
    report = grader.grade(submission({}, *cells).encode(), "hw1.py", seen.append)
    assert [each.error for each in report.failures] == ["ZeroDivisionError: division by zero"]
    assert earned(report)["answer"] == 1
    assert report.limits == ()
    printed, markdown, html, slow, long, failed, quiet, several = seen[0].cells[1:9]
    assert (printed.kind, printed.value, printed.printed) == ("text/plain", "[1, 2]", "hello\n")
    assert (markdown.kind, "strong" in markdown.value) == ("text/html", True)
    assert (html.kind, html.value, html.code) == ("text/html", "<b>bold</b>", HTML)
    assert "cannot be shown" in slow.value
    assert len(long.value) < 30_000
    assert "ZeroDivisionError" in failed.problem
    assert (quiet.ran, quiet.kind, quiet.printed) == (True, "", "")
    assert (several.kind, "<marimo-slider" in several.value, "<pre>5</pre>" in several.value) == (
        "text/html",
        True,
        True,
    )
    assert not seen[0].cells[-1].ran, "checks run apart"
    assert unpack(pack(seen[0])) == seen[0]
