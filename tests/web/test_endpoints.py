"""What each endpoint promises (docs/reference/protocol.md), in process."""

from __future__ import annotations

import asyncio
import hmac
import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from mograder.domain.course import Course
from mograder.domain.names import INSTRUCTOR
from mograder.signing import Ed25519Signer
from mograder.wire.endpoints import BY_NAME, CHECKSUM_HEADER
from mograder.wire.paths import build_path
from tests.parts import CODE, NOON, SECOND, Clock, names_in, sha256
from tests.web.in_process import Web, everything_in, problem

# tokens and registration


def register(web: Web, user: object = "alice", code: object = CODE, **extra: Any) -> httpx2.Response:
    return web("POST", "/register", None, content=json.dumps({"user": user, "enrollment_code": code}), **extra)


@pytest.mark.parametrize("name", ["alice", "bob-smith", "user_1", "first.last", "a@uni.de", "x+y@uni.de"])
def test_registering_returns_a_token_that_works(web: Web, course_folder: Path, name: str) -> None:
    reply = register(web, f" {name}\n")
    secret = (course_folder / ".mograder-secret").read_text().strip()
    digest = hmac.digest(secret.encode(), name.encode(), "sha256").hex()
    assert reply.json() == {"user": name, "token": f"{name}:{digest}"}
    assert web("GET", "/assignments", None, headers={"Authorization": f"Bearer {name}:{digest}"}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_registration_takes_any_content_type(web: Web, kind: str) -> None:
    assert register(web, headers={"Content-Type": kind}).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "bad_request"), (b"{", 400, "bad_request"), (b"[]", 400, "bad_request"),
        (b"\xff", 400, "bad_request"), (b"{}", 400, "bad_request"), (b'{"user": null}', 400, "bad_request"),
        (b'{"user": 5}', 400, "bad_request"), (b'{"user": "\\ud800"}', 400, "bad_request"),
        (b"[" * 8000, 400, "bad_request"),
        (b'{"user": "  "}', 400, "bad_name"), (b'{"user": "../x"}', 400, "bad_name"),
        (b'{"user": "__x"}', 400, "bad_name"), (b'{"user": "__instructor__"}', 400, "bad_name"),
        (b'{"user": "a.py"}', 400, "bad_name"), (b'{"user": "a_20260310T200800"}', 400, "bad_name"),
        (b'{"user": "a"}', 403, "wrong_code"), (b'{"user": "a", "enrollment_code": ""}', 403, "wrong_code"),
        (b'{"user": "a", "enrollment_code": "Swordfis"}', 403, "wrong_code"),
        (b'{"user": "a", "enrollment_code": "\xc3\xa4"}', 403, "wrong_code"),
    ],
)  # fmt: skip
def test_an_invalid_registration_is_refused_for_the_first_reason(web: Web, body: bytes, status: int, code: str) -> None:
    problem(web("POST", "/register", None, content=body), status, code)
    assert web.course.store.accounts.all() == []


@pytest.mark.parametrize("check_tokens", [True, False])
def test_without_a_code_registration_is_off(course: Course, check_tokens: bool) -> None:
    web = Web(Course(course.store, course.signer, course.clock), check_tokens=check_tokens)
    for body in (b"{", b'{"user": "alice", "enrollment_code": ""}'):
        problem(web("POST", "/register", None, content=body), 403, "registration_off")


def test_a_name_can_be_registered_once(web: Web) -> None:
    register(web)
    for name in ("alice", "Alice", " alice "):
        assert "taken" in problem(register(web, name), 409, "name_taken")
    problem(register(web, "alice", "wrong"), 403, "wrong_code")
    assert [each.username for each in web.course.store.accounts.all()] == ["alice"]


def test_a_name_with_existing_work_cannot_be_registered(web: Web, submitted: Path) -> None:
    submitted.mkdir(parents=True)
    (submitted / "alice.py").write_bytes(b"from last year's server")
    problem(register(web), 409, "name_taken")
    assert web.course.store.accounts.all() == []


def test_a_registration_answer_is_not_cached(web: Web) -> None:
    assert register(web).headers["cache-control"] == "no-store"


# assignments and released files


def test_assignments_are_listed_with_the_fields_that_clients_need(web: Web) -> None:
    (entry,) = web("GET", "/assignments", "alice").json()
    assert entry == {
        "name": "hw1", "id": "hw1",
        "files": [{"filename": "hw1.py", "url": "/assignments/hw1/files/hw1.py", "size": 14,
                   "sha256": sha256(b"import marimo\n")}],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["hw 1", "Übung 1", "100% sure", "a+b&c?d#e;f", "%41", "日本"])
