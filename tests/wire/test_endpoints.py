"""The table is complete: every row has a handler and differs from every other."""

from __future__ import annotations

import pytest
from msgspec import Struct

from mograder.domain.access import Allow
from mograder.web.endpoints import HANDLERS
from mograder.wire.endpoints import BY_NAME, ENDPOINTS, Content, Endpoint

EVERY_ROW = pytest.mark.parametrize("row", ENDPOINTS, ids=lambda row: row.name)


@EVERY_ROW
def test_every_row_has_a_handler_a_name_and_a_summary(row: Endpoint) -> None:
    # The API itself reads uploads, in pieces.
    assert (row.name in HANDLERS) != (row.request in (Content.UPLOAD, Content.PAGES))
    assert row.summary.endswith(".")
    assert BY_NAME[row.name] is row
    assert len(BY_NAME) == len(ENDPOINTS)
    assert set(HANDLERS) <= set(BY_NAME)


@EVERY_ROW
def test_every_row_says_whom_it_concerns_and_what_it_accepts(row: Endpoint) -> None:
    about = row.about_query or row.about_path
    assert about if row.allow is Allow.SELF else row.allow is Allow.INSTRUCTOR or not about
    assert row.about_path is None or f"{{{row.about_path}}}" in row.path
    assert row.method == "POST" or row.request is Content.NOTHING
    assert row.limit is None or (row.limit > 0) == (row.request is not Content.NOTHING)
    assert all(
        isinstance(kind, Content) or (isinstance(kind, type) and issubclass(kind, Struct))
        for kind in (row.request, row.reply)
    )


def test_no_two_rows_answer_the_same_request() -> None:
    assert len({(row.method, row.path) for row in ENDPOINTS}) == len(ENDPOINTS)
