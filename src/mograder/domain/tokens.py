"""Signs and verifies tokens of the form "username:hmac_hex".

Invariant: the hex is the lower-case HMAC-SHA256 with the secret's text as key and the user name as message. A reset
raises an account's generation, which is added to the message from 1 on, so that single tokens can be revoked.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from mograder.domain.errors import BadName, Unauthenticated
from mograder.domain.names import INSTRUCTOR, Username

SECRET_NAME = ".mograder-secret"  # noqa: S105 (a file name)
"""The file in the served folder that holds the secret's text."""

_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)


def random_secret() -> str:
    return secrets.token_hex(32)


def sign(secret: str, username: Username, generation: int = 0) -> str:
    """The token of `username`, which is sent after "Bearer "."""
    return f"{username}:{_hmac_hex(secret, username, generation)}"


def _hmac_hex(secret: str, username: Username, generation: int) -> str:
    # A user name has no ":", so this cannot be the message of another name.
    message = username if generation == 0 else f"{username}:{generation}"
    return hmac.digest(secret.encode(), message.encode(), "sha256").hex()


@dataclass(frozen=True)
class Token:
    """A token of the right form; `verify` says whether it is genuine."""

    username: Username
    hex: str

    @classmethod
    def parse(cls, text: str) -> Token:
        """Parse a token. Raises Unauthenticated, with a message that never repeats the text."""
        name, _, digest = text.strip().partition(":")
        try:
            username = Username.parse(name)
        except BadName:
            raise Unauthenticated("malformed token: expected username:hex") from None
        if username != name or not _HEX.fullmatch(digest):
            raise Unauthenticated("malformed token: expected username:hex")
        return cls(username, digest)

    def verify(self, secrets: Iterable[str], generation: int) -> bool:
        """Whether one of `secrets` signed it for this generation. Takes the same time wherever digits differ."""
        # A list, not a generator: every secret is tried, so that the time taken does not reveal which one matched.
        matches = [hmac.compare_digest(_hmac_hex(secret, self.username, generation), self.hex) for secret in secrets]
        return any(matches)


_PASTED = re.compile(r"""(?:export\s+)?(?:[^\s=:]+\s*[=:]\s*)?["']?([^\s"'=]+:[0-9a-f]{64})["']?""", re.ASCII)


def pasted(text: str) -> str:
    """The token in a copied text: in quotes, after a variable (TOKEN=…), or in a line of `token_lines`.

    Any other text is returned as it is.
    """
    found = _PASTED.fullmatch(text.strip())
    return found[1] if found else text


def from_header(value: str | None) -> Token:
    """The token in an Authorization header. Raises Unauthenticated."""
    if value is None:
        raise Unauthenticated("no token: send the header 'Authorization: Bearer <token>'")
    scheme, _, credentials = value.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("unknown authorization scheme: expected 'Bearer <token>'")
    return Token.parse(credentials)


def token_lines(issued: Iterable[tuple[Username, str]], secret: str) -> str:
    """The output of `mograder token`: lines `name: token`, and after an empty line the instructor's token."""
    lines = [f"{name}: {token}\n" for name, token in issued]
    return "".join([*lines, "\n" if lines else "", f"instructor: {sign(secret, INSTRUCTOR)}\n"])
