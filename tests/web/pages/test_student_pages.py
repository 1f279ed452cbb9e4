"""The pages of a student without a browser: submissions, downloads, and refusals."""

from __future__ import annotations

import asyncio
import io
import re
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest

from mograder.domain.access import COURSE_INSTRUCTOR
from mograder.domain.audit import Event
from mograder.domain.course import Course
from mograder.domain.extensions import Change, Decision
from mograder.domain.files import StoredFile
from mograder.domain.names import INSTRUCTOR, Username
from mograder.signing import Ed25519Signer
from mograder.web.pages.lzstring import compress_for_url
from mograder.web.pages.page_request import file_response
from tests.parts import ALICE, CODE, HW1, NOON, NOTEBOOK, SECOND, Clock, names_in, sha256, submit_work, token_of
from tests.web.pages.test_sessions import OURS, Visitor

HOUR = 3600 * SECOND


@pytest.fixture
def alice(course: Course) -> Visitor:
    visitor = Visitor(course)
    visitor.post("/join", user="alice", code=CODE)
    return visitor


def write_plan(course_folder: Path, text: str) -> None:
    (course_folder.parent / "mograder.toml").write_text(text)


def send(visitor: Visitor, content: bytes, name: str = "work.py", path: str = "/my/hw1") -> httpx2.Response:
    return visitor.send("POST", path, OURS, files={"file": (name, content)})


def after(visitor: Visitor, answer: httpx2.Response) -> str:
    """The page to which the answer to a form redirects."""
    assert answer.status_code == 303
    return visitor.get(answer.headers["location"]).text


def test_a_student_with_limited_attempts_is_not_told_to_submit_as_often_as_they_like(
    alice: Visitor, course_folder: Path
) -> None:
    assert "as often as you like" in alice.get("/my/hw1").text
    write_plan(course_folder, "[grading]\nper_hour = 2\n")
    page = alice.get("/my/hw1").text
    assert ("as often as you like" in page, "Every version is kept" in page, "2 of 2 submissions left" in page) == (
        False, True, True,
    )  # fmt: skip


def test_before_opening_an_assignment_shows_title_and_time_only_or_nothing_if_hidden(
    alice: Visitor, course_folder: Path, clock: Clock
) -> None:
    exam = '[[assignments]]\nname = "hw1"\ntitle = "Final exam"\nopens = 2026-03-10T13:00:00\n'
    write_plan(course_folder, exam)
    clock.now = NOON
    home, page = alice.get("/").text, alice.get("/my/hw1")
    assert all("Final exam" in each and f'data-until="{NOON + HOUR}" data-reload' in each for each in (home, page.text))
    assert "not open" in home
    assert (page.status_code, "<button>Submit</button>" in page.text, "hw1.py" in page.text) == (200, False, False)
    assert [send(alice, b"x = 1\n").status_code, alice.get("/my/hw1/files/hw1.py").status_code] == [404, 404]
    write_plan(course_folder, exam + "hidden = true\n")
    assert alice.get("/my/hw1").status_code == 404
    assert "Final exam" not in alice.get("/").text
    clock.now = NOON + HOUR
    assert "<button>Submit</button>" in alice.get("/my/hw1").text
    assert "Final exam" in alice.get("/").text


# submitting


def test_a_submission_is_kept_and_shown_with_time_checksum_and_receipt(alice: Visitor, course: Course) -> None:
    page = after(alice, send(alice, b"x = 1\n"))
    (receipt,) = course.submissions.receipts(ALICE)
    assert all(text in page for text in ("Received", sha256(b"x = 1\n"), "Submission 1", "6 bytes", "it counts"))
    assert "on time" not in page  # because there is no due time
    (link,) = re.findall(r'href="(/my/hw1/receipts/[^"]+)">Download the receipt', page)
    downloaded = alice.get(link)
    assert (downloaded.text, downloaded.headers["content-type"]) == (receipt.text, "application/jose")
    assert isinstance(course.signer, Ed25519Signer)
    assert course.signer.verify(downloaded.text)["sha256"] == sha256(b"x = 1\n")


