"""Collects the submissions of a course into an instructor's folder.

Invariant: a student's file is written under that student's name and nowhere else. Files that are there are not fetched
again, and an interrupted run can be repeated.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import count
from pathlib import Path, PurePath
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from mograder.client.client import Client, known
from mograder.client.extract import ENDINGS, kind_of, unpack
from mograder.client.files import DiskBudget, create, read_foreign_json, replacing, sha256_of, write_file
from mograder.client.trust import inside
from mograder.domain.errors import MograderError, NetworkFailure, NotFound, Unauthenticated
from mograder.domain.names import Username, parse_owner
from mograder.permissions import private_mode
from mograder.wire import messages

AT_ONCE = 8
"""Parallel downloads."""


class Collected(Struct, frozen=True):
    """The outcome for one person's submission. `new`: it was fetched now. `problem` is a message for the instructor.

    `failed` says that it could not be fetched. `late` says how late it is and what that costs, "" if on time.
    """

    user: str
    new: bool
    problem: str = ""
    late: str = ""
    failed: bool = False


def strangers(client: Client, names: Iterable[str]) -> list[str]:
    """Those of `names` who have neither registered nor submitted, sorted; empty if the server has no roster."""
    try:
        left = set(names) - {each.user for each in client.roster() if each.state != "removed"}
    except NotFound:
        return []
    for each in client.assignments() if left else ():
        left -= {entry.username for entry in client.submissions(each.name)}
    return sorted(left)


def collect(
    client: Client, assignment: str, folder: Path, force: bool = False, which: str = "latest",
    wanted: Callable[[str], bool] | None = None,
) -> Iterator[Collected]:  # fmt: skip
    """Collect one submission of every person into `folder`, several at once; yields outcomes as they are done.

    `which` is as for `Client.submissions`. A submission becomes `<user>.py`. An archive becomes a folder `<user>`, and
    its largest .py file `<user>.py`; other kinds of files keep their endings. Without `force`, submissions that are
    collected and unchanged on the server are skipped. Files that somebody has changed since they were collected, and
    those of people who are not listed any more, are moved to `.mograder/aside/`, and the outcome names them. `wanted`
    says whether to collect a user name's submission (None: all); files of others stay. Raises NetworkFailure or
    Unauthenticated if it is no use to continue; collected files stay.
    """
    entries = client.submissions(assignment, which)
    memory = _Memory(folder)
    if not entries and not memory.others(set()):
        return
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    with (
        tempfile.TemporaryDirectory(dir=memory.folder(), prefix=".arriving-") as scratch,
        contextlib.closing(memory),
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        todo: dict[Future[Collected], tuple[str, messages.SubmissionInfo]] = {}
        try:
            for number, entry in enumerate(entries):
                try:
                    user = parse_owner(entry.username)
                except MograderError as error:
                    yield Collected(entry.username, False, error.message, failed=True)
                    continue
                if user.key in seen:
                    said = "a second submission of the same name: it would overwrite the first"
                    yield Collected(user, False, said, failed=True)
                    continue
                seen.add(user.key)
                if wanted is not None and not wanted(entry.username):
                    continue
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
            for left in memory.others(seen):
                moved = memory.set_aside(sorted(memory.placed(left)))
                memory.forget(left)
                if moved:
                    yield Collected(left, False, f"is not among these submissions: moved to {', '.join(moved)}")
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _outcome(future: Future[Collected], user: str) -> Collected:
    try:
        return future.result()
    except (NetworkFailure, Unauthenticated):
        raise
    except MograderError as error:
        return Collected(user, False, error.message, failed=True)


def _collect(
    client: Client, user: Username, entry: messages.SubmissionInfo, memory: _Memory, arriving: Path, force: bool
) -> Collected:
    with create(arriving, private_mode(memory.root)) as target:
        client.submitted_file(entry, target)
    sha256 = sha256_of(arriving)
    if not force and memory.has(user, sha256):
        memory.remember(user, entry, sha256, memory.placed(user) or {f"{user}.py"})
        return Collected(user, False)
    root = memory.root
    ending, doubt = kind_of(arriving, PurePath(entry.filename).suffix.lower())
    placed = {f"{user}{ending}"}
    replaced = memory.placed(user) | placed | ({user, f"{user}.py"} if ending == ".zip" else set())
    kept = memory.set_aside(name for name in memory.changed(user) if name in replaced)
    problem = f"what you changed is kept as {', '.join(kept)}" if kept else ""
    if ending == ".zip" and not doubt:
        try:
            placed = _place_archive(arriving, root, user, client.disk_budget)
        except MograderError as error:
            doubt = error.message  # a broken archive is kept as it is, so that it does not stop the others
    if doubt:
        problem = "; ".join(filter(None, [problem, f"{doubt}: kept as {user}{ending}"]))
    if arriving.exists() and user not in placed:
        arriving.replace(root / f"{user}{ending}")
    for stale in memory.placed(user) - placed:  # files of an earlier submission could be mistaken for this one's
        with contextlib.suppress(FileNotFoundError):
            (root / stale).replace(arriving.with_name(f"{arriving.name}-{stale}"))
    memory.remember(user, entry, sha256, placed)
    return Collected(user, True, problem)


def _place_archive(archive: Path, root: Path, user: str, budget: DiskBudget) -> set[str]:
    """Unpack an archive to the folder `<user>` in `root`, and copy its largest .py to `<user>.py`; returns these names.

    Raises VerificationFailed; then nothing has changed.
    """
    unpacked = archive.with_name(f"{archive.name}-unpacked")
    unpacked.mkdir(mode=0o770 if private_mode(root) & 0o040 else 0o700)
    notebooks = [unpacked / path for path in unpack(archive, unpacked, f"{user}.zip", budget) if path.suffix == ".py"]
    if notebooks:
        largest = max(notebooks, key=lambda path: path.stat().st_size)
        with largest.open("rb") as source, replacing(root / f"{user}.py", private=True) as target:
            shutil.copyfileobj(source, target)
    with contextlib.suppress(FileNotFoundError):
        (root / user).replace(archive.with_name(f"{archive.name}-before"))
    unpacked.replace(root / user)
    return {user, f"{user}.py"} if notebooks else {user}


class _Memory:
    """The record of what was collected into a folder, by user: `.mograder/collected.json`."""

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self._path = inside(folder, Path(".mograder", "collected.json"))
        self._known: dict[str, dict[str, Any]] = {}
        with contextlib.suppress(OSError, ValueError):
            record = read_foreign_json(self._path)
            if isinstance(record, dict):
                self._known = {
                    user: value for user, value in record.items() if isinstance(value, dict) and _is_user(user)
                }

    def folder(self) -> Path:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self._path.parent

    def is_current(self, user: str, entry: messages.SubmissionInfo) -> bool:
        """Whether the collected submission is the listed one, as far as the listing tells."""
        before = self._known.get(user, {})
        if entry.sha256:
            return self.has(user, entry.sha256)
        told = entry.timemodified and entry.size >= 0
        same = (before.get("timemodified"), before.get("size")) == (entry.timemodified, entry.size)
        return bool(told and same and self._is_there(user))

    def has(self, user: str, sha256: str) -> bool:
        """Whether the folder has these bytes, collected as the last submission or as `<user>.py`."""
        if self._known.get(user, {}).get("sha256") == sha256 and self._is_there(user):
            return True
        place = self.root / f"{user}.py"
        return place.is_file() and sha256_of(place) == sha256

    def _is_there(self, user: str) -> bool:
        return any((self.root / name).exists() for name in self.placed(user) or _names(user))

    def placed(self, user: str) -> set[str]:
        """The names of the files and folders of the last collected submission."""
        names = self._known.get(user, {}).get("placed")
        return set(names if isinstance(names, list) else []) & _names(user)

    def changed(self, user: str) -> list[str]:
        """The names of a person's files and folders that differ from what was collected: somebody has edited them."""
        digests = self._known.get(user, {}).get("digests")
        digests = digests if isinstance(digests, dict) else {}
        there = [name for name in sorted(_names(user)) if os.path.lexists(self.root / name)]
        return [name for name in there if digests.get(name) != digest(self.root / name)]

    def others(self, users: set[str]) -> list[str]:
        """The people with collected files who are not among `users` (case-folded names)."""
        return sorted(user for user in self._known if user.casefold() not in users and self.placed(user))

    def set_aside(self, names: Iterable[str]) -> list[str]:
        """Move the files and folders with these names to `.mograder/aside/`; returns their new paths."""
        moved = []
        for name in names:
            aside = self.folder() / "aside"
            aside.mkdir(exist_ok=True)
            number = next(n for n in count(1) if not os.path.lexists(aside / f"{n}-{name}"))
            with contextlib.suppress(FileNotFoundError):
                (self.root / name).replace(inside(self.root, aside.relative_to(self.root) / f"{number}-{name}"))
                moved.append(str(aside / f"{number}-{name}"))
        return moved

    def forget(self, user: str) -> None:
        self._known.pop(user, None)

    def remember(self, user: str, entry: messages.SubmissionInfo, sha256: str, placed: set[str]) -> None:
        digests = {name: digest(self.root / name) for name in placed}
        self._known[user] = {
            "sha256": sha256, "size": entry.size, "timemodified": entry.timemodified, "placed": sorted(placed),
            "digests": digests,
        }  # fmt: skip
        self.note_lateness(user, entry)

    def note_lateness(self, user: str, entry: messages.SubmissionInfo) -> None:
        """Record how late a submission is by the server's present reply, for grading."""
        said = {"received": entry.received, "penalty": entry.penalty, "explanation": entry.explanation}
        self._known[user] |= {name: known(value) for name, value in said.items() if known(value) is not None}

    def close(self) -> None:
        write_file(self._path, json.dumps(self._known, indent=2, sort_keys=True).encode(), private=True)


def _is_user(name: str) -> bool:
    """Whether a key of the record is a valid user name and no path: the file may come from anybody."""
    try:
        return parse_owner(name) == name
    except MograderError:
        return False


def _names(user: str) -> set[str]:
    """The names that a person's submission can have in a collected folder."""
    return {user, *(f"{user}{ending}" for ending in ENDINGS)}


def digest(path: Path) -> str:
    """The SHA-256 of a file, or of a folder's names and contents without Python's caches; "" for anything else."""
    if path.is_symlink():
        return ""
    if path.is_file():
        return sha256_of(path)
    whole = hashlib.sha256()
    for each in sorted(path.rglob("*")):
        below = each.relative_to(path)
        if each.is_file() and not each.is_symlink() and not any(part.startswith(("__", ".")) for part in below.parts):
            whole.update(f"{below.as_posix()}\0{sha256_of(each)}\n".encode(errors="surrogateescape"))
    return whole.hexdigest() if path.is_dir() else ""
