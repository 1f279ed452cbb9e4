"""Encodes and decodes values of the protocol: JSON, and a client's mograder.toml."""

from __future__ import annotations

from typing import Any

import msgspec

from mograder.domain.errors import BadRequest, TooLarge

MAX_VALUES = 2_000_000
"""Values in JSON of anybody's, each of which takes up to 150 bytes of memory, however few bytes of JSON it has.

The largest honest answer known has 400,000: the grades of 2,000 people with 60 columns and long remarks.
"""


def decode_json(body: bytes, kind: Any = Any, max_values: int | None = None) -> Any:
    """`body` as a value of `kind`, a type of `messages`; by default any JSON value.

    Raises BadRequest that says what is wrong, also for JSON that is nested too deeply; TooLarge, before it is read, for
    what may have more than `max_values` values.
    """
    # Each value follows one of these, or the key of one.
    if max_values is not None and sum(map(body.count, (b",", b"[", b"{"))) > max_values:
        raise TooLarge(f"has more than {max_values} values")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"bad JSON: {error}") from None
    except RecursionError:
        raise BadRequest("bad JSON: nested too deeply") from None


def _plain(value: object) -> str:
    """The str of a name: names are subclasses of str, which msgspec does not encode by itself."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"no JSON for {type(value).__name__}")


encode_json = msgspec.json.Encoder(enc_hook=_plain).encode
"""Encodes a value as JSON bytes."""


def _absolute(base_url: str, url: str) -> str:
    return base_url.rstrip("/") + url if url.startswith("/") else url


def client_configuration(title: str, base_url: str, listed: list[object]) -> str:
    """A mograder.toml for a student's client, with the assignments as the `assignments` endpoint lists them.

    Addresses are absolute, because the published dashboard uses them unchanged.
    """
    import tomlkit

    assignments = []
    for entry in msgspec.to_builtins(listed, enc_hook=_plain):
        wanted = {key: entry[key] for key in ("name", "id", "duedate") if entry.get(key) is not None}
        listed_files = [file for file in entry.get("files") or [] if file.get("url")]
        files = [{"name": file["filename"], "url": _absolute(base_url, file["url"])} for file in listed_files]
        assignments.append({**wanted, "files": files})
    document: dict[str, Any] = {"title": title or "Course", "transport": "https", "https": {"url": base_url}}
    return tomlkit.dumps({**document, "assignments": assignments})
