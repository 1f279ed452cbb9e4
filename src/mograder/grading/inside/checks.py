"""The check process: runs the instructor's cells over what the submission defined, and reports each check.

Invariant: no code of a submission runs here. Names that it defined are fetched as plain values or as references.
"""

from __future__ import annotations

import itertools
import linecache
import sys
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from . import errors, recording
from .cells import Cell, Cells, Failure, read_cells
from .frames import Channel
from .guard import Guard
from .peer import Peer
from .process import Output, limit_resources, set_seeds
from .recording import Condition

Recorded = dict[str, tuple[Condition, ...]]


class Checks:
    """One run of the check cells. `results` is where it reports; `answering` leads to the answer process.

    `together` holds the names of a submission that runs in this very process (`isolate = false`), else it is None.
    """

    def __init__(
        self,
        results: Channel,
        job: Mapping[str, Any],
        answering: Channel | None,
        together: Mapping[str, Any] | None = None,
    ) -> None:
        self._results = results
        self._cells = read_cells(job["cells"])
        self._todo = frozenset(job["todo"])
        self._left_out = frozenset(job["left_out"])
        self._answers = frozenset(job["names"])
        policy = job["policy"]
        self._guard = Guard(
            job["tests"], None if policy is None else {int(cell): frozenset(used) for cell, used in policy.items()}
        )
        if together is None:
            self._guard.library.install()
        self._together = together
        calls = job["limits"]["calls"]
        self._peer = None if answering is None else Peer(answering, self._guard, calls)
        defined = {name for cell in self._cells for name in cell.defs} | set(job["wanted"])
        self._notebook = Cells(job["tests"], job["limits"]["cell_seconds"], defined)
        self._recorded: Recorded = {}
        recording.install(self._record)

    def _record(self, label: str, conditions: tuple[Condition, ...]) -> None:
        self._recorded[label] = conditions

    def run(self) -> None:
        """Every cell in order, each check cell reported when it is done; stops when the answers are gone."""
        for cell in self._cells:
            if (cell.check and cell.index not in self._todo) or cell.index in self._left_out:
                continue
            self._results.send({"start" if cell.check else "helping": cell.index})
            report = self._checked(cell) if cell.check else self._helped(cell)
            broken = self._peer is not None and self._peer.broken
            self._results.send(report | {"gone": broken})
            if broken:
                return
        self._results.send({"end": True})

    def _helped(self, cell: Cell) -> dict[str, Any]:
        failure = self._run(cell)
        return {"helper": cell.index, "failure": None if failure is None else asdict(failure)}

    def _checked(self, cell: Cell) -> dict[str, Any]:
        self._guard.begin(cell.index)
        if self._peer is not None:
            self._peer.renew()
        self._recorded = {}
        failure = self._run(cell)
        recorded = self._recorded
        if self._guard.changed and not (self._peer is not None and self._peer.broken):
            self._guard.undo()
            self._recorded = {}
            again = self._run(cell)
            recorded = both(recorded, self._recorded)
            failure = failure or again
        return {
            "check": cell.index,
            "results": [
                {"label": label, "rows": [[row.holds, row.message, row.weight] for row in rows]}
                for label, rows in recorded.items()
            ],
            "unprotected": "compare" in self._guard.used and self._together is None,
            "used": sorted(self._guard.used),
            "limits": self._guard.limits,
            "failure": None if failure is None else asdict(failure),
        }  # fmt: skip

    def _run(self, cell: Cell) -> Failure | None:
        for name in sorted(cell.refs & self._answers - self._notebook.shared.keys()):
            try:
                self._notebook.shared[name] = self._fetch(name)
            except errors.AnswersGone as error:
                return Failure("gone", str(error))
            except Exception as error:  # noqa: BLE001 - a value that does not cross
                return Failure("size" if isinstance(error, errors.TooLarge) else "error", f"{name}: {error}")
        return self._notebook.run(cell)

    def _fetch(self, name: str) -> Any:
        if self._peer is None:
            return (self._together or {})[name]
        return self._peer.fetch(name)


def both(first: Recorded, second: Recorded) -> Recorded:
    """The conditions that hold in both runs of a cell."""
    return {
        label: tuple(
            Condition(one.holds and two is not None and two.holds, one.message, one.weight)
            for one, two in itertools.zip_longest(rows, second.get(label, ())[: len(rows)])
        )
        for label, rows in first.items()
    }


def run(channel: Channel, answering: Channel) -> None:
    """The checks of one submission, from the job to the last report."""
    job, _ = channel.receive()
    set_seeds()
    limit_resources(job["limits"])
    sys.stdout = sys.stderr = Output(1 << 40)
    lines = job["text"].splitlines(keepends=True)
    linecache.cache[job["filename"]] = (len(job["text"]), None, lines, job["filename"])  # for inspect.getsource
    Checks(channel, job, answering).run()
