"""A gradebook of the published toolchain: marks are recomputed, and differences are reported."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mograder.coursework.published_gradebook import Difference, compare, given_of, read_gradebook
from mograder.domain.errors import Unreadable, Usage
from mograder.domain.marks import WHOLE, Given
from tests.grading_samples import HALF_RIGHT, record

SCHEMA = """
CREATE TABLE assignments (
    name TEXT PRIMARY KEY, max_mark REAL NOT NULL DEFAULT 100, marks_metadata TEXT, auto_check_keys TEXT);
CREATE TABLE students (username TEXT PRIMARY KEY, full_name TEXT NOT NULL);
CREATE TABLE submissions (
    assignment TEXT NOT NULL REFERENCES assignments(name), student TEXT NOT NULL, auto_mark REAL, manual_mark REAL,
    total_mark REAL, feedback TEXT NOT NULL DEFAULT '', cell_errors INTEGER NOT NULL DEFAULT 0,
    tampered TEXT NOT NULL DEFAULT '[]', check_results TEXT NOT NULL DEFAULT '[]', graded_at TEXT,
    autograded_at TEXT NOT NULL DEFAULT (datetime('now')), updated_at TEXT, penalty_pct REAL, penalised_mark REAL,
    submitted_at TEXT, PRIMARY KEY (assignment, student));
