"""The zip for Moodle's offline feedback: each file name identifies its participant as Moodle expects."""

from __future__ import annotations

import io
import zipfile

import pytest

from mograder.domain.errors import BadRequest
from mograder.tables.moodle_zip import FeedbackPage, feedback_zip
from mograder.tables.people import Member
from tests.tables import samples
from tests.tables.samples import ADA, BOB, HW1


def files(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def moodle_reads(name: str) -> tuple[int, str, str, str]:
    """The participant, kind, plugin and file name, taken apart at underscores as Moodle's importer does."""
    _, participant, kind, plugin, filename = name.split("_", 4)
    return int(participant), kind, plugin, filename


@pytest.mark.parametrize("worksheet", [samples.WORKSHEET, samples.WORKSHEET_GERMAN])
def test_each_page_is_named_after_the_participant(worksheet: str) -> None:
    found = feedback_zip(worksheet.encode(), [FeedbackPage(ADA, b"<p>a"), FeedbackPage(BOB, b"<p>b")], HW1)
    assert files(found.content) == {
        "Ada Lovelace_41_assignfeedback_file_feedback.html": b"<p>a",
        "Bob Noyce_42_assignfeedback_file_feedback.html": b"<p>b",
    }
    assert {moodle_reads(name) for name in files(found.content)} == {
        (41, "assignfeedback", "file", "feedback.html"), (42, "assignfeedback", "file", "feedback.html"),
    }  # fmt: skip
    assert found.notes == ()


def test_the_same_pages_give_the_same_bytes() -> None:
    pages = [FeedbackPage(ADA, b"<p>a")]
    assert feedback_zip(samples.WORKSHEET.encode(), pages, HW1) == feedback_zip(samples.WORKSHEET.encode(), pages, HW1)


def test_a_file_name_cannot_lead_outside_or_break_the_format() -> None:
    worksheet = samples.WORKSHEET.replace("Ada Lovelace", "../A_d/a\u0007 _99_").encode()
    (name,) = files(feedback_zip(worksheet, [FeedbackPage(ADA, b"x")], HW1).content)
    assert moodle_reads(name)[0] == 41
    assert "/" not in name


def test_feedback_pages_of_people_missing_from_the_worksheet_are_named() -> None:
    found = feedback_zip(samples.WORKSHEET.encode(), [FeedbackPage(ADA, b"x"), FeedbackPage(Member("zoe"), b"x")], HW1)
    assert found.notes == ("1 page of people who are not in the worksheet: zoe",)
    with pytest.raises(BadRequest, match="nobody with a feedback page is in the worksheet"):
        feedback_zip(samples.WORKSHEET.encode(), [FeedbackPage(Member("zoe"), b"x")], HW1)


def test_a_table_that_is_no_moodle_worksheet_is_refused() -> None:
    with pytest.raises(BadRequest, match="this is a Canvas gradebook, not a Moodle assignment worksheet"):
        feedback_zip(samples.CANVAS.encode(), [FeedbackPage(ADA, b"x")], HW1)