def test_names_in_any_script_survive_the_round_trip(web: Web, course_folder: Path, name: str) -> None:
    files = course_folder / name / "files"
    files.mkdir(parents=True)
    (files / f"{name}.py").write_bytes(name.encode())
    entry = next(each for each in web("GET", "/assignments").json() if each["name"] == name)
    reply = web("GET", entry["files"][0]["url"], "alice")
    assert (reply.content, reply.headers["content-type"]) == (name.encode(), "application/octet-stream")
    row = BY_NAME["submit"]
    sent = web("POST", build_path(row, {"assignment": name}) + "?user=alice", "alice", content=b"x")
    assert sent.json()["assignment"] == name
    listed = web("GET", build_path(BY_NAME["submissions"], {"assignment": name})).json()
    assert web("GET", listed[0]["url"]).content == b"x"


def test_a_path_is_percent_decoded_once(web: Web, course_folder: Path) -> None:
    files = course_folder / "hw1" / "files"
    (files / "a%62.py").write_bytes(b"percent")
    (files / "ab.py").write_bytes(b"plain")
    assert web("GET", "/assignments/hw1/files/a%2562.py").content == b"percent"
    assert web("GET", "/assignments/hw1/files/a%62.py").content == b"plain"
    assert web("GET", "/assignments/hw1/files/%FF.py").status_code == 400


def test_a_manifest_is_passed_on_unchanged(web: Web, course_folder: Path) -> None:
    entries = [
        {"name": "b", "id": 7, "duedate": 0, "files": [{"filename": "x", "url": "https://e.org/x"}], "more": {"a": 1}},
        {"name": "a", "id": 2**70, "files": None, "weight": 1.5},
    ]
    (course_folder / "assignments.json").write_text(json.dumps(entries))
    assert web("GET", "/assignments", "alice").json() == entries


def test_the_details_of_a_broken_manifest_are_shown_to_instructors_only(web: Web, course_folder: Path) -> None:
    (course_folder / "assignments.json").write_text("{")
    assert "place" not in web("GET", "/assignments", "alice").json()
    reply = web("GET", "/assignments")
    problem(reply, 503, "unreadable")
    assert reply.json()["place"].startswith(str(course_folder / "assignments.json"))
    assert reply.headers["retry-after"]


TRAVERSALS = [
    "../../.mograder-secret", "..%2f..%2f.mograder-secret", "%2e%2e/%2e%2e/.mograder-secret",
    "..%5c..%5c.mograder-secret", "%252e%252e%252f.mograder-secret", "/etc/passwd", "%2fetc%2fpasswd", "%00",
    "hw1.py%00", ".", "..", "./hw1.py", "x/../hw1.py", "%c0%ae%c0%ae/x", "hw1.py%0a", "hw1.py%20", "C:\\x", "C:",
    ".mograder-secret", "hw1.py/", "a" * 5000, "a/" * 600 + "b", "\ud7ff", "hw1.py/x", "..;/x", "....//x",
]  # fmt: skip


@pytest.mark.parametrize("path", TRAVERSALS)
@pytest.mark.parametrize("base", ["/assignments/hw1/files/", "/assignments/hw1/submissions/", "/assignments/"])
def test_no_encoding_of_a_path_leads_out_of_its_folder(web: Web, base: str, path: str) -> None:
    web.submit()
    if base + path == "/assignments/hw1/files/hw1.py/":  # a trailing slash is tolerated
        return
    scope = {
        "type": "http", "method": "GET", "path": base + path, "raw_path": (base + path).encode(), "query_string": b"",
        "headers": [(b"authorization", web.bearer(INSTRUCTOR)["Authorization"].encode())], "scheme": "http",
    }  # fmt: skip
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(web.app(scope, receive, send))
    assert sent[0]["status"] in (400, 404)
    assert json.loads(sent[1]["body"])["code"] in ("bad_name", "bad_request", "not_found")


