"""Tries a release out: the model solution must pass every check, and the empty release must not."""

from __future__ import annotations

from collections.abc import Iterator

from mograder.coursework.folders import GradingFolders
from mograder.coursework.preparation import Wishes, prepare_assignment
from mograder.coursework.releasing import ReleasedNotebook
from mograder.domain.marks import Question, in_words, mark
from mograder.domain.results import CheckStatus, Outcome, RunReport
from mograder.notebook.cells import text_bytes

_WHY = {
    CheckStatus.PARTIAL: "passes in part",
    CheckStatus.DANGER: "fails",
    CheckStatus.WARN: "waits for an answer",
    CheckStatus.NOT_RUN: "does not run",
}


def try_out(folders: GradingFolders, assignment: str, made: ReleasedNotebook) -> tuple[str, ...]:
    """Run the source and the release as submissions in the sandbox. Returns what is wrong with them, in words.

    Raises MograderError if there is no sandbox, or if the environment cannot be built.
    """
    source = made.path.read_bytes()
    with prepare_assignment(folders, assignment, made.path, Wishes({}, jobs=1)) as prepared:
        model = prepared.runs.grade(source, made.path.name)
        release = prepared.runs.grade(text_bytes(made.text, source), made.path.name)
    questions = tuple(Question(each.key, each.points, each.labels, each.manual) for each in made.source.questions)
    return (*_of_model(questions, model), *_of_release(questions, release))


def _of_model(questions: tuple[Question, ...], report: RunReport) -> Iterator[str]:
    if report.outcome is Outcome.OUR_FAILURE:
        yield f"the source could not be run: {report.error}"
        return
    for failure in report.failures:
        yield f"line {failure.line}: the source's cell {failure.cell} fails: {failure.error}"
    for limit in report.limits:
        yield f"the source reaches a limit ({limit.what}) in {limit.where}"
    for each in report.checks:
        if each.status is not CheckStatus.SUCCESS:
            messages = "; ".join(each.messages)
            yield f"{each.key}: with the model solution the check “{each.label}” {_WHY[each.status]}" + (
                f": {messages}" if messages else ""
            )
    ran = {each.label for each in report.checks}
    for question in questions:
        for label in question.labels:
            if label not in ran:
                yield f"{question.key}: with the model solution the check “{label}” does not run"


def _of_release(questions: tuple[Question, ...], report: RunReport) -> Iterator[str]:
    if report.outcome is Outcome.OUR_FAILURE:
        yield f"the release could not be run: {report.error}"
        return
    by_key = {each.key: each for each in mark(questions, report).questions}
    for question in questions:
        found = by_key[question.key]
        if not question.manual and found.status is CheckStatus.SUCCESS:
            points = f" and all {in_words(question.points)} points" if question.points else ""
            yield f"{question.key}: the release passes every check{points} without an answer"
