"""Counts failures, not requests: who guesses is slowed down, a class behind one address is not.

The law: a success never counts. A right token is let in whatever was counted; a code is not even looked at once too
many were wrong, so that guessing on does not help. From where the right code comes there is nothing to guess: what was
wrong from that address is forgotten, so that the typing errors of a class do not add up.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

from mograder.domain.errors import MograderError, Throttled
from mograder.web.body import Scope

T = TypeVar("T")

FAILURES = 20
"""What one client address may get wrong in a minute, and what may be got wrong about one user name."""

MOST_KEPT = 100_000
"""Addresses and names that are remembered; beyond that all are forgotten, so that a flood costs no memory."""


class Failures:
    """Failures of one kind in this process. `clock` gives Unix seconds.

    Each of `workers` processes counts by itself and allows its share: together they allow no more than one would.
    """

    def __init__(self, clock: Callable[[], float] = time.time, workers: int = 1) -> None:
        self._clock = clock
        self._allowed = max(1, FAILURES // workers)
        self._counted: _Window | None = None  # its library is loaded with the first failure

    def guard(self, error: type[MograderError], whose: Sequence[str], prove: Callable[[], T]) -> T:
        """What `prove` returns. When it raises `error` that counts as a failure; once too many did, so does Throttled.

        For secrets that are as good as unguessable: a right one is let in whatever was counted.
        """
        try:
            return prove()
        except error:
            self.check(*whose)
            self.count(*whose)
            raise

    def check(self, *whose: str) -> None:
        """Raises Throttled when one of `whose` (addresses, names; "" is nobody) has failed too often of late."""
        counted = self._counted
        spent = [each for each in whose if each and counted is not None and counted.is_full(each)]
        if spent and counted is not None:
            ends = max(map(counted.ends, spent))
            wait = max(1, math.ceil(ends - self._clock()))
            raise Throttled(f"too many failed attempts: wait {wait} seconds and try again", retry_after=wait)

    def count(self, *whose: str) -> None:
        """Note one failure of each of `whose`."""
        if self._counted is None:
            self._counted = _Window(self._allowed)
        for each in whose:
            if each:
                self._counted.hit(each)

    def forget(self, whose: str) -> None:
        if whose and self._counted is not None:
            self._counted.clear(whose)


class _Window:
    """A moving window of a minute for every key."""

    def __init__(self, allowed: int) -> None:
        from limits import RateLimitItemPerMinute
        from limits.storage import MemoryStorage
        from limits.strategies import MovingWindowRateLimiter

        self._limit = RateLimitItemPerMinute(allowed)
        self._storage = MemoryStorage()
        self._window = MovingWindowRateLimiter(self._storage)

    def is_full(self, key: str) -> bool:
        return not self._window.test(self._limit, key)

    def ends(self, key: str) -> float:
        """When there is room again, in Unix seconds."""
        return self._window.get_window_stats(self._limit, key).reset_time

    def hit(self, key: str) -> None:
        if len(self._storage.events) > MOST_KEPT:
            self._storage.reset()
        self._window.hit(self._limit, key)

    def clear(self, key: str) -> None:
        self._window.clear(self._limit, key)


def address_key(scope: Scope) -> str:
    """The client's address, "" when it is not known (a Unix socket)."""
    client = scope.get("client")
    return f"address {_network(client[0])}" if client else ""


@lru_cache(1000)
def _network(host: str) -> str:
    """The address, or the network of an IPv6 address: one household has 2**64 of them."""
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return host
    return str(address.ipv4_mapped or ipaddress.IPv6Network((int(address), 64), strict=False))


def name_key(user: str) -> str:
    """A user name as it came: names that differ by case alone count as one."""
    return f"name {user.strip().casefold()[:100]}"
