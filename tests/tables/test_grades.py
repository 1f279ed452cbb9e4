"""The changes that a table would make, and the rows that are left out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mograder.domain.errors import BadRequest
from mograder.domain.grades import GradeEntry, merge, of_person
from mograder.domain.names import Username
from mograder.tables.formats import read_grades
from mograder.tables.grades import GradeChange, GradeChanges, GradeRules, Trouble, check_grades
from mograder.tables.headers import Labels
from mograder.tables.people import Key, Kind, Member
from mograder.tables.sheet import read_sheet
from tests.tables.samples import HW1, PEOPLE

OUT_OF_TEN = GradeRules(10)


def check(text: str, *stored: GradeEntry, rules: GradeRules = OUT_OF_TEN) -> GradeChanges:
    return check_grades(read_grades(read_sheet(text.encode()), HW1), PEOPLE, stored, rules)


def entry(**fields: object) -> GradeEntry:
    return GradeEntry(fields)


def after(changes: GradeChanges, *stored: GradeEntry) -> tuple[GradeEntry, ...]:
    return merge(stored, changes.entries)


def test_each_change_is_listed_with_the_old_and_the_new_grade() -> None:
    stored = (entry(username="ada", grade="3", feedback="meh"), entry(username="bob", grade="4.0"))
    found = check("username,grade,feedback\nada,9.5,good\nbob,4,\ncleo@example.org,1,\n", *stored)
    assert found.changes == (
        GradeChange("line 2", "ada", "3", "9.5", "meh", "good"),
        GradeChange("line 4", "cleo@example.org", None, "1"),
    )
    assert (found.same, found.empty, found.problems) == (1, 0, ())


def test_every_mistake_is_reported_with_its_line_and_nothing_is_written() -> None:
    found = check(
        "username,grade\nada,twelve\nbob,-3\ncleo@example.org,25\nnobody,5\nBOB2,\n", rules=GradeRules(20)
    )  # fmt: skip
    assert [(each.place, each.trouble) for each in found.problems] == [
        ("line 2", Trouble.UNREADABLE), ("line 3", Trouble.RANGE), ("line 4", Trouble.RANGE),
        ("line 5", Trouble.UNKNOWN),
    ]  # fmt: skip
    with pytest.raises(BadRequest) as refused:
        found.accepted()
    assert refused.value.message == (
        "nothing was written, because of 4 rows: line 2: ada: 'twelve' is no grade: not a number; "
        "line 3: bob: -3 is less than 0; line 4: cleo@example.org: 25 is more than the 20 points of the assignment; "
        "line 5: nobody known as 'nobody' is in the course"
    )
    assert found.entries == ()
    assert "1 row without a grade about people who are not in the course: passed over" in found.notes


def test_a_partial_upload_writes_the_valid_rows() -> None:
    found = check("username,grade\nada,5\nnobody,5\n")
    assert [each.username for each in found.entries] == ["ada"]


def test_of_two_rows_about_one_person_neither_is_written() -> None:
    found = check("username,email,grade\nada,,5\nbob,,1\n,ADA@example.org,7\n")
    assert [str(each) for each in found.problems] == [
        "line 2: 'ada' is in line 4, too",
        "line 4: 'ada' is in line 2, too",
    ]
    assert [each.username for each in found.entries] == ["bob"]


def test_an_empty_row_beside_a_filled_one_is_no_duplicate() -> None:
    found = check("username,grade\nada,5\nada,\n")
    assert (found.problems, found.empty, len(found.entries)) == ((), 1, 1)


def test_a_row_that_fits_two_people_is_ambiguous() -> None:
    assert check("username,email,grade\nada,bob@example.org,5\n").problems[0].trouble is Trouble.AMBIGUOUS


def test_an_empty_cell_or_dash_keeps_the_grade_and_clears_it_only_on_request() -> None:
    stored = (entry(username="ada", grade="3", feedback="meh", tutor="T"), entry(username="bob", mark="4"))
    text = "username,grade,feedback\nada,,\nbob,-,\n"
    assert check(text, *stored).entries == ()
    cleared = check(text, *stored, rules=GradeRules(10, empty_clears=True))
    assert [(each.old, each.new) for each in cleared.changes] == [("3", None), ("4", None)]
    ada, bob = after(cleared, *stored)
    assert (ada.grade, ada.feedback, ada.fields["tutor"], bob.grade) == (None, "", "T", None)


def test_feedback_without_a_grade_keeps_the_grade() -> None:
    stored = entry(username="ada", grade="3")
    found = check("username,grade,feedback\nada,,better\n", stored)
    assert [(each.grade, each.feedback) for each in after(found, stored)] == [("3", "better")]
    assert found.changes == (GradeChange("line 2", "ada", "3", "3", "", "better"),)


def test_a_grade_above_the_maximum_is_accepted_if_the_assignment_allows_it() -> None:
    assert check("username,grade\nada,11\n", rules=GradeRules(10, allow_above=True)).changes[0].new == "11"
    assert check("username,grade\nada,1100\n", rules=GradeRules()).changes[0].new == "1100"


def test_a_grade_replaces_the_entry_of_the_same_person_under_an_id_of_another_system() -> None:
    stored = (entry(userid="7", username="ada", mark="3", tutor="T"),)
    found = check("username,grade\nada,5\n", *stored)
    assert found.changes == (GradeChange("line 2", "ada", "3", "5"),)
    (merged,) = after(found, *stored)
    assert (merged.grade, merged.fields["mark"], merged.fields["tutor"]) == ("5", "5", "T")


def test_uploading_again_releases_withheld_grades_and_says_so() -> None:
    stored = entry(username="ada", grade="5", workflow_state="draft")
    assert check("username,grade\nada,5\n", stored).changes == (GradeChange("line 2", "ada", "5", "5", releases=True),)
    held = check("username,grade,workflow_state\nada,5,draft\n", stored)
    assert (held.changes, held.entries[0].visible) == ((), False)


def test_a_person_found_by_a_number_is_stored_under_the_existing_key() -> None:
    stored = entry(userid="17", username="bob", grade="5")
    assert check("userid,grade\n17,6\n", stored).changes == (GradeChange("line 2", "bob", "5", "6"),)
    assert check("userid,username,grade\n99,ada,5\n", stored).changes == (GradeChange("line 2", "ada", None, "5"),)
    assert check("userid,grade\n99,5\n", stored).problems[0].trouble is Trouble.UNKNOWN


def test_existing_grades_are_known_when_a_table_is_checked() -> None:
    assert check("username,grade\nzoe,6\n", entry(username="zoe", grade="5")).changes[0].old == "5"


def test_a_stored_table_with_a_person_twice_is_compared_by_the_row_in_force() -> None:
    twice = (entry(username="ada", grade="1"), entry(username="ada", grade="8"))
    assert check("username,grade\nada,8\n", *twice).changes == ()


def test_percentages_refer_to_the_points_of_the_assignment_or_else_of_the_table() -> None:
    assert check("username,grade\nada,85%\n").entries[0].grade == "8.5"
    text = (
        "Identifier,Email address,Grade,Maximum Grade,Last modified (grade)\nParticipant 1,ada@example.org,50 %,20,-\n"
    )
    assert check(text, rules=GradeRules()).entries[0].grade == "10"


def test_a_table_with_other_maximum_points_is_reported() -> None:
    text = "Identifier,Email address,Grade,Maximum Grade,Last modified (grade)\nParticipant 1,ada@example.org,5,100,-\n"
    assert check(text).notes == (
        "the table is out of 100 points, the assignment out of 10: grades are taken as they stand",
    )


def test_an_excused_grade_is_stored() -> None:
    assert check("username,grade\nada,ex\n").entries[0].grade == "EX"


HOSTILE = (
    '=HYPERLINK("http://x")',
    "<script>alert(1)</script>",
    "\u202egnp.exe",
    "a\r\nb",
    "x" * 100_000,
    "'; DROP TABLE",
    "\x07",
)


@pytest.mark.parametrize("cell", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_cell_is_text_in_feedback_and_refused_as_grade_or_person(cell: str) -> None:
    quoted = '"' + cell.replace('"', '""') + '"'
    found = check(f"username,grade,feedback\nada,5,{quoted}\nbob,{quoted},\n{quoted},5,\n")
    assert found.entries[0].fields["feedback"] == cell
    assert [each.trouble for each in found.problems] == [Trouble.UNREADABLE, Trouble.UNKNOWN]
    said = "".join(map(str, found.problems))
    assert len(said) < 500
    assert not set(said) & {"\u202e", "\x07", "\r", "\n"}


def test_two_thousand_rows_with_ids_can_be_checked() -> None:
    members = [
        Member(f"s{at}", f"Student {at}", f"s{at}@example.org", (), (Key(Kind.STUDENT, f"{at:08}"),))
        for at in range(2000)
    ]
    stored = [GradeEntry({"username": each.username, "grade": "1"}) for each in members]
    rows = "".join(f'"Student, {at}",{at},{at:08},s{at},Sec,{at % 11}\n' for at in range(2000))
    text = "Student,ID,SIS User ID,SIS Login ID,Section,hw1 (5)\n    Points Possible,,,,,10\n" + rows
    found = check_grades(read_grades(read_sheet(text.encode()), HW1), members, stored, GradeRules(10))
    assert (len(found.entries), found.problems, found.same) == (2000, (), 182)


NAMES = st.sampled_from(["ada", "bob", "ADA", "nobody", "", "ada@example.org", "00123", "123"])
CELLS = st.sampled_from(["", "-", "5", "5,0", "11", "-1", "x", "EX", "50%"])


@given(rows=st.lists(st.tuples(NAMES, CELLS, st.sampled_from(["", "good"])), max_size=6), clears=st.booleans())
def test_every_row_is_a_change_or_no_change_or_reported(rows: list[tuple[str, str, str]], clears: bool) -> None:
    text = "student,grade,feedback\n" + "".join(f'"{name}","{cell}","{said}"\n' for name, cell, said in rows)
    stored = (entry(username="ada", grade="5"),)
    sheet = read_sheet(text.encode())
    found = check_grades(read_grades(sheet, HW1), PEOPLE, stored, GradeRules(10, empty_clears=clears))
    assert len(sheet.rows) == len(found.changes) + found.same + found.empty + len(found.problems)
    merged = after(found, *stored)
    for change in found.changes:
        written = of_person(merged, Username(change.person))
        assert written is not None
        assert (written.grade, written.feedback) == (change.new, change.new_feedback)
    assert check_grades(read_grades(sheet, HW1), PEOPLE, merged, GradeRules(10, empty_clears=clears)).changes == ()


def test_a_table_exported_before_a_mark_was_stored_skips_that_row_and_accepts_the_others() -> None:
    then = GradeEntry({"username": "alice", "grade": "8"})
    now = (GradeEntry({"username": "alice", "grade": "9"}), GradeEntry({"username": "bob", "grade": "5"}))
    text = f"username,grade,based_on\nalice,8,{then.version}\nbob,6,{now[1].version}\ncarol,7,none\n"
    table = read_grades(read_sheet(text.encode()), Labels("hw1"))
    people = [Member("alice"), Member("bob"), Member("carol")]
    found = check_grades(table, people, now, GradeRules(10))
    assert [(each.person, each.new) for each in found.changes] == [("bob", "6"), ("carol", "7")]
    assert [str(each) for each in found.problems] == [
        "line 2: alice: 9 is stored since this table was made, and the row says 8"
    ]


def test_uploading_the_grade_before_the_penalty_changes_nothing_and_a_new_grade_ends_the_penalty() -> None:
    penalty = {"raw_grade": "10", "penalty_pct": "10", "penalised_grade": "9"}
    stored = (GradeEntry({"username": "alice", "grade": "9", **penalty}),)

    def upload(grade: str) -> GradeChanges:
        table = read_grades(read_sheet(f"username,grade\nalice,{grade}\n".encode()), Labels("hw1"))
        return check_grades(table, [Member("alice")], stored, GradeRules(10))

    assert upload("10").changes == ()
    (changed,) = upload("8").entries
    merged = merge(stored, [changed])[0]
    assert (merged.grade, merged.fields["raw_grade"], merged.fields["penalised_grade"]) == ("8", "", "")
