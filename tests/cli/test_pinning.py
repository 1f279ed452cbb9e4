"""A server without a domain name: the first login pins its authority, and no other server is contacted afterwards."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mograder.cli import run
from mograder.client.logins import Logins
from mograder.store.folder.authority import AUTHORITY, CERTIFICATE, Authority
from mograder.wire.join_link import JoinLink
from tests.cli.conftest import Mograder, work
from tests.hostile import Answer, hostile
from tests.parts import CODE, PATIENCE, running

NOW = datetime.now(UTC)


def fingerprint(root: Path) -> str:
    return Authority(root, NOW).fingerprint


def link(root: Path, url: str) -> str:
    return JoinLink(url, CODE, fingerprint(root)).text


def test_serve_prints_fingerprint_and_join_link_without_the_code(course_folder: Path) -> None:
    words = ("--tls-self-signed", "--tls-names", "lab.example.org,192.0.2.9")
    with running(course_folder, *words) as server:
        pem = (course_folder / CERTIFICATE).read_text()
        shown = JoinLink(f"https://lab.example.org:{server.port}", "", fingerprint(course_folder))
        assert f"fingerprint     {shown.fingerprint}\n" in server.said
        assert f"mograder https login --url '{shown.text}'" in server.said
        assert CODE not in server.said
    with running(course_folder, *words) as server:
        context = server.trust
        for name in ("lab.example.org", "192.0.2.9", "localhost", "127.0.0.1"):
            with ssl_connection(context, name, server.port):
                pass
        with pytest.raises(ssl.SSLCertVerificationError), ssl_connection(context, "other.example.org", server.port):
            pass
    assert (course_folder / CERTIFICATE).read_text() == pem  # not replaced without need


def test_every_student_command_works_with_a_pinned_server(course_folder: Path, mograder: Mograder) -> None:
    with running(course_folder, "--tls-self-signed") as server:
        ran = mograder("login", "--url", link(course_folder, server.url), "--user", "alice")
        assert ran.out == f"Registered at {server.url} as alice\n"
        kept = Logins().last()
        assert kept is not None
        assert kept.authority.startswith("-----BEGIN CERTIFICATE-----")
        assert "PRIVATE" not in kept.authority
        assert "hw1" in mograder("fetch", "--list").out
        mograder("fetch", "hw1", "-o", "hw1")
        assert "Submitted" in mograder("submit", "hw1", work()).out
        # Another token for the same server, and a second login, use the same pin.
        instructor = ("--url", server.url, "--token", server.token("__instructor__"))
        mograder("fetch-submissions", "hw1", *instructor)
        mograder("login", "--url", server.url, "--token", server.token("alice"))
        assert Logins().find(server.url).authority == kept.authority  # type: ignore[union-attr]


def test_a_fingerprint_is_accepted_in_every_usual_notation(course_folder: Path, mograder: Mograder) -> None:
    with running(course_folder, "--tls-self-signed") as server:
        digits = fingerprint(course_folder).upper()
        written = ":".join(re.findall("..", digits))
        mograder("login", "--url", server.url, "--user", "alice", "--code", CODE, "--fingerprint", written)


def test_an_unknown_certificate_is_refused_with_what_to_do(course_folder: Path, mograder: Mograder) -> None:
    with running(course_folder, "--tls-self-signed") as server:
        ran = mograder("login", "--url", server.url, "--user", "alice", "--code", CODE, code=7)
        assert f"mograder https login --url {server.url} --fingerprint" in ran.err
        mograder("fetch", "--list", "--url", server.url, "--token", server.token("alice"), code=7)
        assert server.client.get("/roster", headers=server.bearer()).json() == []


def test_the_wrong_fingerprint_is_refused(course_folder: Path, mograder: Mograder) -> None:
    with running(course_folder, "--tls-self-signed") as server:
        words = ("login", "--url", server.url, "--user", "alice", "--code", CODE, "--fingerprint")
        assert "not the server of this fingerprint" in mograder(*words, "0" * 64, code=7).err
        assert "64 digits" in mograder(*words, "0" * 63, code=2).err
        assert server.client.get("/roster", headers=server.bearer()).json() == []
    assert Logins().last() is None


def test_a_fingerprint_requires_https_and_an_authority(course_folder: Path, mograder: Mograder) -> None:
    with running(course_folder) as server:
        words = ("login", "--user", "alice", "--code", CODE, "--fingerprint", "0" * 64)
        assert "https://127.0.0.1" in mograder(*words, "--url", server.url, code=2).err
    path = str(Authority(course_folder, NOW).path)
    Authority(course_folder, NOW).renew(["127.0.0.1"], NOW)
    with running(course_folder, "--tls-cert", path, "--tls-key", path) as server:
        assert "no authority of its own" in mograder(*words, "--url", server.url, code=7).err


def test_only_login_accepts_a_join_link(mograder: Mograder) -> None:
    ran = mograder("fetch", "--list", "--url", f"https://127.0.0.1:1/join#fingerprint={'0' * 64}", code=2)
    assert "mograder https login" in ran.err


def test_a_pinned_certificate_is_valid_only_for_its_names(course_folder: Path, mograder: Mograder) -> None:
    with running(course_folder, "--tls-self-signed") as server:
        mograder("login", "--url", link(course_folder, server.url), "--user", "alice")
    (course_folder / CERTIFICATE).unlink()
    authority = Authority(course_folder, NOW)
    authority.renew(["192.0.2.1"], NOW)
    path = str(authority.path)
    with running(course_folder, "--tls-cert", path, "--tls-key", path, port=server.port):
        ran = mograder("fetch", "--list", code=7)
    assert "is not accepted" in ran.err
    assert "127.0.0.1" in ran.err


def test_a_server_with_another_authority_receives_nothing(
    course_folder: Path, mograder: Mograder, tmp_path: Path
) -> None:
    with running(course_folder, "--tls-self-signed") as server:
        pinned = link(course_folder, server.url)
        mograder("login", "--url", pinned, "--user", "alice")
    (tmp_path / "mallory").mkdir()
    mallory = Authority(tmp_path / "mallory", NOW)
    mallory.renew(["127.0.0.1"], NOW)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(mallory.path)
    with hostile(server.port, tls) as other:
        other.list_files()
        ran = mograder("fetch", "--list", code=7)
        assert "not the server of your first login" in ran.err
        mograder("submit", "hw1", work(), code=7)
        assert other.requests == []
        # A login only asks it for its authority, without a token.
        other.answer("GET /authority.pem", *[answer_of(mallory)] * 2)
        mograder("login", "--url", pinned, "--user", "alice", code=7)
        mograder("login", "--url", pinned, "--token", server.token("alice"), code=7)
        assert {(each.method, each.path) for each in other.requests} == {("GET", "/authority.pem")}
        assert not any("Authorization" in each.headers for each in other.requests)
        # If the instructor has changed the authority, the new link works.
        mograder("login", "--url", link(mallory.path.parent, server.url), "--token", server.token("alice"))
        mograder("fetch", "--list")


def test_a_new_authority_requires_a_new_pin(course_folder: Path, mograder: Mograder) -> None:
    with running(course_folder, "--tls-self-signed") as server:
        mograder("login", "--url", link(course_folder, server.url), "--user", "alice")
    (course_folder / AUTHORITY).unlink()
    with running(course_folder, "--tls-self-signed", port=server.port):
        mograder("fetch", "--list", code=7)
        ran = mograder("login", "--url", link(course_folder, server.url), "--user", "alice")
        assert "already logged in" in ran.out
        mograder("fetch", "--list")


def answer_of(authority: Authority) -> Answer:
    return Answer(authority.pem.encode())


@contextlib.contextmanager
def ssl_connection(context: ssl.SSLContext, name: str, port: int) -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=name) as connection,
    ):
        yield connection


def test_the_pin_stays_valid_after_a_course_was_restored_elsewhere(
    course_folder: Path, mograder: Mograder, tmp_path: Path
) -> None:
    with running(course_folder, "--tls-self-signed") as server:
        mograder("login", "--url", link(course_folder, server.url), "--user", "alice")
    archive, elsewhere = str(tmp_path / "course.tar.gz"), tmp_path / "elsewhere"
    assert run(["backup", str(course_folder.parent), archive]) == 0
    assert run(["restore", archive, str(elsewhere)]) == 0
    with running(elsewhere / "release", "--tls-self-signed", port=server.port):
        mograder("fetch", "--list")


def test_http_to_a_server_that_requires_https_is_a_clear_error(course_folder: Path, mograder: Mograder) -> None:
    with running(course_folder, "--tls-self-signed") as server:
        address = f"127.0.0.1:{server.port}"
        said = mograder("fetch", "--list", "--url", f"http://{address}", "--patience", "0", code=6).err
        assert f"use --url https://{address}" in said
