"""A record in a file is accepted if a trusted key signed it, and only for what was signed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mograder.coursework.records import holds_record, read_record, write_record
from mograder.domain.errors import BadRequest, Usage, VerificationFailed
from mograder.domain.grading_record import GradingRecord
from mograder.domain.marks import Question
from mograder.domain.results import CellFailure, CheckResult, CheckStatus, LimitReached, Outcome, RunReport
from mograder.signing import Ed25519Signer, new_private_key
from mograder.wire.records import KIND, claims_of, record_of
from tests.grading_samples import BROKEN, FAILED, HALF_RIGHT, LOOPING, record

SIGNER = Ed25519Signer(new_private_key())
WEIGHTS = st.floats(0, 1e6)
REPORTS = st.builds(
    RunReport,
    st.sampled_from(Outcome),
    st.lists(
        st.builds(
            CheckResult, st.text(), st.text(), st.booleans(), st.sampled_from(CheckStatus),
            st.lists(st.text()).map(tuple), WEIGHTS, WEIGHTS, st.booleans(),
        )
    ).map(tuple),
    st.lists(st.builds(CellFailure, st.text(), st.none() | st.integers(1, 10**6), st.text(), st.text())).map(tuple),
    st.lists(st.builds(LimitReached, st.text(), st.text(), st.none() | st.integers(1, 9), st.text())).map(tuple),
    st.lists(st.text()).map(tuple),
    st.booleans(),
    WEIGHTS,
    WEIGHTS,
    st.text(),
)  # fmt: skip


@given(report=REPORTS, graded=st.integers(0, 2**52), keys=st.lists(st.text(min_size=1), max_size=3, unique=True))
def test_a_record_is_read_as_it_was_written(report: RunReport, graded: int, keys: list[str]) -> None:
    questions = tuple(Question(key, 10, (key,)) for key in keys)
    made = record(report, questions=questions, graded=graded)
    assert record_of(json.loads(json.dumps(claims_of(made)))) == made
    assert record_of(SIGNER.verify(SIGNER.sign(claims_of(made), KIND), KIND)) == made


@pytest.mark.parametrize("report", [HALF_RIGHT, FAILED, LOOPING, BROKEN])
def test_a_signed_record_in_a_file_verifies_with_the_public_key(report: RunReport, tmp_path: Path) -> None:
    path = tmp_path / "hw1" / "alice.json"
    made = record(report)
    write_record(path, made, SIGNER)
    assert holds_record(path)
    assert read_record(path).verified(Ed25519Signer(SIGNER.public_keys()[0])) == made
    assert json.loads(path.read_text())["record"]["graded"] == "2026-03-10T12:00:00.000000Z"


def written(tmp_path: Path, made: GradingRecord) -> Path:
    path = tmp_path / "alice.json"
    write_record(path, made, SIGNER)
    return path


def test_an_edited_file_is_detected(tmp_path: Path) -> None:
    path = written(tmp_path, record())
    path.write_text(path.read_text().replace('"points": 15.8', '"points": 30.0'))
    with pytest.raises(VerificationFailed, match="the file was altered"):
        read_record(path).verified(SIGNER)


def test_a_record_signed_with_another_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match="not signed by this course"):
        read_record(written(tmp_path, record())).verified(Ed25519Signer(new_private_key()))


def test_a_signed_record_whose_total_does_not_follow_is_refused(tmp_path: Path) -> None:
    with pytest.raises(VerificationFailed, match=r"its checks earn 15\.8 points"):
        read_record(written(tmp_path, replace(record(), points=30))).verified(SIGNER)


def test_a_receipt_is_no_record_and_a_record_no_receipt(tmp_path: Path) -> None:
    claims = claims_of(record())
    with pytest.raises(VerificationFailed, match="another kind"):
        SIGNER.verify(SIGNER.sign(claims, KIND))
    path = tmp_path / "alice.json"
    path.write_text(json.dumps({"record": claims, "signed": SIGNER.sign(claims)}))
    with pytest.raises(VerificationFailed, match="another kind"):
        read_record(path).verified(SIGNER)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"record": 1, "signed": ""}', '{"record": {"format": 1}, "signed": ""}', "\x00", "[" * 9999],
)
def test_a_file_that_is_no_record_is_refused_with_its_path(text: str, tmp_path: Path) -> None:
    path = tmp_path / "alice.json"
    path.write_text(text)
    with pytest.raises(Usage, match="holds no grading record"):
        read_record(path)


def test_a_record_of_a_newer_mograder_is_refused() -> None:
    with pytest.raises(BadRequest, match="format 2, which this version of mograder does not know"):
        record_of({**claims_of(record()), "format": 2})
