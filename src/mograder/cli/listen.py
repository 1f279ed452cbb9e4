"""How `mograder serve` is reached: address, HTTPS, proxies and processes, whatever it is that is served."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mograder.cli import certificate
from mograder.cli.output import tell
from mograder.config import ServeSettings
from mograder.domain.errors import Usage

if TYPE_CHECKING:
    from mograder.store.folder.authority import Authority
    from mograder.web.body import Application
    from mograder.web.serving.proxies import Proxies
    from mograder.web.serving.server import Tls

MOST_WORKERS = 64


def check_numbers(settings: ServeSettings) -> None:
    """Raises Usage for a number out of range."""
    if not 0 < settings.port < 65536:
        raise Usage(f"{settings.port} is not a port: choose one from 1 to 65535")
    if settings.max_upload < 1:
        raise Usage(f"--max-upload is {settings.max_upload}: give at least 1 MiB")
    if not 0 < settings.workers <= MOST_WORKERS:
        raise Usage(f"--workers is {settings.workers}: give 1 to {MOST_WORKERS}")


@dataclass(frozen=True)
class Listener:
    """Where the server listens, and which proxies it trusts. `authority` is that of a self-signed server."""

    host: str
    port: int
    workers: int
    proxies: Proxies
    tls: Tls | None
    authority: Authority | None
    name: str
    """The name by which students reach this machine, as far as it is known."""

    @classmethod
    def of(cls, settings: ServeSettings, host: str, root: Path, url: str = "") -> Listener:
        """`root` holds the files of a self-signed server; `url` is the address that the course states.

        Raises MograderError.
        """
        from mograder.web.serving.proxies import Proxies

        proxies = Proxies.parse(settings.trusted_proxies or "", settings.root_path or "")
        tls, authority = certificate.https(settings, root, host, url)
        name = certificate.address_for_students(settings, host)
        return cls(host, settings.port, settings.workers, proxies, tls, authority, name)

    @property
    def options(self) -> dict[str, Any]:
        """The keyword arguments for an application behind this listener."""
        return {"authority": self.authority.pem if self.authority else ""}

    @property
    def address(self) -> str:
        """The URL for a person on this machine."""
        return self._address("localhost" if self.host in (*certificate.ANY_ADDRESS, "127.0.0.1") else self.host)

    @property
    def address_for_students(self) -> str:
        """The URL for people on other machines, as far as it is known."""
        return self._address(self.name) if self.authority or self.host in certificate.ANY_ADDRESS else self.address

    def _address(self, host: str) -> str:
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.tls else 'http'}://{shown}:{self.port}"


def keep_serving(
    listener: Listener, app: Application, close: Callable[[], None],
    again: Callable[[contextlib.ExitStack], Application], report: str,
) -> None:  # fmt: skip
    """Serve `app` until told to stop, and print `report` once it answers.

    With several processes, each serves an application of its own, which `again` opens and the stack closes. `close`
    closes what `app` has open, because processes must not share that. Raises MograderError.
    """
    from mograder.web.serving.server import listen
    from mograder.web.serving.server import serve as run_server

    listening = listen(listener.host, listener.port)

    def say() -> None:
        tell(report)

    if listener.workers == 1:
        run_server(listener.proxies.around(app), listening, say, listener.tls)
        return
    from mograder.web.serving.workers import serve_in_processes

    def work(started: Callable[[], None], parent: int) -> None:
        with contextlib.ExitStack() as stack:
            run_server(listener.proxies.around(again(stack)), listening, started, listener.tls, parent)

    close()
    serve_in_processes(listener.workers, listening, work, say)
