"""The answer process: runs a submission's cells, then answers what the check process asks of what they defined.

Nothing of the tests is ever here (unless the instructor has said `isolate = false`).
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import checks, recording, showing
from .cells import Cells, read_cells, time_limit
from .frames import Channel, Closed, FrameError
from .peer import Peer
from .process import Output, limit_resources, set_seeds


class Open:
    """The rules of the answer process: the check process may do everything here."""

    def __init__(self, filename: str) -> None:
        self.filename = filename

    def permits(self, operation: str, target: object, name: str) -> bool:
        return True

    def calling(self, target: object) -> AbstractContextManager[None]:
        return nullcontext()

    def may(self, group: str) -> bool:
        return True

    def changes(self, target: object) -> bool:
        return True

    def note(self, what: str, detail: str) -> None:
        return None


def run(channel: Channel) -> None:
    """One submission, from the job to the end of the connection."""
    job, _ = channel.receive()
    cells = read_cells(job["cells"])
    filename = prepare(job)
    show = bool(job["show"])
    output = Output(job["limits"]["output_kb"] * 1024, showing.TEXT if show else 0)
    whoami, leave = os.getpid, os._exit  # as they are before a cell can replace them
    own = whoami()
    sys.stdout = sys.stderr = output
    recording.install(lambda label, conditions: None)
    notebook = Cells(filename, job["limits"]["cell_seconds"], {name for cell in cells for name in cell.defs})
    for cell in cells:
        if cell.index in job["skip"]:
            continue
        output.renew()
        channel.send({"start": cell.index})
        failure = notebook.run(cell)
        document: dict[str, Any] = {"done": cell.index, "failure": None if failure is None else asdict(failure)}
        if show:
            printed = output.text
            document |= {"printed": printed, "shown": showing.shown(notebook.value, job["limits"]["cell_seconds"])}
            notebook.value = None
        if whoami() != own:  # a process that the cell has forked and that goes on here
            leave(1)
        channel.send(document)
        if job["careful"]:
            channel.receive()  # the next cell starts when it is known that this one has ended no other process
    output.renew()
    channel.send({"ready": sorted(notebook.shared)})
    if job.get("together"):
        _together(channel, job, notebook)
        return
    seconds = job["limits"]["cell_seconds"]

    def limited() -> time_limit:
        return time_limit(seconds)

    peer = Peer(channel, Open(filename), job["limits"]["calls"], notebook.shared, limited)
    try:
        peer.serve()
    except (Closed, FrameError, OSError):
        return


def _together(channel: Channel, job: dict[str, Any], notebook: Cells) -> None:
    """`isolate = false`: the checks run here, on the objects themselves."""
    run = checks.Checks(channel, job["together"], None, notebook.shared)
    run.run()


def prepare(job: dict[str, Any]) -> str:
    """Set seeds and limits, and write the notebook's file into the work folder. Returns its path."""
    set_seeds()
    limit_resources(job["limits"])
    filename = str(Path.cwd() / job["filename"])
    Path(filename).write_text(job["text"], encoding="utf-8")
    return filename
