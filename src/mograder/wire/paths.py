"""Paths of the endpoints: builds a path from its parameters, and finds the rows of a requested path."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote_to_bytes

from mograder.domain.errors import BadRequest
from mograder.wire.endpoints import ENDPOINTS, Endpoint

_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")


def build_path(row: Endpoint, values: Mapping[str, str]) -> str:
    """The row's path with its parameters filled in, percent-encoded (`/` is kept in a `:path` parameter)."""

    def fill(match: re.Match[str]) -> str:
        return quote(values[match[1]], safe="/" if match[2] else "")

    return _PARAMETER.sub(fill, row.path)


Node = dict[str, Any]


Found = Mapping[str, tuple[Endpoint, dict[str, str]]]

USUAL_PATH = 250
"""Bytes of a path whose rows are cached; longer paths must not fill the memory."""


class Routes:
    """Finds the rows of a path in a tree keyed by segment."""

    def __init__(self) -> None:
        self._root: Node = {}
        for row in ENDPOINTS:
            node = self._root
            for segment in _segments(row.path.encode()):
                parameter = _PARAMETER.fullmatch(segment.decode())
                key = ("**" if parameter[2] else "*") if parameter else segment.decode()
                node = node.setdefault(key, {})
            node.setdefault("", {})[row.method] = (row, [match[1] for match in _PARAMETER.finditer(row.path)])

        # Most requests are for few paths. Callers must not modify the shared results.
        self._kept = lru_cache(4096)(self._find)

    def find(self, raw_path: bytes) -> Found | None:
        """The rows at a still percent-encoded path, by method, with parameters decoded once; None if unknown.

        Raises BadRequest when a parameter is not UTF-8.
        """
        return (self._kept if len(raw_path) <= USUAL_PATH else self._find)(raw_path)

    def _find(self, raw_path: bytes) -> Found | None:
        node, values = self._root, []
        segments = _segments(raw_path)
        for index, segment in enumerate(segments):
            literal = unquote_to_bytes(segment).decode("latin-1")
            child = node.get(literal) if literal not in ("*", "**", "") else None
            if child is not None:
                node = child
            elif "*" in node:
                node = node["*"]
                values.append(segment)
            elif "**" in node:
                node = node["**"]
                values.append(b"/".join(segments[index:]))
                break
            else:
                return None
        rows = node.get("")
        if rows is None:
            return None
        decoded = [_decode(value) for value in values]
        return {method: (row, dict(zip(names, decoded, strict=True))) for method, (row, names) in rows.items()}


def _segments(path: bytes) -> list[bytes]:
    # Slashes at the end are ignored; empty segments elsewhere match nothing.
    stripped = path.rstrip(b"/")
    return stripped.split(b"/")[1:] if stripped else []


def _decode(value: bytes) -> str:
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise BadRequest("the path is not valid UTF-8") from None
