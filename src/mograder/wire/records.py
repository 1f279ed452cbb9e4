"""Converts grading records to JSON claims and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from mograder.domain import deadlines
from mograder.domain.errors import BadRequest
from mograder.domain.grading_record import GradingRecord

KIND = "mograder-grading-record+jws"
"""The `typ` of a signed record, which distinguishes it from a receipt."""

FORMAT = 1
"""The version of the claims; a higher one comes from a newer mograder."""


def claims_of(record: GradingRecord) -> dict[str, Any]:
    """The claims of a record, as JSON values."""
    plain: dict[str, Any] = msgspec.to_builtins(record, enc_hook=str)
    return {"format": FORMAT, **plain, "graded": deadlines.iso(record.graded)}


def record_of(claims: Mapping[str, Any]) -> GradingRecord:
    """The record with these `claims`. Raises BadRequest."""
    version = claims.get("format")
    if not isinstance(version, int) or version > FORMAT:
        raise BadRequest(f"this record has the format {version!r}, which this version of mograder does not know")
    try:
        moment = deadlines.microseconds(datetime.fromisoformat(str(claims.get("graded"))))
        return msgspec.convert({**claims, "graded": moment}, GradingRecord)
    except (ValueError, OverflowError) as error:
        raise BadRequest(f"this is no grading record: {error}") from None
