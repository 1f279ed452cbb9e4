"""The zip of feedback files that Moodle's offline grading takes."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable

from msgspec import Struct

from mograder.domain.errors import BadRequest
from mograder.domain.names import counted, some_of
from mograder.tables import headers
from mograder.tables.export import Exported
from mograder.tables.formats import format_of, participant, read_grades
from mograder.tables.headers import Labels, NameColumns
from mograder.tables.people import Member, People
from mograder.tables.sheet import read_sheet

_WORKSHEET = "a Moodle assignment worksheet"
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)  # the same pages make the same bytes
_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f_/\\:*?\"<>|]")
"""The underscore ends the name for Moodle; no file system allows the others."""


class FeedbackPage(Struct, frozen=True):
    """A person's page, HTML as bytes."""

    member: Member
    content: bytes


def feedback_zip(worksheet: bytes, pages: Iterable[FeedbackPage], labels: Labels, encoding: str = "") -> Exported:
    """One file a person, named as Moodle's "Upload multiple feedback files in a zip" expects.

    `worksheet` is Moodle's grading worksheet of the same assignment: only it has the participants' numbers. Raises
    BadRequest when it is no worksheet, or nobody with a page is in it.
    """
    sheet = read_sheet(worksheet, "", encoding)
    if format_of(sheet).system != _WORKSHEET:
        raise BadRequest(f"this is {format_of(sheet).system}, not {_WORKSHEET}: download the worksheet from Moodle")
    given = {page.member.username: page for page in pages}
    people = People(page.member for page in given.values())
    identifier, names = sheet.find(*headers.IDENTIFIER) or 0, NameColumns.of(sheet)
    target, met = io.BytesIO(), set[str]()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for row, read in zip(sheet.rows, read_grades(sheet, labels).rows, strict=True):
            number, member = participant(row.cells[identifier]), people.match(read.keys).member
            if not number or member is None or member.username in met:
                continue
            met.add(member.username)
            name = " ".join(_NOT_IN_NAMES.sub(" ", names.read(row) or member.name).split()) or "Participant"
            entry = zipfile.ZipInfo(f"{name}_{number}_assignfeedback_file_feedback.html", _FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, given[member.username].content)
    if not met:
        raise BadRequest("nobody with a feedback page is in the worksheet: is it of this course?")
    absent = sorted(set(given) - met)
    said = f"{counted(len(absent), 'page')} of people who are not in the worksheet: {some_of(absent)}"
    notes = (said,) if absent else ()
    return Exported(target.getvalue(), f"{labels.name}-moodle-feedback.zip", "application/zip", notes)
