"""The runtime that notebooks import: callouts, points, reports to other tools, and its small dependencies."""

from __future__ import annotations

import html
import json
import re
import subprocess
import sys
from pathlib import Path

import marimo as mo
import pytest

from mograder import runtime
from mograder.runtime import Grader, check, count_response_words, hint, submit, word_count
from tests.parts import Running, environment


def attribute(output: mo.Html, name: str) -> str:
    """The value of an attribute of a marimo element, decoded from JSON."""
    found = re.search(rf"data-{name}='(.*?)'", output.text)
    assert found, output.text
    value = json.loads(html.unescape(found[1]).replace("&#92;", "\\"))
    return value if isinstance(value, str) else " ".join(value)


def shown(output: mo.Html) -> str:
    """The text of a callout or a line without tags."""
    text = attribute(output, "html") if "data-html=" in output.text else output.text
    return " ".join(re.sub(r"<[^>]*>", " ", html.unescape(text)).split())


def kind(output: mo.Html) -> str:
    return attribute(output, "kind")


@pytest.mark.parametrize(
    ("checks", "status", "words", "earned", "total"),
    [
        ([(True, "a"), (1, "b", 2)], "success", "all checks passed", 3, 3),
        ([(True, "a"), (False, "b", 2)], "partial", "some checks failed: b", 1, 3),
        ([(False, "a"), (None, "b", 0.5)], "danger", "some checks failed: a b", 0, 1.5),
        ([], "warn", "waiting for your code", 0, 0),
        (None, "warn", "waiting for your code", 0, 0),
        (((x, "m") for x in (True, False)), "partial", "some checks failed: m", 1, 2),
        ([(True, "a", 0), (False, "b")], "danger", "some checks failed: b", 0, 1),
    ],
)
def test_a_check_shows_what_failed_and_reports_it_to_other_tools(
    checks: object,
    status: str,
    words: str,
    earned: float,
    total: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MOGRADER_SIDECAR_PATH", str(tmp_path / "side.jsonl"))
    output = check("Q1: title", checks)  # type: ignore[arg-type]
    assert shown(output).endswith(words)
    assert "Q1: title" in shown(output)
    assert kind(output) == {"success": "success", "partial": "danger", "danger": "danger", "warn": "warn"}[status]
    (line,) = (tmp_path / "side.jsonl").read_text().splitlines()
    told = json.loads(line)
    assert list(told) == ["label", "status", "details", "earned_weight", "total_weight"]
    assert (told["label"], told["status"]) == ("Q1: title", status)
    assert (told["earned_weight"], told["total_weight"]) == (earned, total)


def test_a_report_file_that_cannot_be_written_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOGRADER_SIDECAR_PATH", str(tmp_path / "not" / "there"))
    assert shown(check("Q1", [(True, "")])).endswith("all checks passed")


@pytest.mark.parametrize("checks", [[(True,)], [(True, "m", 1, 2)], [(True, "m", "heavy")]])
def test_invalid_conditions_raise_an_error(checks: list[tuple[object, ...]]) -> None:
    with pytest.raises(ValueError, match=r"unpack|parts|convert"):
        check("Q1", checks)


@pytest.mark.parametrize(
    "grader", [Grader({"Q1": 5, "Q2": 10}), Grader(mo, {"Q1": 5, "Q2": 10}), Grader(marks={"Q1": 5, "Q2": 10})]
)
def test_a_grader_shows_points_and_adds_up_the_checks_of_a_question(grader: Grader) -> None:
    first = grader.check("Q1: one", [(True, "a"), (False, "b", 2)])
    assert (shown(first), kind(first)) == ("[1.7/5 marks] Q1: one — some checks failed: b", "info")
    assert "[2.5/5 marks]" in shown(grader.check("Q1: two", [(True, "a")]))
    assert "[0/10 marks]" in shown(grader.check("Q2: x", []))
    assert "marks]" not in shown(grader.check("Other: x", [(True, "a")]))
    assert shown(grader.scores()) == ("Your Score Question Status Marks Q1 PARTIAL 2.5/5 Q2 — 0/10 Total 2.5/15")
    grader.check("Q1: one", [(True, "a"), (True, "b", 2)])
    grader.check("Q2: x", [(True, "a")])
    assert (kind(grader.scores()), shown(grader.scores()).endswith("Total 15/15")) == ("success", True)


@pytest.mark.parametrize("arguments", [(), ({}, {}), (mo,), (mo, {}, 3)])
def test_a_grader_without_marks_says_what_it_expects(arguments: tuple[object, ...]) -> None:
    with pytest.raises(TypeError, match="takes the marks by question"):
        Grader(*arguments)


def test_with_hidden_tests_no_points_are_shown(tmp_path: Path) -> None:
    path = tmp_path / "hw1.py"
    path.write_text('# /// script\n# mograder-hidden-tests = true\n# ///\nname = "é"\n', encoding="utf-8")
    names = {"__file__": str(path), "Grader": Grader}
    exec("grader = Grader({'Q1': 5})", names)
    grader = names["grader"]
    assert isinstance(grader, Grader)
    assert shown(grader.check("Q1: a", [(True, "")])) == "Q1: a — all checks passed"
    assert shown(grader.scores()) == "Scores will be available in your feedback after grading."


def test_hints_are_closed_and_numbered() -> None:
    assert re.sub(r"<[^>]*>", "", attribute(hint("**one**"), "labels")) == "Hint"
    assert re.sub(r"<[^>]*>", "", attribute(hint("one", "two"), "labels")) == "Hint 1 Hint 2"
    assert "data-expanded='[]'" in hint("one", "two").text


@pytest.mark.parametrize(
    ("words", "target", "colour"),
    [(300, (300, 500), "#34A853"), (500, (300, 500), "#34A853"), (225, (300, 500), "#FF9800"),
     (600, (300, 500), "#FF9800"), (150, (300, 500), "#EA4335"), (1, (2, 5), "#FF9800")],
)  # fmt: skip
def test_words_are_counted_in_the_saved_notebook(
    words: int, target: tuple[int, int], colour: str, tmp_path: Path
) -> None:
    path = tmp_path / "hw1.py"
    path.write_text(f'@app.cell\ndef written_analysis():\n    response_text = "{"word " * words}"\n    return\n')
    output = word_count(path, target=target)
    assert f"Word count: {words} (target: {target[0]}–{target[1]};" in shown(output)
    assert colour in output.text
    assert "no cell named other" in shown(word_count(str(path), "other"))


@pytest.mark.parametrize(
    ("body", "words"),
    [('"a b c"', 3), ('"a b c"\n    response_text = "d e"', 3), ('"a $x + y$ b"', 3), ('f"a b {x}"', 2), ("3", 0),
     ('"$$a\\nb$$"', 1)],
)  # fmt: skip
def test_the_longest_text_of_a_cell_is_the_answer(body: str, words: int) -> None:
    assert count_response_words(f"def written_analysis():\n    response_text = {body}\n") == words


def test_a_text_that_is_not_python_has_no_answer() -> None:
    assert count_response_words("x = (") is None


def test_a_notebook_is_submitted_with_the_token_of_its_student(
    server: Running, submitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hw1.py"
    path.write_text("x = 1\n")
    assert submit(server.url, "hw1", path, "alice", server.token("alice")).startswith("alice.py: ok")
    assert (submitted / "alice.py").read_text() == "x = 1\n"
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", server.token("bob"))
    submit(server.url + "/", "hw1", path, "bob")
    assert (submitted / "bob.py").exists()
    with pytest.raises(RuntimeError, match="token"):
        submit(server.url, "hw1", path, "carol", "carol:0123")


def test_submitting_to_an_unreachable_server_raises_an_error(tmp_path: Path) -> None:
    (tmp_path / "hw1.py").write_text("x = 1\n")
    with pytest.raises(RuntimeError, match="no web address"):
        submit("file:///etc/passwd", "hw1", tmp_path / "hw1.py", "alice")


def test_importing_the_runtime_imports_nothing_else_of_the_package() -> None:
    program = (
        "import sys, mograder.runtime; "
        "print(*sorted(name for name in sys.modules if name.split('.')[0] == 'mograder'))"
    )  # fmt: skip
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment(), check=True)
    assert ran.stdout.split() == ["mograder", "mograder.runtime"]


def test_the_runtime_needs_only_the_standard_library_and_marimo() -> None:
    import ast

    tree = ast.parse(Path(runtime.__file__).read_text(encoding="utf-8"))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    missing_in_browsers = {"fcntl", "resource", "subprocess", "multiprocessing", "threading", "ssl"}
    tops = {name.split(".")[0] for name in imported}
    assert tops <= {*sys.stdlib_module_names, "marimo"}
    assert not tops & missing_in_browsers
