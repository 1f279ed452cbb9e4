"""Serves the application below a path of a public address, such as https://uni.example/course/.

A proxy may cut the path off or leave it on. Invariant: the application sees `root_path` as the public path, and a path
that begins with it, either way.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from mograder.domain.errors import Usage
from mograder.web.body import Scope

_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+", re.ASCII)


def parse_prefix(text: str) -> str:
    """A path without the slash at its end, "" for the root. Raises Usage."""
    prefix = text.strip().rstrip("/")
    if prefix and not is_prefix(prefix):
        raise Usage(f"--root-path is {text!r}: give a path of letters, digits, '.', '_', '~' and '-', such as /course")
    return prefix


def is_prefix(text: str) -> bool:
    return _PREFIX.fullmatch(text) is not None


def path_of(scope: Scope) -> bytes:
    """The request's path, percent-encoded, below the point where the application is mounted."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    raw = raw.partition(b"?")[0]
    return _without(raw, scope.get("root_path", "").encode())


def below(scope: Scope, prefix: str) -> Scope:
    """The request as one to an application that is mounted at `prefix`."""
    if not prefix:
        return scope
    raw = prefix.encode() + _without(path_of(scope), prefix.encode())
    return {**scope, "root_path": prefix, "raw_path": raw, "path": unquote(raw.decode("latin-1"))}


def _without(raw: bytes, prefix: bytes) -> bytes:
    rest = raw[len(prefix) :]
    return rest if prefix and raw.startswith(prefix) and rest[:1] in (b"", b"/") else raw
