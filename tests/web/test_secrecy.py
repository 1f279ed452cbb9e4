"""Tokens and codes on the real server: only valid ones are accepted, and none is ever logged or repeated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mograder.domain.access import Allow
from mograder.domain.names import INSTRUCTOR
from mograder.wire.endpoints import ENDPOINTS, Endpoint
from mograder.wire.paths import build_path
from tests.parts import CODE, PATIENCE, Running, make_course_folder, running

GUARDED = [row for row in ENDPOINTS if row.allow is not Allow.ANYONE]
FIELD = st.binary(max_size=300).map(lambda value: bytes(each for each in value if each >= 32 and each != 127))
"""Bytes that HTTP allows in a header field."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(make_course_folder(tmp_path_factory.mktemp("shared"))) as server:
        yield server


def enter(server: Running, value: bytes, row: Endpoint) -> tuple[int, bytes]:
    """Status and body of the answer to an Authorization field with these bytes."""
    path = build_path(row, {"assignment": "hw1", "user": "alice", "file": "hw1.py"})
    fields = b"Host: x\r\nConnection: close\r\nContent-Length: 0\r\nAuthorization: " + value
    with server.connect() as connection:
        connection.sendall(f"{row.method} {path}?user=alice HTTP/1.1\r\n".encode() + fields + b"\r\n\r\n")
        received = b""
        while piece := connection.recv(65536):
            received += piece
    first, _, body = received.partition(b"\r\n\r\n")
    return int(first.split()[1]), body


def almost(server: Running, name: str, at: int, new: bytes) -> bytes:
    """A valid token with one byte replaced."""
    token = server.token(name).encode()
    at %= len(token)
    return b"Bearer " + token[:at] + new + token[at + 1 :]


@given(value=st.one_of(FIELD, FIELD.map(lambda value: b"Bearer " + value)), row=st.sampled_from(GUARDED))
@example(value=b"Bearer " + b"a" * 60_000, row=GUARDED[0])
@example(value=b"Bearer alice:\xff\xfe", row=GUARDED[0])
@example(value=b"Bearer \xe2\x80\xae:" + b"0" * 64, row=GUARDED[0])
@example(value=b"bearer\xa0alice:" + b"0" * 64, row=GUARDED[0])
def test_arbitrary_bytes_are_never_accepted_as_a_token_and_cause_no_internal_error(
    shared: Running, value: bytes, row: Endpoint
) -> None:
    status, body = enter(shared, value, row)
    assert (status, json.loads(body)["code"]) in ((401, "unauthenticated"), (429, "too_many_failures"))


@given(
    name=st.sampled_from(["alice", INSTRUCTOR]), at=st.integers(0, 200), row=st.sampled_from(GUARDED),
    new=st.sampled_from([b"", b"0", b"F", b":", b" ", b"\xc3\xa4", b"f0"]),
)  # fmt: skip
def test_a_token_with_one_wrong_byte_is_rejected(
    shared: Running, name: str, at: int, new: bytes, row: Endpoint
) -> None:
    value = almost(shared, name, at, new)
    if value != b"Bearer " + shared.token(name).encode():
        assert enter(shared, value, row)[0] in (401, 429)


@pytest.mark.parametrize("byte", [b"\x00", b"\x0b", b"\x1b", b"\x7f"])
def test_bytes_that_http_forbids_in_a_header_field_are_400(shared: Running, byte: bytes) -> None:
    assert enter(shared, b"Bearer alice:" + byte, GUARDED[0])[0] == 400


@pytest.mark.parametrize("name", ["token", "access_token", "Authorization", "bearer"])
def test_a_token_in_the_query_is_ignored(shared: Running, name: str) -> None:
    token = shared.token("alice")
    for reply in (
        shared.client.get("/assignments", params={name: token}),
        shared.client.get("/assignments", headers={"Cookie": f"{name}={token}"}),
        httpx2.get(f"http://{token}@127.0.0.1:{shared.port}/assignments", timeout=PATIENCE),
    ):
        assert reply.status_code in (401, 429)  # user name and password in the URL are a wrong token


def test_no_secret_is_ever_logged_or_repeated_in_an_error(course_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole workflow with failures, on a server with all debug output of Python."""
    monkeypatch.setenv("PYTHONDEVMODE", "1")
    said: list[str] = []
    secrets: list[str] = [CODE]

    with running(course_folder) as server:

        def ask(method: str, path: str, who: str | None = INSTRUCTOR, **extra: object) -> httpx2.Response:
            bearer = server.bearer(who) if who else {}
            reply = server.client.request(method, path, headers=bearer, **extra)  # type: ignore[arg-type]
            if reply.status_code >= 400:
                said.append(reply.text)
            return reply

        def register(user: object, code: object) -> httpx2.Response:
            return ask("POST", "/register", None, json={"user": user, "enrollment_code": code})

        secrets += [server.token(name) for name in ("alice", "bob", INSTRUCTOR)]
        secrets.append((course_folder / ".mograder-secret").read_text().strip())
        for user, code in (
            ("alice", CODE),
            ("alice", CODE),
            ("..", CODE),
            (5, CODE),
            ("carl", [CODE]),
            ("carl", CODE + "x"),
        ):
            register(user, code)
        added = ask("POST", "/roster", json={"people": [{"user": "bob"}]}).json()
        secrets += [added[0]["code"], ask("POST", "/roster/alice/reset").json()["code"]]
        secrets.append(register("alice", secrets[-1]).json()["token"])
        for code in (CODE, secrets[-2], "wrong"):
            register("bob", code)
        for path in (
            "/assignments/hw1/submit?user=alice",
            "/assignments/hw9/submit?user=bob",
            "/assignments/hw1/submit",
        ):
            ask("POST", path, "bob", content=b"x")
        for value in (secrets[1].upper(), secrets[1] + "0", secrets[-1][:-1], f"bob:{secrets[4]}", CODE):
            reply = server.client.get("/assignments", headers={"Authorization": f"Bearer {value}"})
            said.append(reply.text)
            assert reply.status_code in (401, 429)
        (course_folder / "hw1" / "grades.json").write_text("{")
        (course_folder.parent / "mograder.toml").write_text("[https]\ntoken = 'very-secret'\nurl = 5\n")
        secrets.append("very-secret")
        for who in ("bob", INSTRUCTOR):
            ask("GET", "/assignments/hw1/status?user=bob", who)
            ask("GET", "/assignments", who)
        (course_folder / ".mograder-secret").chmod(0o644)
        ask("GET", "/assignments")
        (course_folder / ".mograder-secret").chmod(0o600)
        assert server.stop() == 0
        assert server.process.stdout is not None
        said.append(server.process.stdout.read())
    assert len(said) > 15
    digests = [secret.partition(":")[2] for secret in secrets if ":" in secret]
    everything = "\n".join(said).casefold()
    assert [each for each in (*secrets, *digests) if each.casefold() in everything] == []
