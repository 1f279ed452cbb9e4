"""The join link: one address with all that a student's client needs to reach and trust a course."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urldefrag, urlencode


@dataclass(frozen=True)
class JoinLink:
    """A course's address, its enrollment code, and the fingerprint of its certificate authority.

    Code and fingerprint are in the fragment, which neither a browser nor our client sends, so no log has them.
    `fingerprint` is the SHA-256 of the authority's certificate in lower-case hex, "" for a public authority.
    """

    url: str
    code: str = ""
    fingerprint: str = ""

    @classmethod
    def parse(cls, text: str) -> JoinLink:
        """The join link in any address of a course. Without a fragment it has neither code nor fingerprint."""
        address, fragment = urldefrag(text.strip())
        said = dict(parse_qsl(fragment))
        return cls(address.rstrip("/").removesuffix("/join"), said.get("code", ""), said.get("fingerprint", "").lower())

    @property
    def text(self) -> str:
        said = {name: value for name, value in (("code", self.code), ("fingerprint", self.fingerprint)) if value}
        return f"{self.url}/join" + (f"#{urlencode(said, quote_via=quote)}" if said else "")
