"""A rehearsal of an exam: a scratch copy of a course, students who fetch, look and submit, and the outcome.

Invariant: the original is only read. What the students submit goes to the copy, which has no deadlines.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mograder import config, course_file
from mograder.domain.errors import MograderError, Usage
from mograder.rehearsal.load import Answer, Ask, quantile, rate, send, send_all
from mograder.store.folder.layout import FEEDBACK, GRADES, LEDGER, served_folders
from mograder.store.shared.manifest import MANIFEST
from mograder.text import person_text
from mograder.wire import messages
from mograder.wire.codec import decode_json, encode_json
from mograder.wire.endpoints import BY_NAME
from mograder.wire.paths import build_path

AT_ONCE = 100
"""Connections of the rush at the end; more students wait for their turn to connect, as in a browser."""
POLL_SECONDS = 10
SLOW = 10.0
"""Seconds for an answer after which students begin to ask whether it worked."""
BUSY = 0.85
"""The share of the time that a processor must work to count as the bottleneck."""
_TIMES = ("opens", "due", "duedate", "closes")


# the scratch copy


def is_in_use(root: Path) -> bool:
    """Whether some process has the ledger of the course open: such a process holds a lock that can be tested."""
    shared = root / f"{LEDGER}-shm"
    try:
        import fcntl
    except ImportError:  # Windows has no such locks
        return False
    try:
        with shared.open("rb+") as file:
            # SQLite's "dead man's switch": every open connection holds byte 128 of the shared memory's file.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)
            return False
    except FileNotFoundError:
        return False
    except OSError:
        return True


def copy_course(root: Path, scratch: Path) -> tuple[Path, list[str]]:
    """A copy of the course served from `root`, its sources too, without its deadlines, people and work.

    Returns the copied root and more words for `serve`. Raises Usage and MograderError.
    """
    home = config.course_folder(root)
    folders = served_folders(root)
    copied = scratch / "course" / "release"
    words = ["--grades-dir", str(scratch / "grades")]
    left_out = {folders.submitted, *((folders.grades / FEEDBACK,) if folders.grades != root else ())}

    def leave_out(folder: str, names: list[str]) -> set[str]:
        return {
            name for name in names
            if name.startswith(".") or name in (GRADES, FEEDBACK) or Path(folder, name).resolve() in left_out
        }  # fmt: skip

    shutil.copytree(root, copied, symlinks=True, ignore=leave_out)
    if folders.release is not None and not folders.release.is_relative_to(root):
        shutil.copytree(folders.release, scratch / "released files", symlinks=True, ignore=leave_out)
        words += ["--release-dir", str(scratch / "released files")]
    source = home / (course_file.read_course_file(home / course_file.CONFIG_NAME).dirs.source or "source")
    if source.is_dir():
        shutil.copytree(source, scratch / "course" / "source", ignore=shutil.ignore_patterns(".*", "__*__"))
    _copy_plan(home / course_file.CONFIG_NAME, scratch / "course" / course_file.CONFIG_NAME)
    manifest = copied / MANIFEST
    if manifest.exists():
        listed = [{key: each[key] for key in each if key not in _TIMES} for each in json.loads(manifest.read_bytes())]
        manifest.write_text(json.dumps(listed))
    return copied, words


def _copy_plan(source: Path, target: Path) -> None:
    """mograder.toml without times, folders and addresses."""
    import tomlkit

    if not source.exists():
        return
    document = tomlkit.parse(person_text(source.read_bytes())).unwrap()
    for each in document.get("assignments", []):
        for key in _TIMES:
            each.pop(key, None)
    for table in ("dirs", "server", "https"):
        document.pop(table, None)
    target.write_text(tomlkit.dumps(document), encoding="utf-8")


# the students


@dataclass(frozen=True)
class Phase:
    """The figures of one kind of request. Times are in seconds."""

    name: str
    requests: int
    a_second: float
    p50: float
    p99: float
    errors: int
    first_error: str = ""

    @classmethod
    def of(cls, name: str, answers: Sequence[Answer]) -> Phase:
        failed = [each for each in answers if not each.ok]
        said = (
            f"{failed[0].status} {failed[0].fault or failed[0].body[:200].decode(errors='replace')}" if failed else ""
        )
        p50, p99 = quantile(answers, 0.5), quantile(answers, 0.99)
        return cls(name, len(answers), rate(list(answers)), p50, p99, len(failed), said)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a rehearsal. `lost` names acknowledged submissions that are not on the disk byte for byte.

    `bottleneck` says in words what limited the rush at the end. `carries` is how many students this machine carries if
    everybody submits twice in the last minute and looks every ten seconds, and half of the machine stays free.
    """

    students: int
    minutes: float
    assignment: str
    phases: tuple[Phase, ...]
    kept: int
    lost: tuple[str, ...]
    bottleneck: str
    carries: int

    @property
    def errors(self) -> int:
        return sum(each.errors for each in self.phases)

    @property
    def slowest(self) -> float:
        return max(each.p99 for each in self.phases)

    @property
    def holds(self) -> bool:
        return not self.lost and not self.errors and self.slowest < SLOW and self.carries >= self.students


