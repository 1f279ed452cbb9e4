"""Runs the application on granian, in this process, until SIGTERM or SIGINT; figures and trials are in docs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable

from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from mograder.domain.errors import MograderError
from mograder.web.body import Application

DRAIN_SECONDS = 8.0
"""How long requests in flight may take to finish after the server is told to stop."""

HEADER_SECONDS = 15
MAX_HEADER_BYTES = 64 * 1024


def check_port(host: str, port: int) -> None:
    """Raises MograderError when the address cannot be listened on, before anything else is said."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise MograderError(f"cannot listen on {host}:{port}: {error}: choose another port with -p") from None


def serve(app: Application, host: str, port: int, started: Callable[[], None]) -> None:
    """Serve until told to stop; `started` is called once requests are answered. What is in flight is finished."""
    if sys.platform == "win32":
        asyncio.run(_serve(app, host, port, started))
    else:
        import uvloop

        uvloop.run(_serve(app, host, port, started))


async def _serve(app: Application, host: str, port: int, started: Callable[[], None]) -> None:
    logging.getLogger("_granian").setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it warns of each bad form, with bytes of it
    server = Server(
        app,
        address=host,
        port=port,
        interface=Interfaces.ASGINL,
        http=HTTPModes.http1,
        websockets=False,
        backlog=2048,
        backpressure=16384,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=MAX_HEADER_BYTES),
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt
            loop.add_signal_handler(number, stop.set)
    stopping = asyncio.create_task(stop.wait())
    answering = asyncio.create_task(_say_when_listening(host, port, started))
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    answering.cancel()
    if not serving.done():
        server.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait({serving}, timeout=DRAIN_SECONDS)
    if serving.done():
        serving.result()


async def _say_when_listening(host: str, port: int, started: Callable[[], None]) -> None:
    """Call `started` once a connection is accepted."""
    while True:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1" if host == "0.0.0.0" else host, port)  # noqa: S104
            writer.close()
            started()
            return
        await asyncio.sleep(0.01)
