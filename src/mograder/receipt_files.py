"""Receipts and public keys as people keep them in files, to be checked without a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mograder.domain.errors import BadRequest, MograderError, Usage
from mograder.sealing import Ed25519Seal
from mograder.wire import decode_json


@dataclass(frozen=True)
class KeptReceipt:
    """A receipt in a file of ours; `server` is where it is from, "" when the file is the bare JWS."""

    path: Path
    text: str
    server: str = ""


def read_receipt(path: Path) -> KeptReceipt:
    """The receipt in `path`: JSON as the client keeps it, or the bare text. Raises Usage when it is neither."""
    try:
        content = path.read_bytes()
        if not content.lstrip().startswith(b"{"):
            header, payload, signature = content.decode("ascii").strip().split(".")
            return KeptReceipt(path, f"{header}.{payload}.{signature}")
        document = decode_json(content, dict[str, Any])
        return KeptReceipt(path, str(document["receipt"]), str(document.get("server", "")))
    except (ValueError, KeyError, MograderError):
        raise Usage(f"{path} holds no receipt") from None


def read_keys(path: Path) -> Ed25519Seal:
    """The keys of a JWK Set (or one JWK, or PEMs). Raises Usage."""
    content = path.read_bytes()
    try:
        return Ed25519Seal(content if content.startswith(b"-----") else decode_json(content, dict[str, Any]))
    except (ValueError, BadRequest) as error:
        raise Usage(f"{path} holds no public keys: {error}") from None
