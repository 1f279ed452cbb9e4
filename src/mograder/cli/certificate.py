"""Chooses the certificate for HTTPS of `mograder serve`, and finds the names by which this machine is reached."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mograder.config import ServeSettings
from mograder.domain.errors import Usage

if TYPE_CHECKING:
    from mograder.store.folder.authority import Authority
    from mograder.web.serving.server import Tls

ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 (compared, not bound)
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check_words(settings: ServeSettings) -> None:
    """Raises Usage when the settings for HTTPS do not go together."""
    certificate, key, self_signed = settings.tls_cert, settings.tls_key, settings.tls_self_signed
    if bool(certificate) != bool(key):
        raise Usage("give --tls-cert and --tls-key together")
    if certificate and self_signed:
        raise Usage("give either --tls-cert and --tls-key or --tls-self-signed")
    if settings.tls_names and not self_signed:
        raise Usage("--tls-names goes with --tls-self-signed: a certificate of yours has its names already")
    given_names(settings)


def given_names(settings: ServeSettings) -> list[str]:
    """The names in --tls-names. Raises Usage."""
    names = [each.strip() for each in (settings.tls_names or "").split(",") if each.strip()]
    for name in names:
        if "/" in name or not _fits(name):
            raise Usage(f"--tls-names: {name!r} is no host name: give names such as lab.example.org,192.168.1.20")
    return names


def https(settings: ServeSettings, root: Path, host: str, url: str) -> tuple[Tls | None, Authority | None]:
    """What to serve HTTPS with, None for plain HTTP, and the authority of a self-signed server.

    `url` is the address that the course itself states, if any. Raises MograderError.
    """
    from mograder.web.serving.server import Tls

    if settings.tls_cert and settings.tls_key:
        tls = Tls(settings.tls_cert, settings.tls_key)
        tls.check()
        return tls, None
    if not settings.tls_self_signed:
        return None, None
    from mograder.store.folder.authority import Authority

    authority = Authority(root, datetime.now(UTC))
    stated = [*given_names(settings), *filter(None, [urlsplit(url).hostname])]

    def renew() -> None:
        authority.renew([*stated, *names_of_this_machine(host)], datetime.now(UTC))

    renew()
    return Tls(authority.path, authority.path, renew), authority


def names_of_this_machine(host: str) -> list[str]:
    """The names by which this machine may be reached when it listens on `host`. Nothing is sent to find out."""
    if host not in ANY_ADDRESS:
        return sorted({*LOOPBACK, host})
    names = {*LOOPBACK, socket.gethostname()}
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        # Connecting a datagram socket chooses the address that packets would leave from, and sends none.
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            names.add(probe.getsockname()[0])
    return sorted(filter(_fits, names))


def address_for_students(settings: ServeSettings, host: str) -> str:
    """A name of this machine for a link: one that was given, else the address it listens on, else its own."""
    if names := given_names(settings):
        return names[0]
    if host not in ANY_ADDRESS:
        return "localhost" if host in LOOPBACK else host
    own = [each for each in names_of_this_machine(host) if each not in LOOPBACK]
    addresses = [each for each in own if _is_address(each)]
    return next(iter([*addresses, *own]), "localhost")


def _is_address(name: str) -> bool:
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    return False


def _fits(name: str) -> bool:
    """Whether a certificate can contain the name."""
    if _is_address(name):
        return "%" not in name
    with contextlib.suppress(UnicodeError):
        return bool(name.encode("idna"))
    return False
