"""Records who has downloaded something of which assignment, after the response is sent.

Invariant: a download neither waits for its record nor fails with it. Downloads at the same moment are recorded
together. A record that is lost in a power cut is made at the next download.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from mograder.domain.access import Actor
from mograder.domain.course import Course
from mograder.domain.release import Download

log = logging.getLogger(__name__)

REMEMBERED = 5000
"""The most pairs of person and assignment that are remembered as recorded."""


class DownloadRecorder:
    """The records of one server. `write` runs work in a thread. Use it from the event loop only."""

    def __init__(self, course: Course, write: Callable[[Callable[[], None]], Awaitable[None]]) -> None:
        self._course = course
        self._write = write
        self._seen: set[tuple[str, str]] = set()
        self._waiting: list[Download] = []
        self._task: asyncio.Task[None] | None = None

    def note(self, actor: Actor, assignment: str, file: str, moment: int) -> None:
        """Record that `actor` downloaded `/assignments/<assignment>/files/<file>`. Instructors are not recorded."""
        key = (actor.username, assignment)
        if actor.is_instructor or key in self._seen:
            return
        if len(self._seen) >= REMEMBERED:
            self._seen.clear()  # the store keeps the first note of each anyway
        self._seen.add(key)
        self._waiting.append(Download(actor, assignment, file, moment))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await self._write(lambda batch=batch: self._course.release.note_downloads(batch))  # type: ignore[misc]
            except Exception:
                log.exception("cannot record who has downloaded what")
                self._seen -= {(each.actor.username, each.assignment) for each in batch}