@dataclass(frozen=True)
class Server:
    """The copy's server: its address, process id, folder of submissions, enrollment code, and the folder it serves."""

    address: tuple[str, int]
    pid: int
    submitted: Path
    code: str
    root: Path


Watch = Callable[[str, int, int], None]
"""Called with the phase, the number of requests that were answered, and the number of all."""


class Rehearsal:
    """One class on one server. `minutes` is for the part before the rush; `chance` decides who does what when.

    `solution` gives the model solution of an assignment, which students submit after what they have fetched; b"" where
    there is none.
    """

    def __init__(
        self, server: Server, students: int, minutes: float, watch: Watch, chance: random.Random,
        solution: Callable[[str], bytes] = lambda assignment: b"",
    ) -> None:  # fmt: skip
        self._solution_of = solution
        self._server = server
        self._students = [f"student{number:04}" for number in range(1, students + 1)]
        self._minutes = minutes
        self._watch = watch
        self._chance = chance
        self._tokens: dict[str, str] = {}
        self._work: dict[str, bytes] = {}  # by the version's file name
        self._notebook = self._solution = b""
        self._lost: list[str] = []

    async def run(self, wanted: str | None) -> Outcome:
        """Register, fetch, look and submit over the time, then all at once. Raises MograderError, Usage."""
        phases = [Phase.of("register", await self._register())]
        assignment = await self._choose(wanted)
        during = await self._spread(self._lesson(assignment))
        kinds = {kind: [each for each in during if each.ask.kind == kind] for kind in _KINDS}
        phases += [Phase.of(kind, answers) for kind, answers in kinds.items() if answers]
        name = assignment.name
        looked = await self._all(
            "all look at once", [self._look(name, user) for user in self._students for _ in range(2)]
        )
        disk = _flush_seconds(self._server.submitted)
        meter = Meter(self._server.pid)
        rushed = await self._all("all submit at once", [self._submission(name, user, 3) for user in self._students])
        load = meter.read()
        phases += [Phase.of("all look at once", looked), Phase.of("all submit at once", rushed)]
        self._check(name, [*during, *rushed])
        return Outcome(
            len(self._students), self._minutes, name, tuple(phases), len(self._work), tuple(self._lost),
            _bottleneck(load, disk), _carries(rate(rushed), rate(looked)),
        )  # fmt: skip

    async def _all(self, name: str, asks: list[Ask]) -> list[Answer]:
        done = 0

        def heard(_: Answer) -> None:
            nonlocal done
            done += 1
            self._watch(name, done, len(asks))

        return await send_all(self._server.address, asks, AT_ONCE, heard=heard)

    async def _register(self) -> list[Answer]:
        row = BY_NAME["register"]
        asks = [
            Ask(row.method, row.path, body=encode_json(messages.Register(user, self._server.code)), user=user)
            for user in self._students
        ]
        answers = await self._all("register", asks)
        for answer in answers:
            if not answer.ok:
                raise MograderError(f"nobody can register: {Phase.of('register', answers).first_error}")
            self._tokens[answer.ask.user] = decode_json(answer.body, messages.Registered).token
        return answers

    async def _choose(self, wanted: str | None) -> messages.AssignmentInfo:
        """The assignment to submit to: the wanted one, else the first."""
        answer = await send(self._server.address, self._ask("assignments", self._students[0], {}))
        listed = decode_json(answer.body, list[dict[str, Any]])
        chosen = next((each for each in listed if wanted in (None, each["name"], str(each["id"]))), None)
        if chosen is None:
            known = ", ".join(each["name"] for each in listed)
            raise Usage(f"there is no assignment {wanted!r} in the course: it has {known}" if known else
                        "the course has no assignment: there is nothing to rehearse")  # fmt: skip
        files = [messages.ReleaseFileInfo(each["filename"], each["url"]) for each in chosen.get("files", [])]
        local = [each for each in files if each.url.startswith("/")]
        notebook = next((each for each in local if each.filename.endswith(".py")), None)
        if notebook is not None:
            found = await send(self._server.address, Ask("GET", notebook.url, self._tokens[self._students[0]]))
            self._notebook = found.body
            self._solution = self._solution_of(chosen["name"])
        return messages.AssignmentInfo(chosen["name"], str(chosen["id"]), local)

    def _ask(self, name: str, user: str, values: dict[str, str], query: str = "") -> Ask:
        row = BY_NAME[name]
        return Ask(row.method, build_path(row, values) + query, self._tokens[user], kind=name, user=user)

    def _look(self, assignment: str, user: str) -> Ask:
        return self._ask("status", user, {"assignment": assignment}, f"?user={user}")

    def _submission(self, assignment: str, user: str, version: int) -> Ask:
        notebook = self._solution if version > 1 and self._solution else self._notebook
        body = notebook + f"\n# {user}, version {version}, {self._chance.random()}\n".encode()
        path = build_path(BY_NAME["submit"], {"assignment": assignment}) + f"?user={user}"
        return Ask("POST", path, self._tokens[user], body, kind="submit", user=user)

    def _lesson(self, assignment: messages.AssignmentInfo) -> list[tuple[float, Ask]]:
        """The requests and their times, in seconds from the start: everybody comes early, looks often, submits late."""
        seconds = self._minutes * 60
        asks: list[tuple[float, Ask]] = []
        for user in self._students:
            comes = self._chance.uniform(0, seconds / 4)
            asks.append((comes, self._ask("assignments", user, {})))
            asks += [(comes, Ask("GET", file.url, self._tokens[user], kind="release_file", user=user))
                     for file in assignment.files]  # fmt: skip
            looks = comes
            while (looks := looks + POLL_SECONDS * self._chance.uniform(0.8, 1.2)) < seconds:
                asks.append((looks, self._look(assignment.name, user)))
            asks.append((self._chance.uniform(seconds / 4, seconds), self._submission(assignment.name, user, 1)))
            asks.append((seconds * (1 - 0.1 * self._chance.random()), self._submission(assignment.name, user, 2)))
        return sorted(asks, key=lambda each: each[0])

    async def _spread(self, asks: list[tuple[float, Ask]]) -> list[Answer]:
        """Send each request at its time, whether or not earlier ones have been answered."""
        began, answers = time.perf_counter(), []

        async def one(at: float, ask: Ask) -> None:
            await asyncio.sleep(began + at - time.perf_counter())
            answers.append(await send(self._server.address, ask))
            self._watch("a lesson", len(answers), len(asks))

        await asyncio.gather(*(one(at, ask) for at, ask in asks))
        return answers

    def _check(self, assignment: str, answers: list[Answer]) -> None:
        """Compare every acknowledged submission with the file of its version."""
        for answer in answers:
            if answer.ok and answer.ask.kind == "submit":
                version = str(decode_json(answer.body)["version"])
                path = self._server.submitted / assignment / version
                if path.is_file() and path.read_bytes() == answer.ask.body:
                    self._work[version] = answer.ask.body
                else:
                    self._lost.append(version)


