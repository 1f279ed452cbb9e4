"""Every command at a hostile server: it ends with an error in plain text, and sends no secret."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote

import pytest

from mograder.cli import connect, run
from mograder.client import files
from mograder.client.client import Client
from mograder.client.connection import RetryPolicy
from mograder.client.settings import MAX_SIZE
from mograder.wire.endpoints import TROUBLE, VERSION_HEADER, Content
from mograder.wire.paths import Routes
from tests.cli.conftest import work
from tests.cli.test_hostile_folder import COMMANDS, OTHERS, SECRET, leaked
from tests.client.test_settings import HARMFUL
from tests.hostile import JSON_HEAD, SLOW, Answer, HostileServer, Moment, RecordedRequest, as_json, endless, raw_server
from tests.parts import names_in, sha256

EVIL = "\x1b]0;gotcha\x07\x1b[2J\x9b31m\u202egnp.exe\r\n\x00[red]"
BOMB = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff" + b"\xec\xc1\x01\x01\x00\x00\x00\x80\x90\xfe\xaf\xee\x08\n" * 10_000


def sending(content: bytes) -> Callable[[socket.socket, Moment], None]:
    return lambda connection, _: connection.sendall(content)


def complete_response(body: bytes, head: bytes = JSON_HEAD) -> Callable[[socket.socket, Moment], None]:
    return sending(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)


KEPT = {
    "id": "hw1",
    "assignment": "hw1",
    "user": "alice",
    "username": "alice",
    "status": "ok",
    "url": "/x",
    "keys": [],
    "points": 5,
}
"""Fields that must be as a command expects them, or it would end too early."""


def harmful_value(kind: Any, name: str = "") -> Any:
    """A value of this type with a harmful text wherever it has one."""
    if name in KEPT and get_origin(kind) is not dict:
        return KEPT[name]
    if hints := get_type_hints(kind) if isinstance(kind, type) else {}:
        return {key: harmful_value(hint, key) for key, hint in hints.items()}
    origin, inner = get_origin(kind), get_args(kind)
    if origin is list:
        return [harmful_value(inner[0])] * 2
    if origin is dict:
        return {EVIL: harmful_value(inner[1])}
    if origin in (Union, UnionType):
        return harmful_value(inner[0], name)
    return {int: 2**62, float: 1e300, bool: True}.get(kind, EVIL)


ROUTES = Routes()


def harmful_answer(asked: RecordedRequest) -> Answer:
    """An answer that conforms to the protocol and has a harmful text in every field."""
    found = ROUTES.find(asked.path.partition("?")[0].encode())
    row = found[asked.method][0] if found and asked.method in found else None
    headers = {TROUBLE: quote(EVIL), VERSION_HEADER: "9.9.9"}
    if row is None:
        return as_json({"error": EVIL, "code": EVIL}, 404)
    if isinstance(row.reply, Content):
        return Answer(f'[https]\nurl = "{EVIL!r}"\n'.encode(), headers=headers)
    body = harmful_value(row.reply)
    return Answer(json.dumps([body] * 2 if row.many else body).encode(), headers=headers)


ANSWERS = {
    "nothing at all": sending(b""),
    "a little at a time": SLOW["chunks"],
    "a body without end": endless(JSON_HEAD + b"\r\n[", b" " * 65536),
    "chunks without end": endless(
        JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1000\r\n" + b"[" * 4096 + b"\r\n"
    ),
    "a header without end": endless(b"HTTP/1.1 200 OK\r\nX-Long: ", b"a" * 65536),
    "a bomb": complete_response(BOMB, JSON_HEAD + b"Content-Encoding: gzip\r\n"),
    "a bomb as an error": complete_response(BOMB, b"HTTP/1.1 500 Oops\r\nContent-Encoding: deflate\r\n"),
    "depth": complete_response(b"[" * 100_000),
    "an error with control characters": complete_response(
        json.dumps({"error": EVIL, "code": EVIL}).encode(), b"HTTP/1.1 403 \x1b[31mNo\r\n"
    ),
    "a redirect to a file": sending(b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
    "a redirect to a host that cannot be": sending(
        b"HTTP/1.1 307 Go\r\nLocation: http://\x1b[31mx\x00/%ff\r\nContent-Length: 0\r\n\r\n"
    ),
}


@pytest.fixture(autouse=True)
def short_timeouts(own_home: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients give up after a tenth of a second and do not retry."""

    def make(url: str, token: str | None, **given: Any) -> Client:
        return Client(url, token, **{**given, "timeout": 0.1, "patience": RetryPolicy(total=0)})

    monkeypatch.setattr(connect, "Client", make)
    monkeypatch.setattr("mograder.client.client.MAX_REPLY", 1024 * 1024)
    monkeypatch.setenv("MOGRADER_HTTPS_TOKEN", SECRET)
    monkeypatch.setenv("MOGRADER_ENROLLMENT_CODE", "the-code-of-the-course")
    work()
    Path("grades.csv").write_text("username,grade\nalice,3\n")
    Path("alice.html").write_text("<p>well done")
    Path("receipt.json").write_text(json.dumps({"server": "x", "receipt": "a.b.c"}))


