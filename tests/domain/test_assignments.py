"""Rules of an assignment, which can be given in two places."""

from __future__ import annotations

import pytest
from hypothesis import given

from mograder.domain.assignments import Rules, file_ending
from mograder.domain.errors import BadRequest
from tests.domain.test_rules import RULES


@given(mine=RULES, theirs=RULES)
def test_rules_from_two_places_are_combined_key_by_key(mine: Rules, theirs: Rules) -> None:
    both = mine.over(theirs)
    parts = (
        (mine, theirs, both), (mine.schedule, theirs.schedule, both.schedule),
        (mine.penalties, theirs.penalties, both.penalties),
    )  # fmt: skip
    for values in parts:
        for key in [name for name in values[0].__struct_fields__ if name not in ("schedule", "penalties")]:
            said, otherwise, found = (getattr(each, key) for each in values)
            unsaid = said in (None, "", ()) or (key == "hidden" and not said)
            assert found == (otherwise if unsaid else said), key
    assert mine.over(Rules()) == Rules().over(mine) == mine


@pytest.mark.parametrize("written", ["py", ".py", "*.py", ".PY", " *.Py "])
def test_a_file_ending_is_recognised_in_every_notation(written: str) -> None:
    assert file_ending(written) == ".py"
    assert Rules(accepts=(file_ending(written),)).takes("Homework.PY")
    assert not Rules(accepts=(file_ending(written),)).takes("homework.zip")


@pytest.mark.parametrize("written", ["", "*", ".", "*.*", "py, zip", "a/b", "notebook files"])
def test_an_invalid_file_ending_is_refused(written: str) -> None:
    with pytest.raises(BadRequest, match="is no file ending"):
        file_ending(written)
