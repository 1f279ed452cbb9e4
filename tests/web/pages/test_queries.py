"""Any query of any page gives a page and never an internal error."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import mograder.web.pages
from mograder.domain.course import Course
from mograder.domain.names import INSTRUCTOR
from mograder.web.pages.routes import VIEWS
from tests.parts import ALICE, submit_work, token_of
from tests.web.pages.test_sessions import BROWSER, HOME, Visitor

ABSURD = [
    "9" * 4400, "-1", "0", "1e9", "\u0663", "\u00b2", "\0", "%00", "\ud800", "x" * 3000, "../..", "<b>",
    "nan", "latest",
]  # fmt: skip
MALFORMED = ["%ff", "%", "a=b=c&&&=;", "page", "page=1&page=2", "=".join("9" * 999), "&" * 2000, "%F0%9F%8E%88" * 500]
READS = re.compile(r'query\.get\("(\w+)"|"(\w+)" in \w+\.query')
KNOWN = {"q", "page", "show", "order", "assignment", "received", "repeated", "saved", "next", "grades", "pages"}


def parameters() -> list[str]:
    """Every parameter that a page may read from its query, and possibly others, which do no harm."""
    folder = Path(next(iter(mograder.web.pages.__path__)))
    text = "".join(path.read_text() for path in folder.glob("*.py"))
    found = {name for names in READS.findall(text) for name in names if name}
    assert found >= {
        "q",
        "page",
        "show",
        "order",
        "assignment",
        "received",
        "repeated",
        "saved",
        "next",
        "grades",
        "pages",
    }
    return sorted(found)


def pages() -> list[str]:
    values = {
        "assignment": "hw1",
        "user": "alice",
        "person": "alice",
        "file": "alice.py",
        "file:path": "hw1.py",
        "tag": "x",
        "name": "style.css",
    }
    found = [re.sub(r"{([^}]+)}", lambda match: values[match[1]], view.path) for view in VIEWS if view.method == "GET"]
    return sorted(path for path in found if not path.endswith(("/live", "/live/marking")))


def queries() -> list[str]:
    names = parameters()
    others = [name for name in names if name not in ("show", "order", "page")]
    halves = [others[at::2] for at in (0, 1)]  # a URL has at most 64 KiB here
    return MALFORMED + [
        urlencode(dict.fromkeys(asked, value), errors="surrogatepass")
        for value in ABSURD
        for asked in (*halves, ["show"], ["order"], ["page"])
    ]


async def status(visitor: Visitor, path: str, query: str) -> int:
    """Status of the answer to a request with exactly these bytes, which a client would normalise or parse slowly."""
    sent: list[int] = []
    cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
    headers = {**BROWSER, "Host": HOME.partition("//")[2], "Cookie": cookies}
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1), "server": ("course.example", 80),
    }  # fmt: skip

    coming = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, object]:
        if not coming:
            await asyncio.Event().wait()  # no more data arrives, and the client stays connected
        return coming.pop()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            sent.append(message["status"])

    await visitor.app(scope, receive, send)  # type: ignore[arg-type]
    return sent[0]


@pytest.mark.parametrize("who", ["alice", INSTRUCTOR])
def test_no_query_of_any_page_causes_an_internal_error(course: Course, who: str) -> None:
    submit_work(course.store, course.signer, ALICE, b"x = 1")
    visitor = Visitor(course)
    visitor.post("/login", token=token_of(course, who))

    async def ask() -> set[int]:
        found = set()
        for path in pages():
            for query in queries():
                found.add(answered := await status(visitor, path, query))
                assert answered < 500, (path, query[:50])
        return found

    assert 200 in asyncio.run(ask())
