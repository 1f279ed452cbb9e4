"""The join link: everything a student's client needs to reach and to trust a course, in one address."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urldefrag, urlencode


@dataclass(frozen=True)
class JoinLink:
    """What an instructor shows to the class: the course's address, its enrollment code, and the certificate to expect.

    Code and fingerprint are in the fragment, which neither a browser nor our client sends, so they are in no log.
    `fingerprint` is the lower-case hex SHA-256 of the authority that vouches for the server, "" for a public one.
    """

    url: str
    code: str = ""
    fingerprint: str = ""

    @classmethod
    def parse(cls, text: str) -> JoinLink:
        """From any address of a course; one without a fragment has neither code nor fingerprint."""
        address, fragment = urldefrag(text.strip())
        said = dict(parse_qsl(fragment))
        return cls(address.rstrip("/").removesuffix("/join"), said.get("code", ""), said.get("fingerprint", "").lower())

    @property
    def text(self) -> str:
        said = {name: value for name, value in (("code", self.code), ("fingerprint", self.fingerprint)) if value}
        return f"{self.url}/join" + (f"#{urlencode(said, quote_via=quote)}" if said else "")
