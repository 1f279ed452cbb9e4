"""`mograder verify` of grading records: signature, totals, and the files that they are about."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from mograder.cli.proof import Checked, report
from mograder.client.files import sha256_of
from mograder.client.proof import read_keys
from mograder.coursework.folders import GradingFolders, course_around
from mograder.coursework.records import KeptRecord, holds_record, read_record
from mograder.domain.deadlines import readable
from mograder.domain.errors import MograderError, VerificationFailed
from mograder.domain.grading_record import GradingRecord
from mograder.domain.marks import in_words
from mograder.domain.names import counted


def verify_records(paths: tuple[Path, ...], keys: Path | None, as_json: bool) -> None:
    """Print of each record and file among `paths` whether it is right. Raises VerificationFailed when one is not."""
    kept = [read_record(path) for path in paths if holds_record(path)]
    files = [path for path in paths if not holds_record(path)]
    found: list[Checked] = []
    stated: list[GradingRecord] = []
    for each in kept:
        signer = read_keys(keys) if keys else GradingFolders.of(course_around(each.path)).signer()[0]
        try:
            record = each.verified(signer)
        except VerificationFailed as error:
            found.append(Checked(str(each.path), error.message))
            continue
        stated.append(record)
        found.append(Checked(f"{each.path}: {_described(record)}, signed by {signer.public_keys()[0]['kid']}"))
        if not files:
            found += _compare(_usual_files(each, record), [record])
    found += _compare(files, stated)
    report(found, as_json)


def _described(record: GradingRecord) -> str:
    points = "nothing marked by checks" if record.points is None else f"{in_words(record.points)} points by checks"
    receipt = "" if record.receipt is None else f", of receipt {record.receipt}"
    checks = counted(len(record.report.checks), "check")
    graded = f"{record.report.outcome} on {readable(record.graded)}"
    return f"{record.assignment} of {record.username}{receipt}: {points} ({checks}), {graded}"


def _usual_files(kept: KeptRecord, record: GradingRecord) -> list[Path]:
    """The submission and the source, where a course folder has them."""
    folders = GradingFolders.of(course_around(kept.path))
    paths = [folders.submitted / record.assignment / record.submission.filename]
    with contextlib.suppress(MograderError):
        paths.append(folders.find_source(record.assignment))
    return [path for path in paths if path.is_file()]


def _compare(files: list[Path], records: list[GradingRecord]) -> Iterator[Checked]:
    for path in files:
        sha256 = sha256_of(path)
        if any(sha256 == each.submission.sha256 for each in records):
            yield Checked(f"{path}: is what was graded")
        elif any(sha256 in (each.tested.source, each.tested.environment) for each in records):
            yield Checked(f"{path}: is what it was graded with")
        else:
            yield Checked(
                str(path), "this is neither what was graded nor what it was graded with: it was changed since"
            )
