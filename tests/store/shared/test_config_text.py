"""A change of mograder.toml keeps everything else including comments, or is refused."""

from __future__ import annotations

import tomllib
from datetime import date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.course_file import parse_course_file
from mograder.domain.errors import BadRequest, ChangedMeanwhile, Unreadable
from mograder.domain.names import AssignmentName
from mograder.domain.rules import RuleChange, Value
from mograder.store.shared.config_text import edited, tag_of

FRIDAY = datetime.fromisoformat("2030-02-08T17:00")

BEFORE = """\
# My course
title = "Physics"     # shown to students
timezone = "Europe/Berlin"

[[assignments]]
name = "hw1"          # the folder
due = 2030-02-08T17:00:00   # a Friday
duedate = 12          # for old clients

# the second sheet
[[assignments]]
name = "hw2"
closes = 2030-03-01

# what late work costs
[penalties]
enabled = true

[tool.other]
left = "alone"
"""

AFTER = """\
# My course
title = "Physics"     # shown to students
timezone = "Europe/Berlin"

[[assignments]]
name = "hw1"          # the folder
due = 2030-02-09   # a Friday
accepts = [".py", ".zip"]

# the second sheet
[[assignments]]
name = "hw2"

[[assignments]]
name = "hw3"
points = 7.5

# what late work costs
[penalties]
enabled = true

[tool.other]
left = "alone"
"""


def change(text: str, assignment: str, **values: Value | None) -> str:
    changes = [RuleChange(key, "", "", value) for key, value in values.items()]
    return edited(text, AssignmentName(assignment), changes, tag_of(text), "mograder.toml")


def test_only_the_changed_value_changes() -> None:
    text = change(BEFORE, "hw1", due=date(2030, 2, 9), accepts=(".py", ".zip"))
    text = change(text, "hw2", closes=None)
    assert change(text, "hw3", points=7.5) == AFTER


def test_a_missing_or_empty_file_gets_an_entry() -> None:
    entry = '[[assignments]]\nname = "hw1"\ndue = 2030-02-08T17:00:00\n'
    assert change("", "hw1", due=FRIDAY) == entry
    assert change('title = "x"\n', "hw1", due=FRIDAY) == f'title = "x"\n\n{entry}'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('assignments = [{name = "hw1", points = 1}, {name = "a"}] # x\n',
         'assignments = [{name = "hw1", points = 2}, {name = "a"}] # x\n'),
        ('[[assignments]]\nname = "hw1"\n[[assignments.files]]\nname = "a.py"\n',
         '[[assignments]]\nname = "hw1"\npoints = 2\n[[assignments.files]]\nname = "a.py"\n'),
        ('[[assignments]]\r\nname = "hw1"\r\npoints = 1\r\n', '[[assignments]]\r\nname = "hw1"\r\npoints = 2\r\n'),
    ],
    ids=["inline", "with files", "Windows"],
)  # fmt: skip
def test_a_value_is_changed_in_every_notation(text: str, expected: str) -> None:
    assert change(text, "hw1", points=2) == expected


@pytest.mark.parametrize(
    "text",
    [
        "[[assignments",
        "title = 'x'\ntitle = 'y'\n",
        "[[assignments]]\nname = 'hw1'\ndeu = 2030-01-01\n",
        2 * "[[assignments]]\nname = 'hw1'\n",
    ],
)
def test_an_invalid_file_is_refused_with_its_path(text: str) -> None:
    with pytest.raises(Unreadable, match=r"the course's mograder\.toml cannot be changed") as refused:
        change(text, "hw1", points=2)
    assert refused.value.place.startswith("mograder.toml: ")


def test_a_file_whose_meaning_might_change_otherwise_is_left_to_the_instructor() -> None:
    with pytest.raises(Unreadable) as refused:
        change("[tool]\nx = nan\n", "hw1", points=2)  # nan is never equal to itself
    assert refused.value.place.endswith("'hw1' does not fit in how it is written: change it by hand")


def test_a_value_that_somebody_else_changed_is_not_overwritten() -> None:
    with pytest.raises(ChangedMeanwhile, match=r"mograder\.toml was changed meanwhile: look at what it says now"):
        edited(BEFORE, AssignmentName("hw1"), [RuleChange("points", "", "", 1)], tag_of(AFTER), "")


VALUES: dict[str, st.SearchStrategy[Value | None]] = {
    "title": st.text(min_size=1, max_size=20) | st.none(),
    "due": st.dates(date(1971, 1, 1), date(2030, 1, 1))
    | st.datetimes(FRIDAY.replace(year=1971), FRIDAY) | st.none(),
    "points": st.integers(0, 10**6) | st.floats(0, 1e6) | st.none(),
    "accepts": st.lists(st.sampled_from([".py", ".zip", ".tar.gz"]), min_size=1).map(tuple) | st.none(),
}  # fmt: skip

INLINE = 'assignments = [\n  {name = "hw1"}, # one\n  {name = "hw4", points = 3},\n]'


@given(
    text=st.sampled_from([BEFORE, AFTER, "", INLINE]),
    name=st.sampled_from(["hw1", "hw2", "hw4", "ä b"]),
    values=st.fixed_dictionaries({}, optional=VALUES),
)
def test_after_any_change_the_rest_has_the_same_meaning_and_its_comments(
    text: str, name: str, values: dict[str, Value | None]
) -> None:
    changed = change(text, name, **values)
    before, after = ({each["name"]: each for each in tomllib.loads(t).get("assignments", [])} for t in (text, changed))
    entry = after.pop(name)
    expected = before.pop(name, {"name": name})
    for key, value in values.items():
        expected.pop(key, None)
        if value is not None:
            expected[key] = list(value) if isinstance(value, tuple) else value
    if "due" in values:
        expected.pop("duedate", None)
    assert (entry, after) == (expected, before)
    kept = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    gone = {" a Friday"} if values.get("due", 1) is None and name == "hw1" else set()
    gone |= {" for old clients"} if "due" in values and name == "hw1" else set()
    assert [comment for comment in kept if comment not in changed] == [each for each in kept if each in gone]
    assert parse_course_file(changed).title == parse_course_file(text).title


@pytest.mark.parametrize("table", ["", "[assignments.penalties]\nmax = 50\n", "penalties = { max = 50 } # ours\n"])
def test_a_table_inside_an_assignment_is_added_and_removed_with_its_keys(table: str) -> None:
    before = f"[[assignments]]\nname = 'hw1'\n{table}\n# the second\n[[assignments]]\nname = 'hw2'\n"
    changed = change(before, "hw1", **{"penalties.per_day": 10, "penalties.enabled": True})
    said = tomllib.loads(changed)["assignments"][0]["penalties"]
    assert said == {"per_day": 10, "enabled": True} | ({"max": 50} if table else {})
    back = change(changed, "hw1", **{"penalties.per_day": None, "penalties.enabled": None, "penalties.max": None})
    assert tomllib.loads(back)["assignments"] == [{"name": "hw1"}, {"name": "hw2"}]
    assert "# the second" in back


def test_files_listed_as_tables_are_left_to_the_instructor() -> None:
    with pytest.raises(BadRequest, match="tables: change them there"):
        change("[[assignments]]\nname = 'hw1'\n[[assignments.files]]\nname = 'a.py'\n", "hw1", files=("b.py",))
