"""Runs the application on granian, in this process, until SIGTERM or SIGINT.

Invariant: one socket listens from start to end. A renewed certificate is served by a new server on the same socket, and
no connection is refused or dropped meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import gc
import logging
import os
import signal
import socket
import ssl
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.net import SocketHolder  # type: ignore[attr-defined]
from granian.server.embed import Server
from msgspec import Struct

from mograder.domain.errors import MograderError
from mograder.web.body import Application
from mograder.web.serving import certificate_trial

log = logging.getLogger(__name__)

DRAIN_SECONDS = 8.0
"""How long requests in flight may take to finish after the server is told to stop."""

SETTLE_SECONDS = 1.0
"""How long a replaced server waits for the first request of a connection that it has accepted."""

LOOK_SECONDS = 2.0
"""The interval at which the certificate's files are checked."""

HEADER_SECONDS = 15
MAX_HEADER_BYTES = 64 * 1024
BACKLOG = 2048

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # as in <malloc.h>
MAPPED_FROM = 1024 * 1024
"""Bytes of an allocation that is a mapping of its own: more than a piece of a file, which would cost page faults."""
TRIMMED_FROM = 2 * MAPPED_FROM
"""Bytes of free memory at the end of the arena that are returned to the system."""


class Tls(Struct, frozen=True):
    """A certificate with its chain, and its key, as PEM files. `renew` is called every LOOK_SECONDS; it may replace
    both files.
    """

    certificate: Path
    key: Path
    renew: Callable[[], None] = lambda: None

    def check(self) -> None:
        """Raises MograderError unless certificate and key belong together and the serving library accepts them.

        That library may end the process over a certificate that it cannot use, so a separate process tries it.
        """
        try:
            # An empty password, because a prompt for one would stop the server.
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key, password="")
        except (OSError, ValueError) as error:
            why = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            raise MograderError(
                f"cannot serve HTTPS with {self.certificate} and {self.key}: {str(why).replace('_', ' ').lower()}: "
                "give a certificate with its chain and its key without a password, as PEM files"
            ) from None
        if why := certificate_trial.load(self.certificate, self.key):
            raise MograderError(
                f"cannot serve HTTPS with {self.certificate} and {self.key}: {why}: give PEM files without a "
                "byte-order mark, and a key that is RSA, or ECDSA with P-256 or P-384, or Ed25519"
            )

    def mark(self) -> tuple[object, ...]:
        """A version that changes when the files do; links are followed. Raises OSError."""
        found = (self.certificate.stat(), self.key.stat())
        return tuple((each.st_ino, each.st_size, each.st_mtime_ns) for each in found)


def listen(host: str, port: int) -> socket.socket:
    """The listening socket. Raises MograderError when the address cannot be listened on."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind)
        try:
            if sys.platform != "win32":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            listening.listen(BACKLOG)
            listening.setblocking(False)  # several servers may be woken for one connection; the others must not block
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        named = isinstance(error, (socket.gaierror, UnicodeError)) or getattr(error, "errno", 0) == errno.EADDRNOTAVAIL
        mend = "--host is no address of this machine" if named else "choose another port with -p"
        raise MograderError(
            f"cannot listen on {host}:{port}: {(getattr(error, 'strerror', None) or str(error)).lower()}: {mend}"
        ) from None
    return listening


def serve(
    app: Application,
    listening: socket.socket,
    started: Callable[[], None],
    tls: Tls | None = None,
    parent: int | None = None,
) -> None:
    """Serve until told to stop, then finish the requests in flight. `started` is called once requests are answered.

    `parent` is a pipe's descriptor that the parent process holds open: when it ends, so does this server.
    """
    gc.freeze()  # loaded modules stay: exclude them from garbage collection
    gc.enable()
    if sys.platform == "win32":
        asyncio.run(_serve(app, listening, started, tls, parent))
    else:
        import uvloop

        uvloop.run(_serve(app, listening, started, tls, parent))


async def _serve(
    app: Application, listening: socket.socket, started: Callable[[], None], tls: Tls | None, parent: int | None
) -> None:
    logging.getLogger("_granian").setLevel(logging.WARNING)
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it warns of each bad form, with bytes of it
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        with contextlib.suppress(NotImplementedError):  # Windows: Ctrl-C arrives as KeyboardInterrupt
            loop.add_signal_handler(number, stop.set)
    if parent is not None:
        loop.add_reader(parent, _orphaned, parent, stop)
    serving = _Servers(app, listening, tls)
    serving.begin()
    stopping = asyncio.create_task(stop.wait())
    answering = asyncio.create_task(_say_when_answering(listening, tls, started))
    watching = asyncio.create_task(serving.watch())
    await asyncio.wait({stopping, serving.ended}, return_when=asyncio.FIRST_COMPLETED)
    # granian schedules a request although its connection has been closed. No turn of the loop may be left to begin it.
    warnings.filterwarnings("ignore", r"coroutine '_future_watcher_wrapper\b.* was never awaited", RuntimeWarning)
    answering.cancel()
    watching.cancel()
    listening.close()
    if streams := sys.modules.get("sse_starlette.sse"):  # loaded with the first page
        streams.AppStatus.should_exit = True  # ends the streams to browsers, which would go on for ever
    await serving.stop()


def _orphaned(parent: int, stop: asyncio.Event) -> None:
    asyncio.get_running_loop().remove_reader(parent)
    stop.set()


class _Servers:
    """granian's servers on one socket: one that accepts connections, and replaced ones that finish theirs."""

    def __init__(self, app: Application, listening: socket.socket, tls: Tls | None) -> None:
        self._app = app
        self._listening = listening
        self._tls = tls
        self._finishing: set[asyncio.Task[None]] = set()
        self.ended = asyncio.get_running_loop().create_future()
        """Done when the accepting server has ended by itself."""

    def begin(self) -> None:
        self._mark = self._tls.mark() if self._tls else None
        self._current = OnSocket(self._app, self._listening, self._tls)
        self._task = asyncio.create_task(self._current.serve())
        self._task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        if task is self._task and not self.ended.done():
            self.ended.set_result(None)

    async def watch(self) -> None:
        """Serve a renewed certificate as soon as its files have changed."""
        tls, told = self._tls, None
        failed: tuple[object, ...] | None = ()
        while tls is not None:
            await asyncio.sleep(LOOK_SECONDS)
            mark: tuple[object, ...] | None = None
            try:
                await asyncio.to_thread(tls.renew)
                mark = tls.mark()
                if mark in (self._mark, told):
                    continue
                await asyncio.to_thread(tls.check)
                if tls.mark() != mark:  # replaced while it was tried
                    continue
            except (MograderError, OSError) as error:
                if mark == failed:  # what fails for the first time may be written at this very moment
                    log.error("the certificate is served as it was: %s", error)
                    told = mark
                failed = mark
                continue
            self._take_over()
            log.warning("the certificate was renewed")

    def _take_over(self) -> None:
        before, task = self._current, self._task
        self.begin()
        finishing = asyncio.create_task(_finish(before, task))
        self._finishing.add(finishing)
        finishing.add_done_callback(self._finishing.discard)

    async def stop(self) -> None:
        """Finish what is in flight, within a bound."""
        if not self._task.done():
            self._current.stop()  # type: ignore[no-untyped-call]
        await asyncio.wait({self._task, *self._finishing}, timeout=DRAIN_SECONDS)
        if self._task.done():
            self._task.result()


