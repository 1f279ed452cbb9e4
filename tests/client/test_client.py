"""The client against a real server, and against broken and hostile servers."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from mograder.client import client as client_module
from mograder.client.client import Client, known
from mograder.client.connection import CHUNK, RetryPolicy, normalise_url
from mograder.domain.access import Role
from mograder.domain.errors import (
    BadRequest,
    Forbidden,
    MograderError,
    NameTaken,
    NetworkFailure,
    NotFound,
    Temporary,
    Unauthenticated,
    Usage,
    VerificationFailed,
)
from mograder.domain.grades import GradeEntry
from mograder.signing import Ed25519Signer
from mograder.wire import messages
from mograder.wire.endpoints import CHECKSUM_HEADER, ENDPOINTS
from tests.hostile import Answer, HostileServer, as_json, hostile
from tests.parts import ALICE, CODE, NOTEBOOK, PATIENCE, Running, free_port, sha256

TOKEN = "alice:" + "0" * 64
QUICK = RetryPolicy(attempts=4, total=PATIENCE, first_wait=0.001, longest_wait=0.002)


@pytest.fixture
def client(hostile_server: HostileServer) -> Iterator[Client]:
    with Client(hostile_server.url, TOKEN, patience=QUICK) as client:
        yield client


@pytest.fixture
def work(tmp_path: Path) -> Path:
    path = tmp_path / "homework.py"
    path.write_bytes(b"x = 1\n" * 100_000)
    return path


def client_of(server: Running, name: str) -> Client:
    return Client(server.url, server.token(name), patience=QUICK)


# the usual workflow


def test_every_endpoint_has_a_method() -> None:
    assert [row.name for row in ENDPOINTS if not callable(getattr(Client, row.name, None))] == []


def test_a_roster_can_be_managed_over_http(server: Running) -> None:
    with client_of(server, "__instructor__") as instructor:
        (added,) = instructor.add_people([messages.NewPerson("alice", "Alice A.")])
        assert instructor.reset("alice").code != added.code
        assert instructor.rename("alice", "Alice Ames").name == "Alice Ames"
        assert [each.user for each in instructor.reset_everybody()] == ["alice"]
        assert instructor.set_role("alice", Role.INSTRUCTOR).role == "instructor"
        assert instructor.remove("alice").state == "removed"
        assert [(each.user, each.name) for each in instructor.roster()] == [("alice", "Alice Ames")]
        assert [each.action for each in instructor.events()] == ["remove", "role", "reset", "rename", "add"]


def test_a_client_can_register_fetch_submit_and_read_feedback(server: Running, work: Path) -> None:
    with Client(server.url, patience=QUICK) as nobody:
        assert nobody.health().status == "ok"
        registered = nobody.register("alice", CODE)
        assert "transport" in nobody.configuration()
    with Client(server.url, registered.token) as alice, client_of(server, "__instructor__") as instructor:
        (hw1,) = alice.assignments()
        fetched = io.BytesIO()
        alice.release_file(hw1.files[0], fetched)
        assert fetched.getvalue() == NOTEBOOK
        submitted = alice.submit("hw1", "alice", work)
        assert (submitted.size, submitted.sha256) == (work.stat().st_size, sha256(work.read_bytes()))
        assert submitted.receipt
        assert alice.status("hw1", "alice").status == "submitted"
        (receipt,) = alice.receipts("hw1", "alice")
        assert alice.all_receipts("alice") == [receipt]
        assert (receipt.receipt, receipt.version) == (submitted.receipt, submitted.version)
        own = io.BytesIO()
        alice.version(receipt, own)
        assert own.getvalue() == work.read_bytes()
        assert alice.chain_head() == messages.ChainHead(receipt.number, receipt.hash)
        assert Ed25519Signer({"keys": alice.signing_keys().keys}).verify(receipt.receipt)["user"] == "alice"
        (info,) = instructor.submissions("hw1")
        collected = io.BytesIO()
        instructor.submitted_file(info, collected)
        assert collected.getvalue() == work.read_bytes()
        assert instructor.upload_grades("hw1", [GradeEntry({"username": "alice", "grade": "9"})]).count == 1
        assert instructor.upload_feedback("hw1", {"alice.html": b"<p>fine"}).files == ["alice.html"]
        assert alice.status("hw1", "alice").grade == "9"
        assert alice.feedback("hw1", "alice") == b"<p>fine"


def test_errors_of_the_server_are_raised_as_the_same_errors(server: Running, work: Path) -> None:
    with client_of(server, "alice") as alice:
        with pytest.raises(Forbidden, match="only an instructor"):
            alice.submissions("hw1")
        with pytest.raises(Forbidden):
            alice.submit("hw1", "bob", work)
        with pytest.raises(NotFound):
            alice.submit("hw9", "alice", work)
        alice.register("alice", CODE)
        with pytest.raises(NameTaken):
            alice.register("alice", CODE)
    with Client(server.url, TOKEN) as mallory, pytest.raises(Unauthenticated):
        mallory.assignments()


def test_feedback_of_any_size_is_sent_in_several_requests(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "FEEDBACK_BATCH", 10)
    pages = {f"user{number}.html": b"<p>fine" for number in range(3)}
    with client_of(server, "__instructor__") as instructor:
        assert instructor.upload_feedback("hw1", pages).files == list(pages)
    assert len(list((server.root / "hw1" / "feedback").iterdir())) == 3


def test_progress_reaches_the_full_size_in_both_directions(server: Running, work: Path) -> None:
    sent: list[tuple[int, int | None]] = []
    fetched: list[tuple[int, int | None]] = []
    with client_of(server, "alice") as alice:
        alice.submit("hw1", "alice", work, lambda done, total: sent.append((done, total)))
        (hw1,) = alice.assignments()
        alice.release_file(hw1.files[0], io.BytesIO(), lambda done, total: fetched.append((done, total)))
    for seen, size in ((sent, work.stat().st_size), (fetched, len(NOTEBOOK))):
        assert seen.count((size, size)) == 1
        assert {total for _, total in seen} == {size}


# retries


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_request_to_a_busy_server_is_repeated(status: int, hostile_server: HostileServer, client: Client) -> None:
    hostile_server.answer("GET /assignments", as_json({"error": "busy"}, status), as_json([]))
    assert client.assignments() == []
    assert len(hostile_server.requests) == 2


def test_retry_after_is_respected(hostile_server: HostileServer, client: Client) -> None:
    hostile_server.answer("GET /assignments", as_json({"error": "busy"}, 503, Retry_After="0.3"), as_json([]))
    started = time.monotonic()
    client.assignments()
    assert time.monotonic() - started >= 0.3


def test_a_requested_wait_beyond_the_patience_of_the_client_is_not_started(
    hostile_server: HostileServer, client: Client
) -> None:
    hostile_server.answer("GET /assignments", as_json({"error": "back tomorrow"}, 503, Retry_After="86400"))
    with pytest.raises(Temporary, match="back tomorrow"):
        client.assignments()
    assert len(hostile_server.requests) == 1


def test_other_refusals_are_not_retried(hostile_server: HostileServer, client: Client) -> None:
    hostile_server.answer("GET /assignments", as_json({"error": "no"}, 400))
    with pytest.raises(BadRequest):
        client.assignments()
    assert len(hostile_server.requests) == 1


def test_a_submission_whose_answer_was_lost_is_sent_again_whole(
    hostile_server: HostileServer, client: Client, work: Path
) -> None:
    done = as_json({"status": "ok", "filename": "alice.py"})
    hostile_server.answer("POST /assignments/hw1/submit", Answer(hang_up=True), done)
    client.submit("hw1", "alice", work)
    assert [asked.body for asked in hostile_server.requests] == [work.read_bytes()] * 2


def test_a_registration_whose_answer_was_lost_is_repeated_with_the_same_claim_key(
    hostile_server: HostileServer, client: Client
) -> None:
    hostile_server.answer("POST /register", Answer(hang_up=True), as_json({"token": TOKEN, "user": "alice"}))
    assert client.register("alice", CODE).token == TOKEN
    first, second = (json.loads(asked.body) for asked in hostile_server.requests)
    assert first == second
    client.register("alice", CODE)
    other = json.loads(hostile_server.requests[-1].body)
    assert len(other["claim_key"]) == 64
    assert other["claim_key"] != first["claim_key"]


def test_an_interrupted_download_starts_again(hostile_server: HostileServer, client: Client) -> None:
    hostile_server.answer("GET /f", Answer(bytes(CHUNK + 9), announced=2 * CHUNK), Answer(b"whole"))
    target = io.BytesIO()
    client.release_file(messages.ReleaseFileInfo("f", "/f"), target)
    assert target.getvalue() == b"whole"


def test_an_unreachable_server_is_a_network_failure_and_reported_while_waiting() -> None:
    said: list[str] = []
    with (
        Client(f"http://127.0.0.1:{free_port()}", patience=QUICK, on_wait=said.append) as client,
        pytest.raises(NetworkFailure, match=r"not answer: check the address, else tell your instructor$"),
    ):
        client.health()
    assert said == [f"the server at {client.url} does not answer; trying for up to {PATIENCE} s (Ctrl-C stops)"]


def test_an_unknown_host_and_a_server_without_tls_are_not_retried(hostile_server: HostileServer) -> None:
    said: list[str] = []
    for url, why in (
        ("http://nowhere.invalid", "no server called nowhere.invalid"),
        (hostile_server.url.replace("http:", "https:"), "as an https server: does it want http:"),
    ):
        with Client(url, on_wait=said.append) as client, pytest.raises(NetworkFailure, match=why) as failure:
            client.health()
        assert "[" not in str(failure.value)
    assert said == []


# tokens are not sent to other servers


def test_a_redirect_to_another_server_is_refused_and_the_token_is_not_sent(
    hostile_server: HostileServer, client: Client, work: Path
) -> None:
    with hostile() as other:
        away = Answer(status=307, headers={"Location": f"{other.url}/take"})
        hostile_server.answer("GET /assignments", away)
        hostile_server.answer("POST /assignments/hw1/submit", away)
        with pytest.raises(NetworkFailure, match="another server"):
            client.assignments()
        with pytest.raises(NetworkFailure, match="another server"):
            client.submit("hw1", "alice", work)
        assert other.requests == []


def test_a_download_may_lead_to_another_server_but_without_the_token(
    hostile_server: HostileServer, client: Client
) -> None:
    with hostile() as other:
        other.answer("GET /big", Answer(b"data"))
        hostile_server.answer("GET /f", Answer(status=302, headers={"Location": f"{other.url}/big"}))
        for address in ("/f", f"{other.url}/big"):
            target = io.BytesIO()
            client.release_file(messages.ReleaseFileInfo("f", address), target)
            assert target.getvalue() == b"data"
        assert ["Authorization" in asked.headers for asked in other.requests] == [False, False]


def test_a_download_that_is_redirected_back_does_not_carry_the_token(
    hostile_server: HostileServer, client: Client
) -> None:
    with hostile() as other:
        other.answer("GET /big", Answer(status=302, headers={"Location": f"{hostile_server.url}/secret"}))
        hostile_server.answer("GET /secret", Answer(b"data"))
        client.release_file(messages.ReleaseFileInfo("f", f"{other.url}/big"), io.BytesIO())
    assert "Authorization" not in hostile_server.requests[-1].headers


@pytest.mark.parametrize("address", ["@evil.example/f", "//evil.example/f", ":80@evil.example/f", "f", "/Ü 1/f"])
def test_a_listed_path_is_always_below_the_server(address: str, hostile_server: HostileServer, client: Client) -> None:
    with pytest.raises(NotFound):
        client.release_file(messages.ReleaseFileInfo("f", address), io.BytesIO())
    assert len(hostile_server.requests) == 1


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://evil.example/f", "http://", "javascript:1"])
def test_a_url_that_is_not_http_is_refused(address: str, client: Client) -> None:
    with pytest.raises(VerificationFailed):
        client.release_file(messages.ReleaseFileInfo("f", address), io.BytesIO())


def test_a_redirect_within_the_server_is_followed(hostile_server: HostileServer, client: Client) -> None:
    hostile_server.answer("GET /assignments", Answer(status=308, headers={"Location": "/assignments/"}))
    hostile_server.answer("GET /assignments/", as_json([]))
    assert client.assignments() == []
    assert [asked.headers["Authorization"] for asked in hostile_server.requests] == [f"Bearer {TOKEN}"] * 2


def test_the_error_for_a_server_that_requires_https_names_its_https_url(
    hostile_server: HostileServer, client: Client
) -> None:
    hostile_server.answer("GET /assignments", Answer(status=301, headers={"Location": "https://127.0.0.1/assignments"}))
    with pytest.raises(NetworkFailure, match=r"use --url https://127\.0\.0\.1"):
        client.assignments()


def test_circular_redirects_end(hostile_server: HostileServer, client: Client) -> None:
    hostile_server.answer("GET /assignments", Answer(status=302, headers={"Location": "/assignments"}))
    with pytest.raises(NetworkFailure, match="circle"):
        client.assignments()


# invalid answers


def test_an_endless_answer_is_not_read(
    hostile_server: HostileServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_REPLY", 1000)
    hostile_server.answer("GET /assignments", Answer(b"[" + b" " * 5000 + b"]"))
    with pytest.raises(NetworkFailure, match="longer than"):
        client.assignments()


@pytest.mark.parametrize("value", ["[]", "{}", "0", '""', '{"":{}}', "[[]]", '{"name": []}'])
def test_an_answer_that_decompresses_to_far_more_bytes_is_refused(
    value: str, hostile_server: HostileServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_VALUES", 1000)
    many = ",".join([value] * 1001)
    for body in (f"[{many}]", f'{{"keys": [{many}]}}', "[" + ",".join(f'{{"{n}":{value}}}' for n in range(600)) + "]"):
        hostile_server.otherwise = lambda _, body=body: Answer(body.encode())
        for ask in (client.assignments, client.signing_keys, client.roster, lambda: client.grades("hw1")):
            with pytest.raises(NetworkFailure, match="more than 1000 values"):
                ask()


def test_an_endless_audit_log_is_abandoned(
    hostile_server: HostileServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_EVENTS", 10)
    event = {"actor": "a", "action": "b", "subject": "c", "detail": ""}
    hostile_server.otherwise = lambda _: as_json([{"moment": float(len(hostile_server.requests)), **event}] * 3)
    with pytest.raises(NetworkFailure, match="more than 10 events"):
        list(client.events())
    assert len(hostile_server.requests) == 4


def test_the_grades_of_a_large_course_are_read(hostile_server: HostileServer, client: Client) -> None:
    questions, remark = {f"question {number}": "1.5" for number in range(60)}, "Name the units, e.g. metres, " * 60
    grades = [
        {"username": f"s{number}", "grade": "17", "feedback": remark, "visible": True, "fields": questions}
        for number in range(2000)
    ]
    hostile_server.answer("GET /assignments/hw1/grades", as_json(grades))
    assert len(client.grades("hw1")) == 2000


def test_a_redirect_without_a_valid_target_is_an_error_that_says_so(
    hostile_server: HostileServer, client: Client
) -> None:
    hostile_server.answer("GET /assignments", Answer(status=302))
    with pytest.raises(NetworkFailure, match="without saying where"):
        client.assignments()


def test_a_listed_file_at_an_invalid_host_is_refused(client: Client) -> None:
    with pytest.raises(NetworkFailure, match="cannot ask"):
        client.release_file(messages.ReleaseFileInfo("f", f"http://{'x' * 64}.example.org/f"), io.BytesIO())


@pytest.mark.parametrize("body", [b"<html>log in to the wifi", b"{}", b"[3]", b"[" * 100_000, b"\xff", b'[{"id": 1}]'])
def test_an_answer_of_something_else_than_mograder_is_an_error_that_says_so(
    body: bytes, hostile_server: HostileServer, client: Client
) -> None:
    hostile_server.answer("GET /assignments", Answer(body))
    with pytest.raises(NetworkFailure, match=r"answer|does not look like a mograder server"):
        client.assignments()


@pytest.mark.parametrize(
    ("content", "size", "checksum"),
    [(b"longer", 3, None), (b"x", 3, None), (b"abd", 3, sha256(b"abc")), (b"abd", None, sha256(b"abc"))],
)
def test_a_file_that_does_not_match_its_listed_checksum_is_refused(
    content: bytes, size: int | None, checksum: str | None, hostile_server: HostileServer, client: Client
) -> None:
    hostile_server.answer("GET /f", Answer(content))
    listed = messages.ReleaseFileInfo("f", "/f", size=messages.given(size), sha256=messages.given(checksum))
    with pytest.raises(VerificationFailed):
        client.release_file(listed, io.BytesIO())


def test_an_endless_file_is_not_read(
    hostile_server: HostileServer, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_FILE", 1000)
    hostile_server.answer("GET /f", Answer(bytes(5000)))
    with pytest.raises(VerificationFailed, match="longer than"):
        client.release_file(messages.ReleaseFileInfo("f", "/f"), io.BytesIO())


def test_a_server_that_received_other_bytes_is_detected(
    hostile_server: HostileServer, client: Client, work: Path
) -> None:
    wrong = as_json({"status": "ok", "filename": "alice.py", "sha256": "0" * 64})
    hostile_server.answer("POST /assignments/hw1/submit", wrong)
    with pytest.raises(VerificationFailed, match="other bytes"):
        client.submit("hw1", "alice", work)


def test_json_with_missing_fields_can_be_stored(hostile_server: HostileServer, client: Client, work: Path) -> None:
    hostile_server.answer("POST /assignments/hw1/submit", as_json({"status": "ok", "filename": "alice.py"}))
    submitted = client.submit("hw1", ALICE, work)
    assert msgspec.to_builtins(submitted)["user"] == "alice"


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (as_json({"error": "no such thing"}, 404), NotFound, "no such thing"),
        (as_json({"error": "no", "code": "made_up"}, 403), Forbidden, "no"),
        (as_json({"error": "no", "code": "unreadable"}, 503), Temporary, "no"),
        (as_json({"error": "no", "code": "method_not_allowed"}, 405), MograderError, "no"),
        (as_json({"error": "a\u001b[2Jb"}, 400), BadRequest, "a?[2Jb"),
        (as_json(["what"], 400), BadRequest, "400"),
        (Answer(b"<h1>nginx", 413), MograderError, "413"),
        (Answer(b"x" * 200_000, 500), MograderError, "500"),
    ],
)
def test_an_error_is_understood_with_and_without_a_code(
    answer: Answer, kind: type[MograderError], text: str, hostile_server: HostileServer, client: Client
) -> None:
    hostile_server.answer("GET /assignments", answer)
    with pytest.raises(kind) as caught:
        client.assignments()
    assert text in caught.value.message


def test_a_short_answer_of_the_published_server_is_accepted(
    hostile_server: HostileServer, client: Client, work: Path
) -> None:
    hostile_server.answer("POST /assignments/hw1/submit", as_json({"status": "ok", "filename": "alice.py"}))
    submitted = client.submit("hw1", "alice", work)
    assert (submitted.receipt, submitted.attempt) == ("", 0)
    assert submitted.sha256 == sha256(work.read_bytes())
    listing = [{"username": "alice", "filename": "alice.py", "url": "/assignments/hw1/submissions/alice.py"}]
    hostile_server.answer("GET /assignments/hw1/submissions", as_json(listing))
    assert client.submissions("hw1")[0].sha256 == ""


def test_a_manifest_written_by_hand_is_accepted(hostile_server: HostileServer, client: Client) -> None:
    files = [{"filename": "a.py", "url": "https://cdn.example/a.py"}, {"filename": "b.py"}, "c.py"]
    manifest = [
        {"name": "Homework", "id": 7, "files": files, "duedate": 1_773_144_000, "note": "x"},
        {"name": 3, "duedate": 0},
        {"name": "hw3", "id": None, "files": None, "duedate": "soon", "title": None},
    ]
    hostile_server.answer("GET /assignments", as_json(manifest))
    first, second, third = client.assignments()
    assert (first.id, known(first.duedate)) == ("7", 1_773_144_000)
    assert [(file.filename, file.url) for file in first.files] == [("a.py", "https://cdn.example/a.py"), ("b.py", "")]
    assert (second.name, second.id, known(second.duedate)) == ("3", "3", None)
    assert (third.id, third.files, known(third.duedate)) == ("hw3", [], None)


def test_a_submission_carries_its_checksum(hostile_server: HostileServer, client: Client, work: Path) -> None:
    hostile_server.answer("POST /assignments/hw1/submit", as_json({"status": "ok"}))
    client.submit("hw1", "alice", work)
    assert hostile_server.requests[0].headers[CHECKSUM_HEADER] == sha256(work.read_bytes())
    assert hostile_server.requests[0].path.endswith("?user=alice")


def test_grades_are_sent_unchanged(hostile_server: HostileServer, client: Client) -> None:
    hostile_server.answer("POST /assignments/hw%201/grades", as_json({"status": "ok", "count": 4}))
    client.upload_grades("hw 1", [GradeEntry({"student": "alice", "mark": "1,5"})])
    expected = {"grades": [{"student": "alice", "mark": "1,5"}], "workflow_state": ""}
    assert json.loads(hostile_server.requests[0].body) == expected


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("HTTPS://Course.Example.ORG:443/", "https://course.example.org"),
        ("http://localhost:8080/", "http://localhost:8080"),
        (" https://example.org/course/ ", "https://example.org/course"),
    ],
)
def test_a_url_is_normalised(text: str, url: str) -> None:
    assert normalise_url(text) == url
    assert normalise_url(url) == url


@pytest.mark.parametrize(
    "text",
    ["", "course.example.org", "localhost:8080", "ftp://x", "https://", "https://a:b@x/", "https://x/?q", "h\0",
     f"https://{'x' * 64}.example.org", "https://a..b/", "https://x/#f"],
)  # fmt: skip
def test_an_invalid_server_url_is_a_usage_error(text: str) -> None:
    with pytest.raises(Usage):
        normalise_url(text)
