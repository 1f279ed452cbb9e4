"""What is measured, and what must be true of it. A figure is only kept when its answers were right."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from machine import flushes
from servers import ASSIGNMENTS, LARGE, SMALL, Contestant, Server, content, environment, make_course, serving

from mograder.rehearsal.load import Answer, Ask, quantile, rate, run, send_all

Figures = dict[str, float]


@dataclass(frozen=True)
class Size:
    """How much of everything: the full run's by default."""

    seconds: float = 2.0  # of every reading case
    students: int = 500
    connections: int = 100
    storm: tuple[int, int] = (50, 20)  # students, versions
    starts: int = 3
    history: tuple[int, ...] = (500, 5000)  # submissions that there are before one more
    looks: int = 9  # at a list, each after one more
    people: int = 1000  # on the board
    notebooks: tuple[int, int] = (40, 8)  # that our `autograde` grades, and the published one, which is slow
    results: int = 20  # first results that are waited for


QUICK = Size(
    seconds=0.3, students=20, connections=10, storm=(4, 3), starts=1, history=(20, 60), looks=3, people=30,
    notebooks=(4, 2), results=2,
)  # fmt: skip


class Wrong(Exception):
    """An answer that was not what it must be."""


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise Wrong(what)


PATIENCE = 15.0
"""Seconds after which whoever asked gives up: counted as an error."""


def ask(server: Server, asks: list[Ask], at_once: int = 1) -> list[Answer]:
    return run(send_all(server.address, asks, at_once, patience=PATIENCE))


def get(server: Server, path: str, token: str | None = None) -> Answer:
    return ask(server, [Ask("GET", path, server.token() if token is None else token)])[0]


# reading


LUA = """
local asked, requests = 0, {}
function init(arguments)
  for line in io.lines(arguments[1]) do
    local path, token = line:match("(%S+) (%S+)")
    requests[#requests + 1] = wrk.format("GET", path, {Authorization = "Bearer " .. token})
  end
end
function request()
  asked = asked + 1
  return requests[asked % #requests + 1]
end
"""


def wrk(folder: Path, url: str, asks: list[tuple[str, str]], seconds: float) -> float:
    """Answers a second to `asks` (path, token) in turn, over 32 connections. Raises Wrong unless all were right."""
    script, listed = folder / "asks.lua", folder / "asks.txt"
    script.write_text(LUA)
    listed.write_text("".join(f"{path} {token}\n" for path, token in asks))
    words = ["wrk", "-t1", "-c32", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "-s", str(script), url]
    done = subprocess.run([*words, "--", str(listed)], capture_output=True, text=True, check=False)  # noqa: S603
    found = re.search(r"Requests/sec:\s*([\d.]+)", done.stdout)
    expect(found is not None, f"wrk failed: {done.stdout} {done.stderr}")
    expect("Non-2xx" not in done.stdout, f"{url}{asks[0][0]}: {done.stdout}")
    assert found is not None
    return float(found[1])


def reading(
    contestant: Contestant, folder: Path, size: Size, wanted: Callable[[str], bool]
) -> tuple[dict[str, Figures], bytes]:
    """Everything that is read, on one course; and the answer to `status`, for nginx to serve."""
    figures: dict[str, Figures] = {}
    root = make_course(folder)
    students = [f"student{number:03}" for number in range(size.students)]
    with serving(contestant, root) as server:
        grades = [{"username": user, "grade": str(number)} for number, user in enumerate(students)]
        body = json.dumps({"grades": grades, "workflow_state": ""}).encode()
        path = "/assignments/hw1/grades"
        sent = ask(server, [Ask("POST", path, server.token(), body, {"Content-Type": "application/json"})])
        expect(sent[0].ok, f"{path}: {sent[0]}")
        kept = ask(server, [submission(server, user, 0, "hw2") for user in students], 4)
        expect(all(each.ok for each in kept), "a submission was refused")

        def measure(case: str, paths: list[str], users: list[str] | None = None) -> None:
            if wanted(case):
                tokens = [server.token(user) for user in users] if users else [server.token()] * len(paths)
                figures[case] = {"rate": wrk(folder, server.url, list(zip(paths, tokens, strict=True)), size.seconds)}

        file, large = "/assignments/hw1/files/notebook.py", "/assignments/hw1/files/large.bin"
        for path, wanted_bytes in ((file, content(SMALL, (1, "notebook.py"))), (large, content(LARGE, "large"))):
            expect(get(server, path).body == wanted_bytes, f"{path}: other bytes than on the disk")
        expect(len(json.loads(get(server, "/assignments").body)) == ASSIGNMENTS, "not every assignment is listed")
        listed = json.loads(get(server, "/assignments/hw2/submissions").body)
        expect(len(listed) == size.students, "not every submission is listed")
        status = get(server, f"/assignments/hw1/status?user={students[1]}", server.token(students[1])).body
        expect(json.loads(status)["grade"] == "1", f"another grade than was uploaded: {status!r}")

        measure("list", ["/assignments"])
        measure("file", [file])
        measure("large", [large])
        measure("status", [f"/assignments/hw1/status?user={user}" for user in students], students)
        measure("submissions", ["/assignments/hw2/submissions"])
        if wanted("manifest"):
            names = [f"hw{number}" for number in range(1, ASSIGNMENTS + 1)]
            manifest = [
                {"name": name, "id": name, "files": [
                    {"filename": file, "url": f"/assignments/{name}/files/{file}"}
                    for file in ("notebook.py", "helpers.py", "data.csv")
                ]}
                for name in names
            ]  # fmt: skip
            (root / "assignments.json").write_text(json.dumps(manifest))
            listed = json.loads(get(server, "/assignments").body)
            expect({each["name"] for each in listed} == set(names), "the manifest is not what is listed")
            measure("manifest", ["/assignments"])
        _refuses_strangers(server, students[0], students[1])
    return figures, status


