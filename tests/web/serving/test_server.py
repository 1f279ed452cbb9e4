"""The real server in its own process: connections, uploads, and stopping."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mograder.domain.names import INSTRUCTOR
from tests.parts import HW1, PATIENCE, Running, names_in, open_store, running, until


def head(server: Running, *fields: str, user: str = "alice", method: str = "POST") -> bytes:
    """The head of a request that submits, with additional header fields."""
    lines = [
        f"{method} /assignments/hw1/submit?user={user} HTTP/1.1", "Host: x",
        f"Authorization: Bearer {server.token(user)}", *fields,
    ]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode()


def answer(connection: socket.socket) -> bytes:
    """Everything that the server sends until it closes or resets the connection."""
    connection.settimeout(PATIENCE)
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            received += piece
    return received


def kept(server: Running) -> list[str]:
    return names_in(server.submitted / "hw1") if (server.submitted / "hw1").exists() else []


def test_a_course_is_served_over_http(server: Running) -> None:
    assert server.client.get("/").json() == {"status": "ok"}
    assert server.submit("alice", b"work").json()["version"] in kept(server)
    listed = server.client.get("/assignments/hw1/submissions", headers=server.bearer()).json()
    assert server.client.get(listed[0]["url"], headers=server.bearer()).content == b"work"


@pytest.mark.parametrize("announced", [1000, 5_000_000])
def test_an_interrupted_upload_leaves_nothing_behind(server: Running, announced: int) -> None:
    with server.connect() as connection:
        connection.sendall(head(server, f"Content-Length: {announced}") + b"x" * (announced * 3 // 5))
        connection.shutdown(socket.SHUT_WR)
        assert b" 200 " not in answer(connection)
    assert server.client.get("/assignments/hw1/submissions", headers=server.bearer()).json() == []
    assert kept(server) == []
    assert server.submit("alice", b"again").json()["attempt"] == 1


def test_a_chunked_upload_is_refused(server: Running) -> None:
    reply = server.client.post(
        "/assignments/hw1/submit?user=alice", content=iter([b"a", b"b"]), headers=server.bearer("alice")
    )
    assert (reply.status_code, reply.json()["code"]) == (411, "length_required")
    assert kept(server) == []


LINGERING = """
from msgspec.structs import force_setattr
from mograder.web.body import PATIENT
for pause in ("idle", "linger"):
    force_setattr(PATIENT, pause, 90)
