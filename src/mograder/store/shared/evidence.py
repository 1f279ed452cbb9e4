"""What the verifications of both stores share: the record of receipts, and what is wrong with their chain."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from mograder.domain.chain import Link, Tombstone, find_breaks
from mograder.domain.errors import VerificationFailed
from mograder.domain.receipts import Head, Receipt, Signer
from mograder.store.shared.findings import Finding, Findings, error, some


@dataclass(frozen=True)
class Record:
    """The receipts of a course at one moment, and the places of those that were erased."""

    receipts: list[Receipt]
    erased: list[Tombstone]

    @cached_property
    def links(self) -> list[Link]:
        return sorted([*self.receipts, *self.erased], key=lambda link: link.number)

    @property
    def head(self) -> Head:
        with contextlib.suppress(ValueError, IndexError):
            return Head(self.links[-1].number, self.links[-1].hash)
        return Head()


@dataclass(frozen=True)
class Verified:
    """What became of a verification; nothing is altered, missing or put in when there are no `findings`."""

    findings: list[Finding]
    head: Head
    receipts: int
    erased: int


def broken_chain(
    links: Sequence[Link], signer: Signer | None, kept: Sequence[Head], where: object, mend: str
) -> Findings:
    """What is not as it was signed; what is not signed at all is said once for all of it."""
    breaks = list(find_breaks(links, signer, kept))
    unsigned = [str(each.number) for each in breaks if each.unsigned]
    for each in breaks:
        if not each.unsigned:
            yield error(each.what, where, mend)
    if unsigned:
        what = f"{len(unsigned)} of {len(links)} receipts are not signed with the course's key: {some(unsigned)}"
        yield error(what, where, "restore the key, or the receipts, from a backup")


def check_bytes(receipt: Receipt, pieces: Iterable[bytes]) -> None:
    """Raises VerificationFailed unless they are what was handed in."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    if digest.hexdigest() != receipt.submission.sha256:
        kept = receipt.submission
        raise VerificationFailed(f"{kept.assignment}/{kept.filename} is not what receipt {receipt.number} says")
