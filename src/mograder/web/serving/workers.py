"""Several worker processes on one listening socket: started, watched, restarted when one dies, and stopped together.

Invariant: the parent serves nothing and has no threads, so that it can fork at any time. No worker outlives the parent,
however it ends.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from mograder.domain.errors import MograderError, Usage
from mograder.web.serving.server import DRAIN_SECONDS

log = logging.getLogger(__name__)

Work = Callable[[Callable[[], None], int], None]
"""What a worker does until it is told to stop. It calls the first argument once it answers requests; the second is a
descriptor that can be read from when the parent is gone."""

QUICK_SECONDS = 1.0
"""A worker that ended sooner is not restarted at once."""


def serve_in_processes(count: int, listening: socket.socket, work: Work, started: Callable[[], None]) -> None:
    """Keep `count` workers at `work` until told to stop; `started` is called once one of them answers.

    Raises Usage on Windows, which cannot fork, and MograderError when the first worker ends before it answers.
    """
    if sys.platform == "win32":
        raise Usage("several workers need Linux or macOS: leave out --workers")
    _Parent(count, listening, work, started).run()


class _Parent:
    def __init__(self, count: int, listening: socket.socket, work: Work, started: Callable[[], None]) -> None:
        self._count = count
        self._listening = listening
        self._work = work
        self._started = started
        self._answering, self._answers = os.pipe()  # a worker writes to it once it answers
        self._orphaned, self._alive = os.pipe()  # nobody writes to it: it is closed when this process ends
        self._told, self._tell = os.pipe()  # signals
        self._workers: dict[BaseProcess, float] = {}

    def run(self) -> None:
        os.set_blocking(self._tell, False)
        signal.set_wakeup_fd(self._tell)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        try:
            for _ in range(self._count):
                self._begin()
            self._wait_for_the_first()
            self._watch()
        finally:
            self._stop()

    def _begin(self) -> None:
        worker = multiprocessing.get_context("fork").Process(target=self._in_worker)
        worker.start()
        self._workers[worker] = time.monotonic()

    def _in_worker(self) -> None:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        for descriptor in (self._answering, self._alive, self._told, self._tell):
            os.close(descriptor)
        try:
            self._work(lambda: _write(self._answers), self._orphaned)
        except MograderError as error:
            log.error("%s", error.message)
            sys.exit(1)

    def _wait_for_the_first(self) -> None:
        happened = wait([self._answering, self._told, *(each.sentinel for each in self._workers)])
        if self._told in happened:
            return
        if self._answering not in happened:
            raise MograderError("a worker ended before it served: see above")
        self._started()

    def _watch(self) -> None:
        while self._told not in wait([self._told, *(each.sentinel for each in self._workers)]):
            for worker in [each for each in self._workers if not each.is_alive()]:
                lived = time.monotonic() - self._workers.pop(worker)
                log.error("worker %s ended with %s: it is restarted", worker.pid, worker.exitcode)
                if lived < QUICK_SECONDS and wait([self._told], QUICK_SECONDS):
                    return
                self._begin()

    def _stop(self) -> None:
        self._listening.close()  # the port is free once the workers have closed it, too
        for worker in self._workers:
            worker.terminate()
        ends = time.monotonic() + DRAIN_SECONDS + 2
        for worker in self._workers:
            worker.join(max(0, ends - time.monotonic()))
            if worker.is_alive():
                worker.kill()
                worker.join()


def _write(descriptor: int) -> None:
    os.write(descriptor, b".")