async def _finish(server: OnSocket, task: asyncio.Task[None]) -> None:
    server.accept_no_more()
    await asyncio.sleep(SETTLE_SECONDS)
    server.stop()  # type: ignore[no-untyped-call]
    await task


class OnSocket(Server):
    """granian's embedded server on a socket of ours.

    granian's public interface opens its own socket, which no other server can share. So this class, and nothing else,
    overrides `_init_shared_socket` and sets `_shd`, as granian's own servers do; pyproject.toml pins granian's minor
    version for this reason, and tests/web/test_tls.py fails if granian changes it.
    """

    def __init__(self, app: Application, listening: socket.socket, tls: Tls | None) -> None:
        super().__init__(
            app,
            interface=Interfaces.ASGINL,
            http=HTTPModes.http1,
            websockets=False,
            backlog=BACKLOG,
            backpressure=16384,
            http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=MAX_HEADER_BYTES),
            log_enabled=False,
            ssl_cert=tls.certificate if tls else None,
            ssl_key=tls.key if tls else None,
            ssl_protocol_min=SSLProtocols.tls12,
        )
        self._listening = listening
        self._handle = -1

    def _init_shared_socket(self) -> None:
        self._handle = self._listening.dup().detach()  # granian closes it
        words = {"win32": (), "darwin": (False,)}.get(sys.platform, (False, BACKLOG))
        self._shd = SocketHolder(self._handle, *words)  # type: ignore[call-arg, assignment]

    def accept_no_more(self) -> None:
        """Leave new connections to the other server on the socket.

        granian can stop accepting only by dropping connections whose first request has not arrived. So its handle is
        replaced by one of a socket to which nobody connects.
        """
        if sys.platform == "win32":  # socket handles cannot be replaced there: such connections are dropped
            return
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            nobody.listen(1)
            nobody.setblocking(False)
            os.dup2(nobody.fileno(), self._handle)


def bound_the_allocator() -> None:
    """Limit the free memory that glibc's malloc keeps: it has up to eight arenas a processor, and each grows.

    Free memory at the end of an arena is returned to the system. Other C libraries have no arenas.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            library = ctypes.CDLL(None)
            library.mallopt(M_ARENA_MAX, 1)
            library.mallopt(M_MMAP_THRESHOLD, MAPPED_FROM)
            library.mallopt(M_TRIM_THRESHOLD, TRIMMED_FROM)


async def _say_when_answering(listening: socket.socket, tls: Tls | None, started: Callable[[], None]) -> None:
    """Call `started` once a request is answered."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared, not bound)
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # our own server
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            with contextlib.closing(writer):  # also when the server is stopped meanwhile
                writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                if await reader.read(1):
                    started()
                    return
        await asyncio.sleep(0.01)
