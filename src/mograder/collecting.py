"""A lecturer's side on disk: the latest hand-ins of a course, collected into a folder.

The law: a student's file lands under that student's name and nowhere else; what is there already is not fetched
again; and a run that was broken off can be run again.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mograder import wire
from mograder.client import Client, known
from mograder.domain.errors import MograderError, NetworkFailure, NotFound, Unauthenticated
from mograder.domain.names import Username, parse_owner
from mograder.placing import is_archive, replacing, sha256_of, unpack

AT_ONCE = 8


@dataclass(frozen=True)
class Collected:
    """What became of one person's hand-in. `problem` says why it could not be fetched, or not be unpacked.

    `late` says how late it is and what that costs, "" in time.
    """

    user: str
    new: bool
    problem: str = ""
    late: str = ""


def strangers(client: Client, names: Iterable[str]) -> list[str]:
    """Those of `names` who have neither registered nor handed in, sorted; none where a server keeps no roster."""
    try:
        left = set(names) - {each.user for each in client.roster() if each.state != "removed"}
    except NotFound:
        return []
    for each in client.assignments() if left else ():
        left -= {entry.username for entry in client.submissions(each.name)}
    return sorted(left)


def collect(
    client: Client, assignment: str, folder: Path, force: bool = False, which: str = "latest"
) -> Iterator[Collected]:
    """Bring one hand-in of everybody into `folder`, several at once, in the order in which they are done.

    Which one, `which` says as for `Client.submissions`. `<user>.py` each; of an archive the largest .py file, with
    everything in a folder `<user>` beside it; nothing stays of what was collected of that person before. Without
    `force`, what the server still has as it was collected is left as it is. Raises NetworkFailure or Unauthenticated
    when it makes no sense to go on; what has arrived stays.
    """
    entries = client.submissions(assignment, which)
    if not entries:
        return
    memory = _Memory(folder)
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    with (
        tempfile.TemporaryDirectory(dir=memory.folder(), prefix=".arriving-") as scratch,
        contextlib.closing(memory),
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        todo: dict[Future[Collected], tuple[str, wire.SubmissionInfo]] = {}
        try:
            for number, entry in enumerate(entries):
                try:
                    user = parse_owner(entry.username)
                except MograderError as error:
                    yield Collected(entry.username, False, error.message)
                    continue
                if user.key in seen:
                    yield Collected(user, False, "a second hand-in of the same name: it would overwrite the first")
                    continue
                seen.add(user.key)
                if not force and memory.is_current(user, entry):
                    memory.note_lateness(user, entry)
                    yield Collected(user, False)
                    continue
                arriving = Path(scratch) / str(number)
                todo[pool.submit(_collect, client, user, entry, memory, arriving, force)] = (user, entry)
            while todo:
                done, _ = wait(todo, return_when=FIRST_COMPLETED)
                for future in done:
                    name, entry = todo.pop(future)
                    yield replace(_outcome(future, name), late=known(entry.explanation) or "")
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _outcome(future: Future[Collected], user: str) -> Collected:
    try:
        return future.result()
    except (NetworkFailure, Unauthenticated):
        raise
    except MograderError as error:
        return Collected(user, False, error.message)


def _collect(
    client: Client, user: Username, entry: wire.SubmissionInfo, memory: _Memory, arriving: Path, force: bool
) -> Collected:
    with arriving.open("w+b") as target:
        client.submitted_file(entry, target)
    sha256 = sha256_of(arriving)
    if not force and memory.has(user, sha256):
        memory.remember(user, entry, sha256, memory.placed(user) or {memory.place(user).name})
        return Collected(user, False)
    problem = ""
    place = memory.place(user)
    placed = {place.name}
    if is_archive(arriving):
        try:
            placed = _place_archive(arriving, place)
        except MograderError as error:
            # One student's broken archive must not hold up the others: it is kept as it came.
            problem = f"{error.message}: kept as {user}.zip"
            placed = {f"{user}.zip"}
            arriving.replace(place.with_name(f"{user}.zip"))
    else:
        arriving.replace(place)
    for stale in memory.placed(user) - placed:  # of an earlier hand-in: it would be taken for this one's
        with contextlib.suppress(FileNotFoundError):
            place.with_name(stale).replace(arriving.with_name(f"{arriving.name}-{stale}"))
    memory.remember(user, entry, sha256, placed)
    return Collected(user, True, problem)


def _place_archive(archive: Path, place: Path) -> set[str]:
    """The archive as a folder `<user>`, and its largest .py as `place`; the names of what stands there now.

    Raises VerificationFailed; then nothing has changed.
    """
    unpacked = archive.with_name(f"{archive.name}-unpacked")
    unpacked.mkdir()
    notebooks = [unpacked / path for path in unpack(archive, unpacked) if path.suffix == ".py"]
    if notebooks:
        largest = max(notebooks, key=lambda path: path.stat().st_size)
        with largest.open("rb") as source, replacing(place) as target:
            shutil.copyfileobj(source, target)
    folder = place.with_suffix("") if place.suffix == ".py" else place
    with contextlib.suppress(FileNotFoundError):
        folder.replace(archive.with_name(f"{archive.name}-before"))
    unpacked.replace(folder)
    return {folder.name, place.name} if notebooks else {folder.name}


class _Memory:
    """What was collected into a folder, by user: `.mograder/collected.json`."""

    def __init__(self, folder: Path) -> None:
        self._root = folder
        self._path = folder / ".mograder" / "collected.json"
        self._known: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(OSError, ValueError):
            record = json.loads(self._path.read_bytes())
            if isinstance(record, dict):
                self._known = {user: value for user, value in record.items() if isinstance(value, dict)}

    def folder(self) -> Path:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self._path.parent

    def place(self, user: str) -> Path:
        return self._root / f"{user}.py"

    def is_current(self, user: str, entry: wire.SubmissionInfo) -> bool:
        """Whether the listing alone tells that nothing is new."""
        before = self._known.get(user, {})
        if entry.sha256:
            return self.has(user, entry.sha256)
        told = entry.timemodified and entry.size >= 0
        same = (before.get("timemodified"), before.get("size")) == (entry.timemodified, entry.size)
        return bool(told and same and self._is_there(user))

    def has(self, user: str, sha256: str) -> bool:
        """Whether these bytes were collected before, or stand there as they are."""
        if self._known.get(user, {}).get("sha256") == sha256 and self._is_there(user):
            return True
        place = self.place(user)
        return place.is_file() and sha256_of(place) == sha256

    def _is_there(self, user: str) -> bool:
        return any((self._root / name).exists() for name in (f"{user}.py", user, f"{user}.zip"))

    def placed(self, user: str) -> set[str]:
        """What was put into the folder of the hand-in that was collected last."""
        names = self._known.get(user, {}).get("placed")
        names = names if isinstance(names, list) else []
        return {name for name in names if name in (f"{user}.py", user, f"{user}.zip")}

    def remember(self, user: str, entry: wire.SubmissionInfo, sha256: str, placed: set[str]) -> None:
        self._known[user] = {
            "sha256": sha256, "size": entry.size, "timemodified": entry.timemodified, "placed": sorted(placed)
        }  # fmt: skip
        self.note_lateness(user, entry)

    def note_lateness(self, user: str, entry: wire.SubmissionInfo) -> None:
        """What the server says now of when it was received, and what that costs: for whoever grades what is here."""
        said = {"received": entry.received, "penalty": entry.penalty, "explanation": entry.explanation}
        self._known[user] |= {name: known(value) for name, value in said.items() if known(value) is not None}

    def close(self) -> None:
        with replacing(self._path) as file:
            file.write(json.dumps(self._known, indent=2, sort_keys=True).encode())
