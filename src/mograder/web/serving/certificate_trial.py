"""Tries a certificate in a separate process, because the library that serves it may end the process over a bad one.

Invariant: what `load` accepts has answered a request over TLS in another process.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
import ssl
import subprocess
import sys
from pathlib import Path

ANSWERED = 17
"""The exit code of a process that served with the certificate; no library ends a process with it by chance."""

LONGEST = 60.0
"""Seconds after which a certificate counts as unusable if nothing has been served with it."""


def load(certificate: Path, key: Path) -> str:
    """ "" if the pair can be served, else what the library says. Takes about half a second."""
    command = [sys.executable, "-P", "-m", __name__, os.fspath(certificate), os.fspath(key)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=LONGEST, stdin=subprocess.DEVNULL)  # noqa: S603
    except subprocess.TimeoutExpired:
        return f"no answer in {LONGEST:g} seconds"
    if done.returncode == ANSWERED:
        return ""
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    said = [each.strip() for each in lines if not each.startswith(("note:", "thread '", "stack backtrace"))]
    return _in_words((said or [f"the process ended with {done.returncode}"])[0])[:200]


def _in_words(said: str) -> str:
    """The library's message without what Rust writes around it."""
    if said.endswith("a `None` value"):
        return "it has no key that can be read"
    said = said.rpartition("an `Err` value: ")[2]
    found = re.fullmatch(r'\w+\("(.*)"\)', said)
    return found[1] if found else "it has no certificate that can be read" if said.startswith("NoCert") else said


async def _answer(certificate: Path, key: Path) -> None:
    from mograder.web.serving.server import OnSocket, Tls

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    server = OnSocket(_hello, listening, Tls(certificate, key))
    serving = asyncio.create_task(server.serve())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # our own server, with the certificate to try
    while not serving.done():
        try:
            reader, writer = await asyncio.open_connection(*listening.getsockname(), ssl=context)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if await reader.read(1):
                os._exit(ANSWERED)
        except ssl.SSLError as error:
            sys.exit(str(error.reason or error))
        except OSError:
            await asyncio.sleep(0.01)
    serving.result()


async def _hello(_scope: object, _receive: object, send: object) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})  # type: ignore[operator]
    await send({"type": "http.response.body", "body": b""})  # type: ignore[operator]


if __name__ == "__main__":
    asyncio.run(_answer(Path(sys.argv[1]), Path(sys.argv[2])))
