"""Sends requests to one server, repeats them after passing failures, and reads the replies.

Invariant: the token is sent only to the server it belongs to, and every read has a limit.
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
UNQUOTED = "/%?=&:@+,;!$'()*"  # characters of a listed path that are not quoted
PASSING = frozenset({429, 502, 503, 504})  # statuses after which another attempt may succeed
LASTING = (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.ProxyError)  # repeating does not help

Body = Callable[[], dict[str, Any]]
"""Makes the keyword arguments of a request that carry its body, anew for every attempt."""
Answer = TypeVar("Answer")
Cause = TypeVar("Cause", bound=BaseException)


@dataclass(frozen=True)
class RetryPolicy:
    """How often and how long a failing request is repeated. All times are in seconds.

    `total` is the time for all attempts of one request: 0 means one attempt. If the server asks for a longer wait, the
    request fails at once.
    """

    attempts: int = 8
    total: float = 60.0
    first_wait: float = 0.5
    longest_wait: float = 15.0


def normalise_url(text: str) -> str:
    """A server's address in the form used as a key: lower-case scheme and host, no default port, no slash at the end.

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
    return str(httpx2.URL(str(url))).rstrip("/")  # twice: the default port is dropped only after a lower-case scheme


class Connection:
    """A connection to one server. Thread-safe. See `Client` for the arguments."""

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
            timeout=None,  # `send` applies `total`, as it knows the wait that a server asks for
            wait_initial=self._patience.first_wait,
            # The last wait begins before `total` is over, and must not end long after it.
            wait_max=max(self._patience.first_wait, min(self._patience.longest_wait, self._patience.total / 4)),
            wait_jitter=self._patience.first_wait,
        )
        # No compression, so that limits count the bytes that were transferred.
        self._headers = {"User-Agent": f"mograder/{__version__}", "Accept-Encoding": "identity"}
        self._timeout = httpx2.Timeout(timeout, connect=min(timeout, 10.0), pool=None)
        self._pace = Pace(timeout)
        self._opened: dict[ssl.SSLContext | bool, httpx2.Client] = {}
        self._opening = threading.Lock()

    def _client(self, verify: ssl.SSLContext | bool) -> httpx2.Client:
        """The HTTP client with this TLS verification. Raises NetworkFailure if environment variables are wrong."""
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
        """Send a request; returns the value of `read` for a successful response.

        Unless it is `repeatable`, a request is sent again only if it cannot have arrived. Only a `download` may be
        redirected to another server. Raises the error of the server's answer, or NetworkFailure.
        """
        self._client(self._verify)  # before the clock starts, as loading certificates takes a while
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
        """One attempt, with its redirects."""
        trusted = True
        self._pace.begin()
        for _ in range(MAX_REDIRECTS + 1):
            trusted = trusted and url.origin == self._origin
            # The pinned authority applies to this server only.
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
        """The raw body of a response, in pieces."""
        for piece in response.iter_raw():
            self._pace.moved(len(piece))
            yield piece

    def _redirected(self, method: str, url: httpx2.URL, response: httpx2.Response, download: bool) -> httpx2.URL:
        """The target of a redirect. Only downloads may lead to another server, and never from https to http."""
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
            if getattr(tls, "reason", "") == "WRONG_VERSION_NUMBER":  # the server does not speak TLS
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
        """The URL of a listed file; relative addresses are below this server's. Raises VerificationFailed."""
        try:
            if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", address):
                url = httpx2.URL(address)
                if url.scheme in ("http", "https") and url.host:
                    return url
            else:
                # Quoted here, as the published server does not quote. The slash keeps "@evil.example" in the path.
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
    """Those of the environment variables `names` that are set, as NAME=VALUE without passwords."""
    return [f"{name}={re.sub(r'//[^/@]*@', '//', os.environ[name])}" for name in names if os.environ.get(name)]


def _unusable_environment(error: Exception) -> NetworkFailure:
    """The error for environment variables with which no connection can be made."""
    named = _in_force(_PROXIES + _CERTIFICATES)
    socks = " (SOCKS needs one more package: pip install httpx2[socks])" if isinstance(error, ImportError) else ""
    why = printable(str(error).partition(".")[0], 200)
    return NetworkFailure(
        f"no connection can be made with {printable(', '.join(named) or 'this environment', 300)}: {why}{socks}. "
        "correct or unset the variable"
    )


UNKNOWN_AUTHORITY = frozenset({2, 7, 18, 19, 20, 21, 24})  # OpenSSL's X509_V_ERR_*: no trusted authority signed it


def _distrusted(place: str, error: ssl.SSLCertVerificationError, pinned: bool) -> str:
    """The message about a certificate that was refused."""
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
    """A TLS context that trusts only `authority` (PEM); True, for the authorities of this computer, if it is "".

    Raises VerificationFailed if `authority` is damaged.
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
    """The whole body. Raises NetworkFailure if it is longer than `limit` bytes."""
    body = bytearray()
    for piece in pieces:
        body += piece
        if len(body) > limit:
            raise NetworkFailure(f"the server's answer is longer than {limit} bytes")
    return bytes(body)


def announced_length(response: httpx2.Response) -> int | None:
    """The Content-Length in bytes; None if it is missing or not a number."""
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isascii() and text.isdecimal() else None


class _Passing(Exception):
    """A failure after which another attempt may succeed, after `wait` seconds if the server said so.

    `not_arrived`: the server has certainly not acted on the request.
    """

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
    """The error for a response of 4xx or 5xx. `server` is the address if a mograder server should be there."""
    status, code, message = response.status_code, None, ""
    try:
        problem = msgspec.json.decode(read_body(response.iter_raw(), MAX_ERROR))
        code, message = problem.get("code"), problem.get("error")
    except (msgspec.DecodeError, AttributeError, RecursionError, UnicodeError, NetworkFailure):
        pass  # perhaps a proxy's page: only the status is known
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
        # A server answers 429 and 503 before it acts; a gateway may answer 502 and 504 afterwards.
        return _Passing(error, wait, not_arrived=status in (429, 503))
    return error


def _retry_after(response: httpx2.Response) -> float | None:
    """The seconds of Retry-After. None for a date, as clocks differ: then the usual back-off applies."""
    try:
        seconds = float(response.headers.get("Retry-After", ""))
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None
