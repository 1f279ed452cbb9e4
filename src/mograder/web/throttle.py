"""Slows down guessing. It counts failures and not requests, so a class behind one address is not slowed down.

Invariant: a success never counts, and a secret that nobody can guess (a token, a personal code, a course code that is
hard to guess) is accepted whatever was counted, so that nobody can lock others out by guessing. After too many
failures the answer to a wrong secret says how long to wait. A course code that can be guessed is not checked while its
network has to wait.

The store keeps the counts, so that all servers and processes of a course share them. Each failure within the limit is
one write: at most 20 a minute from a network, so that guessing cannot keep the store busy.
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
"""The most failures a minute from one network, and for one user name from that network."""

MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
"""Failures are kept for so long."""

SHORTEST_PAUSE, LONGEST_PAUSE = 5 * SECOND, 5 * MINUTE
"""Microseconds between two tries of a code that can be guessed, from a network with FAILURES failures within an hour.

Each further failure doubles the pause, from the shortest to the longest."""


class Failures:
    """Failures of one `kind` in a course. Methods wait for the store."""

    def __init__(self, course: Course, kind: str) -> None:
        self._course = course
        self._kind = kind

    def guard(self, error: type[MograderError], whose: Sequence[str], prove: Callable[[], T]) -> T:
        """The result of `prove`. If it raises `error`, that counts as a failure; after too many, raises Throttled."""
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
                "too many wrong codes or tokens came from your network, and this one is wrong, too: a right one is "
                f"accepted at once, a wrong one is checked again in {counted(wait, 'second')}",
                retry_after=wait,
            )
        self.count(*whose)

    def count(self, *whose: str) -> None:
        """Count one failure of each of `whose`, however many there were."""
        self._course.guard.note_failure(self._keys(whose), HOUR)

    def pause(self, whose: str) -> int:
        """Seconds until `whose` may try a code that can be guessed again; 0 allows this caller one try now.

        The pause grows with the failures of the last hour. Of several callers at the same moment, on all servers, only
        one gets 0.
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
        """Drop all failures of `whose`."""
        keys = self._keys([whose])
        if self._course.guard.failures(keys):
            self._course.guard.forget_failures(keys)

    def _keys(self, whose: Sequence[str]) -> list[str]:
        """Digests, because a name in a request can be any text, and the store need not know addresses."""
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
    """The key of the larger network around an `address_key`: the /48 of IPv6, all of which one person may have."""
    try:
        return f"address {ipaddress.IPv6Network(address.removeprefix('address ')).supernet(new_prefix=48)}"
    except ValueError:
        return address


def name_key(user: str) -> str:
    """The key of a user name as it was sent; names that differ by case alone have one key."""
    return f"name {user.strip().casefold()}"
