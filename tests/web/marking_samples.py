"""Sample pages of marking in every state."""

from __future__ import annotations

from markupsafe import Markup
from msgspec.structs import replace

from mograder.domain.counting import AssessedSubmission
from mograder.domain.deadlines import Lateness
from mograder.domain.disclosure import for_instructor
from mograder.domain.grade_statistics import spread
from mograder.domain.mark_release import PlannedRelease, Released, ReleasePlan, ReleaseState
from mograder.domain.marking import Entry, GivenMark, Kind, Names, Request, RubricItem, Sheet
from mograder.domain.marking_desk import Candidate, MarkedQuestion, Overview, PersonMarking, Progress
from mograder.domain.marking_statistics import GraderNumbers, MarkNumbers, QuestionNumbers
from mograder.domain.marks import Given, Question, mark
from mograder.domain.names import INSTRUCTOR, Username
from mograder.domain.receipts import Receipt
from mograder.web.pages.board import Part
from mograder.web.pages.marking import MarkingIndex, MarkingPage
from mograder.web.pages.marking_person import ItemPage, MarkPage
from mograder.web.pages.marking_release import ReleasePage, StatisticsPage
from mograder.web.pages.page import Page
from mograder.web.pages.source import Contents
from tests.grading_samples import HALF_RIGHT, QUESTIONS, record
from tests.web.sample_parts import LONG, NOW, SCRIPT, TASKS, TEACHER, work

S1 = Username("s01")
GRADER = replace(TEACHER, user=Username("grace"), is_instructor=False, is_grader=True)
SHOWN, HIDDEN = Names(), Names("salt")
MANY = (*QUESTIONS, Question("Essay", 10, manual=True), Question(LONG.strip(), 5, manual=True))
ITEMS = {"a": RubricItem("Essay", "no conclusion", -2), "b": RubricItem("Essay", f"{SCRIPT} {LONG}", 3)}
SHEET = Sheet(ITEMS, {"a": 1, "b": 2}, {"s01": "grace"}, {"Q3": "guy"})
GIVEN = {"Q3": GivenMark(4, (), "fine", 1, 7), "Essay": GivenMark(None, ("a",), f"{SCRIPT} {LONG}", 2, 8)}
SENT = replace(work(TASKS[0], "s01", NOW), attempt=2)
LATE = Lateness(1, 5, "1 day late: due Tue 10 Mar 12:00, received Tue 10 Mar 13:00 UTC, 1 x 5 %")


def marking(questions: tuple[Question, ...] = MANY, given: dict[str, GivenMark] = GIVEN) -> PersonMarking:
    points = {key: 8.0 if each.points is None else each.points for key, each in given.items()}
    marks = mark(questions, HALF_RIGHT, Given(points))
    rows = tuple(
        MarkedQuestion(each, found, given.get(each.key, GivenMark()), 3, "grace", NOW if each.key in given else None,
                       "guy" if each.key == "Q3" else "")
        for each, found in zip(questions, marks.questions, strict=True)
    )  # fmt: skip
    asked = {"by": "s01", "moment": NOW, "text": f"please look at page 2 {SCRIPT}", "student": True}
    answered = {"by": INSTRUCTOR, "moment": NOW, "text": "I did", "student": False}
    return PersonMarking(
        S1, AssessedSubmission(Receipt(8, "", SENT, "x"), LATE), 3, record(), rows, marks, "a private note", 1,
        (("cell 1", f"see here {SCRIPT}", 1),), (("Essay", Request(True, [asked, answered]), 2),),
    )  # fmt: skip


HISTORY = (
    Entry(TASKS[0].name, Kind.MARK, "s01", "Essay", 2, NOW, "grace", GivenMark(3, ("a", "gone"), SCRIPT).text_form),
    Entry(TASKS[0].name, Kind.NOTE, "s01", "", 1, NOW, INSTRUCTOR, "", "by mistake"),
)
CELLS = Contents(Markup("x = 1"), cells=tuple((f"cell {n}", Markup(f"x = {n}  # {'long ' * 60}")) for n in range(1, 4)))


def mark_page(found: PersonMarking = marking(), contents: Contents | None = CELLS, names: Names = SHOWN) -> MarkPage:  # noqa: B008 (frozen)
    result = for_instructor(record(), found.marks) if found.record else None
    return MarkPage(
        TEACHER, TASKS[0], names, S1, names.shown("s01"), found, SHEET, frozenset(each.key for each in MANY[1:]),
        contents, result, f"{names.shown('s01')}.py", 2048, {"Essay": ("good", f"{LONG} {SCRIPT}")}, HISTORY, 5.0, True,
    )  # fmt: skip


