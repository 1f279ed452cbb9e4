"""The pages that release and withdraw marks, and show their statistics."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode

from msgspec.structs import replace
from starlette.responses import Response

from mograder.domain.access import Allow
from mograder.domain.assignments import Assignment
from mograder.domain.errors import MograderError
from mograder.domain.mark_release import PlannedRelease, ReleasePlan
from mograder.domain.marking_desk import PersonMarking
from mograder.domain.marking_statistics import MarkNumbers, numbers_of
from mograder.domain.marks import in_words, penalised
from mograder.domain.names import Username, counted
from mograder.tables.export import CSV_TYPE, to_csv
from mograder.web.pages.board import small_number
from mograder.web.pages.marking import OnMarking, find_person, names_of, people_of, sections_of
from mograder.web.pages.page_request import Answer, PageRequest, PageRoute, html
from mograder.web.replies import attachment


class ReleasePage(OnMarking, frozen=True):
    """What a release would do, person by person.

    A release may be limited to one person, `only`, or to one `section`; both are "" for everybody.
    """

    template = "marking_release.html"
    heading = "Release marks"
    planned: ReleasePlan
    only: str
    released: int
    over: bool = False
    said: str = ""
    problem: str = ""
    section: str = ""
    sections: tuple[str, ...] = ()

    @property
    def rows(self) -> list[PlannedRelease]:
        return self.names.in_order(self.planned.rows, lambda row: row.candidate.username)

    def of_section(self, section: str) -> str:
        return f"{self.at('release')}?{urlencode({'section': section})}"


class StatisticsPage(OnMarking, frozen=True):
    """Statistics of an assignment's marks, drafts included."""

    template = "marking_statistics.html"
    heading = "Statistics"
    numbers: MarkNumbers


def preview(request: PageRequest) -> ReleasePage:
    """What a release would do."""
    query = request.query
    return _preview(request, query.get("person", ""), query.get("section", ""), query.get("over") == "yes")


def _people(request: PageRequest, task: Assignment, only: str, section: str) -> set[Username] | None:
    """The people whom a release concerns; None for everybody."""
    if only:
        return {find_person(request, task, only)}
    return people_of(request.course.marking.candidates(task), section) if section else None


def _preview(request: PageRequest, only: str, section: str, over: bool) -> ReleasePage:
    task, course = request.assignment(), request.course
    people = _people(request, task, only, section)
    planned = course.mark_release.plan(task, people, over)
    done, gone = small_number(request.query.get("released", "")), small_number(request.query.get("withdrawn", ""))
    said = "" if done is None else f"{counted(done, 'mark')} {'is' if done == 1 else 'are'} released"
    said = said if gone is None else f"{counted(gone, 'mark')} {'is' if gone == 1 else 'are'} withdrawn"
    count = course.mark_release.count(task, people)
    sections = sections_of(course.marking.candidates(task))
    return ReleasePage(request.frame, task, names_of(request, task), planned, only, count, over, said, "", section,
                       sections)  # fmt: skip


def release(request: PageRequest) -> Answer:
    """Release the marks that were shown, or withdraw those that are released."""
    task, form, course = request.assignment(), request.form, request.course
    only, section, over = form.get("person", ""), form.get("section", ""), form.get("over") == "yes"
    people = _people(request, task, only, section)
    try:
        if form.get("how") == "withdraw":
            said = f"withdrawn={course.mark_release.withdraw(request.actor, task, people)}"
        else:
            planned = course.mark_release.release(request.actor, task, people, over, form.get("seen", ""))
            said = f"released={len(planned.writes)}"
    except MograderError as error:
        page = _preview(request, only, section, over)
        return html(replace(page, problem=error.message), error.status)
    about = {"person": only} if only else {"section": section} if section else {}
    return request.to("/marking", task.name, "release", query="&".join(filter(None, [said, urlencode(about)])))


def statistics(request: PageRequest) -> Answer:
    task = request.assignment()
    return StatisticsPage(request.frame, task, names_of(request, task),
                          numbers_of(request.course.mark_release.everybody(task)))  # fmt: skip


