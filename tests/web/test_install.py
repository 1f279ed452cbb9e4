"""The page that says how to install the client, and its wheel: at a root, below a path, with own TLS."""

from __future__ import annotations

import asyncio
import re

import httpx2
import pytest

from mograder.domain.course import Course
from mograder.web import create_app
from mograder.web.pages.install import Install
from mograder.web.pages.page import render
from mograder.web.serving.proxies import Proxies
from mograder.wheel import own_wheel
from tests.web.in_process import Web
from tests.web.sample_parts import NOBODY
from tests.web.samples import WHEEL

HTML = {"Accept": "text/html"}


def test_anybody_can_download_the_wheel_and_gets_304_afterwards(web: Web) -> None:
    wheel = own_wheel()
    assert wheel is not None
    reply = web("GET", f"/client/{wheel.name}", None)
    assert reply.status_code == 200
    assert reply.content == wheel.content
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["cross-origin-resource-policy"] == "cross-origin"
    again = web("GET", f"/client/{wheel.name}", None, headers={"If-None-Match": reply.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert web("GET", "/client/mograder-9.9-py3-none-any.whl", None).status_code == 404
    assert own_wheel() is wheel


def get(course: Course, path: str, proxies: Proxies, **headers: str) -> httpx2.Response:
    async def send() -> httpx2.Response:
        transport = httpx2.ASGITransport(proxies.around(create_app(course)), client=("127.0.0.1", 1))
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        async with httpx2.AsyncClient(transport=transport, base_url="http://inner") as client:
            return await client.get(path, headers={**HTML, **named})

    return asyncio.run(send())


@pytest.mark.parametrize("how", ["flag", "header"])
def test_below_a_mount_path_the_install_commands_use_the_public_address(course: Course, how: str) -> None:
    proxies = Proxies.parse("127.0.0.1", "/uni/course" if how == "flag" else "")
    said = {"X_Forwarded_Prefix": "/uni/course"} if how == "header" else {}
    page = get(course, "/install", proxies, Host="example.org", X_Forwarded_Proto="https", **said)
    (address,) = set(re.findall(r"https?://[^\s&]+\.whl", page.text))
    assert address.startswith("https://example.org/uni/course/client/")
    assert get(course, address.removeprefix("https://example.org"), proxies, **said).status_code == 200


def test_with_a_self_signed_certificate_the_install_commands_use_a_downloaded_file() -> None:
    """uv could install from the URL only without checking the certificate, and it compares no checksum."""
    text = render(Install(NOBODY, "https://192.0.2.7", WHEEL, "5f" * 32))
    assert f"uv tool install &#34;./{WHEEL[0]}&#34;" in text
    assert "insecure" not in text
    assert f"--url &#34;https://192.0.2.7/join#fingerprint={'5f' * 32}&#34;" in text
    assert f'href="/course/client/{WHEEL[0]}"' in text
