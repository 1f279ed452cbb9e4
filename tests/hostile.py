"""A real HTTP server in a thread that gives the answers a test chooses, and records the requests."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any


@dataclass(frozen=True)
class RecordedRequest:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """`announced` is a Content-Length that may be wrong; `hang_up` closes the connection without an answer."""

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
    """`answers` maps "METHOD /path" (without the query) to answers, given in this order; the last one is repeated.

    `otherwise` answers every other request.
    """

    port: int
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[RecordedRequest] = field(default_factory=list)
    otherwise: Callable[[RecordedRequest], Answer] = lambda _: Answer(status=404)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def answer(self, request: str, *answers: Answer) -> None:
        self.answers[request] = list(answers)

    def list_files(self, **files: Answer) -> None:
        """List one assignment, hw1, with these files ("__" in a keyword stands for a dot)."""
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
            server.requests.append(RecordedRequest(self.command, self.path, dict(self.headers), body))
            known = server.answers.get(f"{self.command} {self.path.partition('?')[0]}")
            left = known or [server.otherwise(server.requests[-1])]
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


Moment = Callable[[], bool]
"""Waits 0.01 s. Returns whether to continue."""


@contextmanager
def raw_server(answer: Callable[[socket.socket, Moment], None]) -> Iterator[str]:
    """The URL of a server that reads only the head of a request and then calls `answer` with the connection."""
    over = threading.Event()

    class Handler(StreamRequestHandler):
        rbufsize = 0  # unbuffered: the rest is left for `answer`

        def handle(self) -> None:
            with suppress(OSError):
                while self.rfile.readline() not in (b"\r\n", b""):
                    pass
                answer(self.connection, lambda: not over.wait(0.01))

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.server_address[1]}"
        finally:
            over.set()
            listening.shutdown()
            thread.join()


def slowly(begin: bytes, again: bytes) -> Callable[[socket.socket, Moment], None]:
    """Sends `begin`, and then `again` every 0.01 s without end."""

    def answer(connection: socket.socket, moment: Moment) -> None:
        connection.sendall(begin)
        while moment():
            connection.sendall(again)

    return answer


def endless(head: bytes, more: bytes) -> Callable[[socket.socket, Moment], None]:
    """Sends `head`, and then `more` as fast as possible without end."""

    def answer(connection: socket.socket, _: Moment) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(more)

    return answer


JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
SLOW = {
    "no status line": slowly(b"", b"H"),
    "a header": slowly(b"HTTP/1.1 200 OK\r\nX-Long: ", b"a"),
    "headers": slowly(b"HTTP/1.1 200 OK\r\n", b"X: a\r\n"),
    "other answers before the answer": slowly(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a body": slowly(JSON_HEAD + b"Content-Length: 9999999\r\n\r\n[", b" "),
    "a body without a length": slowly(JSON_HEAD + b"\r\n[", b" "),
    "chunks": slowly(JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "the head of a chunk": slowly(JSON_HEAD + b"Transfer-Encoding: chunked\r\n\r\n5;", b"a"),
    "an error": slowly(b"HTTP/1.1 404 Not Found\r\nContent-Length: 9999\r\n\r\n{", b" "),
    "other answers, as fast as it can": endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "a redirect": slowly(b"HTTP/1.1 302 Found\r\nLocation: /assign", b"m"),
}
"""Endless answers that are never silent for long."""
