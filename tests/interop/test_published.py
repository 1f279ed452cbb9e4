"""The published mograder and ours understand each other, in both directions, through their command lines."""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.browser import chromium, find_chromium
from tests.interop.conftest import CODE, OURS, Shell
from tests.parts import free_port, until


def register(url: str, user: str) -> str:
    request = urllib.request.Request(
        f"{url}/register", json.dumps({"user": user, "enrollment_code": CODE}).encode(), method="POST"
    )
    with urllib.request.urlopen(request) as reply:
        token: str = json.load(reply)["token"]
    return token


def instructor_token(root: Path) -> str:
    secret = (root / ".mograder-secret").read_text().strip()
    return f"__instructor__:{hmac.new(secret.encode(), b'__instructor__', 'sha256').hexdigest()}"


@pytest.mark.parametrize("direction", ["their client, our server", "our client, their server"])
def test_the_whole_workflow_runs_with_each_server_and_the_client_of_the_other(
    direction: str,
    published: list[str],
    course: Path,
    shell: Callable[[list[str], str], Shell],
    serve: Callable[..., str],
    tmp_path: Path,
) -> None:
    server, client = (OURS, published) if direction.endswith("our server") else (published, OURS)
    port = free_port()
    url = serve([*server, "serve", str(course), "-p", str(port), "--enrollment-code", CODE], port)
    alice, instructor = shell(client, "alice"), shell(client, "instructor")
    token = register(url, "alice")

    (alice.folder / "mograder.toml").write_text(f'transport = "https"\n[https]\nurl = "{url}"\n')
    assert "alice" in alice("https", "login", "--token", token, "--url", url)
    listed = alice("https", "fetch", "--list")
    assert "hw1" in listed
    assert "Übung 2" in listed
    assert "Fetched 2 file(s)" in alice("https", "fetch", "hw1", "-o", "hw1")
    assert (alice.folder / "hw1/homework.py").read_bytes() == (course / "hw1/files/homework.py").read_bytes()
    if server is OURS:  # the published server does not decode %xx in a path
        assert "Fetched 1 file(s)" in alice("https", "fetch", "übung", "-o", "u2")
    alice("https", "fetch", "hw7", code=2)

    assert "No submission yet." in alice("https", "feedback", "hw1")
    work = alice.folder / "hw1/homework.py"
    for version in (b"first = 1\n", "zweite = 'ä'\n".encode()):
        work.write_bytes(version)
        assert "Submitted" in alice("https", "submit", "hw1", "hw1/homework.py")
    assert "Not yet graded." in alice("https", "feedback", "hw1")
    alice("https", "submit", "hw1", "nothing.py", code=2)

    secret = ["--url", url, "--token", instructor_token(course)]
    assert "Downloaded 1" in instructor("https", "fetch-submissions", "hw1", *secret, "-o", "collected")
    assert (instructor.folder / "collected/alice.py").read_bytes() == work.read_bytes()
    again = instructor("https", "fetch-submissions", "hw1", *secret, "-o", "collected")
    assert client is not OURS or "skipped 1" in again
    (instructor.folder / "grades.csv").write_text("username,grade,feedback\nalice,87.5,well done\n")
    assert "Uploaded 1" in instructor("https", "upload-grades", "hw1", *secret, "--grades-csv", "grades.csv")
    (instructor.folder / "pages").mkdir()
    (instructor.folder / "pages/alice.html").write_text("<h1>well done</h1>")
    instructor("https", "upload-feedback", "hw1", *secret, "--feedback-dir", "pages")

    read = alice("https", "feedback", "hw1")
    assert "87.5" in read
    assert "well done" in read
    alice("https", "fetch-submissions", "hw1", "-o", "others", code=None)
    instructor("https", "fetch", "--list", "--url", url, "--token", "mallory:" + "0" * 64, code=None)

    if server is not OURS:
        return  # the published server keeps one of two submissions that come within a second
    versions = list((tmp_path / "course").glob("**/hw1/alice_*.py"))
    assert {path.read_bytes() for path in versions} == {b"first = 1\n", work.read_bytes()}


def test_a_published_client_sees_its_own_due_date_and_works_on_after_closing(
    published: list[str], course: Path, shell: Callable[[list[str], str], Shell], serve: Callable[..., str]
) -> None:
    due = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    (course.parent / "mograder.toml").write_text(
        f"counts = 'on-time'\n[penalties]\nenabled = true\n[[assignments]]\nname = 'hw1'\ndue = {due.isoformat()}\n"
    )
    port = free_port()
    url = serve([*OURS, "serve", str(course), "-p", str(port), "--enrollment-code", CODE], port)
    alice, instructor = shell(published, "alice"), shell(published, "instructor")
    ours = shell(OURS, "tutor")
    (alice.folder / "mograder.toml").write_text(f'transport = "https"\n[https]\nurl = "{url}"\n')
    alice("https", "login", "--token", register(url, "alice"), "--url", url)
    listed = alice("https", "fetch", "--list")
    assert f"{due:%Y-%m-%d %H:%M}" in listed
    (alice.folder / "homework.py").write_text("x = 1\n")
    assert "Submitted" in alice("https", "submit", "hw1", "homework.py")
    secret = ["--url", url, "--token", instructor_token(course)]
    assert "Downloaded 1" in instructor("https", "fetch-submissions", "hw1", *secret, "-o", "theirs")
    assert "alice: 2 days late: due" in ours("https", "fetch-submissions", "hw1", *secret, "-o", "ours")
    ours("extend", "alice", "hw1", "+3d", *secret)
    assert f"{due + timedelta(days=3):%Y-%m-%d %H:%M}" in alice("https", "fetch", "--list")
    assert "Not yet graded." in alice("https", "feedback", "hw1")


def test_the_published_student_dashboard_lists_and_fetches_in_a_browser(
    published: list[str], course: Path, shell: Callable[[list[str], str], Shell], serve: Callable[..., str]
) -> None:
    executable = find_chromium()
    if executable is None:
        assert os.environ.get("CI", "").lower() != "true", "in CI the tests in a browser must run"
        pytest.skip("there is no Chromium here: apt-get install chromium")
    port, page = free_port(), free_port()
    url = serve([*OURS, "serve", str(course), "-p", str(port), "--enrollment-code", CODE], port)
    student = shell(published, "student")
    student("https", "login", "--token", register(url, "alice"), "--url", url)
    words = [*published, "student", f"{url}/mograder.toml", "--headless", "--port", str(page)]
    dashboard = serve(words, page, student.folder, student.home)
    assert answers(dashboard) == 200
    kept = student.folder / "mograder-course" / "mograder.toml"
    assert f'url = "{url}"' in kept.read_text()
    with chromium(executable) as browser:
        tab = browser.new_page()
        tab.goto(dashboard)
        tab.get_by_text("hw1", exact=True).wait_for()
        tab.get_by_text("Download", exact=True).first.click()
        fetched = kept.parent / "hw1" / "homework.py"
        until(fetched.exists, 60)
        until(lambda: fetched.read_bytes() == (course / "hw1/files/homework.py").read_bytes())


def answers(url: str) -> int:
    """The status of a page that may take a moment to come up after its address is printed."""
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            return int(urllib.request.urlopen(url, timeout=60).status)
    raise AssertionError(f"{url} does not answer")
