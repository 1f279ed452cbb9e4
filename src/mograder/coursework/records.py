"""Grading records in files. A file has the record twice: as JSON for people, and signed as a compact JWS.

Invariant: only the signed text counts, and only after its signature was verified with a trusted key.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from msgspec import Struct

from mograder.client.files import read_foreign, write_file
from mograder.domain.errors import BadRequest, MograderError, TooLarge, Usage, VerificationFailed
from mograder.domain.grading_record import GradingRecord
from mograder.signing import Ed25519Signer
from mograder.wire.codec import MAX_VALUES, decode_json
from mograder.wire.records import KIND, claims_of, record_of


class KeptRecord(Struct, frozen=True):
    """A record in a file: what the file states, and the signed text. Neither is verified yet."""

    path: Path
    stated: GradingRecord
    signed: str

    def verified(self, signer: Ed25519Signer) -> GradingRecord:
        """The record. Raises VerificationFailed unless `signer` signed what the file states and the marks in it follow
        from its report.
        """
        try:
            record = record_of(signer.verify(self.signed, KIND))
        except BadRequest as error:
            raise VerificationFailed(f"what was signed is not understood: {error.message}") from None
        if record != self.stated:
            raise VerificationFailed("the file was altered: it states something else than what was signed")
        if faults := record.faults():
            raise VerificationFailed("; ".join(faults))
        return record


def write_record(path: Path, record: GradingRecord, signer: Ed25519Signer) -> None:
    """Write `record` to `path`, signed. The file is replaced atomically."""
    claims = claims_of(record)
    document = {"record": claims, "signed": signer.sign(claims, KIND)}
    write_file(path, json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n", private=True)


def read_record(path: Path) -> KeptRecord:
    """The record in `path`, not verified. Raises Usage if the file holds none."""
    try:
        document = decode_json(read_foreign(path), dict[str, Any], MAX_VALUES)
        return KeptRecord(path, record_of(document["record"]), str(document["signed"]))
    except (MograderError, KeyError, TypeError, AttributeError) as error:
        reason = f": {error.message}" if isinstance(error, MograderError) else ""
        raise Usage(f"{path} holds no grading record{reason}") from None


def holds_record(path: Path) -> bool:
    """Whether a file looks like a grading record. Nothing is verified."""
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        return {"record", "signed"} <= set(decode_json(read_foreign(path), dict[str, Any], MAX_VALUES))
    except (OSError, BadRequest, TooLarge):
        return False