"""
MARKS = {"Q1": 10, "Q2": 20, "Q3": 5}
ALL_PASSED = {"Q1: value": "success", "Q2: more": "success"}


def make(folder: Path, *rows: Mapping[str, Any], marks: Mapping[str, float] | None = MARKS) -> Path:
    path = folder / "gradebook.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.executescript(SCHEMA)
        keys = json.dumps(["Q1", "Q2"])
        metadata = json.dumps(marks) if marks else None
        connection.execute("INSERT INTO assignments VALUES ('hw1', 40, ?, ?)", (metadata, keys))
        connection.execute("INSERT INTO students VALUES ('alice', 'Alice Ä')")
        for row in rows:
            values = {"assignment": "hw1", "student": "alice", **row}
            if isinstance(values.get("check_results"), dict):
                values["check_results"] = json.dumps(
                    [{"label": label, "status": each, "hidden": False} for label, each in row["check_results"].items()]
                )
            names, places = ", ".join(values), ", ".join("?" for _ in values)
            connection.execute(f"INSERT INTO submissions ({names}) VALUES ({places})", tuple(values.values()))
    return path


def differences(folder: Path, *rows: Mapping[str, Any], **more: Any) -> list[Difference]:
    marks = more.pop("marks", MARKS)
    return list(
        compare(
            read_gradebook(make(folder, *rows, marks=marks)), folder, more.get("records", {}), more.get("labels", {})
        )
    )


def told(found: list[Difference]) -> list[tuple[str, float | None, float | None]]:
    return [(each.what, each.theirs, each.ours) for each in found]


def test_a_gradebook_with_correct_marks_has_no_differences(tmp_path: Path) -> None:
    row = {
        "auto_mark": 30, "manual_mark": 4, "total_mark": 34, "check_results": ALL_PASSED, "penalty_pct": 10,
        "penalised_mark": 30.6,
    }  # fmt: skip
    assert differences(tmp_path, row) == []


def test_an_automatic_mark_that_does_not_follow_from_the_checks_is_reported_with_points_by_question(
    tmp_path: Path,
) -> None:
    (found,) = differences(tmp_path, {"auto_mark": 50, "check_results": {"Q1: value": "success", "Q2: more": "danger"}})
    assert told([found]) == [("auto_mark", 50, 10)]
    assert found.why == "Q1 10 of 10 (Q1: value 1/1); Q2 0 of 20 (Q2: more 0/1)"


def test_weights_are_taken_from_the_graded_notebook_if_there_is_one(tmp_path: Path) -> None:
    copy = tmp_path / "autograded" / "hw1" / "alice.py"
    copy.parent.mkdir(parents=True)
    copy.write_text(
        "import marimo\n\n@app.cell\ndef _(mo):\n    _mograder_checks = [\n"
        '        ("Q1: value", "FAIL", 1.0, 4.0),\n        ("Q2: more", "PASS", 2.0, 2.0),\n    ]\n    return\n'
    )
    (found,) = differences(tmp_path, {"auto_mark": 20, "check_results": {"Q2: more": "success"}})
    assert told([found]) == [("auto_mark", 20, 22.5)]


def test_a_notebook_in_the_gradebook_is_read_and_not_executed(tmp_path: Path) -> None:
    copy = tmp_path / "autograded" / "hw1" / "alice.py"
    copy.parent.mkdir(parents=True)
    copy.write_text("_mograder_checks = [__import__('os').abort()]\n")
    assert differences(tmp_path, {"auto_mark": 30, "check_results": ALL_PASSED}) == []


def test_a_wrong_total_is_distinguished_from_a_total_of_wrong_marks(tmp_path: Path) -> None:
    found = differences(
        tmp_path,
        {"auto_mark": 30, "manual_mark": 4, "total_mark": 35, "check_results": ALL_PASSED},
        {"student": "bob", "auto_mark": 50, "manual_mark": 4, "total_mark": 54, "check_results": ALL_PASSED},
    )
    assert told(found) == [("total_mark", 35, 34), ("auto_mark", 50, 30), ("total_mark", 54, 34)]
    assert [each.why for each in found if each.what == "total_mark"] == [
        "it is not auto_mark + manual_mark", "its auto_mark differs",
    ]  # fmt: skip


def test_a_wrong_penalty_is_reported(tmp_path: Path) -> None:
    row = {
        "auto_mark": 30, "manual_mark": 0, "total_mark": 30, "check_results": ALL_PASSED, "penalty_pct": 10,
        "penalised_mark": 20,
    }  # fmt: skip
    (found,) = differences(tmp_path, row)
    assert (*told([found]), found.why) == (("penalised_mark", 20, 27), "10 % of 30 taken off")


def test_a_check_whose_result_was_lost_makes_the_mark_unknown(tmp_path: Path) -> None:
    row = {"auto_mark": 30, "manual_mark": 4, "total_mark": 34, "check_results": ALL_PASSED}
    found = differences(tmp_path, row, labels={"hw1": frozenset(["Q1: parity", *ALL_PASSED])})
    assert told(found) == [("auto_mark", 30, None)]
    assert "kept no result of Q1: parity: run mograder autograde hw1" in found[0].why


def test_a_grading_record_overrides_the_gradebook(tmp_path: Path) -> None:
    found = differences(
        tmp_path, {"auto_mark": 20, "manual_mark": 4, "total_mark": 24, "check_results": ALL_PASSED},
        records={("hw1", "alice"): record(HALF_RIGHT)}, labels={"hw1": frozenset(["lost"])},
    )  # fmt: skip
    assert told(found) == [("auto_mark", 20, 15.8), ("total_mark", 24, 19.8)]
    assert found[0].why.startswith("graded anew, Q1 2.5 of 10 (Q1: value 1/3, Q1: parity 0/1); Q2 13.3 of 20")


def test_an_assignment_without_marks_is_marked_as_a_whole(tmp_path: Path) -> None:
    path = make(tmp_path, {"manual_mark": 31.5, "total_mark": 31.5, "check_results": ALL_PASSED}, marks=None)
    book = read_gradebook(path)
    (question,) = book.questions["hw1"]
    assert (question.key, question.points, question.manual) == (WHOLE, 40, True)
    assert given_of(book.rows[0], book.questions["hw1"]) == Given({WHOLE: 31.5})
    assert list(compare(book, tmp_path, {}, {})) == []


@pytest.mark.parametrize(
    ("marks", "given"),
    [
        ({"Q1": 10, "Q3": 5}, Given({"Q3": 4.0}, "fine")),
        ({"Q1": 10, "Q3": 5, "Q4": 5}, Given({}, "fine", 4.0)),
        ({"Q1": 10}, Given({}, "fine", 4.0)),
    ],
)
def test_a_manual_mark_belongs_to_the_manual_question_or_to_all_of_them(
    marks: dict[str, float], given: Given, tmp_path: Path
) -> None:
    book = read_gradebook(make(tmp_path, {"manual_mark": 4, "feedback": "fine"}, marks=marks))
    assert given_of(book.rows[0], book.questions["hw1"]) == given


def test_the_gradebook_is_not_changed(tmp_path: Path) -> None:
    path = make(tmp_path, {"auto_mark": 1, "check_results": ALL_PASSED})
    before = path.read_bytes()
    list(compare(read_gradebook(path), tmp_path, {}, {}))
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database", b""])
def test_a_file_that_is_no_gradebook_is_an_error_that_says_so(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(Usage, match=r"there is no gradebook\.db in"):
        read_gradebook(tmp_path / "gradebook.db")
    (tmp_path / "gradebook.db").write_bytes(content)
    with pytest.raises(Unreadable, match="cannot be understood"):
        read_gradebook(tmp_path / "gradebook.db")
