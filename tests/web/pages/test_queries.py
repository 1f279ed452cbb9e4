"""Whatever stands in the query of whatever page, the answer is a page, and never an internal error."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlencode

import pytest

import mograder.web.pages
from mograder.domain.course import Course
from mograder.domain.names import INSTRUCTOR
from mograder.web.pages.routes import VIEWS
from tests.parts import ALICE, submit_work, token_of
from tests.web.pages.test_sessions import Visitor

ABSURD = [
    "9" * 4400, "-1", "0", "1e9", "\u0663", "\u00b2", "\0", "%00", "\ud800", "x" * 3000, "../..", "<b>",
    "nan", "latest",
]  # fmt: skip
MALFORMED = ["%ff", "%", "a=b=c&&&=;", "page", "page=1&page=2", "=".join("9" * 999), "&" * 2000, "%F0%9F%8E%88" * 500]
READS = re.compile(r'query\.get\("(\w+)"|"(\w+)" in \w+\.query')
KNOWN = {"q", "page", "show", "order", "assignment", "received", "repeated", "saved", "next", "grades", "pages"}


def parameters() -> list[str]:
    """Every name that a page may read from its query; a name that is none does no harm."""
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


@pytest.mark.parametrize("who", ["alice", INSTRUCTOR])
def test_no_query_of_any_page_is_an_internal_error(course: Course, who: str) -> None:
    submit_work(course.store, course.signer, ALICE, b"x = 1")
    visitor = Visitor(course)
    visitor.post("/login", token=token_of(course, who))
    names = parameters()
    for path in pages():
        for text in MALFORMED:
            assert visitor.get(f"{path}?{text}").status_code < 500, (path, text[:20])
        for value in ABSURD:
            others = [name for name in names if name not in ("show", "order", "page")]
            halves = [dict.fromkeys(others[at::2], value) for at in (0, 1)]  # an address has 64 KiB at most here
            for query in (*halves, {"show": value}, {"order": value}, {"page": value}):
                answer = visitor.get(f"{path}?{urlencode(query, errors='surrogatepass')}")
                assert answer.status_code < 500, (path, value[:20], query.keys())
