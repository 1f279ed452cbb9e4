"""When an assignment opens, is due and closes, what late work costs, and how moments are written.

A moment is in Unix microseconds. Invariant: a deadline lasts to the end of its second, an extension never makes a
submission later, and an earlier submission never costs more.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from itertools import count
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import asdict, replace

SECOND = 1_000_000
MINUTE = 60 * SECOND
END_OF_DAY = time(23, 59, 59)


class Schedule(Struct, frozen=True):
    """When an assignment opens, is due and closes, in Unix microseconds; None where nothing is set."""

    opens: int | None = None
    due: int | None = None
    closes: int | None = None

    def is_open(self, now: int) -> bool:
        """Whether students may work on it at `now`, in Unix microseconds."""
        return self.opens is None or now >= self.opens

    def extended(self, until: int | None) -> Schedule:
        """The schedule of a person with an extension: due at `until`, and open at least as long; never shorter."""
        if until is None:
            return self
        due = None if self.due is None else max(self.due, until)
        return replace(self, due=due, closes=None if self.closes is None else max(self.closes, until))


class Penalties(Struct, frozen=True):
    """The cost of late work. Within `grace` (microseconds) after the due time nothing is late.

    `per_day` is taken off for each day begun, `most` at most, in percentage points; nothing unless `enabled`.
    """

    enabled: bool = False
    grace: int = 5 * MINUTE
    per_day: float = 5
    most: float = 100
    apply: bool = False
    """Whether the penalty is taken off released marks; else it is shown beside them."""


class OwnPenalties(Struct, frozen=True):
    """The penalties of one assignment, as in `Penalties`; None where those of the course apply."""

    enabled: bool | None = None
    grace: int | None = None
    per_day: float | None = None
    most: float | None = None
    apply: bool | None = None

    def over(self, others: Some) -> Some:
        """These penalties, with the others where these have none."""
        said = {key: value for key, value in asdict(self).items() if value is not None}
        return replace(others, **said) if said else others


Some = TypeVar("Some", Penalties, OwnPenalties)


class Lateness(Struct, frozen=True):
    """How late a submission is: days begun, the penalty in percentage points, and both in words ("" if on time)."""

    days: int = 0
    penalty: float = 0
    explanation: str = ""

    @property
    def late(self) -> bool:
        return self.days > 0


IN_TIME = Lateness()


def is_over(limit: int | None, moment: int) -> bool:
    """Whether `moment` is past the whole second of `limit`."""
    return limit is not None and moment // SECOND > limit // SECOND


def lateness(due: int | None, received: int, penalties: Penalties, zone: tzinfo) -> Lateness:
    """How late a submission received at `received` is if due at `due`. Only this function decides it.

    A day ends at the due time of day in `zone`, even if the clocks change in between.
    """
    if due is None or not is_over(due + penalties.grace, received):
        return IN_TIME
    days = _days_begun(due, received, zone)
    penalty = min(days * penalties.per_day, penalties.most) if penalties.enabled else 0
    return Lateness(days, penalty, _explanation(due, received, days, penalties, zone))


def _days_begun(due: int, received: int, zone: tzinfo) -> int:
    start = local(due, zone)
    near = (local(received, zone).date() - start.date()).days - 1
    return next(days for days in count(max(near, 1)) if not is_over(days_later(due, days, zone), received))


def days_later(moment: int, days: int, zone: tzinfo) -> int:
    """The moment at the same time of day in `zone`, so many days later."""
    return from_local(local(moment, zone).replace(tzinfo=None) + timedelta(days), zone)


def from_local(when: datetime, zone: tzinfo) -> int:
    """The moment of a date and time of `zone`; the later one if the clocks show it twice or not at all."""
    return max(microseconds(when.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))


def moment_of(when: date, zone: tzinfo, of_day: time = END_OF_DAY) -> int:
    """The moment of a date or time as an instructor writes it.

    A date without a time means `of_day`, a time without an offset is one of `zone`. Raises OverflowError or ValueError
    at the ends of the calendar.
    """
    if not isinstance(when, datetime):
        when = datetime.combine(when, of_day)
    return microseconds(when) if when.tzinfo else from_local(when, zone)


def _explanation(due: int, received: int, days: int, penalties: Penalties, zone: tzinfo) -> str:
    shown = [_wall(each, zone, "%a %d %b %H:%M") for each in (due, received)]
    if local(due, zone).year != local(received, zone).year:
        shown = [_wall(each, zone, "%a %d %b %Y %H:%M") for each in (due, received)]
    elif shown[0] == shown[1]:
        shown = [_wall(each, zone, "%a %d %b %H:%M:%S") for each in (due, received)]
    zones = [zone_name(local(each, zone)) for each in (due, received)]
    if zones[0] != zones[1]:  # the clocks have changed in between
        shown[0] += f" {zones[0]}"
    cost = ""
    if penalties.enabled:
        cost = f", {days} x {penalties.per_day:g} %"
        if days * penalties.per_day > penalties.most:
            cost += f", at most {penalties.most:g} %"
    return f"{days} {'day' if days == 1 else 'days'} late: due {shown[0]}, received {shown[1]} {zones[1]}{cost}"


def _wall(moment: int, zone: tzinfo, form: str) -> str:
    return local(moment, zone).strftime(form)


# moments as dates and texts


def local(moment: int, zone: tzinfo) -> datetime:
    """A moment in `zone`; in UTC if the calendar ends before it in `zone`, since people write 9999-12-31 for never."""
    try:
        return utc(moment).astimezone(zone)
    except OverflowError:
        return utc(moment)


def utc(moment: int) -> datetime:
    """The date and time of a moment in Unix microseconds, in UTC."""
    return datetime.fromtimestamp(moment // SECOND, UTC).replace(microsecond=moment % SECOND)


def microseconds(when: datetime) -> int:
    """The exact moment of an aware date and time, in Unix microseconds."""
    whole = when.astimezone(UTC)
    return int(whole.replace(microsecond=0).timestamp()) * SECOND + whole.microsecond


def iso(moment: int) -> str:
    """A moment as people and programs read it: 2026-03-10T20:08:00.123456Z."""
    return utc(moment).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def readable(moment: int, zone: tzinfo = UTC) -> str:
    """A moment for people, with weekday and zone: Tue 2026-03-10 20:08 UTC. Seconds are shown unless they are 0."""
    when = local(moment, zone)
    shown = when.replace(tzinfo=None).isoformat(" ", "seconds" if when.second else "minutes")
    return f"{when:%a} {shown} {zone_name(when)}"


def zone_name(when: datetime) -> str:
    """The usual name of the zone of a date and time: CET, or UTC+05:45 for a zone without a name."""
    name = when.tzname() or ""
    return name if name[:1].isalpha() else f"UTC{when:%z}"


def stamp(moment: int) -> str:
    """A moment for a file name, in UTC to the second: 20260310T200800."""
    return _stamp(moment // SECOND)


def of_stamp(text: str) -> int:
    """The moment of a text made by `stamp`. Raises ValueError."""
    return microseconds(datetime.fromisoformat(text).replace(tzinfo=UTC))


@lru_cache(1000)
def _stamp(second: int) -> str:
    return utc(second * SECOND).strftime("%Y%m%dT%H%M%S")
