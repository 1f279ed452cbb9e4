"""A real HTTP server in a thread that misbehaves as a test wants, and records the requests."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """`announced` is a Content-Length that may be a lie; `hang_up` ends the connection without a word."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    announced: int | None = None
    hang_up: bool = False


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(json.dumps(value).encode(), status, {"Content-Type": "application/json", **named})


@dataclass
class HostileServer:
    """`answers` maps "METHOD /path" (without the query) to answers, given in turn; the last one stays."""

    port: int
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, request: str, *answers: Answer) -> None:
        self.answers[request] = list(answers)

    def lists(self, **files: Answer) -> None:
        """One assignment, hw1, with these files ("__" in a keyword stands for a dot)."""
        named = {name.replace("__", "."): answer for name, answer in files.items()}
        listing = [{"filename": name, "url": f"/files/{name}"} for name in named]
        self.answer("GET /assignments", as_json([{"name": "hw1", "id": 7, "files": listing}]))
        for name, answer in named.items():
            self.answer(f"GET /files/{name}", answer)


@contextmanager
def hostile(port: int = 0, tls: ssl.SSLContext | None = None) -> Iterator[HostileServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.asked.append(Asked(self.command, self.path, dict(self.headers), body))
            left = server.answers.get(f"{self.command} {self.path.partition('?')[0]}", [Answer(status=404)])
            answer = left.pop(0) if len(left) > 1 else left[0]
            self.close_connection = True
            if answer.hang_up:
                return
            self.send_response(answer.status)
            for name, text in answer.headers.items():
                self.send_header(name, text)
            self.send_header("Content-Length", str(len(answer.body) if answer.announced is None else answer.announced))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(answer.body)

        do_GET = do_POST = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as listening:
        if tls is not None:
            listening.socket = tls.wrap_socket(listening.socket, server_side=True)
        server = HostileServer(listening.server_port)
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()