WITH_JSON = [("fetch", "--list"), ("feedback", "hw1"), ("receipts",), ("whoami",)]
WORDS = [*(("https", *words) for words in COMMANDS), *OTHERS]


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_every_command_ends_with_an_error_in_plain_text(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for answer in ANSWERS.values():
        with raw_server(answer) as url:
            monkeypatch.setenv("MOGRADER_HTTPS_URL", url)
            run(list(words))
        check_plain(capsys)


@pytest.mark.parametrize("text", HARMFUL.values(), ids=HARMFUL)
def test_a_configuration_that_takes_too_long_to_parse_is_refused(
    text: str, hostile_server: HostileServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(connect, "Client", Client)
    monkeypatch.setattr("mograder.client.client.MAX_REPLY", 2 * MAX_SIZE)
    hostile_server.answer("GET /mograder.toml", Answer(text.encode()))
    assert run(["student", hostile_server.url]) == 2
    assert "does not look like a mograder server" in check_plain(capsys)


def check_plain(capsys: pytest.CaptureFixture[str]) -> str:
    """Check that the output of a command has no control characters. Returns it."""
    shown = "".join(capsys.readouterr())
    assert "Traceback" not in shown
    assert "internal error" not in shown
    assert [each for each in shown if not each.isprintable() and each != "\n"] == []
    assert max(map(len, shown.splitlines()), default=0) <= 2100
    return shown


@pytest.mark.parametrize("words", [*WORDS, *(("https", *each, "--json") for each in WITH_JSON)], ids=" ".join)
def test_nothing_in_the_answers_of_the_protocol_controls_the_terminal(
    words: tuple[str, ...], hostile_server: HostileServer, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str], tmp_path: Path,
) -> None:  # fmt: skip
    hostile_server.otherwise = harmful_answer
    monkeypatch.setenv("MOGRADER_HTTPS_URL", hostile_server.url)
    monkeypatch.setattr(connect, "Client", Client)
    run(list(words))
    check_plain(capsys)
    # whoami, export-feedback and retry send no request here.
    assert hostile_server.requests or words[1] in ("whoami", "export-feedback", "retry")
    assert set(names_in(tmp_path)) <= {"home", "work"}


@pytest.mark.parametrize("words", WORDS, ids=" ".join)
def test_no_command_follows_a_redirect_to_another_server_with_a_secret(
    words: tuple[str, ...], hostile_server: HostileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for status in (b"301 Moved", b"302 Found", b"303 See", b"307 Go", b"308 Go"):
        place = hostile_server.url.encode()
        with raw_server(
            sending(b"HTTP/1.1 %s\r\nLocation: %s/x\r\nContent-Length: 0\r\n\r\n" % (status, place))
        ) as url:
            monkeypatch.setenv("MOGRADER_HTTPS_URL", url)
            run(list(words))
    assert not leaked(hostile_server, SECRET)
    assert not leaked(hostile_server, "the-code-of-the-course")
    assert not leaked(hostile_server, "x = 1")


def test_a_file_that_the_user_did_not_name_is_never_written(
    hostile_server: HostileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MOGRADER_HTTPS_URL", hostile_server.url)
    hostile_server.otherwise = harmful_answer
    monkeypatch.setattr(connect, "Client", Client)
    before = names_in(tmp_path / "work")
    for name in ("../../evil", "..\\..\\evil", "C:\\evil", "/evil", "a\x00b", "a/b"):
        hostile_server.answer("GET /assignments", as_json([{"name": name, "id": "hw1", "files": []}]))
        run(["https", "export-grades", "hw1"])
    added = set(names_in(tmp_path / "work")) - set(before)
    assert {re.fullmatch(r"[\w-]+\.csv", name) is not None for name in added} == {True}
    assert set(names_in(tmp_path)) <= {"home", "work"}


def test_an_endless_file_and_downloaded_versions_do_not_fill_the_disk(
    hostile_server: HostileServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(files, "ALWAYS_TAKEN", 1_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10**12, free=files.LEFT_FREE))
    monkeypatch.setattr(connect, "Client", Client)
    monkeypatch.setenv("MOGRADER_HTTPS_URL", hostile_server.url)
    endless = bytes(3_000_000)
    hostile_server.list_files(big__csv=Answer(endless))
    assert run(["https", "fetch", "hw1", "-o", "out"]) == 1
    assert "MiB would be left free on this disk: " in capsys.readouterr().err
    receipt = {
        "number": 1, "hash": "", "user": "mallory", "assignment": "hw1", "attempt": 1, "version": "alice_1.py",
        "size": len(endless), "sha256": sha256(endless), "received": 0, "by": "alice", "url": "/files/big.csv",
        "receipt": "",
    }  # fmt: skip
    hostile_server.answer("GET /receipts/__instructor__", as_json([receipt]))
    assert run(["https", "receipts", "-o", "history"]) == 1
    assert "would be left free on this disk: " in capsys.readouterr().err
