"""Proofs on a person's disk: the keys of courses, pinned at the first contact, and receipts in files.

Invariant: a receipt is trusted only if a pinned key signed it, and only for what it states.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from msgspec import Struct, field

from mograder.client.client import Client
from mograder.client.files import read_foreign, write_private
from mograder.domain import deadlines
from mograder.domain.allowance import MIB
from mograder.domain.errors import BadRequest, MograderError, NotFound, Usage, VerificationFailed
from mograder.signing import Ed25519Signer
from mograder.wire import messages
from mograder.wire.codec import MAX_VALUES, decode_json


class KnownKeys:
    """The pinned public keys of each server, in keys.json of the configuration folder."""

    def __init__(self) -> None:
        self.path = Path(click.get_app_dir("mograder"), "keys.json")

    def find(self, url: str) -> Ed25519Signer | None:
        """A signer that verifies the receipts of the server at the normalised `url`; None without pinned keys."""
        keys = self._read().get(url)
        return Ed25519Signer({"keys": keys}) if keys else None

    def meet(self, client: Client, replace: bool = False) -> Ed25519Signer | None:
        """The pinned keys of a server. They are pinned now at the first contact, or to `replace` earlier ones.

        None for a server without receipts. Raises VerificationFailed if the server signs with a key that is not pinned.
        """
        known = None if replace else self.find(client.url)
        try:
            published = client.signing_keys()
        except NotFound:
            return known
        if known is None:
            try:
                known = Ed25519Signer({"keys": published.keys})
            except ValueError as error:
                raise VerificationFailed(f"{client.url} publishes no key that could sign receipts: {error}") from None
            self._write({**self._read(), client.url: published.keys})
        now = Ed25519Signer({"keys": published.keys[:1]}).public_keys()[0]["kid"]
        if now not in {each["kid"] for each in known.public_keys()}:
            raise changed_key(client.url)
        return known

    def _read(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.path.read_bytes()))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            raise MograderError(f"{self.path} cannot be read ({error}): delete it and log in again") from None

    def _write(self, keys: Mapping[str, object]) -> None:
        write_private(self.path, json.dumps(keys, indent=2).encode())


def changed_key(url: str) -> VerificationFailed:
    return VerificationFailed(
        f"{url} signs receipts with another key than when you first logged in: refused. ask your instructor whether "
        f"the course has a new key; if so, mograder https login --url {url} --new-key"
    )


def no_receipt(url: str) -> VerificationFailed:
    return VerificationFailed(
        f"{url} signs receipts and gave none for this submission: nothing proves that it was received. a copy is kept: "
        "mograder https retry sends it again; if that does not help, tell your instructor"
    )


def check_submitted(submitted: messages.Submitted, signer: Ed25519Signer, url: str) -> None:
    """Raises VerificationFailed unless the receipt is signed with a pinned key and states what was submitted."""
    try:
        claims = signer.verify(submitted.receipt)
    except VerificationFailed:
        raise changed_key(url) from None
    if differ := _differences(claims, {"version": submitted.version, **_plain(submitted)}):
        raise VerificationFailed(f"the receipt states another {', '.join(differ)} than the server says: submit again")


def _plain(value: messages.Submitted | messages.ReceiptInfo) -> dict[str, object]:
    return {name: getattr(value, name) for name in ("user", "assignment", "attempt", "sha256", "size", "received")}


class KeptReceipt(Struct, frozen=True):
    """A receipt in a file. `server` is its server's address, "" if the file is the bare JWS.

    `said` are the facts that the file has beside the receipt, for people: they must agree with the receipt.
    """

    path: Path
    text: str
    server: str = ""
    said: Mapping[str, object] = field(default_factory=dict)

    def claims(self, signer: Ed25519Signer) -> Mapping[str, Any]:
        """The claims of the receipt. Raises VerificationFailed, also if the file has other facts beside it."""
        claims = signer.verify(self.text)
        if not {"user", "assignment", "number", "sha256"} <= set(claims):
            raise VerificationFailed("this is signed by the course and is no receipt")
        if differ := _differences(claims, self.said):
            raise VerificationFailed(f"the file was altered: {', '.join(differ)} is not what was signed")
        return claims


_NAMES = {"version": "filename"}


def _differences(claims: Mapping[str, object], said: Mapping[str, object]) -> list[str]:
    """The keys of `said` whose values differ from a receipt's claims."""
    differ = []
    for name, value in said.items():
        stated = claims.get(_NAMES.get(name, name))
        if name == "received" and isinstance(value, int | float):
            value = deadlines.iso(round(value * deadlines.SECOND))
        if stated is not None and stated != value:
            differ.append(name)
    return differ


_STATED = ("user", "assignment", "attempt", "version", "sha256", "size", "received", "number")


def read_receipt(path: Path) -> KeptReceipt:
    """The receipt in `path`: JSON as the client stores it, or the bare JWS. Raises Usage for anything else."""
    try:
        content = read_foreign(path)
        if not content.lstrip().startswith(b"{"):
            header, payload, signature = content.decode("ascii").strip().split(".")
            return KeptReceipt(path, f"{header}.{payload}.{signature}")
        document = decode_json(content, dict[str, Any], MAX_VALUES)
        said = {name: document[name] for name in _STATED if name in document}
        return KeptReceipt(path, str(document["receipt"]), str(document.get("server", "")), said)
    except (OSError, ValueError, KeyError, MograderError):
        raise Usage(f"{path} holds no receipt") from None


def read_keys(path: Path) -> Ed25519Signer:
    """The keys of a JWK Set (or one JWK, or PEMs). Raises Usage."""
    content = read_foreign(path, MIB, named=True)
    try:
        return Ed25519Signer(content if content.startswith(b"-----") else decode_json(content, dict[str, Any]))
    except (ValueError, BadRequest) as error:
        raise Usage(f"{path} holds no public keys: {error}") from None
