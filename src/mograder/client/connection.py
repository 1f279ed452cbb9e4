"""One request to one server: sent, tried again, and its answer read within a limit.

Invariant: the token is sent to the server it belongs to and to nobody else, and nothing is read without a limit.
"""

from __future__ import annotations

import math
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, TypeVar
from urllib.parse import quote, unquote

import httpx2
import msgspec
import stamina

from mograder import __version__
from mograder.client.pace import Pace
from mograder.domain.errors import (
    MethodNotAllowed,
    MograderError,
    NetworkFailure,
    Temporary,
    Unreadable,
    Usage,
    VerificationFailed,
    error_for,
)
from mograder.domain.names import printable
from mograder.wire.endpoints import KIB, TROUBLE, VERSION_HEADER

CHUNK = 256 * KIB
MAX_ERROR = 64 * KIB  # bytes of an error answer that are read
MAX_TROUBLE = 1000  # letters
MAX_REDIRECTS = 5
UNQUOTED = "/%?=&:@+,;!$'()*"  # what may stand in a listed path as it is
PASSING = frozenset({429, 502, 503, 504})  # statuses that another try may cure
LASTING = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.ProxyError)  # failures that stay

Body = Callable[[], dict[str, Any]]
"""Makes the keywords of a request that carry its body, afresh for every try."""
Answer = TypeVar("Answer")
Cause = TypeVar("Cause", bound=BaseException)


@dataclass(frozen=True)
class RetryPolicy:
    """How long a failing request is tried again. All times are seconds.

    `total` bounds all tries of one request: 0 is one try, and a server that asks for a longer wait is not waited
    for.
    """

    attempts: int = 8
    total: float = 60.0
    first_wait: float = 0.5
    longest_wait: float = 15.0


def normalise_url(text: str) -> str:
    """A server's address as logins are kept under: lower-case scheme and host, no default port, no slash at the end.

    Raises Usage unless it is an http or https URL without credentials, query and fragment.
    """
    try:
        url = httpx2.URL(text.strip())
        url.host.encode("idna")  # a name that is too long fails only later otherwise
    except (httpx2.InvalidURL, UnicodeError):
        raise Usage(f"not a URL: {printable(text)!r}") from None
    if re.match(r"[\w.-]+(:\d+)?(/|$)", text.strip()):
        local = text.strip().startswith(("localhost", "127."))
        raise Usage(f"not a URL: did you mean {'http' if local else 'https'}://{printable(text.strip())}")
    if url.scheme not in ("http", "https") or not url.host:
        raise Usage(f"expected a URL such as https://course.example.org, not {printable(text)!r}")
    if url.userinfo or url.query or url.fragment:
        raise Usage(
            "give the server's URL without user name, password, '?' and '#' (a join link is for mograder https login)"
        )
    return str(httpx2.URL(str(url))).rstrip("/")  # the default port goes only once the scheme is in lower case


