"""When an assignment opens, is due and closes, and how moments are written. A moment is Unix microseconds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

SECOND = 1_000_000


@dataclass(frozen=True)
class Schedule:
    """When an assignment opens, is due and closes, in Unix microseconds; None where nothing is set."""

    opens: int | None = None
    due: int | None = None
    closes: int | None = None


def utc(moment: int) -> datetime:
    """The date and time of a moment in Unix microseconds, in UTC."""
    return datetime.fromtimestamp(moment // SECOND, UTC).replace(microsecond=moment % SECOND)


def microseconds(when: datetime) -> int:
    """The moment of an aware date and time, in Unix microseconds, exactly."""
    whole = when.astimezone(UTC)
    return int(whole.replace(microsecond=0).timestamp()) * SECOND + whole.microsecond


def iso(moment: int) -> str:
    """A moment as people and programs read it: 2026-03-10T20:08:00.123456Z."""
    return utc(moment).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def readable(moment: int) -> str:
    """A moment in a message: 2026-03-10 20:08 UTC."""
    return utc(moment).strftime("%Y-%m-%d %H:%M UTC")


def stamp(moment: int) -> str:
    """A moment as it stands in a file name, in UTC to the second: 20260310T200800."""
    return utc(moment).strftime("%Y%m%dT%H%M%S")