@pytest.mark.parametrize("size", [1000, 600_000])
def test_a_file_is_sent_whole_by_range_or_as_304(web: Web, course_folder: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256)
    (course_folder / "hw1" / "files" / "data.bin").write_bytes(content)
    path = "/assignments/hw1/files/data.bin"
    whole = web("GET", path, "alice")
    assert (whole.status_code, whole.content) == (200, content)
    assert whole.headers["content-length"] == str(len(content))
    head = web("HEAD", path, "alice")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(content)))
    part = web("GET", path, "alice", headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, content[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(content)}"
    tail = web("GET", path, "alice", headers={"Range": f"bytes={len(content) - 3}-"})
    assert (tail.status_code, tail.content) == (206, content[-3:])
    same = web("GET", path, "alice", headers={"If-None-Match": whole.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    resumed = web("GET", path, "alice", headers={"Range": "bytes=5-9", "If-Range": whole.headers["etag"]})
    assert resumed.status_code == 206
    stale = web("GET", path, "alice", headers={"Range": "bytes=5-9", "If-Range": '"older"'})
    assert (stale.status_code, stale.content) == (200, content)
    beyond = web("GET", path, "alice", headers={"Range": f"bytes={len(content)}-"})
    assert beyond.status_code == 416
    assert beyond.headers["access-control-allow-origin"] == "*"
    assert beyond.headers["content-type"] == "application/json"
    several = web("GET", path, "alice", headers={"Range": "bytes=0-1,5-6"})
    assert several.status_code in (200, 206)
    assert int(several.headers["content-length"]) == len(several.content)
    for header in ("lines=1-2", "bytes=", "bytes=9-5", "nonsense"):
        assert web("GET", path, "alice", headers={"Range": header}).headers["access-control-allow-origin"] == "*"


def test_an_empty_file_is_sent(web: Web, course_folder: Path) -> None:
    (course_folder / "hw1" / "files" / "empty.csv").touch()
    for headers in ({}, {"Range": "bytes=0-"}):
        reply = web("GET", "/assignments/hw1/files/empty.csv", headers=headers)
        assert (reply.status_code in (200, 416), reply.headers["access-control-allow-origin"]) == (True, "*")


@pytest.mark.parametrize("path", ["/assignments", "/assignments/hw1/submissions", "/assignments/hw1/status?user=a"])
def test_unchanged_content_is_answered_304(web: Web, path: str) -> None:
    tag = web("GET", path).headers["etag"]
    for known in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        reply = web("GET", path, headers={"If-None-Match": known})
        assert (reply.status_code, reply.content) == (304, b"")
    assert web("GET", path, headers={"If-None-Match": '"x"'}).status_code == 200


# submissions


def test_a_submission_is_answered_with_its_receipt(web: Web, submitted: Path, clock: Clock) -> None:
    clock.now = NOON + SECOND // 2
    reply = web.submit(content=b"work").json()
    text = reply.pop("receipt")
    assert reply == {
        "status": "ok", "filename": "alice.py", "version": "alice_20260310T120000.py", "user": "alice",
        "assignment": "hw1", "attempt": 1, "size": 4, "sha256": sha256(b"work"), "received": NOON / SECOND + 0.5,
        "repeated": False, "by": "alice", "late": False, "days_late": 0, "penalty": 0, "rule": "latest",
        "counts": "alice_20260310T120000.py",
    }  # fmt: skip
    claims = Ed25519Signer(web.course.signer.public_keys()[0]).verify(text)
    assert claims["received"] == "2026-03-10T12:00:00.500000Z"
    assert (claims["user"], claims["sha256"], claims["number"]) == ("alice", sha256(b"work"), 1)
    assert (submitted / "alice.py").read_bytes() == b"work"


def test_receipts_are_listed_for_one_or_all_assignments_with_the_keys_to_verify_them(web: Web, clock: Clock) -> None:
    (web.course.store.folders.root / "hw2" / "files").mkdir(parents=True)  # type: ignore[attr-defined]
    texts = [web.submit(content=content).json()["receipt"] for content in (b"one", b"two")]
    web.submit("bob", b"bob's")
    other = web("POST", "/assignments/hw2/submit?user=alice", "alice", content=b"three").json()["receipt"]
    listed = web("GET", "/assignments/hw1/receipts?user=alice", "alice").json()
    everything = web("GET", "/receipts/alice", "alice").json()
    assert [each["receipt"] for each in listed] == texts
    assert [each["receipt"] for each in everything] == [*texts, other]
    assert [each["number"] for each in everything] == [1, 2, 4]
    assert listed[1] == {
        "number": 2, "hash": sha256(texts[1].encode()), "user": "alice", "assignment": "hw1", "attempt": 2,
        "version": "alice_20260310T120001.py", "size": 3, "sha256": sha256(b"two"), "received": NOON / SECOND,
        "by": "alice", "url": "/assignments/hw1/receipts/alice/alice_20260310T120001.py", "receipt": texts[1],
    }  # fmt: skip
    keys = web("GET", "/.well-known/jwks.json", None).json()
    assert all(set(key) == {"kty", "crv", "x", "kid", "alg", "use"} for key in keys["keys"])
    assert Ed25519Signer(keys).verify(other)["previous"] == web("GET", "/receipts/bob").json()[0]["hash"]
    assert web("GET", "/chain", "bob").json() == {"number": 4, "hash": sha256(other.encode())}


def test_the_chain_of_a_new_course_is_empty(web: Web) -> None:
    assert web("GET", "/chain", "bob").json() == {"number": 0, "hash": ""}
    assert web("GET", "/receipts/bob", "bob").json() == []


def test_a_version_can_be_downloaded_by_its_owner_only(web: Web) -> None:
    for content in (b"one", b"two"):
        web.submit(content=content)
    web.submit("bob", b"bob's")
    listed = web("GET", "/assignments/hw1/receipts?user=alice", "alice").json()
    assert [web("GET", each["url"], "alice").content for each in listed] == [b"one", b"two"]
    assert web("GET", "/assignments/hw1/receipts/alice/alice.py", "alice").content == b"two"
    problem(web("GET", listed[0]["url"], "bob"), 403, "forbidden")
    for file in ("bob.py", "bob_20260310T120000.py", "alice_20260310T120009.py", "..%2fhw1%2falice.py", "%2e%2e%2fx"):
        assert web("GET", f"/assignments/hw1/receipts/alice/{file}", "alice").status_code == 404, file


@pytest.mark.parametrize("field", ["file", "files", "", "x" * 100, "ä"])
@pytest.mark.parametrize("filename", ["hw1.py", "../../x.py", "ä.py", "alice.zip"])
def test_a_form_may_use_any_names_for_field_and_file(web: Web, submitted: Path, field: str, filename: str) -> None:
    content = bytes(range(256)) + b"\r\n--x\r\n"
    reply = web("POST", "/assignments/hw1/submit?user=alice", "alice", files={field: (filename, content)})
    assert reply.json()["filename"] == f"alice{Path(filename).suffix}"
    assert (submitted / "alice.py").read_bytes() == content


def test_an_empty_file_field_is_ignored(web: Web, submitted: Path) -> None:
    part = '--b\r\nContent-Disposition: form-data; name="f"; filename="{}"\r\n\r\n{}\r\n'
    body = part.format("", "") + part.format("x.py", "work") + "--b--\r\n"
    form = {"Content-Type": "multipart/form-data; boundary=b"}
    web("POST", "/assignments/hw1/submit?user=alice", "alice", content=body, headers=form)
    assert (submitted / "alice.py").read_bytes() == b"work"


def test_a_form_may_have_fields_beside_its_file_but_no_second_file(web: Web, submitted: Path) -> None:
    files = {"note": (None, b"text"), "a": ("first.py", b"first")}
    web("POST", "/assignments/hw1/submit?user=alice", "alice", files=files)
    assert (submitted / "alice.py").read_bytes() == b"first"
    both = {**files, "b": ("second.py", b"second")}
    reply = web("POST", "/assignments/hw1/submit?user=alice", "alice", files=both)
    assert "2 files" in problem(reply, 400, "bad_request")
    assert (submitted / "alice.py").read_bytes() == b"first"


@pytest.mark.parametrize(("filename", "status"), [("essay.docx", 415), ("work.PY", 200), ("blob", 200)])
def test_the_default_file_endings_apply_where_the_instructor_names_none(web: Web, filename: str, status: int) -> None:
    reply = web("POST", "/assignments/hw1/submit?user=alice", "alice", files={"file": (filename, b"work")})
    assert reply.status_code == status, reply.text


@pytest.mark.parametrize("name", ["alice%0A", "%20alice", "alice%09", "%C2%A0alice", "alice%00", "al%C4%B1ce"])
def test_a_user_name_in_a_url_must_match_exactly(web: Web, name: str) -> None:
    for method, path in (("GET", "status"), ("GET", "receipts"), ("POST", "submit"), ("POST", "extension")):
        reply = web(method, f"/assignments/hw1/{path}?user={name}", content=b"{}" if method == "POST" else None)
        problem(reply, 400, "bad_name")
    for path in (f"/assignments/hw1/feedback/{name}", f"/receipts/{name}"):
        problem(web("GET", path), 404, "not_found")


def test_a_space_in_a_query_is_not_stripped_from_a_name(web: Web) -> None:
    problem(web("GET", "/assignments/hw1/status?user=alice+"), 400, "bad_name")


def test_two_feedback_pages_for_one_user_are_refused(web: Web) -> None:
    pages = [("files", ("alice.html", b"<p>1")), ("files", ("alice.HTML", b"<p>2"))]
    assert "twice" in problem(web("POST", "/assignments/hw1/feedback", files=pages), 400, "bad_request")
    assert web("GET", "/assignments/hw1/feedback/alice").status_code == 404


@pytest.mark.parametrize("size", [2_000_000, 300_000])
@pytest.mark.parametrize("form", [True, False])
def test_a_large_submission_is_kept_whole(web: Web, submitted: Path, form: bool, size: int) -> None:
    content = bytes(range(250)) * (size // 250)
    body: dict[str, Any] = {"files": {"f": ("x.py", content)}} if form else {"content": content}
    assert web("POST", "/assignments/hw1/submit?user=alice", "alice", **body).json()["sha256"] == sha256(content)
    assert (submitted / "alice.py").read_bytes() == content


@pytest.mark.parametrize(
    "body",
    [
        {"content": b""}, {"files": {"f": ("x.py", b"")}}, {"files": {"f": (None, b"text")}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        {"content": b"--b\r\nno header", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        {"content": b"", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
        {"content": b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\ncut',
         "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
    ],
)  # fmt: skip
def test_a_submission_without_data_or_with_a_truncated_body_is_refused(
    web: Web, submitted: Path, body: dict[str, Any]
) -> None:
    problem(web("POST", "/assignments/hw1/submit?user=alice", "alice", **body), 400, "bad_request")
    assert not submitted.exists() or names_in(submitted) == []


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("?user=", 400), ("?user=%20", 400), ("?user=../x", 400), ("?user=a.py", 400), ("?user=%FF", 400),
     ("?user=alice&user=bob", 400), ("?user=a_20260310T200800", 400), ("?User=alice", 400)],
)  # fmt: skip
@pytest.mark.parametrize("name", ["submit", "status"])
def test_a_request_without_a_user_is_refused(web: Web, query: str, status: int, name: str) -> None:
    method = BY_NAME[name].method
    assert web(method, f"/assignments/hw1/{name}{query}", content=b"x").status_code == status
    assert web(method, f"/assignments/hw1/{name}{query}", None, content=b"x").status_code == 401


def test_an_instructor_submits_for_a_student(web: Web) -> None:
    reply = web("POST", "/assignments/hw1/submit?user=alice", content=b"paper")
    claims = web.course.signer.verify(reply.json()["receipt"])
    assert (claims["user"], claims["by"]) == ("alice", INSTRUCTOR)


def test_bytes_that_do_not_match_their_checksum_are_refused(web: Web, submitted: Path) -> None:
    wrong = {CHECKSUM_HEADER: sha256(b"other")}
    problem(web.submit(headers=wrong), 400, "checksum_mismatch")
    assert not submitted.exists()
    assert web.submit(headers={CHECKSUM_HEADER: sha256(b"work").upper()}).status_code == 200


def test_a_repeated_submission_is_answered_with_the_first_receipt(web: Web, submitted: Path) -> None:
    first, again = web.submit().json(), web.submit().json()
    assert again == {**first, "repeated": True}
    assert len(names_in(submitted)) == 2


def test_a_submission_beyond_the_limit_is_refused_before_it_is_read(course: Course, submitted: Path) -> None:
    web = Web(Course(course.store, course.signer, course.clock, max_upload=1000))
    for body in ({"content": b"x" * 1001}, {"files": {"f": ("x.py", b"x" * 1001)}}):
        reply = web("POST", "/assignments/hw1/submit?user=alice", "alice", **body)
        problem(reply, 413, "too_large")
    assert not submitted.exists()
    assert web.submit(content=b"x" * 1000).status_code == 200


def test_submissions_beyond_the_hourly_limit_are_refused_with_the_time_to_wait(
    web: Web, course_folder: Path, clock: Clock
) -> None:
    (course_folder.parent / "mograder.toml").write_text("[server]\nmax_per_hour = 3\nmax_person_mb = 1\n")
    for number in range(3):
        assert web.submit(content=b"%d" % number).status_code == 200
        clock.now += SECOND
    assert web.submit(content=b"2").json()["repeated"] is True
    reply = web.submit(content=b"4")
    problem(reply, 429, "too_many_submissions")
    assert reply.headers["retry-after"] == "3597"
    assert "3 times within an hour" in reply.json()["error"]
    for_alice = web("POST", "/assignments/hw1/submit?user=alice", content=b"by an instructor")
    assert for_alice.status_code == 200
    assert web("POST", "/assignments/hw1/submit?user=bob", "bob", content=b"4").status_code == 200
    clock.now += 3600 * SECOND
    assert web.submit(content=b"4").status_code == 200
    reply = web.submit(content=b"x" * 1024 * 1024)
    problem(reply, 429, "too_many_submissions")
    assert "max_person_mb" in reply.json()["error"]


def test_attempts_per_hour_are_limited_and_the_status_says_how_many_are_left(
    web: Web, course_folder: Path, clock: Clock
) -> None:
    plan = course_folder.parent / "mograder.toml"
    plan.write_text("[grading]\nper_hour = 9\n[[assignments]]\nname = 'hw1'\ngrading = { per_hour = 2 }\n")

    def left() -> tuple[int | None, float | None]:
        status = web("GET", "/assignments/hw1/status?user=alice", "alice").json()
        return status.get("attempts_left"), status.get("next_attempt")

    assert [each["per_hour"] for each in web("GET", "/assignments", "alice").json() if each["name"] == "hw1"] == [2]
    for number in range(2):
        assert left() == (2 - number, None)
        assert web.submit(content=b"%d" % number).status_code == 200
        clock.now += 60 * SECOND
    assert left() == (0, NOON / SECOND + 3600)
    assert web.submit(content=b"1").json()["repeated"] is True
    reply = web.submit(content=b"3")
    assert "2 times within an hour" in problem(reply, 429, "too_many_submissions")
    assert reply.headers["retry-after"] == "3480"
    plan.write_text("[[assignments]]\nname = 'hw1'\ngrading = { per_hour = 'many' }\n")  # the first answer stays valid
    assert left() == (0, NOON / SECOND + 3600)
    clock.now = NOON + 3600 * SECOND
    assert left() == (1, None)
    assert web.submit(content=b"3").status_code == 200
    plan.write_text("[[assignments]]\nname = 'hw1'\n")
    assert left() == (None, None)


PLAN = "[[assignments]]\nname = 'hw1'\nopens = 2026-03-10\ncloses = 2026-03-10T12:00:00\naccepts = ['py', '.ZIP']\n"


def test_rules_of_the_course_file_are_enforced_by_the_endpoints(web: Web, course_folder: Path, clock: Clock) -> None:
    (course_folder.parent / "mograder.toml").write_text(PLAN)
    form = {"files": {"f": ("x.R", b"x")}}
    problem(web("POST", "/assignments/hw1/submit?user=alice", "alice", **form), 415, "wrong_type")
    assert web.submit().status_code == 200
    clock.now = NOON + SECOND
    reply = web.submit(content=b"late")
    problem(reply, 403, "closed")
    assert reply.json()["closes"] == NOON / SECOND
    assert web("POST", "/assignments/hw1/submit?user=alice", content=b"late").status_code == 200
    clock.now = NOON - 24 * 3600 * SECOND
    assert web("GET", "/assignments", "alice").json() == []
    problem(web("GET", "/assignments/hw1/files/hw1.py", "alice"), 404, "not_found")
    problem(web.submit(), 404, "not_open")
    assert len(web("GET", "/assignments").json()) == 1


def test_submissions_are_listed_and_fetched(web: Web, submitted: Path) -> None:
    assert web("GET", "/assignments/hw1/submissions").json() == []
    for content in (b"old", b"new!"):
        web.submit("first.last", content)
    (entry,) = web("GET", "/assignments/hw1/submissions").json()
    assert entry["timemodified"] == int((submitted / "first.last.py").stat().st_mtime)
    del entry["timemodified"]
    assert entry == {
        "username": "first.last", "filename": "first.last.py", "url": "/assignments/hw1/submissions/first.last.py",
        "size": 4, "sha256": sha256(b"new!"), "received": NOON / SECOND, "by": "first.last",
        "version": "first.last_20260310T120001.py", "counts": "first.last_20260310T120001.py",
        "late": False, "days_late": 0, "penalty": 0,
    }  # fmt: skip
    reply = web("GET", entry["url"])
    assert (reply.content, reply.headers["content-type"]) == (b"new!", "application/octet-stream")
    assert web("GET", "/assignments/hw1/submissions/first.last_20260310T120000.py").content == b"old"


# grades


def grade(web: Web, document: object) -> httpx2.Response:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return web("POST", "/assignments/hw1/grades", content=content)


@pytest.mark.parametrize("wrap", [lambda rows: rows, lambda rows: {"grades": rows, "workflow_state": ""}])
def test_grades_are_accepted_as_a_list_or_in_an_object_and_merged(web: Web, course_folder: Path, wrap: Any) -> None:
    assert grade(web, wrap([{"username": "alice", "grade": "1", "x": [1]}])).json()["count"] == 1
    reply = grade(web, wrap([{"username": "alice", "grade": "2"}, {"userid": "bob", "grade": 3}]))
    assert reply.json() == {"status": "ok", "count": 2, "received": 2, "unknown": ["alice", "bob"]}
    assert json.loads((course_folder / "hw1" / "grades.json").read_bytes()) == [
        {"username": "alice", "grade": "2", "x": [1]},
        {"userid": "bob", "grade": 3},
    ]


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{", b"null", b"5", b'"x"', b"{}", b'{"grades": {}}', b"[1]", b"[[]]", b"[null]",
        b'[{"grade": "1"}]', b'[{"username": "ok"}, {"username": ""}]', b'[{"username": null}]',
        b'[{"username": true}]', b'[{"username": ["a"]}]', b'[{"username": "a", "grade": NaN}]',
        b'[{"username": "a", "grade": 1e999}]', b'[{"username": "\\ud800"}]', b"\xff", b"[" * 100_000,
        b'[{"username": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
    ],
)  # fmt: skip
def test_refused_grades_change_nothing(web: Web, course_folder: Path, document: bytes) -> None:
    grade(web, [{"username": "zoe", "grade": "1"}])
    before = everything_in(course_folder)
    problem(grade(web, document), 400, "bad_request")
    assert everything_in(course_folder) == before


@pytest.mark.parametrize("value", ["1" * 400, "1" * 5000, "-0.0", "1e308", "[" * 500 + "]" * 500])
def test_unusual_values_in_grades_are_accepted_or_refused_without_an_internal_error(web: Web, value: str) -> None:
    reply = grade(web, f'[{{"username": {value}}}, {{"username": "a", "grade": {value}}}]'.encode())
    assert reply.status_code in (200, 400)
    assert web("GET", "/assignments/hw1/status?user=a").status_code == 200


def test_grades_of_several_megabytes_are_accepted_and_larger_ones_refused(web: Web) -> None:
    rows = [{"username": f"s{number}", "feedback": "x" * 1000} for number in range(3000)]
    assert grade(web, rows).json()["count"] == 3000
    problem(grade(web, b"[" + b" " * BY_NAME["upload_grades"].limit + b"]"), 413, "too_large")  # type: ignore[operator]


def status(web: Web, user: str = "alice") -> dict[str, Any]:
    reply = web("GET", f"/assignments/hw1/status?user={user}", user)
    assert reply.status_code == 200
    return dict(reply.json())


def test_the_status_has_state_grade_and_times_of_a_student(web: Web, course_folder: Path) -> None:
    new = {"status": "new", "graded": False, "grade": None, "feedback": "", "feedback_available": False}
    new |= {"attempts": 0, "rule": "latest"}
    assert status(web) == new
    web.submit()
    new_one = {"received": NOON / SECOND, "by": "alice", "late": False, "days_late": 0, "penalty": 0}
    submitted = {**new, "status": "submitted", "attempts": 1, "counts": "alice_20260310T120000.py", **new_one}
    assert status(web) == submitted
    grade(web, [{"username": "alice", "grade": 92.5, "feedback": "good"}])
    assert status(web) == {**submitted, "graded": True, "grade": "92.5", "feedback": "good"}
    web("POST", "/assignments/hw1/feedback", files={"files": ("alice.html", b"<p>")})
    assert status(web)["feedback_available"] is True
    (course_folder / "hw1" / "grades.json").write_text('[{"userid": "alice", "grade": "by hand"}]')
    assert status(web)["grade"] == "by hand"
    assert status(web, "bob") == new


@pytest.mark.parametrize(
    ("fields", "shown"),
    [({"grade": ""}, None), ({"grade": 0}, "0"), ({"grade": "0"}, "0"), ({"mark": "A"}, "A"), ({"grade": 90.0}, "90"),
     ({"grade": None}, None), ({}, None), ({"grade": "1", "workflow_state": "inreview"}, None),
     ({"grade": "1", "workflow_state": "released"}, "1")],
)  # fmt: skip
def test_a_grade_is_shown_as_text_and_a_missing_grade_as_null(
    web: Web, fields: dict[str, Any], shown: str | None
) -> None:
    for person in ("username", "userid", "student"):
        grade(web, [{person: "alice", **fields}])
        assert (status(web)["grade"], status(web)["graded"]) == (shown, shown is not None)
        web.course.store.folders.root.joinpath("hw1", "grades.json").unlink()  # type: ignore[attr-defined]


# feedback


def test_feedback_is_served_as_a_sandboxed_page(web: Web, course_folder: Path) -> None:
    pages = [("files", ("alice.html", "<p>gut gemacht, Zoë".encode())), ("files", ("bob.HTML", b"<p>"))]
    reply = web("POST", "/assignments/hw1/feedback", files=pages)
    assert reply.json() == {"status": "ok", "files": ["alice.html", "bob.html"]}
    assert names_in(course_folder / "hw1" / "feedback") == ["alice.html", "bob.html"]
    page = web("GET", "/assignments/hw1/feedback/alice", "alice")
    assert (page.text, page.headers["content-type"]) == ("<p>gut gemacht, Zoë", "text/html; charset=utf-8")
    assert "sandbox" in page.headers["content-security-policy"]
    assert "allow-same-origin" not in page.headers["content-security-policy"]
    assert page.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "body",
    [
        {"content": b"<p>"}, {"json": {"files": []}}, {"files": {"other": ("alice.html", b"x")}},
        {"files": {"files": (None, b"x")}}, {"files": {"files": ("alice.py", b"x")}},
        {"files": {"files": ("../alice.html", b"x")}}, {"files": {"files": (".html", b"x")}},
        {"files": {"files": ("a.py.html", b"x")}},
        {"files": [("files", ("alice.html", b"x")), ("files", ("b/c.html", b"x"))]},
        {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
    ],
)  # fmt: skip
def test_refused_feedback_changes_nothing(web: Web, course_folder: Path, body: dict[str, Any]) -> None:
    before = everything_in(course_folder)
    assert web("POST", "/assignments/hw1/feedback", **body).status_code == 400
    assert everything_in(course_folder) == before


@pytest.mark.parametrize("user", ["alice", "..", "%2e%2e%2fgrades", "a%00", ".x", "a.py", "grades.json"])
def test_missing_feedback_is_not_found(web: Web, user: str) -> None:
    problem(web("GET", f"/assignments/hw1/feedback/{user}"), 404, "not_found")


# the roster


def add(web: Web, *people: dict[str, str], **extra: Any) -> httpx2.Response:
    return web("POST", "/roster", json={"people": people or [{"user": "alice", "name": "Alice A."}]}, **extra)


def test_a_person_on_the_roster_registers_with_the_personal_code(web: Web) -> None:
    added = add(web)
    assert added.headers["cache-control"] == "no-store"
    (entry,) = added.json()
    code = entry.pop("code")
    assert entry == {"user": "alice", "name": "Alice A.", "role": "student", "state": "unclaimed"}
    assert web("GET", "/roster").json() == [entry]
    problem(register(web), 403, "wrong_code")
    token = register(web, code=code).json()["token"]
    assert web("GET", "/roster").json() == [{**entry, "state": "claimed"}]
    assert add(web).json() == [{**entry, "state": "claimed"}]
    reset = web("POST", "/roster/alice/reset").json()
    bearer = {"Authorization": f"Bearer {token}"}
    problem(web("GET", "/assignments", None, headers=bearer), 401, "unauthenticated")
    assert register(web, code=reset["code"]).json()["token"] != token
    assert web("POST", "/roster/alice/remove").json() == {**entry, "state": "removed"}
    problem(register(web), 409, "name_taken")


def test_the_audit_log_names_the_instructor_who_acted(web: Web) -> None:
    web.submit()
    assert web("POST", "/roster/alice/role", json={"role": "instructor"}).json()["role"] == "instructor"
    assert web("POST", "/assignments/hw1/grades", "alice", json=[{"username": "bob"}]).status_code == 200
    events = web("GET", "/events", "alice").json()
    assert [(each["actor"], each["action"], each["subject"]) for each in events] == [
        ("alice", "grades", "hw1"), (INSTRUCTOR, "role", "alice"),
    ]  # fmt: skip
    assert events[0]["moment"] == NOON / SECOND


@pytest.mark.parametrize(
    "document",
    [
        [], {}, {"people": {}}, {"people": [{}]}, {"people": ["alice"]}, {"people": [{"user": "bob"}, {"user": ".."}]},
        {"people": [{"user": "bob"}, {"user": "__x"}]}, {"people": [{"user": "bob", "role": "god"}]},
        {"people": [{"user": "bob", "name": "x" * 201}]},
    ],
)  # fmt: skip
def test_a_list_with_an_invalid_person_is_refused_and_nobody_is_added(web: Web, document: object) -> None:
    assert web("POST", "/roster", json=document).status_code == 400
    assert web("GET", "/roster").json() == []


@pytest.mark.parametrize("user", ["nobody", INSTRUCTOR, "..", "%2e%2e", "a%00", "a.py"])
@pytest.mark.parametrize("action", ["reset", "remove", "role"])
def test_people_who_are_not_on_the_roster_cannot_be_changed(web: Web, user: str, action: str) -> None:
    body = {"json": {"role": "instructor"}} if action == "role" else {}
    problem(web("POST", f"/roster/{user}/{action}", **body), 404, "not_found")
    assert web("GET", "/events").json() == []


def test_an_unknown_role_is_refused(web: Web) -> None:
    add(web)
    problem(web("POST", "/roster/alice/role", json={"role": "god"}), 400, "bad_request")


# other endpoints


def test_the_health_endpoint_says_ok(web: Web) -> None:
    assert web("GET", "/", None).json() == {"status": "ok"}


def test_the_configuration_for_clients_has_server_address_and_assignments(web: Web, course_folder: Path) -> None:
    import tomllib

    (course_folder.parent / "mograder.toml").write_text("title = 'Kurs \"ä\"'\n[https]\ntoken = 'secret'\n" + PLAN)
    reply = web("GET", "/mograder.toml", None)
    assert reply.headers["content-type"] == "application/toml; charset=utf-8"
    document = tomllib.loads(reply.text)
    assert (document["title"], document["transport"], document["https"]) == (
        'Kurs "ä"', "https", {"url": "http://test"},
    )  # fmt: skip
    assert [(each["name"], each["files"]) for each in document["assignments"]] == [
        ("hw1", [{"name": "hw1.py", "url": "http://test/assignments/hw1/files/hw1.py"}])
    ]