@pytest.mark.parametrize("name", ["kim.pyle", "x.py.pyx", "a.htmlx.jws"])
def test_receipt_and_file_are_downloaded_when_the_name_contains_a_file_ending(course: Course, name: str) -> None:
    visitor = Visitor(course)
    visitor.post("/join", user=name, code=CODE)
    page = after(visitor, send(visitor, b"x = 1\n")) + visitor.get("/my-receipts").text
    (receipt,) = course.submissions.receipts(Username(name))
    links = set(re.findall(r'href="(/my/hw1/(?:receipts|submissions)/[^"]+)"', page))
    assert {link.rpartition("/")[2] for link in links} == {
        receipt.submission.filename, receipt.submission.filename.removesuffix(".py") + ".jws"
    }  # fmt: skip
    found = {link.split("/")[3]: visitor.get(link).text for link in links}
    assert found == {"receipts": receipt.text, "submissions": "x = 1\n"}
    assert course.store.grades.feedback(HW1, Username(name)) is None
    course.store.grades.put_feedback(
        HW1, {Username(name): b"<p>well done"}, Event(NOON, "bob", "upload feedback", name)
    )
    assert visitor.get("/my/hw1/feedback").text == "<p>well done"


def test_submitting_the_same_bytes_again_says_that_they_were_received_already(alice: Visitor, course: Course) -> None:
    send(alice, b"x = 1\n")
    assert "You had submitted this already" in after(alice, send(alice, b"x = 1\n"))
    assert len(list(course.submissions.receipts(ALICE))) == 1


def test_an_unchanged_released_file_is_accepted_with_a_notice(alice: Visitor) -> None:
    assert "unchanged from what was handed out" in after(alice, send(alice, NOTEBOOK))
    assert "unchanged from what was handed out" not in after(alice, send(alice, NOTEBOOK + b"x = 1\n"))


@pytest.mark.parametrize(
    ("content", "name", "status", "said"),
    [
        (b"", "work.py", 400, "empty"),
        (b"x", "essay.docx", 415, "takes .py, .zip"),
        (b"x", "<script>.exe", 415, "&lt;script&gt;.exe"),
        (b"x" * 2000, "work.py", 413, "2000 bytes; at most 1000"),
        (b"x" * 200_000, "work.py", 413, "at most"),
    ],
)
def test_a_refused_file_is_explained_on_the_page_and_not_kept(
    alice: Visitor, course: Course, course_folder: Path, content: bytes, name: str, status: int, said: str
) -> None:
    write_plan(course_folder, '[[assignments]]\nname = "hw1"\nmax_size = 1000\n')
    answer = send(alice, content, name)
    assert answer.status_code == status
    assert said in answer.text
    assert 'name="file"' in answer.text
    assert list(course.submissions.receipts(ALICE)) == []
    assert not any((course_folder.parent / "submitted").rglob("*.py"))


def test_a_round_size_limit_is_shown_in_round_numbers(alice: Visitor, course_folder: Path) -> None:
    for size, said in ((2 * 1024**2, "at most 2 MiB"), (2560, "at most 2.5 KiB"), (1000, "at most 1000 bytes")):
        write_plan(course_folder, f'[[assignments]]\nname = "hw1"\nmax_size = {size}\n')
        assert said in " ".join(alice.get("/my/hw1").text.split())


def test_submitting_without_choosing_a_file_shows_an_error(alice: Visitor) -> None:
    nothing = b'--b\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n--b--\r\n'
    for kind, body in (("multipart/form-data; boundary=b", nothing), ("application/x-www-form-urlencoded", b"file=")):
        answer = alice.send("POST", "/my/hw1", {**OURS, "Content-Type": kind}, content=body)
        assert answer.status_code == 400
        assert "no data" in answer.text.lower() or "choose a file" in answer.text.lower()


def test_a_submission_requires_a_form_of_this_server_and_a_session(alice: Visitor, course: Course) -> None:
    anonymous = Visitor(course)
    files = {"file": ("work.py", b"x = 1\n")}
    assert alice.send("POST", "/my/hw1", {"Origin": "https://evil.example"}, files=files).status_code == 403
    assert anonymous.send("POST", "/my/hw1", OURS, files=files).status_code == 401
    assert list(course.submissions.receipts(ALICE)) == []


def test_a_late_submission_shows_how_late_it_is_and_the_penalty(
    alice: Visitor, course: Course, course_folder: Path, clock: Clock
) -> None:
    write_plan(
        course_folder,
        """
        counts = "on-time"
        [penalties]
        enabled = true
        [[assignments]]
        name = "hw1"
        due = 2026-03-10T12:00:00
    """,
    )
    send(alice, b"x = 1\n")
    assert "data-late-after" in alice.get("/my/hw1").text
    clock.now = NOON + 6 * HOUR
    assert "A submission now is 1 day late" in (page := alice.get("/my/hw1").text)
    assert "data-late-after" not in page  # the script does not repeat it
    page = after(alice, send(alice, b"x = 2\n"))
    assert "1 day late: due Tue 10 Mar 12:00, received Tue 10 Mar 18:00 UTC, 1 x 5 %<" in page
    assert "submission 1 counts" in page
    assert "submitted" in alice.get("/").text


