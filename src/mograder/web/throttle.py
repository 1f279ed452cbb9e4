"""Counts failures, not requests: guessing is slowed down, a class behind one address is not.

Invariant: a success never counts, and what nobody can guess (a token, a personal code, a course's code that is hard to
guess) is accepted whatever was counted, so that nobody keeps others out by guessing. After too many failures a wrong
one is answered with how long to wait. A course's code that can be guessed is not looked at while its network waits.

The store counts, so that all servers and processes of a course count together. That is a write for each failure, and
none beyond the limit: 20 a minute from a network at most, so that nobody keeps the store busy by guessing.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import TypeVar

from mograder.domain.course import Course
from mograder.domain.deadlines import SECOND
from mograder.domain.errors import MograderError, Throttled
from mograder.domain.names import counted
from mograder.web.body import Scope

T = TypeVar("T")

FAILURES = 20
"""Failures a minute from one network, and about one user name from it."""

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
"""For how long failures are kept."""

SHORTEST_PAUSE, LONGEST_PAUSE = 5 * SECOND, 5 * MINUTE
"""Between two tries of a code that can be guessed, from a network in which FAILURES were wrong within an hour.

Doubled from failure to failure. Microseconds."""


class Failures:
    """Failures of one `kind` in a course. Methods wait for the store."""

    def __init__(self, course: Course, kind: str) -> None:
        self._course = course
        self._kind = kind

    def guard(self, error: type[MograderError], whose: Sequence[str], prove: Callable[[], T]) -> T:
        """The result of `prove`. An `error` that it raises counts as a failure; after too many, Throttled is raised."""
        try:
            return prove()
        except error:
            self.note(*whose)
            raise

    def note(self, *whose: str) -> None:
        """Count one failure of each of `whose` (addresses, names; "" is ignored).

        Raises Throttled instead when there were too many.
        """
        keys, now = self._keys(whose), self._course.clock()
        failed: dict[str, list[int]] = {}
        for key, moment in self._course.guard.failures(keys):
            # Failures far in the future do not count either: a clock that was set back locks nobody out.
            if abs(now - moment) < MINUTE:
                failed.setdefault(key, []).append(moment)
        full = [sorted(moments)[-FAILURES] for moments in failed.values() if len(moments) >= FAILURES]
        if full:
            wait = max(1, math.ceil((max(full) + MINUTE - now) / SECOND))
            raise Throttled(
                "this is wrong, as were too many before it from your network: a right one is accepted at once, another "
                f"wrong one is looked at again in {counted(wait, 'second')}",
                retry_after=wait,
            )
        self.count(*whose)

    def count(self, *whose: str) -> None:
        """Count one failure of each of `whose`, however many there were."""
        self._course.guard.note_failure(self._keys(whose), HOUR)

    def pause(self, whose: str) -> int:
        """Seconds until a code that can be guessed is looked at again for `whose`; 0: now, for this caller alone.

        Grows with the failures of the last hour. Of callers at the same moment, at all servers, one is let through.
        """
        keys, now, guard = self._keys([whose]), self._course.clock(), self._course.guard
        moments = sorted(moment for _, moment in guard.failures(keys) if abs(now - moment) < HOUR)
        if len(moments) < FAILURES:
            return 0
        length = min(LONGEST_PAUSE, SHORTEST_PAUSE << min(len(moments) - FAILURES, 10))
        turn, begun = divmod(max(0, now - moments[-1]), length)
        if turn and guard.is_first(f"code {keys[0]} {moments[-1]} {turn}", now + HOUR):
            return 0
        return max(1, math.ceil((length - begun) / SECOND))

    def forget(self, whose: str) -> None:
        keys = self._keys([whose])
        if self._course.guard.failures(keys):
            self._course.guard.forget_failures(keys)

    def _keys(self, whose: Sequence[str]) -> list[str]:
        """Digests: a name in a request can be any text, and the store need not know addresses."""
        return [sha256(f"{self._kind} {each}".encode("utf-8", "replace")).hexdigest() for each in whose if each]


def address_key(scope: Scope) -> str:
    """The key of the client's network, "" when the address is unknown (a Unix socket)."""
    client = scope.get("client")
    return f"address {_network(client[0])}" if client else ""


@lru_cache(1000)
def _network(host: str) -> str:
    """The address, or the /64 network of an IPv6 address: one household has 2**64 addresses."""
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return host
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address), 64), strict=False))


def wide_key(address: str) -> str:
    """The key of the larger network of `address_key`, of which one person may have all: /48 of IPv6."""
    try:
        return f"address {ipaddress.IPv6Network(address.removeprefix('address ')).supernet(new_prefix=48)}"
    except ValueError:
        return address


def name_key(user: str) -> str:
    """The key of a user name as it was sent; names that differ by case alone have one key."""
    return f"name {user.strip().casefold()}"
