"""The real server under slow, large and malformed requests: each of them ends, and none affects others."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mograder.domain.allowance import MIB
from mograder.domain.names import INSTRUCTOR
from mograder.wire.endpoints import BY_NAME
from tests.parts import PATIENCE, Running, make_course_folder, running
from tests.web.serving.test_server import LINGERING

IMPATIENT = """
import sys
from mograder.factory import open_course
from mograder.web import create_app
from mograder.web.body import Timeouts
from mograder.web.serving.server import listen, serve

timeouts = Timeouts(idle=0.5, slowest=1_000_000_000, linger=0.1, taking=0.5)
app = create_app(open_course(sys.argv[4], enrollment_code=sys.argv[6]), timeouts=timeouts)
serve(app, listen("127.0.0.1", int(sys.argv[3])), lambda: print("Ctrl-C"))
sys.exit()
"""

HASTY = f"from mograder.web.serving import server\nserver.HEADER_SECONDS = 2\n{IMPATIENT}"
"""A server that waits two seconds for a head, instead of 15."""

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads what /proc says of the server")


@pytest.fixture
def impatient(course_folder: Path) -> Iterator[Running]:
    """A server that waits half a second where the default is 20."""
    with running(course_folder, first=IMPATIENT) as server:
        yield server


SUBMIT = "POST /assignments/hw1/submit?user=alice"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One server for the tests that change nothing in it."""
    with running(make_course_folder(tmp_path_factory.mktemp("shared"))) as server:
        yield server


def head(server: Running, *fields: str, request: str = SUBMIT, user: str = "alice") -> bytes:
    lines = [f"{request} HTTP/1.1", "Host: x", f"Authorization: Bearer {server.token(user)}", *fields]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Status, header fields and body of the answer; status 0 if there is none."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    first, _, body = received.partition(b"\r\n\r\n")
    lines = first.decode().split("\r\n")
    fields = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]) if received else 0, fields, body


def refused(connection: socket.socket, status: int, code: str) -> None:
    got, fields, body = answer(connection)
    assert (got, fields["content-type"], json.loads(body)["code"]) == (status, "application/json", code)


def memory(server: Running, which: str = "VmRSS") -> int:
    """Memory of the server in bytes, as reported by the kernel."""
    text = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith(which)).split()[1]) * 1024


def is_empty(server: Running) -> bool:
    """Whether nothing of any submission is stored, neither complete nor in part."""
    return not [path for path in server.submitted.rglob("*") if path.is_file()]