def test_a_closed_assignment_accepts_nothing_and_shows_no_form(
    alice: Visitor, course: Course, course_folder: Path, clock: Clock
) -> None:
    write_plan(course_folder, '[[assignments]]\nname = "hw1"\ncloses = 2026-03-10T12:00:00\n')
    clock.now = NOON + HOUR
    assert 'name="file"' not in alice.get("/my/hw1").text
    answer = send(alice, b"x = 1\n")
    assert answer.status_code == 403
    assert "closed at" in answer.text
    assert list(course.submissions.receipts(ALICE)) == []


def test_the_instructor_of_the_course_has_no_submissions(course: Course) -> None:
    teacher = Visitor(course)
    teacher.post("/login", token=token_of(course, INSTRUCTOR))
    assert teacher.get("/my/hw1").status_code == 403
    assert send(teacher, b"x = 1\n").status_code == 403


# more time


def test_more_time_is_requested_granted_and_shown(
    alice: Visitor, course: Course, course_folder: Path, clock: Clock
) -> None:
    write_plan(course_folder, '[[assignments]]\nname = "hw1"\ndue = 2026-03-10T12:00:00\n')
    assert "has not decided" in after(alice, alice.post("/my/hw1/extension", until="2026-03-12", reason="<b>ill"))
    (asked,) = course.extensions.all()
    assert asked.reason == "<b>ill"
    course.extensions.decide(
        COURSE_INSTRUCTOR, [Change(course.release.assignment(COURSE_INSTRUCTOR, "hw1"), ALICE, Decision.GRANT)]
    )
    assert "with your extension" in alice.get("/").text
    assert "Thu 2026-03-12 23:59:59 UTC" in alice.get("/my/hw1").text
    clock.now = NOON + 6 * HOUR
    assert "on time" in after(alice, send(alice, b"x = 1\n"))


@pytest.mark.parametrize("until", ["", "soon", "2026-03-09", "2099-01-01"])
def test_an_invalid_request_for_more_time_is_explained_on_the_page(
    alice: Visitor, course: Course, course_folder: Path, until: str
) -> None:
    write_plan(course_folder, '[[assignments]]\nname = "hw1"\ndue = 2026-03-10T12:00:00\n')
    answer = alice.post("/my/hw1/extension", until=until, reason="")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert course.extensions.all() == []


# files


def test_released_files_are_downloaded_one_by_one_or_as_a_zip(alice: Visitor, course_folder: Path) -> None:
    files = course_folder / "hw1" / "files"
    (files / "data").mkdir()
    (files / "data" / "größe.csv").write_bytes(b"a,b\n" * 200_000)
    one = alice.get("/my/hw1/files/data/gr%C3%B6%C3%9Fe.csv")
    assert (one.content, one.headers["content-disposition"]) == (
        b"a,b\n" * 200_000, "attachment; filename*=UTF-8''gr%C3%B6%C3%9Fe.csv",
    )  # fmt: skip
    answer = alice.get("/my/hw1/all.zip")
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''hw1.zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            "hw1.py": NOTEBOOK, "data/größe.csv": b"a,b\n" * 200_000,
        }  # fmt: skip


def test_only_released_files_and_own_submissions_can_be_downloaded(
    alice: Visitor, course: Course, course_folder: Path
) -> None:
    bob = submit_work(course.store, course.signer, Username("bob"), b"bob's").receipt.submission
    for path in (
        "/my/hw1/files/../grades.json", "/my/hw1/files/%2e%2e/%2e%2e/.mograder-secret", "/my/hw1/files/.hidden",
        f"/my/hw1/submissions/{bob.filename}", "/my/hw1/submissions/bob.py",
        "/my/hw1/submissions/..%2f..%2f.mograder-secret",
        f"/my/hw1/receipts/{bob.filename.replace('.py', '.jws')}", "/my/hw1/feedback", "/my/hw9", "/my/hw9/all.zip",
    ):  # fmt: skip
        assert alice.get(path).status_code in (400, 404), path
    assert names_in(course_folder / "hw1") == ["files"]


def test_students_can_download_each_of_their_submissions(alice: Visitor) -> None:
    for content in (b"x = 1\n", b"x = 2\n"):
        page = after(alice, send(alice, content))
    links = re.findall(r'href="(/my/hw1/submissions/[^"]+)"', page)
    assert [alice.get(link).content for link in links] == [b"x = 2\n", b"x = 1\n"]
    assert len(re.findall("Receipt<span", alice.get("/my-receipts").text)) == 2