class Connection:
    """The way to one server. May be used from many threads."""

    def __init__(
        self,
        url: str,
        token: str | None,
        patience: RetryPolicy,
        on_wait: Callable[[str], None],
        on_trouble: Callable[[str], None],
        on_version: Callable[[str], None],
        timeout: float,
        verify: ssl.SSLContext | bool,
    ) -> None:
        self.url = normalise_url(url)
        self._patience = patience
        self._origin = httpx2.URL(self.url).origin
        self._token = token.strip() if token else None
        self._on_wait = on_wait
        self._on_trouble = on_trouble
        self._on_version = on_version
        self._verify = verify
        self._retry = stamina.RetryingCaller(
            attempts=self._patience.attempts,
            timeout=None,  # `total` is watched where a server's own wish is known
            wait_initial=self._patience.first_wait,
            # The last wait begins before `total` is over: it must not end long after.
            wait_max=max(self._patience.first_wait, min(self._patience.longest_wait, self._patience.total / 4)),
            wait_jitter=self._patience.first_wait,
        )
        # No compression: what is counted against a limit is what came over the wire.
        self._headers = {"User-Agent": f"mograder/{__version__}", "Accept-Encoding": "identity"}
        self._timeout = httpx2.Timeout(timeout, connect=min(timeout, 10.0), pool=None)
        self._pace = Pace(timeout)
        self._opened: dict[ssl.SSLContext | bool, httpx2.Client] = {}
        self._opening = threading.Lock()

    def _client(self, verify: ssl.SSLContext | bool) -> httpx2.Client:
        """The HTTP client that verifies so. Raises NetworkFailure where settings of the environment do not work."""
        with self._opening:
            if verify not in self._opened:
                try:
                    trust = _public_authorities(*map(os.environ.get, _CERTIFICATES)) if verify is True else verify
                    client = httpx2.Client(headers=self._headers, verify=trust, timeout=self._timeout)
                except (ImportError, ValueError, OSError, httpx2.InvalidURL) as error:
                    raise _unusable_environment(error) from error
                self._pace.keep(client)
                self._opened[verify] = client
            return self._opened[verify]

    def close(self) -> None:
        for each in self._opened.values():
            each.close()

    def send(
        self,
        method: str,
        url: httpx2.URL,
        body: Body,
        read: Callable[[httpx2.Response], Answer],
        *,
        repeatable: bool = True,
        download: bool = False,
    ) -> Answer:
        """What `read` makes of a successful answer.

        Unless it is `repeatable`, a request is sent again only when it cannot have arrived. A `download` alone may
        be redirected to another server. Raises the error that the server's answer stands for, or NetworkFailure.
        """
        self._client(self._verify)  # loading certificates takes a while, which is not the server's
        ends = time.monotonic() + self._patience.total
        tries = count(1)

        def worth_another_try(error: Exception) -> bool | float:
            if not isinstance(error, _Passing) or not (repeatable or error.not_arrived):
                return False
            tried = next(tries)
            if tried >= self._patience.attempts or time.monotonic() + (error.wait or 0) >= ends:
                return False
            if tried == 1:
                why = error.reason.message.partition(": check the address")[0]
                self._on_wait(f"{why}; trying for up to {self._patience.total:g} s (Ctrl-C stops)")
            return True if error.wait is None else error.wait

        try:
            return self._retry(worth_another_try, self._once, method, url, body, read, download)
        except _Passing as passing:
            raise passing.reason from None

    def _once(
        self,
        method: str,
        url: httpx2.URL,
        body: Body,
        read: Callable[[httpx2.Response], Answer],
        download: bool,
    ) -> Answer:
        """One try, with its redirects."""
        trusted = True
        self._pace.begin()
        for _ in range(MAX_REDIRECTS + 1):
            trusted = trusted and url.origin == self._origin
            # The pinned authority is for this server alone.
            http = self._client(self._verify if url.origin == self._origin else True)
            request = http.build_request(method, url, **body())
            if trusted and self._token:
                request.headers["Authorization"] = f"Bearer {self._token}"
            try:
                response = http.send(request, stream=True)
            except httpx2.TransportError as error:
                raise self._unreachable(url, error) from error
            except (httpx2.InvalidURL, UnicodeError) as error:
                raise NetworkFailure(f"cannot ask {printable(str(url))}: {error}") from error
            try:
                for trouble in response.headers.get_list(TROUBLE) if trusted else ():
                    self._on_trouble(printable(unquote(trouble), MAX_TROUBLE))
                if trusted and (version := response.headers.get(VERSION_HEADER)):
                    self._on_version(version)
                if response.is_redirect:
                    url = self._redirected(method, url, response, download)
                    continue
                if not response.is_success:
                    raise _refusal(response, None if download else self.url)
                if response.headers.get("Content-Encoding", "identity") != "identity":
                    raise NetworkFailure("the server compressed its answer without being asked to")
                return read(response)
            except httpx2.TransportError as error:
                raise self._unreachable(url, error) from error
            finally:
                response.close()
        raise NetworkFailure(f"{self.url} redirects in a circle")

    def pieces(self, response: httpx2.Response) -> Iterator[bytes]:
        """The body of an answer as it comes, not unpacked."""
        for piece in response.iter_raw():
            self._pace.moved(len(piece))
            yield piece

    def _redirected(self, method: str, url: httpx2.URL, response: httpx2.Response, download: bool) -> httpx2.URL:
        """Where to go on. Only downloads may leave the server, without the token and never from https to http."""
        try:
            target = url.join(response.headers["Location"])
        except KeyError:
            raise NetworkFailure(f"{self.url} redirects without saying where to: check the address") from None
        except (httpx2.InvalidURL, UnicodeError):
            raise NetworkFailure(f"{self.url} redirects to something that is no URL") from None
        place = printable(f"{target.scheme}://{target.netloc.decode('ascii', 'replace')}")
        if url.scheme == "http" and target.scheme == "https" and target.host == url.host:
            raise NetworkFailure(f"{self.url} redirects to https: use --url {place}")
        if target.scheme not in ("http", "https") or (url.scheme, target.scheme) == ("https", "http"):
            raise NetworkFailure(f"{self.url} redirects to {place}: refused")
        if target.origin != url.origin and not download:
            raise NetworkFailure(
                f"{self.url} redirects to another server, {place}: refused, your token stays here. "
                f"use --url {place} if you trust it"
            )
        if method != "GET":
            raise NetworkFailure(f"{self.url} redirects to {printable(str(target))}: use that server's own URL")
        return target

    def _unreachable(self, url: httpx2.URL, error: httpx2.TransportError) -> Exception:
        place, mend = f"{url.scheme}://{url.netloc.decode('ascii')}", "check the address, else tell your instructor"
        if isinstance(error, httpx2.RemoteProtocolError) and url.scheme == "http" and "illegal" in str(error).lower():
            https = str(httpx2.URL(self.url).copy_with(scheme="https")).rstrip("/")
            return NetworkFailure(f"{place} does not answer as an http server: does it want https? use --url {https}")
        if isinstance(error, LASTING):
            return NetworkFailure(f"cannot reach {place}: {printable(str(error) or type(error).__name__, 300)}")
        if _cause(error, socket.gaierror):
            proxies = (
                f" (or none by way of {printable(', '.join(_in_force(_PROXIES)), 300)})" if _in_force(_PROXIES) else ""
            )
            return NetworkFailure(
                f"there is no server called {printable(url.host)}{proxies}: check the address and your network"
            )
        if refused := _cause(error, ssl.SSLCertVerificationError):
            return VerificationFailed(_distrusted(place, refused, pinned=self._verify is not True))
        tls = _cause(error, ssl.SSLError)
        if tls and isinstance(error, httpx2.ConnectError) and not isinstance(tls, ssl.SSLEOFError):
            if getattr(tls, "reason", "") == "WRONG_VERSION_NUMBER":  # what came was no TLS
                plain = str(httpx2.URL(self.url).copy_with(scheme="http")).rstrip("/")
                return NetworkFailure(f"{place} does not answer as an https server: does it want {plain}?")
            why = getattr(tls, "verify_message", "") or getattr(tls, "reason", "") or "the handshake failed"
            why = printable(str(why).replace("_", " ").lower(), 300)
            return NetworkFailure(
                f"no secure connection to {place}: {why}: check the address, else tell your instructor"
            )
        how = "answers too slowly" if self._pace.is_over else "does not answer"
        failure = NetworkFailure(f"the server at {place} {how}: {mend}")
        return _Passing(failure, not_arrived=isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout))

    def locate(self, name: str, address: str) -> httpx2.URL:
        """Where a listed file is: absolute URLs as they are, all else below this server."""
        try:
            if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", address):
                url = httpx2.URL(address)
                if url.scheme in ("http", "https") and url.host:
                    return url
            else:
                # The published server quotes nothing. The slash: "@evil.example" would make our host a user name.
                return httpx2.URL(f"{self.url}/{quote(address.lstrip('/'), safe=UNQUOTED)}")
        except (httpx2.InvalidURL, UnicodeError):
            pass
        raise VerificationFailed(f"{printable(name)!r} has an address that cannot be fetched: {printable(address)!r}")