EMPTY = PersonMarking(S1, None, None, None, (), mark((Question("", 100, manual=True),), HALF_RIGHT))
WHOLE = replace(EMPTY, questions=(MarkedQuestion(Question("", 100, manual=True), EMPTY.marks.questions[0]),))
PEOPLE = (Candidate(S1, "Student One", 2, True, ("Tue", LONG)), Candidate(Username("s02"), LONG, None, True),
          Candidate(Username("s03"), SCRIPT, None, False))  # fmt: skip
OVERVIEW = Overview(
    MANY, SHEET, PEOPLE, {"s01": ("Essay", ""), "s02": (LONG,)}, (Progress("Essay", 1, 2), Progress(LONG, 0, 2)),
    (Progress("grace", 1, 2), Progress(INSTRUCTOR, 0, 1)), (("s01", "Essay"), ("s02", "")),
)  # fmt: skip
DONE = replace(OVERVIEW, to_do={}, by_question=(), by_grader=(), open_requests=())
LIST = MarkingPage(TEACHER, TASKS[0], SHOWN, OVERVIEW, PEOPLE, Part(1, 2, 3), "", ("grace", "guy", INSTRUCTOR))
THEN = Released((), 12.5, 15, 10, 11.25, 2, changes=("Essay: 8 -> 9 points", f"{LONG}: the comment has changed"))
ROWS = (
    PlannedRelease(PEOPLE[0], ReleaseState.CHANGED, THEN, "12", "12", (), ("Essay", ""), True, 1),
    PlannedRelease(PEOPLE[1], ReleaseState.UNFINISHED, unfinished=("Essay", "")),
    PlannedRelease(PEOPLE[2], ReleaseState.CONFLICT, THEN, None, SCRIPT),
)
NUMBERS = MarkNumbers(
    12, 10, spread(map(str, range(12)), 15),
    (QuestionNumbers("Essay", 10, 12, 7.25, 0.725, 0.41), QuestionNumbers(LONG, 5, 0, None, None, None)),
    (GraderNumbers("grace", "Essay", 7, 6.5), GraderNumbers(INSTRUCTOR, LONG, 1, 2)),
)  # fmt: skip
ITEM = ItemPage(TEACHER, TASKS[0], SHOWN, "a", ITEMS["a"], ITEMS["b"], 1, (("s01", 8.0, 6.0), (LONG, None, 3.0)), "s01")
RELEASE = ReleasePage(TEACHER, TASKS[0], SHOWN, ReleasePlan(ROWS, "0" * 64, True), "", 1)
SAMPLES: dict[str, Page] = {
    "marking-index": MarkingIndex(GRADER, ((TASKS[0], OVERVIEW), (TASKS[1], DONE))),
    "marking-index-nothing": MarkingIndex(GRADER, ()),
    "marking-list": LIST,
    "marking-list-grader": replace(LIST, frame=GRADER, graders=()),
    "marking-list-hidden": replace(LIST, names=HIDDEN, rows=(), overview=DONE, graders=()),
    "marking-person": mark_page(),
    "marking-person-hidden": mark_page(names=HIDDEN, contents=Contents(problem="this is no text", media="image/png")),
    "marking-person-pdf": mark_page(contents=Contents(problem="this is no text", media="application/pdf")),
    "marking-person-zip": mark_page(contents=Contents(files=((f"{LONG}.csv", 7), (SCRIPT, 1)))),
    "marking-person-text": replace(mark_page(contents=Contents(Markup("x = 1"), cut=True)), frame=GRADER),
    "marking-person-nothing": mark_page(WHOLE, None),
    "marking-item": ITEM,
    "marking-item-removed": replace(ITEM, wanted=None, rows=(), back=""),
    "marking-release": replace(RELEASE, section="Tue", sections=("Tue", LONG)),
    "marking-release-one": ReleasePage(TEACHER, TASKS[0], HIDDEN, ReleasePlan(ROWS[:1], "0" * 64), "ABCD2345", 0, True,
                                       "1 mark is released", "marks have changed since you looked"),
    "marking-release-nobody": ReleasePage(TEACHER, TASKS[0], SHOWN, ReleasePlan((), "0" * 64), "", 0),
    "marking-statistics": StatisticsPage(TEACHER, TASKS[0], SHOWN, NUMBERS),
    "marking-statistics-nothing": StatisticsPage(TEACHER, TASKS[0], SHOWN, MarkNumbers(0, 0, None, (), ())),
}  # fmt: skip