def _csv(rows: Iterator[list[str]], name: str) -> Response:
    return Response(to_csv(rows), media_type=CSV_TYPE, headers=attachment(name))


_FIGURES = ("what", "question", "grader", "from", "to", "count", "points", "mean", "median", "lower_quartile",
            "upper_quartile", "share", "discrimination")  # fmt: skip


def statistics_table(request: PageRequest) -> Answer:
    """The figures of the page as CSV: of all marks, of each column of the plot, by question and by grader."""
    task = request.assignment()
    numbers = numbers_of(request.course.mark_release.everybody(task))

    def rows() -> Iterator[list[str]]:
        yield list(_FIGURES)
        for row in _figures(numbers):
            yield [row.get(each, "") for each in _FIGURES]

    return _csv(rows(), f"{task.name}-statistics.csv")


def _figures(numbers: MarkNumbers) -> Iterator[dict[str, str]]:
    spread = numbers.spread
    if spread:
        yield {"what": "all", "count": str(spread.count), "mean": _number(spread.mean),
               "median": _number(spread.median), "lower_quartile": _number(spread.lower),
               "upper_quartile": _number(spread.upper)}  # fmt: skip
        for bar in spread.bins:
            yield {"what": "bar", "from": _number(bar.low), "to": _number(bar.high), "count": str(bar.count)}
    for each in numbers.questions:
        yield {"what": "question", "question": each.key, "count": str(each.count), "points": in_words(each.available),
               "mean": _number(each.mean), "share": _number(each.share),
               "discrimination": _number(each.discrimination)}  # fmt: skip
    for who in numbers.graders:
        yield {"what": "grader", "question": who.key, "grader": who.grader, "count": str(who.count),
               "mean": _number(who.mean)}  # fmt: skip


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def marks_table(request: PageRequest) -> Answer:
    """Everybody's marks as they stand, drafts included, as CSV: raw and penalised side by side.

    `mark_again` names the questions whose mark was given for another submission than the one that counts.
    """
    task, course = request.assignment(), request.course
    names, people = names_of(request, task), course.mark_release.everybody(task)
    keys = list(dict.fromkeys(row.key for each in people for row in each.questions))
    penalties = course.plan.late_policy(task.name).penalties

    def rows() -> Iterator[list[str]]:
        yield ["username", "submission", *[key or "mark" for key in keys], "raw", "penalty_pct", "penalised", "comment",
               "mark_again"]  # fmt: skip
        for each in names.in_order(people, lambda person: person.username):
            yield _marks_row(each, names.shown(each.username), keys, penalties.enabled)

    return _csv(rows(), f"{task.name}-marks.csv")


def _marks_row(person: PersonMarking, shown: str, keys: list[str], with_penalty: bool) -> list[str]:
    points = {row.key: row.mark.points for row in person.questions}
    penalty = person.counting.lateness.penalty if person.counting and with_penalty else 0.0
    total = person.marks.total
    found = [points.get(key) for key in keys]
    comment = "\n".join(f"{row.key}: {row.given.comment}" for row in person.questions if row.given.comment)
    return [
        shown, str(person.attempt or ""), *["" if each is None else in_words(each) for each in found],
        "" if total is None else in_words(total), in_words(penalty),
        "" if total is None else in_words(penalised(total, penalty)), comment,
        ", ".join(key or "mark" for key in person.outdated),
    ]  # fmt: skip


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("GET", "/marking/{assignment}/release", Allow.INSTRUCTOR, preview),
    PageRoute("POST", "/marking/{assignment}/release", Allow.INSTRUCTOR, release),
    PageRoute("GET", "/marking/{assignment}/statistics", Allow.INSTRUCTOR, statistics),
    PageRoute("GET", "/marking/{assignment}/statistics.csv", Allow.INSTRUCTOR, statistics_table),
    PageRoute("GET", "/marking/{assignment}/marks.csv", Allow.INSTRUCTOR, marks_table),
)
