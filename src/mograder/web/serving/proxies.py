"""The client's address, scheme, host and public path behind proxies. Only trusted proxies are believed.

Invariant: the client's address is the right-most one in X-Forwarded-For that belongs to no trusted proxy; everything
to its left may be forged.
"""

from __future__ import annotations

import ipaddress
import re

from msgspec import Struct

from mograder.domain.errors import Usage
from mograder.web.body import Application, Receive, Scope, Send
from mograder.web.prefix import below, is_prefix, parse_prefix

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_HOST = re.compile(rb"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")


class Proxies(Struct, frozen=True):
    """The trusted proxies, as networks."""

    networks: tuple[Network, ...] = ()
    root_path: str = ""
    """The public path of the application, for proxies that do not say it; "" for the root."""

    @classmethod
    def parse(cls, text: str, root_path: str = "") -> Proxies:
        """Addresses and networks (10.0.0.0/8), separated by commas. Raises Usage."""
        try:
            networks = tuple(ipaddress.ip_network(each.strip()) for each in text.split(",") if each.strip())
            return cls(networks, parse_prefix(root_path))
        except ValueError as error:
            raise Usage(f"trusted proxies: {error}: give addresses or networks, such as 127.0.0.1,10.0.0.0/8") from None

    def around(self, app: Application) -> Application:
        """`app` behind these proxies."""
        if not self.networks and not self.root_path:
            return app

        async def behind(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                scope = self.seen_through(below(scope, self.root_path))
            await app(scope, receive, send)

        return behind

    def seen_through(self, scope: Scope) -> Scope:
        """The request as the first trusted proxy got it: its client, scheme, host and public path."""
        client = scope.get("client")
        if not self.networks or client is None or not self._trusts(client[0]):
            return scope
        said = _said(scope)
        changed = {**scope, "client": (self._client(client[0], said.get(b"x-forwarded-for", b"")), 0)}
        scheme = said.get(b"x-forwarded-proto", b"").rpartition(b",")[2].strip().lower()
        if scheme in (b"http", b"https"):
            changed["scheme"] = scheme.decode()
        host = said.get(b"x-forwarded-host", b"").rpartition(b",")[2].strip()
        if _HOST.fullmatch(host):
            changed["headers"] = [(name, value) for name, value in scope["headers"] if name != b"host"]
            changed["headers"].append((b"host", host))
        prefix = said.get(b"x-forwarded-prefix", b"").rpartition(b",")[2].strip().rstrip(b"/").decode("latin-1")
        return below(changed, prefix) if is_prefix(prefix) else changed

    def _trusts(self, host: str) -> bool:
        address = _address(host)
        return address is not None and any(address in network for network in self.networks)

    def _client(self, nearest: str, forwarded: bytes) -> str:
        host = nearest
        for hop in reversed(forwarded.decode("latin-1").split(",")):
            address = _address(hop.strip())
            if address is None:  # "unknown", or nothing: the proxy that said so is the best known address
                break
            host = str(address)
            if not self._trusts(host):
                break
        return host


def _said(scope: Scope) -> dict[bytes, bytes]:
    """The X-Forwarded-* headers; repeated ones are joined to one list."""
    said: dict[bytes, bytes] = {}
    for name, value in scope["headers"]:
        if name.startswith(b"x-forwarded-"):
            said[name] = said[name] + b"," + value if name in said else value
    return said


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, perhaps with a port; an IPv4-mapped IPv6 address is the IPv4 address."""
    if match := re.fullmatch(r"\[(.+)\](:\d+)?|([\d.]+):\d+", text):
        text = match[1] or match[3]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
