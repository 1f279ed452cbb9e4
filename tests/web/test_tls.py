"""HTTPS with a real server: certificates are renewed under load, and invalid ones are refused."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from mograder.domain.errors import MograderError
from mograder.store.folder.authority import AUTHORITY, CERTIFICATE, Authority
from mograder.web.serving import server as server_module
from tests import prefork
from tests.parts import PATIENCE, Running, environment, free_port, running
from tests.web.serving.test_server import answer, head


@pytest.fixture
def certificate(tmp_path: Path) -> Authority:
    """A certificate for 127.0.0.1 that mograder has not made."""
    (tmp_path / "elsewhere").mkdir()
    authority = Authority(tmp_path / "elsewhere", datetime.now(UTC))
    authority.renew(["127.0.0.1"], datetime.now(UTC))
    return authority


@contextlib.contextmanager
def serving(root: Path, certificate: Authority) -> Iterator[Running]:
    """A server with this certificate that checks its files often; its authority is where `Running` expects it."""
    (root / AUTHORITY).write_text(certificate.pem)
    path = str(certificate.path)
    often = "from mograder.web.serving import server; server.LOOK_SECONDS = 0.2"
    with running(root, "--tls-cert", path, "--tls-key", path, first=often) as server:
        yield server


def presented(server: Running) -> bytes:
    """The certificate that a new connection sees."""
    with server.connect() as connection:
        return connection.getpeercert(binary_form=True) or b""


def test_a_renewed_certificate_is_served_without_dropping_a_connection(
    course_folder: Path, certificate: Authority
) -> None:
    done, failed, over, sent = [], [], threading.Event(), 0

    def knock(server: Running) -> None:
        while not over.is_set():
            try:  # a new connection each
                done.append(httpx2.get(f"{server.url}/", verify=trust, timeout=PATIENCE).status_code)
            except httpx2.HTTPError as error:
                failed.append(error)

    content = b"x" * 200_000
    with serving(course_folder, certificate) as server, ThreadPoolExecutor(4) as threads, server.connect() as slow:
        trust, before = server.trust, presented(server)
        slow.sendall(head(server, f"Content-Length: {len(content)}", "Expect: 100-continue"))
        assert b" 100 " in slow.recv(1000)
        for _ in range(4):
            threads.submit(knock, server)
        try:
            certificate.renew(["127.0.0.1", "localhost"], datetime.now(UTC))
            while presented(server) == before:
                assert server.process.poll() is None
                slow.sendall(b"x")  # too long a pause would be answered 408
                sent += 1
            assert "renewed" in server.process.stdout.readline()  # type: ignore[union-attr]
            slow.sendall(content[sent:])  # on a connection to the old server
            assert answer(slow).startswith(b"HTTP/1.1 200 ")
        finally:
            over.set()
    assert failed == []
    assert set(done) == {200}
    assert (server.submitted / "hw1" / "alice.py").read_bytes() == content


def test_a_certificate_without_its_key_is_logged_and_the_old_one_stays_in_use(
    course_folder: Path, certificate: Authority
) -> None:
    with serving(course_folder, certificate) as server:
        before = presented(server)
        certificate.path.write_bytes(b"half a file")
        assert "served as it was" in server.process.stdout.readline()  # type: ignore[union-attr]
        assert presented(server) == before
        certificate.renew(["127.0.0.1", "localhost"], datetime.now(UTC))
        assert "renewed" in server.process.stdout.readline()  # type: ignore[union-attr]
        while presented(server) == before:
            assert server.process.poll() is None
        assert server.stop() == 0


def test_a_renewed_certificate_that_the_server_cannot_load_does_not_stop_it(
    course_folder: Path, certificate: Authority
) -> None:
    with serving(course_folder, certificate) as server:
        before, content = presented(server), certificate.path.read_bytes()
        certificate.path.write_bytes(b"\xef\xbb\xbf" + content)
        assert "served as it was" in server.process.stdout.readline()  # type: ignore[union-attr]
        assert presented(server) == before
        assert server.stop() == 0


@pytest.mark.parametrize(("marks", "logged"), [((1, 2, 3), 0), ((1, 2, 2, 2, 2), 1), ((1, 1, 2, 3, 3, 3), 2)])
def test_partly_written_certificates_are_not_logged_and_a_lasting_fault_is_logged_once(
    marks: tuple[int, ...], logged: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    looks = iter(marks)

    class Broken(server_module.Tls):
        def mark(self) -> tuple[object, ...]:
            if (mark := next(looks, None)) is None:
                raise asyncio.CancelledError
            return (mark,)

        def check(self) -> None:
            raise MograderError("half a file")

    async def watch() -> None:
        with socket.socket() as listening:
            servers = server_module._Servers(lambda *_: asyncio.sleep(0), listening, Broken(Path(), Path()))
            servers._mark = (0,)
            with pytest.raises(asyncio.CancelledError):
                await servers.watch()

    monkeypatch.setattr(server_module, "LOOK_SECONDS", 0)
    asyncio.run(watch())
    assert [each.getMessage() for each in caplog.records].count(
        "the certificate is served as it was: half a file"
    ) == logged


def test_silent_connections_do_not_delay_other_requests(course_folder: Path) -> None:
    with running(course_folder, "--tls-self-signed") as server, contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE))
        assert server.submit("alice", b"work").status_code == 200


def test_plain_http_and_old_tls_versions_are_refused(course_folder: Path) -> None:
    with running(course_folder, "--tls-self-signed") as server:
        with pytest.raises(httpx2.TransportError):
            httpx2.get(f"http://127.0.0.1:{server.port}/", timeout=PATIENCE)
        old = server.trust
        with pytest.warns(DeprecationWarning, match="TLSv1_1"):
            old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection,
            pytest.raises((ssl.SSLError, ConnectionError)),
        ):
            old.wrap_socket(connection, server_hostname="127.0.0.1")
        assert server.client.get("/").json() == {"status": "ok"}


@pytest.mark.parametrize("what", ["nothing", "nonsense", "another key", "a key with a password"])
def test_an_unusable_certificate_is_a_one_line_error_with_exit_code_1(
    course_folder: Path, certificate: Authority, tmp_path: Path, what: str
) -> None:
    key = tmp_path / "key.pem"
    if what == "nonsense":
        key.write_text("nonsense")
    elif what == "another key":
        key.write_bytes((tmp_path / "elsewhere" / AUTHORITY).read_bytes())
    elif what == "a key with a password":
        key.write_text(ENCRYPTED)
    path = str(tmp_path / "elsewhere" / CERTIFICATE)
    words = ["serve", str(course_folder), "-p", str(free_port()), "--tls-cert", path, "--tls-key", str(key)]
    ran = prefork.run(words, environment(), PATIENCE)
    assert (ran.returncode, ran.stdout) == (1, ""), ran.stderr
    assert "cannot serve HTTPS" in ran.stderr
    assert ran.stderr.count("\n") == 1


ENCRYPTED = """\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjnpg2RS9r1TQICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEMUsODDjo7pkDvdHvvS/7lAEgZCc
FWfiMUud33b53IqI4dNBDeNOwTCVouDuMSWSBw5PMcQyzyXFhu0rQY9CEs6+btpc
QrUKYYNo1s9J9KZAY6zeKbB09sGW2wEBdVUhKBVWsK+SVD8ulAVcY/VuR3sl45T8
MxDcwP3o+QF10FKAdxOPlkagu/o2ecvEtpOsnfzHmaNOXUAVIQHJxPaaJVFQvoY=
-----END ENCRYPTED PRIVATE KEY-----
"""
