"""Results in files: signed by the course, and bound to the receipt of the graded submission.

Invariant: a result is trusted only if a pinned key signed it, and a receipt of the same key is for that submission.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from mograder.client.extract import folder_name
from mograder.client.files import read_foreign, write_file
from mograder.client.proof import KeptReceipt, read_receipt
from mograder.client.trust import inside
from mograder.domain.errors import BadRequest, TooLarge, Usage, VerificationFailed
from mograder.domain.marks import in_words
from mograder.domain.result_statement import KIND, ResultStatement
from mograder.signing import Ed25519Signer
from mograder.wire import records
from mograder.wire.codec import MAX_VALUES, decode_json

RESULTS = ".mograder/results"
"""The folder of results, beside the submission, like that of receipts."""


class KeptResult(Struct, frozen=True):
    """An unverified result in a file: the statement for students, or a whole grading record.

    `server` is its server's address, "" if unknown; `said` is the readable record in a record's file beside the signed
    one.
    """

    path: Path
    text: str
    server: str = ""
    said: Mapping[str, Any] | None = None

    def verified(self, signer: Ed25519Signer) -> ResultStatement:
        """The statement of the result. Raises VerificationFailed unless `signer` has signed it, and all of the file."""
        if self.said is None:
            return ResultStatement.from_claims(signer.verify(self.text, KIND))
        claims = signer.verify(self.text, records.KIND)
        try:
            record = records.record_of(claims)
            altered = records.record_of(self.said) != record
        except BadRequest as error:
            raise VerificationFailed(f"the signed record is not understood: {error.message}") from None
        if altered:
            raise VerificationFailed("the file was altered: it states something else than what was signed")
        stated = ResultStatement.of(record, self.text)
        if stated is None:
            raise VerificationFailed("the record belongs to no receipt: it was made from a file alone")
        return stated


def read_result(path: Path) -> KeptResult:
    """The result in `path`. Raises Usage if it holds none."""
    try:
        document = decode_json(read_foreign(path), dict[str, Any], MAX_VALUES)
    except (OSError, BadRequest, TooLarge):
        raise Usage(f"{path} holds no result") from None
    if isinstance(document.get("record"), dict) and "signed" in document:
        return KeptResult(path, str(document["signed"]), said=document["record"])
    if "statement" in document and "receipt" not in document:
        return KeptResult(path, str(document["statement"]), str(document.get("server", "")))
    raise Usage(f"{path} holds no result")


def holds_result(path: Path) -> bool:
    try:
        read_result(path)
    except Usage:
        return False
    return True


def keep_result(receipt: Path, url: str, assignment: str, statement: str) -> Path:
    """Store a result in the folder beside that of the `receipt`; it replaces an earlier result of the submission."""
    home = receipt.parents[2]
    path = inside(home, Path(RESULTS, folder_name(f"{assignment}_{receipt.stem.removeprefix(f'{assignment}_')}.json")))
    write_file(path, json.dumps({"server": url, "statement": statement}, indent=2).encode())
    return path


def receipt_of(statement: str, signer: Ed25519Signer, folders: Iterable[Path]) -> Path | None:
    """The file in these folders with the receipt of the graded submission; None without one.

    Raises VerificationFailed.
    """
    wanted = ResultStatement.from_claims(signer.verify(statement, KIND))
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            try:
                if not wanted.misfits(read_receipt(path).claims(signer)):
                    return path
            except (Usage, VerificationFailed):
                continue
    return None


def binding(result: ResultStatement, receipts: Iterable[Mapping[str, Any]]) -> str:
    """Why a result belongs to none of these receipts' submissions; "" if it belongs to one."""
    mine = list(receipts)
    for claims in mine:
        if claims.get("number") == result.receipt:
            misfits = result.misfits(claims)
            if not misfits:
                return ""
            return f"it does not belong to receipt {result.receipt}: it states another {', '.join(misfits)}"
    return f"it belongs to receipt {result.receipt}, which is not here: nothing proves that it is for this submission"


def result_in_words(result: ResultStatement) -> str:
    points = "nothing is marked by checks"
    if result.points is not None:
        points = f"{in_words(result.points)} of {in_words(result.possible)} points by checks"
    questions = [
        f"{key or 'all'} {'-' if each is None else in_words(each)}" for key, each in sorted(result.questions.items())
    ]
    parts = f" ({', '.join(questions)})" if len(questions) > 1 else ""
    return f"result of receipt {result.receipt}: {result.user}, {result.assignment}, {points}{parts}"


def with_server(kept: KeptResult, receipts: Iterable[KeptReceipt]) -> KeptResult:
    """The result with its server; if unknown, that of the receipts, provided that they are from one server."""
    servers = {each.server for each in receipts}
    return replace(kept, server=servers.pop()) if not kept.server and len(servers) == 1 else kept