# submitting


def submission(server: Server, user: str, version: int, assignment: str = "hw1") -> Ask:
    path = f"/assignments/{assignment}/submit?user={user}"
    return Ask("POST", path, server.token(user), content(SMALL, (user, version)), user=user, kind=str(version))


def _refuses_strangers(server: Server, user: str, other: str) -> None:
    path = f"/assignments/hw1/status?user={user}"
    forged = f"{user}:{'0' * 64}"
    for token, refusals in (("", (401,)), (forged, (401,)), (server.token(other), (401, 403))):
        answer = get(server, path, token)
        expect(answer.status in refusals, f"a wrong token was answered {answer.status}")
    stolen = Ask("POST", f"/assignments/hw1/submit?user={user}", forged, b"x = 1\n")
    expect(ask(server, [stolen])[0].status == 401, "a submission with a wrong token was not refused")


def _on_disk(server: Server, assignment: str = "hw1") -> list[str]:
    """The SHA-256 of every version that is kept."""
    kept = server.submissions(assignment).glob("*_*.py")
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in kept]


def _digest(answer: Answer) -> str:
    return hashlib.sha256(answer.ask.body).hexdigest()


def hurry(answers: list[Answer]) -> Figures:
    return {
        "rate": rate(answers),
        "p50": quantile(answers, 0.5),
        "p99": quantile(answers, 0.99),
        "errors": float(sum(not each.ok for each in answers)),
    }


def rush(contestant: Contestant, folder: Path, size: Size) -> Figures:
    """Everybody submits at once, a new connection each. Every acknowledged submission must be on the disk, whole."""
    root = make_course(folder, 1)
    students = [f"student{number:03}" for number in range(size.students)]
    with serving(contestant, root) as server:
        asks = [submission(server, user, 1) for user in students]
        ask(server, [submission(server, "early", 0)])
        answers = ask(server, asks, size.connections)
        kept = set(_on_disk(server))
        lost = [each.ask.user for each in answers if each.ok and _digest(each) not in kept]
        expect(not lost, f"{contestant.name}: acknowledged and not on the disk: {lost}")
        for answer in answers:
            latest = server.submissions("hw1") / f"{answer.ask.user}.py"
            expect(not answer.ok or latest.read_bytes() == answer.ask.body, f"{latest} is not what was submitted")
        _refuses_strangers(server, students[0], students[1])
        return {**hurry(answers), "memory": server.peak_memory() / 2**20}


def storm(contestant: Contestant, folder: Path, size: Size) -> Figures:
    """A few submit again and again. `kept` is the part of the acknowledged versions that is on the disk."""
    root = make_course(folder, 1)
    people, versions = size.storm
    with serving(contestant, root) as server:
        asks = [
            submission(server, f"student{person}", version) for version in range(versions) for person in range(people)
        ]
        ask(server, [submission(server, "early", 0)])
        answers = ask(server, asks, people)
        acknowledged = [_digest(each) for each in answers if each.ok]
        kept = set(_on_disk(server))
        return {**hurry(answers), "kept": sum(each in kept for each in acknowledged) / max(1, len(acknowledged))}


def count_flushes(contestant: Contestant, folder: Path) -> Figures:
    """Flushes of the device while 100 submissions are acknowledged, 100 at once."""
    root = make_course(folder, 1)
    with serving(contestant, root) as server:
        ask(server, [submission(server, "early", 0)])
        asks = [submission(server, f"student{number:03}", 1) for number in range(100)]
        time.sleep(1.5)  # what follows the first submission is over
        before = flushes(folder)
        answers = ask(server, asks, 100)
        counted = flushes(folder) - before
        expect(all(each.ok for each in answers), "a submission was refused")
        return {"flushes": float(counted)}


# starting


def start(contestant: Contestant, folder: Path, size: Size) -> Figures:
    """Seconds from the command to the first answer, on a course that has been served before."""
    root = make_course(folder)
    with serving(contestant, root):
        pass
    times = []
    for _ in range(size.starts):
        with serving(contestant, root) as server:
            times.append(server.seconds_to_start)
    return {"seconds": min(times)}


def show_help(contestant: Contestant, folder: Path, size: Size) -> Figures:
    """Seconds that `--help` takes."""
    times = []
    for _ in range(size.starts + 1):
        began = time.perf_counter()
        subprocess.run(  # noqa: S603
            [*contestant.program, "--help"], env=environment(folder), stdout=subprocess.DEVNULL, check=True
        )
        times.append(time.perf_counter() - began)
    return {"seconds": min(times)}


WRITING: Mapping[str, Callable[[Contestant, Path, Size], Figures]] = {
    "rush": rush, "storm": storm, "start": start, "help": show_help,
}  # fmt: skip
READING = ("list", "manifest", "file", "large", "status", "submissions")