_KINDS = ("assignments", "release_file", "status", "submit")


# the bottleneck


@dataclass(frozen=True)
class Load:
    """How busy the server and this program were, in processors, and which part of the machine was idle."""

    server: float
    asking: float
    idle: float


class Meter:
    """Measures the load from its construction to `read`; NaN where the system does not tell (only Linux does)."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began = self._now()

    def _now(self) -> tuple[float, float, float, float]:
        """Seconds: the clock, and the processor time of the server, of this program, and idle."""
        clock, asking = time.perf_counter(), time.process_time()
        try:
            server = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
            machine = Path("/proc/stat").read_text().split()
        except OSError:
            return clock, math.nan, asking, math.nan
        ticks = os.sysconf("SC_CLK_TCK")
        return clock, (int(server[11]) + int(server[12])) / ticks, asking, (int(machine[4]) + int(machine[5])) / ticks

    def read(self) -> Load:
        seconds, server, asking, idle = (now - then for now, then in zip(self._now(), self._began, strict=True))
        return Load(server / seconds, asking / seconds, idle / seconds / (os.cpu_count() or 1))


def _flush_seconds(folder: Path) -> float:
    """How long one flush of this disk takes: the median of twenty."""
    path, times = folder / ".rehearsal", []
    with path.open("wb", buffering=0) as file:
        for _ in range(20):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    path.unlink()
    return sorted(times)[len(times) // 2]


def _bottleneck(load: Load, flush: float) -> str:
    disk = f"one flush of the disk takes {flush * 1000:.1f} ms"
    if math.isnan(load.server):
        return f"not known on this system; {disk}"
    if load.server >= BUSY:
        return f"the processor: the server kept {load.server:.1f} of them busy; {disk}"
    if load.asking >= BUSY:
        return f"the load generator: this program was busier than the server ({load.server:.0%} of a processor); {disk}"
    if load.idle < 1 - BUSY:
        return f"what else runs on this machine: no processor was free, the server had {load.server:.0%} of one; {disk}"
    return f"the disk: the server waited for its flushes (and used {load.server:.0%} of a processor); {disk}"


def _carries(submissions: float, looks: float) -> int:
    """How many students (see `Outcome`), to two digits. Both are a second."""
    if not submissions or not looks:
        return 0
    students = 60 / (2 / submissions + 60 / POLL_SECONDS / looks) / 2
    digits = max(0, len(str(int(students))) - 2)
    return int(students // 10**digits * 10**digits)