"""
"""Runs before a server: after a refusal it continues to read for longer than a slow machine may pause."""


def test_a_client_that_sends_too_much_receives_the_answer_413(course_folder: Path) -> None:
    with running(course_folder, "--max-upload", "1", first=LINGERING) as server:
        for size in (1024 * 1024 + 1, 30_000_000):
            reply = server.submit("alice", b"x" * size)
            assert (reply.status_code, reply.json()["code"]) == (413, "too_large")
        with server.connect() as connection:  # a client that reads only after it has sent everything
            connection.sendall(head(server, "Content-Length: 20000000") + b"x" * 20_000_000)
            assert answer(connection).startswith(b"HTTP/1.1 413 ")
        with server.connect() as connection:  # a client that pauses and continues after the server has answered
            connection.sendall(head(server, "Content-Length: 20000000") + b"x" * 1_000_000)
            begun = connection.recv(65536)
            connection.sendall(b"x" * 19_000_000)
            assert json.loads((begun + answer(connection)).partition(b"\r\n\r\n")[2])["code"] == "too_large"
        with server.connect() as connection:  # a client that waits for 100 Continue is answered at once
            connection.sendall(head(server, "Content-Length: 99999999", "Expect: 100-continue"))
            assert answer(connection).startswith(b"HTTP/1.1 413 ")
        assert server.submit("alice", b"x" * 1024 * 1024).status_code == 200
        assert kept(server)[0] == "alice.py"


@pytest.mark.parametrize(
    "raw",
    [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
     b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
     b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03",
     b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
     b"GET / HTTP/1.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n"],
)  # fmt: skip
def test_requests_that_are_not_http_do_not_disturb_the_server(server: Running, raw: bytes) -> None:
    with server.connect() as connection:
        with contextlib.suppress(OSError):
            connection.sendall(raw)
            connection.shutdown(socket.SHUT_WR)
        assert b" 200 " not in answer(connection)
    assert server.client.get("/").status_code == 200


def test_two_servers_on_one_folder_both_accept_submissions(server: Running) -> None:
    with running(server.root) as second, ThreadPoolExecutor(8) as threads:
        both = [server, second]
        replies = list(threads.map(lambda n: both[n % 2].submit(f"s{n % 5}", b"%d" % n), range(60)))
        assert {reply.status_code for reply in replies} == {200}
        assert len({reply.json()["version"] for reply in replies}) == 60
        lists = [each.client.get("/assignments/hw1/submissions", headers=each.bearer()).json() for each in both]
        assert lists[0] == lists[1]
        assert second.stop() == 0
    assert server.stop() == 0
    store = open_store(server.root)
    receipts = list(store.submissions.receipts())
    store.close()
    assert [each.previous for each in receipts] == ["", *[each.hash for each in receipts[:-1]]]
    assert len(receipts) == 60


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_exits_with_0_and_frees_its_port(course_folder: Path, number: int) -> None:
    with running(course_folder) as server:
        server.submit("alice", b"work")
        server.process.send_signal(number)
        assert server.process.wait(PATIENCE) == 0
        with pytest.raises(OSError, match="refused"):
            server.connect()
    store = open_store(course_folder)
    assert len(list(store.submissions.receipts())) == 1
    store.close()


several = pytest.param(
    ("--workers", "2"), marks=pytest.mark.skipif(sys.platform != "linux", reason="as test_workers.py")
)


@pytest.mark.parametrize("words", [(), ("--tls-self-signed",), several])
def test_an_upload_in_progress_is_completed_before_the_server_stops(
    course_folder: Path, words: tuple[str, ...]
) -> None:
    content = b"x" * 200_000
    with running(course_folder, *words) as server, server.connect() as connection:
        connection.sendall(head(server, f"Content-Length: {len(content)}", "Expect: 100-continue"))
        assert b" 100 " in connection.recv(1000)  # the server reads the body now
        server.process.send_signal(signal.SIGTERM)
        connection.sendall(content)
        assert answer(connection).startswith(b"HTTP/1.1 200 ")
        assert server.process.wait(PATIENCE) == 0
        assert (server.submitted / "hw1" / "alice.py").read_bytes() == content


def test_a_stalled_upload_does_not_delay_the_stop_of_the_server(course_folder: Path) -> None:
    impatient = "from mograder.web.serving import server; server.DRAIN_SECONDS = 1.0"
    with running(course_folder, first=impatient) as server, server.connect() as stalled:
        stalled.sendall(head(server, "Content-Length: 1500000", "Expect: 100-continue"))
        assert b" 100 " in stalled.recv(1000)
        stalled.sendall(b"x" * 1_200_000)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: refuses(server))
        assert server.process.wait(PATIENCE) == 0
    store = open_store(course_folder)
    assert (store.submissions.latest_files(HW1), list(store.submissions.receipts())) == ((), [])
    store.close()


def refuses(server: Running) -> bool:
    try:
        server.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_names_in_any_script_are_received_correctly(server: Running) -> None:
    name = "Übung 1 & 50%"
    (server.root / name / "files").mkdir(parents=True)
    (server.root / name / "files" / "ä b.py").write_bytes(b"x")
    listed = {each["name"]: each for each in server.client.get("/assignments", headers=server.bearer()).json()}
    url = listed[name]["files"][0]["url"]
    assert server.client.get(url, headers=server.bearer()).content == b"x"


def test_a_large_file_is_sent_with_its_length_and_by_ranges(server: Running) -> None:
    content = bytes(range(256)) * 20_000
    (server.root / "hw1" / "files" / "data.bin").write_bytes(content)
    whole = server.client.get("/assignments/hw1/files/data.bin", headers=server.bearer())
    assert (whole.content, whole.headers["content-length"]) == (content, str(len(content)))
    asked = {**server.bearer(), "Range": "bytes=100-", "If-Range": whole.headers["etag"]}
    part = server.client.get("/assignments/hw1/files/data.bin", headers=asked)
    assert (part.status_code, part.content) == (206, content[100:])


def test_one_connection_carries_many_requests(server: Running) -> None:
    with server.connect() as connection:
        connection.settimeout(PATIENCE)
        for _ in range(3):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b'{"status":"ok"}' in connection.recv(65536)


def test_a_server_without_authentication_answers_everybody_and_says_so_at_start(course_folder: Path) -> None:
    with running(course_folder, "--no-auth") as server:
        reply = server.client.post("/assignments/hw1/submit?user=alice", content=b"x")
        assert reply.json()["user"] == "alice"
        assert server.client.get("/assignments/hw1/submissions").json()[0]["username"] == "alice"
    assert INSTRUCTOR not in kept(server)