def has_read_all(server: Running) -> bool:
    """Whether the server has read everything that was sent to it."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    waiting = [row[4].partition(":")[2] for row in rows if row[1].endswith(f":{server.port:04X}")]
    return all(int(size, 16) == 0 for size in waiting)


# time


@pytest.mark.parametrize("path", ["/register", "/assignments/hw1/grades", "/assignments/hw1/submit?user=alice"])
def test_a_body_that_stops_arriving_is_answered_408(impatient: Running, path: str) -> None:
    with impatient.connect() as connection:
        connection.sendall(head(impatient, "Content-Length: 1000", request=f"POST {path}", user=INSTRUCTOR) + b"{")
        refused(connection, 408, "request_timeout")
    assert is_empty(impatient)


def test_a_body_that_arrives_byte_by_byte_is_answered_408(impatient: Running) -> None:
    with impatient.connect() as connection:
        connection.sendall(head(impatient, "Content-Length: 1000"))
        for _ in range(900):  # one byte in each tenth of the longest permitted pause
            with contextlib.suppress(OSError):
                connection.sendall(b"x")
            if select.select([connection], [], [], 0.05)[0]:
                break
        refused(connection, 408, "request_timeout")


@linux
@pytest.mark.parametrize("address", ["/assignments/hw1/files/data.bin", "/my/hw1/files/data.bin", "/my/hw1/all.zip"])
def test_a_client_that_stops_reading_is_disconnected(impatient: Running, address: str) -> None:
    path = impatient.root / "hw1" / "files" / "data.bin"
    path.write_bytes(os.urandom(30 * MIB))
    link = impatient.client.post("/login-link", headers=impatient.bearer("alice")).json()["url"]
    once = impatient.client.post("/once", data={"ticket": link}, headers={"Sec-Fetch-Site": "same-origin"})
    cookie = f"Cookie: {once.headers['set-cookie'].partition(';')[0]}"

    def is_open() -> bool:
        folder = f"/proc/{impatient.process.pid}/fd"
        return any(os.path.realpath(f"{folder}/{name}") == str(path) for name in os.listdir(folder))

    with impatient.connect() as connection:
        connection.sendall(head(impatient, cookie, request=f"GET {address}"))
        assert select.select([connection], [], [], PATIENCE)[0]
        while is_open():
            select.select([], [], [], 0.02)
        assert len(answer(connection)[2]) < 30 * MIB
    assert impatient.client.get("/").status_code == 200


def test_two_hundred_stalled_uploads_do_not_delay_other_requests(server: Running) -> None:
    with ExitStack() as kept:
        for number in range(200):
            connection = kept.enter_context(server.connect())
            if number % 2:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nX-Half: a")
        for _ in range(80):  # more than there are writer threads
            connection = kept.enter_context(server.connect())
            connection.sendall(head(server, "Content-Length: 5000") + b"x" * 100)
        form = "Content-Type: multipart/form-data; boundary=b"
        for path in ("/assignments/hw1/feedback", "/assignments/hw1/grades", "/assignments/hw1/submit?user=bob"):
            connection = kept.enter_context(server.connect())
            connection.sendall(
                head(server, form, "Content-Length: 5000", request=f"POST {path}", user=INSTRUCTOR) + b"--b\r\n"
            )
        for number in range(20):
            assert server.submit(f"s{number}", b"work").status_code == 200
        assert len(server.client.get("/assignments/hw1/submissions", headers=server.bearer()).json()) == 20


def test_a_silent_or_incomplete_connection_is_closed(course_folder: Path) -> None:
    with running(course_folder, first=HASTY) as server, ExitStack() as kept:
        connections = []
        for said in (b"", b"GET / HTTP/1.1\r\nX-Half: a", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"):
            connections.append(kept.enter_context(server.connect()))
            connections[-1].sendall(said)
        assert [answer(each)[0] for each in connections] == [0, 0, 200]
        assert server.client.get("/").status_code == 200


# memory


@linux
def test_the_memory_for_uploads_does_not_grow_with_their_number(server: Running) -> None:
    before = memory(server)
    with ExitStack() as kept:
        for _ in range(400):
            connection = kept.enter_context(server.connect())
            connection.sendall(head(server, f"Content-Length: {MIB}") + bytes(MIB - 1))
        while not has_read_all(server):
            select.select([], [], [], 0.02)
        assert server.submit("bob", b"work").status_code == 200
        assert memory(server) - before < 200 * MIB  # of the 400 MiB that were sent


@linux
def test_a_body_that_is_too_large_takes_no_memory(course_folder: Path) -> None:
    with running(course_folder, first=LINGERING) as server:
        refuse_what_is_too_large(server)


def refuse_what_is_too_large(server: Running) -> None:
    server.submit("alice", b"work")
    before = memory(server, "VmHWM")
    rows = [BY_NAME[name] for name in ("register", "upload_grades", "upload_feedback", "add_people")]
    for row in rows:
        size = (row.limit or 0) + 1
        target = row.path.replace("{assignment}", "hw1")
        with server.connect() as connection:
            form = "Content-Type: multipart/form-data; boundary=b"
            fields = head(server, f"Content-Length: {size}", form, request=f"POST {target}", user=INSTRUCTOR)
            connection.sendall(fields)
            for begin in range(0, size, MIB):
                connection.sendall(bytes(min(MIB, size - begin)))
            refused(connection, 413, "too_large")
    assert memory(server, "VmHWM") - before < 30 * MIB


def part(fields: bytes, content: bytes = b"x") -> bytes:
    return b"--b\r\n" + fields + b"\r\n\r\n" + content + b"\r\n"


FILE = b'Content-Disposition: form-data; name="f"; filename="x.py"'
FORMS = {
    "thousands of files": part(FILE) * 5000,
    "thousands of fields": part(b'Content-Disposition: form-data; name="f"') * 5000,
    "a huge field": part(b'Content-Disposition: form-data; name="f"', bytes(20 * MIB)),
    "a huge part header": part(b"X: " + b"a" * 20 * MIB + b"\r\n" + FILE),
    "half a million part headers": part(b"X: a\r\n" * 500_000 + FILE),
    "a huge file name": part(FILE.replace(b"x.py", b"x" * 20 * MIB)),
    "no end of dashes": b"-" * 20 * MIB,
}


@linux
def test_no_multipart_form_takes_much_memory(server: Running) -> None:
    before = memory(server, "VmHWM")
    for name, body in FORMS.items():
        form = {"Content-Type": "multipart/form-data; boundary=b", **server.bearer("alice")}
        reply = server.client.post("/assignments/hw1/submit?user=alice", content=body + b"--b--\r\n", headers=form)
        assert (name, reply.status_code, reply.json()["code"]) == (name, 400, "bad_request")
    assert memory(server, "VmHWM") - before < 30 * MIB
    assert is_empty(server)


# malformed requests


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("name", ["register", "upload_grades", "add_people", "set_role"])
def test_deeply_nested_json_is_a_bad_request(shared: Running, opening: bytes, name: str) -> None:
    row = BY_NAME[name]
    body = (opening * 100_000)[: row.limit]
    target = row.path.replace("{assignment}", "hw1").replace("{user}", "alice")
    reply = shared.client.post(target, content=body, headers=shared.bearer())
    assert (reply.status_code, reply.json()["code"]) == (400, "bad_request")


@pytest.mark.parametrize("kind", ["gzip", "br", "GZIP", "deflate, gzip", "x"])
def test_a_compressed_body_is_refused_and_not_stored(shared: Running, kind: str) -> None:
    headers = {"Content-Encoding": kind, **shared.bearer("alice")}
    reply = shared.client.post("/assignments/hw1/submit?user=alice", content=b"x", headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (415, "wrong_type")
    assert is_empty(shared)


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (b"X: " + b"a" * 200_000, 431), (b"\r\n".join(b"X%d: a" % number for number in range(1000)), 431),
        (b"X: " + b"a" * 50_000, 200), (b"Content-Length: 5\r\nContent-Length: 6", 400), (b"Content-Length: -1", 400),
        (b"Content-Length: 1, 1", 400), (b"Content-Length: +1", 400), (b"Content-Length: " + b"9" * 30, 400),
        (b"X : a", 400), (b"X: a\r\n b", 400), (b"X: a\x00b", 400), (b"Transfer-Encoding: gzip", 400),
    ],
)  # fmt: skip
def test_a_request_head_that_is_too_large_or_ambiguous_is_refused(shared: Running, fields: bytes, status: int) -> None:
    with shared.connect() as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields + b"\r\n\r\n")
        assert answer(connection)[0] == status


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"hello", 400), (b"GET /", 400), (b"GET / HTTP/3.1", 400), (b"GET /<x> HTTP/1.1", 400),
        (b"GET /a b HTTP/1.1", 400), (b"GET /" + b"a" * 70_000 + b" HTTP/1.1", 414), (b"GET / HTTP/1.1\r\n: x", 400),
        (b"GET / HTTP/1.1" + b"".join(b"\r\nX%d: a" % number for number in range(101)), 431),
    ],
)  # fmt: skip
def test_a_request_that_is_not_http_is_answered_without_a_body_and_does_not_reach_the_course(
    shared: Running, request_line: bytes, status: int
) -> None:
    with shared.connect() as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request_line + b"\r\n\r\n")
        got, fields, body = answer(connection)
    assert (got, body, fields["connection"]) == (status, b"", "close")
    assert "access-control-allow-origin" not in fields


def test_http_2_is_closed_without_an_answer(shared: Running) -> None:
    with shared.connect() as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        assert answer(connection)[0] == 0


def test_a_request_inside_a_body_is_not_executed_but_a_pipelined_one_is(shared: Running) -> None:
    inner = b"GET /mograder.toml HTTP/1.1\r\n\r\n"
    get = b"GET / HTTP/1.1\r\nHost: x\r\n"
    with shared.connect() as connection:
        connection.sendall(
            get
            + b"\r\n"
            + get
            + b"Content-Length: %d\r\n\r\n" % len(inner)
            + inner
            + get
            + b"Connection: close\r\n\r\n"
        )
        received = b""
        while piece := connection.recv(65536):
            received += piece
    assert received.count(b'{"status":"ok"}') == received.count(b"HTTP/1.1 200 ") == 2
    assert b"toml" not in received


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/assignments", 200), ("http://elsewhere.example/assignments", 200), ("/%61ssignments/", 200),
        ("//assignments", 404), ("/ASSIGNMENTS", 404), ("/assignments;x", 404), ("/x/../assignments", 404),
        ("/x/%2e%2e/assignments", 404), ("/./assignments", 404), ("/assignments%00", 404), ("/assignments%2f", 404),
        ("/assignments%c0%af", 404), ("/" + "a" * 50_000, 404), ("/assignments\\hw1", 404),
    ],
)  # fmt: skip
def test_an_unusual_request_target_is_routed_by_its_path_only(shared: Running, target: str, status: int) -> None:
    with shared.connect() as connection:
        connection.sendall(head(shared, "Connection: close", request=f"GET {target}"))
        got, fields, _ = answer(connection)
    assert (got, fields["content-type"]) == (status, "application/json")
