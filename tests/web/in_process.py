"""The protocol in process: requests to the application of a course without a server, and the format of errors."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx2

from mograder.domain.course import Course
from mograder.domain.names import INSTRUCTOR
from mograder.web import create_app
from tests.parts import token_of


class Web:
    """Sends requests to the application of a course, with the token of the user `as_`."""

    def __init__(self, course: Course, **options: Any) -> None:
        self.course = course
        self.app = create_app(course, **options)

    def __call__(self, method: str, path: str, as_: str | None = INSTRUCTOR, **extra: Any) -> httpx2.Response:
        headers = {**self.bearer(as_), **extra.pop("headers", {})}

        async def send() -> httpx2.Response:
            transport = httpx2.ASGITransport(self.app)
            async with httpx2.AsyncClient(transport=transport, base_url="http://test", trust_env=False) as client:
                return await client.request(method, path, headers=headers, **extra)

        return asyncio.run(send())

    def bearer(self, name: str | None) -> dict[str, str]:
        return {"Authorization": f"Bearer {token_of(self.course, name)}"} if name else {}

    def submit(self, name: str = "alice", content: bytes = b"work", **extra: Any) -> httpx2.Response:
        return self("POST", f"/assignments/hw1/submit?user={name}", name, content=content, **extra)


def problem(reply: httpx2.Response, status: int, code: str) -> str:
    """The message of an error that must have this status and code, in JSON."""
    assert reply.headers["content-type"] == "application/json"
    assert (reply.status_code, reply.json()["code"]) == (status, code), reply.text
    assert set(reply.json()) >= {"error", "code"}
    return str(reply.json()["error"])


def everything_in(folder: Path) -> dict[str, bytes]:
    """The content of every file below `folder` except those of the ledger."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".mograder"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
