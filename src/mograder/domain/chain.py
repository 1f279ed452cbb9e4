"""Checks the chain of receipts: finds every alteration, removal and insertion.

Invariant: only signatures and hashes are trusted. A tombstone is trusted if the course's key has signed it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mograder.domain import deadlines
from mograder.domain.errors import BadRequest, VerificationFailed
from mograder.domain.receipts import Head, Receipt, Signer, chain_hash, claims


@dataclass(frozen=True)
class Tombstone:
    """Takes the place of a receipt that was erased with a person's data.

    `previous` and `hash` are the erased receipt's; `statement` is a compact JWS that states the erasure.
    """

    number: int
    previous: str
    hash: str
    statement: str


Link = Receipt | Tombstone

MakeTombstone = Callable[[Receipt], Tombstone]
"""Makes the tombstone that replaces an erased receipt in the chain."""


def make_tombstone(receipt: Receipt, signer: Signer, course: str, now: int) -> Tombstone:
    """The tombstone of a receipt, which does not say whose it was. `now` is in Unix microseconds."""
    stated = _statement(receipt.number, receipt.previous, receipt.hash)
    statement = signer.sign({"course": course, "erased": deadlines.iso(now), **stated})
    return Tombstone(receipt.number, receipt.previous, receipt.hash, statement)


def _statement(number: int, previous: str, erased_hash: str) -> dict[str, object]:
    return {"number": number, "previous": previous, "hash": erased_hash}


@dataclass(frozen=True)
class Break:
    """A fault of the chain at position `number`. `unsigned`: the course has not signed that link at all."""

    number: int
    what: str
    unsigned: bool = False


def find_breaks(links: Iterable[Link], signer: Signer | None, kept: Sequence[Head] = ()) -> Iterator[Break]:
    """Every fault of a chain, whose `links` come in the order of their numbers.

    Without a `signer`, signatures are not checked. `kept` are links that somebody keeps elsewhere: receipts, or
    published heads. Only they can show that a chain was cut short or made again with the course's own key.
    """
    before = Head()
    hashes: dict[int, str] = {}
    for link in links:
        number = before.number + 1
        if link.number > number:
            yield Break(number, f"receipts {number} to {link.number - 1} are missing from the ledger")
        elif link.number < number:
            yield Break(link.number, f"receipt {link.number} is not in its place, after {before.number}")
        elif link.previous != before.hash:
            yield Break(link.number, f"receipt {link.number} does not follow the one before it")
        if signer is not None:
            yield from _check_signature(link, signer)
        before = Head(link.number, _hash(link))
        hashes[before.number] = before.hash
    for head in kept:
        if head.number > before.number:
            what = f"the chain was cut: it ends at receipt {before.number}, and there was a receipt {head.number}"
            yield Break(head.number, what)
        elif hashes.get(head.number, "") != head.hash:
            yield Break(head.number, f"receipt {head.number} is another than the one that was kept")


def _check_signature(link: Link, signer: Signer) -> Iterator[Break]:
    try:
        stated = signer.verify(link.text if isinstance(link, Receipt) else link.statement)
    except VerificationFailed:
        yield Break(link.number, f"receipt {link.number} is not signed by the course", unsigned=True)
        return
    if isinstance(link, Receipt):
        if differ := _differences(link, stated):
            what = f"receipt {link.number} was altered: {', '.join(differ)} is not what was signed"
            yield Break(link.number, what)
    elif not stated.items() >= _statement(link.number, link.previous, link.hash).items():
        yield Break(link.number, f"receipt {link.number} is said to be erased, and the course did not sign that")


def _hash(link: Link) -> str:
    try:
        return link.hash
    except ValueError:  # the text was altered and is no receipt any more
        return ""


def _differences(receipt: Receipt, stated: Mapping[str, object]) -> list[str]:
    """The keys of a receipt whose values in the ledger differ from the signed ones."""
    try:
        wanted = claims(receipt.submission, receipt.number, receipt.previous, "")
    except (ValueError, OverflowError, OSError):
        return ["received"]  # altered to an impossible time
    return [key for key in {**wanted, **stated} if key != "course" and stated.get(key) != wanted.get(key)]


def parse_head(text: str) -> Head:
    """A head as `mograder verify` prints it: `57:3f0c…`, the number and 64 hexadecimal digits. Raises BadRequest."""
    found = re.fullmatch(r"(\d+):([0-9a-f]{64})", text.strip().lower(), re.ASCII)
    if found is None:
        raise BadRequest(f"{text!r} is no head of a chain: it looks like 57:3f0c…, a number and 64 hexadecimal digits")
    return Head(int(found[1]), found[2])


def head_of(text: str, signer: Signer) -> Head:
    """The number and hash of a receipt's text. Raises VerificationFailed unless `signer` signed it."""
    stated = signer.verify(text)
    number = stated.get("number")
    if not isinstance(number, int) or "sha256" not in stated:
        raise VerificationFailed("this is signed by the course and is no receipt")
    return Head(number, chain_hash(text))
