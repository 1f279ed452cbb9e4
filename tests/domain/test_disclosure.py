"""Students never see more of a hidden test than its title and result, and that only when the assignment says so."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mograder.domain.disclosure import for_instructor, for_student, guarded, summary
from mograder.domain.grading_rules import Hidden
from mograder.domain.results import CellFailure, CheckResult, CheckStatus, LimitReached, Outcome, RunReport
from tests.grading_samples import BROKEN, FAILED, HALF_RIGHT, LOOPING, record
from tests.parts import NOON, SECOND

SECRET = "s3cret"
TITLE = f"Q2: {SECRET}"
WITH_SECRETS = RunReport(
    Outcome.LIMIT,
    (*HALF_RIGHT.checks[:3], CheckResult(TITLE, "Q2", True, CheckStatus.DANGER, (f"f({SECRET})",), 0, 2)),
    (CellFailure(TITLE, 3, f"KeyError: {SECRET}", SECRET), CellFailure("mine", 4, "NameError: x", "")),
    (LimitReached("time", TITLE, 9, SECRET),),
    (f"check({SECRET})",),
    error=SECRET,
)


@pytest.mark.parametrize(
    ("rule", "after_due", "released", "shown"),
    [
        (Hidden.NEVER, True, True, False),
        (Hidden.AFTER_DUE, False, True, False), (Hidden.AFTER_DUE, True, False, True),
        (Hidden.AFTER_RELEASE, True, False, False), (Hidden.AFTER_RELEASE, False, True, True),
    ],
)  # fmt: skip
def test_hidden_tests_are_shown_if_the_assignment_says_so(
    rule: Hidden, after_due: bool, released: bool, shown: bool
) -> None:
    now = NOON + 2 * SECOND if after_due else NOON
    assert rule.shown(now, NOON, released) is shown


def test_without_a_due_time_after_due_never_applies() -> None:
    assert not Hidden.AFTER_DUE.shown(NOON, None, True)


def test_of_a_hidden_test_only_its_existence_is_shown() -> None:
    made = record(WITH_SECRETS)
    shown = for_student(made, made.marks, show_hidden=False)
    assert SECRET not in repr(shown)
    assert [each.concealed for each in shown.questions] == [False, True, False]
    assert [each.cell for each in shown.failures] == ["mine"]
    assert shown.limits == (LimitReached("time", "Q2"),)
    assert (shown.changed, shown.changed_cells) == (1, ())


def test_when_hidden_tests_are_shown_only_title_and_result_are() -> None:
    made = record(WITH_SECRETS)
    shown = for_student(made, made.marks, show_hidden=True)
    (hidden,) = (each for each in shown.questions[1].checks if each.hidden)
    assert (hidden.label, hidden.status, hidden.messages) == (TITLE, CheckStatus.DANGER, ())
    assert repr(shown).count(SECRET) == 1


def test_the_instructor_sees_everything() -> None:
    made = record(WITH_SECRETS)
    shown = for_instructor(made, made.marks)
    assert shown.questions[1].checks[-1].messages == (f"f({SECRET})",)
    assert shown.changed_cells == (f"check({SECRET})",)
    assert len(shown.failures) == 2


@given(
    label=st.text(min_size=1), message=st.text(min_size=1), status=st.sampled_from(CheckStatus),
    outcome=st.sampled_from(Outcome), where=st.sampled_from(["cell", "limit", "both"]),
)  # fmt: skip
def test_no_label_and_no_message_of_a_hidden_test_is_shown(
    label: str, message: str, status: CheckStatus, outcome: Outcome, where: str
) -> None:
    label, message = f"Q2: <{label}>", f"<{message}>"
    report = RunReport(
        outcome, (*HALF_RIGHT.checks[:2], CheckResult(label, "Q2", True, status, (message,), 1, 2)),
        (CellFailure(label, 1, message, message),) if where != "limit" else (),
        (LimitReached("time", label, 1, message),) if where != "cell" else (),
    )  # fmt: skip
    shown = for_student(record(report), record(report).marks, show_hidden=False)
    for each in (label, message):
        assert repr(each)[1:-1] not in repr(shown)


def visible(
    *messages: str, status: CheckStatus = CheckStatus.DANGER, limits: tuple[LimitReached, ...] = ()
) -> RunReport:
    hidden = CheckResult("Q2: more", "Q2", True, CheckStatus.SUCCESS, (), 1, 1)
    return RunReport(Outcome.GRADED, (CheckResult("Q1", "Q1", False, status, messages, 0, 1), hidden), limits=limits)


def told(report: RunReport) -> tuple[str, ...]:
    made = record(guarded(report, {"x must be odd"}))
    assert for_instructor(made, made.marks).questions[0].checks[0].messages == report.checks[0].messages
    return for_student(made, made.marks, True).questions[0].checks[0].messages


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("x must be odd", "x must be odd"),
        ("KeyError: 'got -7' (your line 44)", "KeyError (your line 44)"),
        ("KeyError", "KeyError"),
        ("got_minus_7: no such thing", "it does not hold"),
        ("print: -7 (your line 3)", "it does not hold (your line 3)"),
        ("yours gives [-7, 0]", "it does not hold"),
        ("your code ended the program while this check ran", "your code ended the program while this check ran"),
        ("took longer than -7 s", "it does not hold"),
        ("took longer than 3 s", "took longer than 3 s"),
    ],
)
def test_a_submission_cannot_reveal_a_hidden_test_through_the_message_of_another_check(
    message: str, shown: str
) -> None:
    """It could put it into an error, or into a value that a message shows."""
    assert told(visible(message, limits=(LimitReached("time", "Q1", None, "took longer than 3 s"),))) == (shown,)


def test_without_hidden_tests_and_for_checks_that_did_not_run_all_messages_are_shown() -> None:
    said = "`x` is not there: no cell defines it"
    assert told(visible(said, status=CheckStatus.NOT_RUN)) == (said,)
    open_report = RunReport(Outcome.GRADED, visible("KeyError: 'got 7'").checks[:1])
    assert guarded(open_report, ()) == open_report


def test_every_outcome_is_a_sentence_that_a_student_understands() -> None:
    assert summary(HALF_RIGHT) == "graded: 1 of 4 checks passed"
    assert summary(FAILED) == (
        "answer, line 12, failed: ZeroDivisionError: division by zero; what depends on it was not graded"
    )
    assert summary(LOOPING) == "Q2, line 40, took longer than 10 s (the rest was graded)"
    assert summary(BROKEN) == "this could not be graded, for a reason that is not yours: your instructor is told"
    assert summary(RunReport(Outcome.GRADED)) == "graded"
    assert summary(RunReport(Outcome.CODE_FAILED)) == "the notebook could not be run"
    twice = replace(FAILED, failures=(replace(FAILED.failures[0], cell="_", line=None), FAILED.failures[0]))
    assert summary(twice).startswith("a cell failed: ZeroDivisionError: division by zero (and 1 more)")
    unnamed = replace(FAILED, failures=(replace(FAILED.failures[0], cell="line 12"),))
    assert summary(unnamed).startswith("the cell in line 12 failed: ZeroDivisionError")
    no_notebook = RunReport(Outcome.CODE_FAILED, failures=(CellFailure("bob.py", 3, "this is no Python"),))
    assert summary(no_notebook) == "bob.py, line 3, cannot be read: this is no Python"
