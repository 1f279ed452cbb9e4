"""A course below a path of a website, behind a real nginx that strips or keeps the path, in a real browser."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, expect

from mograder.domain.errors import Usage
from mograder.web.prefix import below, parse_prefix, path_of
from tests.parts import CODE, PATIENCE, Running, free_port, make_course_folder, running, until

CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location /uni/course/ {{
      proxy_pass http://127.0.0.1:{inner}{cut};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      {said}
      proxy_request_buffering off;
    }}
  }}
}}
"""
PREFIX = "/uni/course"


@contextmanager
def nginx(folder: Path, port: int, inner: int, cut: bool, said: bool) -> Iterator[None]:
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not Path(program).exists():
        assert os.environ.get("CI", "").lower() != "true", "in CI the tests with nginx must run"
        pytest.skip("there is no nginx here: apt-get install nginx-light")
    folder.mkdir()
    header = f"proxy_set_header X-Forwarded-Prefix {PREFIX};" if said else ""
    text = CONFIGURATION.format(folder=folder, port=port, inner=inner, cut="/" if cut else "", said=header)
    (folder / "nginx.conf").write_text(text)
    command = [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until(lambda: answers(port))
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def answers(port: int) -> bool:
    try:
        httpx2.get(f"http://127.0.0.1:{port}/", timeout=PATIENCE)
    except httpx2.TransportError:
        return False
    return True


@pytest.fixture(scope="module", params=["header", "url", "flag"])
def how(request: pytest.FixtureRequest) -> str:
    """How the server learns the path."""
    return str(request.param)


@pytest.fixture(scope="module", params=[True, False], ids=["stripped", "kept"])
def site(
    request: pytest.FixtureRequest, how: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Running]]:
    """The address at which nginx serves the course, and the server behind it."""
    port, folder = free_port(), tmp_path_factory.mktemp("site")
    root = make_course_folder(folder)
    words = {"header": ("--trusted-proxies", "127.0.0.1"), "url": (), "flag": ("--root-path", f"{PREFIX}/")}[how]
    if how == "url":
        (root.parent / "mograder.toml").write_text(f'[https]\nurl = "http://127.0.0.1:{port}{PREFIX}"\n')
    with (
        running(root, *words) as server,
        nginx(folder / "nginx", port, server.port, request.param, how == "header"),
    ):
        yield f"http://127.0.0.1:{port}{PREFIX}", server


def test_a_student_joins_submits_and_logs_out_below_the_root_path(
    site: tuple[str, Running], browser: Browser, tmp_path: Path
) -> None:
    url, server = site
    context = browser.new_context()
    tab = context.new_page()
    wrong: list[str] = []
    tab.on("response", lambda answer: wrong.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    tab.on("request", lambda sent: wrong.append(sent.url) if not sent.url.startswith(f"{url}/") else None)
    tab.goto(f"{url}/")
    assert tab.evaluate("document.styleSheets[0].cssRules.length") > 20
    tab.get_by_label("User name").fill("alice")
    tab.get_by_label("Enrollment code").fill(CODE)
    tab.get_by_role("button", name="Join").click()
    tab.get_by_role("button", name="Go to the assignments").click()
    tab.get_by_role("link", name="hw1").click()
    work = tmp_path / "work.py"
    work.write_text("x = 1\n")
    tab.get_by_label("Your work").set_input_files(work)
    tab.get_by_role("button", name="Submit", exact=True).click()
    expect(tab.get_by_role("heading", name="Received")).to_be_visible()
    (cookie,) = context.cookies()
    assert cookie.get("path") == PREFIX
    links = "[...document.querySelectorAll('[href], [src], [action]')].map(e => e.href ?? e.src ?? e.action)"
    assert [link for link in tab.evaluate(links) if not str(link).startswith(f"{url}/")] == []
    tab.get_by_role("button", name="Log out").click()
    expect(tab.get_by_role("heading", level=1)).to_have_text("Log in")
    assert wrong == []
    context.close()
    assert (server.submitted / "hw1" / "alice.py").read_text() == "x = 1\n"


def test_the_protocol_works_below_the_root_path_and_links_stay_below_it(site: tuple[str, Running]) -> None:
    url, server = site
    with httpx2.Client(headers=server.bearer("bob"), timeout=PATIENCE) as client:
        (listed,) = client.get(f"{url}/assignments").json()
        assert client.get(url + listed["files"][0]["url"]).status_code == 200
        assert client.post(f"{url}/assignments/hw1/submit?user=bob", content=b"work").status_code == 200
        link = client.post(f"{url}/login-link").json()["url"]
        assert link.startswith(f"{url}/once#")
        assert f"{url}/assignments/hw1/files/hw1.py" in client.get(f"{url}/mograder.toml").text
        assert urlsplit(client.get(f"{url}/my/hw1", headers={"Accept": "text/html"}).headers["location"]).path == (
            f"{PREFIX}/login"
        )


@pytest.mark.parametrize("path", ["/hw/../x", "course", "//evil", "/a b", "/ü", '/"', "/a//b", "/."])
def test_an_invalid_root_path_is_refused(path: str) -> None:
    with pytest.raises(Usage, match="--root-path"):
        parse_prefix(path)


@pytest.mark.parametrize(
    ("path", "prefix", "inner"),
    [
        ("/course/my/hw1", "/course", b"/my/hw1"),
        ("/my/hw1", "/course", b"/my/hw1"),
        ("/course", "/course", b""),
        ("/course/", "/course", b"/"),
        ("/courses", "/course", b"/courses"),
        ("/course/c/a", "", b"/course/c/a"),
    ],
)
def test_a_proxy_may_strip_the_prefix_or_keep_it(path: str, prefix: str, inner: bytes) -> None:
    scope: dict[str, Any] = {"path": path, "raw_path": path.encode(), "root_path": ""}
    moved = below(scope, prefix)
    assert path_of(moved) == inner
    assert moved["path"].startswith(prefix)