def test_a_download_in_the_browser_sets_the_state_fetched(alice: Visitor, course: Course) -> None:
    assert "fetched" not in alice.get("/").text

    async def download() -> None:
        transport = httpx2.ASGITransport(alice.app)
        async with httpx2.AsyncClient(transport=transport, base_url=alice.base, cookies=alice.cookies) as client:
            await client.get("/my/hw1/files/hw1.py")
            while not course.store.release.fetched(ALICE):
                await asyncio.sleep(0)

    asyncio.run(download())
    assert "fetched" in alice.get("/").text


def test_a_notebook_opens_in_an_editor_by_a_link_that_contains_its_text(alice: Visitor, course_folder: Path) -> None:
    (course_folder / "hw1" / "files" / "picture.png").write_bytes(b"\x89PNG")
    write_plan(
        course_folder,
        """
        [edit_links]
        molab = "https://molab.example/new#code/{content_lz}"
        local = "http://localhost:2718/?url={url}&name={filename}&of={assignment}"
    """,
    )
    page = alice.get("/my/hw1").text
    packed = compress_for_url(NOTEBOOK.decode())
    assert re.findall(r'href="(https://molab[^"]*)"', page) == [f"https://molab.example/new#code/{packed}"]
    assert re.findall(r'href="(http://localhost[^"]*)"', page) == [
        "http://localhost:2718/?url=http%3A%2F%2Fcourse.example%2Fmy%2Fhw1%2Ffiles%2F"
        f"{name}&amp;name={name}&amp;of=hw1" for name in ("hw1.py", "picture.png")
    ]  # fmt: skip


def test_the_files_of_a_manifest_are_found_at_their_urls(alice: Visitor, course_folder: Path) -> None:
    (course_folder / "assignments.json").write_text("""[{"name": "week 1", "id": 7, "files": [
        {"filename": "work.py", "url": "/assignments/hw1/files/hw1.py"},
        {"filename": "data.csv", "url": "https://cdn.example/data.csv"}]}]""")
    page = alice.get("/my/week%201").text
    assert 'href="/my/hw1/files/hw1.py"' in page
    assert 'href="https://cdn.example/data.csv"' in page
    assert alice.get("/my/hw1/files/hw1.py").content == NOTEBOOK
    with zipfile.ZipFile(io.BytesIO(alice.get("/my/week%201/all.zip").content)) as archive:
        assert archive.namelist() == ["work.py"]


# joining


def test_the_join_page_and_the_receipts_show_the_fingerprint_of_the_key(course: Course) -> None:
    assert course.keys.public()[0]["kid"] in Visitor(course).get("/join").text
    visitor = Visitor(course)
    visitor.post("/join", user="carol", code=CODE)
    assert course.keys.public()[0]["kid"] in visitor.get("/my-receipts").text


def test_a_download_sends_the_file_as_it_was_when_the_download_began(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    path.write_bytes(b"old" * 10)
    answer = file_response(StoredFile("data.csv", 30, 0.0, "1", path))
    newer = tmp_path / "newer"
    newer.write_bytes(b"the new one, and longer than the old one was")
    newer.replace(path)
    sent: list[Any] = []

    async def listen() -> Any:
        return await asyncio.Future()

    async def take(message: Any) -> None:
        sent.append(message)

    asyncio.run(answer({"type": "http", "method": "GET", "headers": []}, listen, take))
    assert b"".join(each.get("body", b"") for each in sent) == b"old" * 10
    assert (b"content-length", b"30") in sent[0]["headers"]


def test_the_address_of_a_submission_in_earlier_versions_redirects_to_it(alice: Visitor) -> None:
    send(alice, b"x = 1\n")
    answer = alice.get("/my/hw1/hand-ins/alice.py")
    assert answer.status_code == 308
    assert alice.get(answer.headers["location"]).content == b"x = 1\n"


def test_below_a_mount_path_an_editor_gets_the_full_address_of_the_file(course: Course, course_folder: Path) -> None:
    write_plan(course_folder, '[edit_links]\neditor = "https://e.example/?{url}"\n')
    visitor = Visitor(course, root="/uni/course")
    visitor.post("/join", user="alice", code=CODE)
    found = re.search(r"https://e.example/\?([^\"]+)", visitor.get("/my/hw1").text)
    assert found
    assert unquote(found[1]) == "http://course.example/uni/course/my/hw1/files/hw1.py"