_PROXIES = ("ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@cache
def _public_authorities(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """A context with the authorities of this computer, or those that the environment names. Takes 60 ms."""
    return httpx2.create_ssl_context()


def _in_force(names: tuple[str, ...]) -> list[str]:
    """The variables of the environment among `names` that say something, each as NAME=VALUE, without passwords."""
    return [f"{name}={re.sub(r'//[^/@]*@', '//', os.environ[name])}" for name in names if os.environ.get(name)]


def _unusable_environment(error: Exception) -> NetworkFailure:
    """What to do about variables of the environment by which no connection can be made."""
    named = _in_force(_PROXIES + _CERTIFICATES)
    socks = " (SOCKS needs one more package: pip install httpx2[socks])" if isinstance(error, ImportError) else ""
    why = printable(str(error).partition(".")[0], 200)
    return NetworkFailure(
        f"no connection can be made with {printable(', '.join(named) or 'this environment', 300)}: {why}{socks}. "
        "correct or unset the variable"
    )


UNKNOWN_AUTHORITY = frozenset({2, 7, 18, 19, 20, 21, 24})  # OpenSSL's X509_V_ERR_*: nobody known vouches for it


def _distrusted(place: str, error: ssl.SSLCertVerificationError, pinned: bool) -> str:
    """What a person is told about a certificate that was refused."""
    if error.verify_code not in UNKNOWN_AUTHORITY:
        return (
            f"the certificate of {place} is not accepted: {printable(error.verify_message, 300).lower()}: check the "
            "address and your computer's clock, else tell your instructor"
        )
    if pinned:
        return (
            f"{place} is not the server of your first login: its certificate has changed, or somebody is in between. "
            "nothing was sent. ask your instructor; if the change is theirs, log in with the new join link"
        )
    return (
        f"this computer does not trust the certificate of {place}. nothing was sent. if your course runs "
        "without a domain, log in with the join link or the fingerprint that your instructor shows: "
        f"mograder https login --url {place} --fingerprint HEX"
    )


def trusting(authority: str) -> ssl.SSLContext | bool:
    """How a server's certificate is verified: `authority` (PEM) is the only certificate authority that is trusted.

    "" trusts the authorities of this computer. Raises VerificationFailed when `authority` is damaged.
    """
    if not authority:
        return True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=authority)
    except (ssl.SSLError, ValueError):
        raise VerificationFailed("the kept certificate of the server is damaged: log in again") from None
    return context


def read_body(pieces: Iterator[bytes], limit: int) -> bytes:
    """Raises NetworkFailure when the body is longer than `limit` bytes."""
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > limit:
            raise NetworkFailure(f"the server's answer is longer than {limit} bytes")
    return bytes(body)


def announced_length(response: httpx2.Response) -> int | None:
    """The Content-Length in bytes; None when it is missing or no number."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdecimal() else None


class _Passing(Exception):
    """A failure that another try may cure, after `wait` seconds if the server said so."""

    def __init__(self, reason: MograderError, wait: float | None = None, not_arrived: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait = wait
        self.not_arrived = not_arrived


def _cause(error: BaseException | None, kind: type[Cause]) -> Cause | None:
    """The first exception of this kind in the chain of causes of `error`; None if there is none."""
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__cause__ or error.__context__
    return None


def _refusal(response: httpx2.Response, server: str | None) -> Exception:
    """The error that an answer of 4xx or 5xx stands for. `server` is given where one of ours should be."""
    status, code, message = response.status_code, None, ""
    try:
        problem = msgspec.json.decode(read_body(response.iter_raw(), MAX_ERROR))
        code, message = problem.get("code"), problem.get("error")
    except (msgspec.DecodeError, AttributeError, RecursionError, UnicodeError, NetworkFailure):
        pass  # a proxy's page: the status must do
    if server and code is None and message in (None, "") and status in (404, 405):
        message = f"{server} does not look like a mograder server: check the address"
    elif not isinstance(message, str) or not message:
        message = f"the server answered {status} ({response.reason_phrase or 'no reason given'})"
    message, wait = printable(message, 1000), _retry_after(response)
    kind = error_for(code, status)
    error: MograderError
    if issubclass(kind, Unreadable):
        error = kind(message, place="")
    elif issubclass(kind, Temporary):
        error = kind(message, retry_after=int(wait or 0))
    elif issubclass(kind, MethodNotAllowed):
        error = kind(message, allow="")
    else:
        error = kind(message)
    if status in PASSING:
        # A server answers 429 and 503 before it does anything; a gateway's 502 and 504 may come after.
        return _Passing(error, wait, not_arrived=status in (429, 503))
    return error


def _retry_after(response: httpx2.Response) -> float | None:
    """The seconds of Retry-After; None for a date, as clocks differ: the usual back-off applies then."""
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None
