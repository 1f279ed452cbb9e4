"""Cheats: each earns nothing for its questions and does not affect the honest answers beside it."""

from __future__ import annotations

import pytest

from mograder.domain.results import Outcome
from tests.grading.cheats import CHEATS, Cheat
from tests.grading.conftest import Grade
from tests.grading.notebooks import SOURCE, earned, submission


def test_the_model_solution_gets_full_points(grade: Grade) -> None:
    report = grade(SOURCE)
    assert report.outcome is Outcome.GRADED
    assert set(earned(report).values()) == {1.0}
    assert {check.key for check in report.checks if check.unprotected} == {"stack"}


def test_an_honest_submission_gets_full_points_for_its_answers(grade: Grade) -> None:
    report = grade(submission())
    assert report.outcome is Outcome.GRADED
    assert [key for key, share in earned(report).items() if share < 1] == ["secret"]


@pytest.mark.parametrize("cheat", CHEATS, ids=lambda cheat: cheat.name)
def test_a_cheat_earns_nothing_and_does_not_affect_other_answers(grade: Grade, cheat: Cheat) -> None:
    report = grade(cheat.text())
    assert report.outcome is not Outcome.OUR_FAILURE, report.error
    shares = earned(report)
    assert {key: shares[key] for key in cheat.questions} == dict.fromkeys(cheat.questions, 0.0), report
    others = {key: share for key, share in shares.items() if key not in {*cheat.questions, *cheat.spoils, "secret"}}
    assert set(others.values()) <= {1.0}, report
    assert len(others) == 9 - len({*cheat.questions, *cheat.spoils, "secret"})


def test_there_are_at_least_sixty_cheats_with_unique_names() -> None:
    assert len(CHEATS) >= 60
    assert len({cheat.name for cheat in CHEATS}) == len(CHEATS)
