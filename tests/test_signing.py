"""Receipts cannot be forged or altered without the key of the course."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey
from joserfc.jws import JWSRegistry, deserialize_compact, serialize_compact

from mograder.domain.errors import VerificationFailed
from mograder.signing import Ed25519Signer, new_private_key, public_pem
from mograder.wire.codec import decode_json, encode_json

SIGNER = Ed25519Signer(new_private_key())
JSON = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text())


@given(claims=JSON)
def test_a_signed_text_can_be_read_with_the_public_key(claims: dict[str, object]) -> None:
    assert Ed25519Signer(SIGNER.public_keys()[0]).verify(SIGNER.sign(claims)) == claims


@given(claims=JSON)
def test_a_signed_text_is_a_valid_jws(claims: dict[str, object]) -> None:
    pem = new_private_key()
    key, signer = OKPKey.import_key(pem), Ed25519Signer(pem)
    header = {"alg": "Ed25519", "kid": key.thumbprint()}
    registry = JWSRegistry(algorithms=["Ed25519"])
    assert signer.sign(claims) == serialize_compact(header, encode_json(claims), key, registry=registry)
    assert decode_json(deserialize_compact(signer.sign(claims), key, registry=registry).payload) == claims
    assert key.as_dict(private=False).items() <= dict(signer.public_keys()[0]).items()


def test_the_same_claims_give_the_same_text_and_the_same_key_has_the_same_name() -> None:
    pem = new_private_key()
    one, other = Ed25519Signer(pem), Ed25519Signer(pem)
    assert one.sign({"a": 1}) == other.sign({"a": 1})
    assert one.public_keys()[0] == other.public_keys()[0]
    assert one.public_keys()[0]["kid"] != SIGNER.public_keys()[0]["kid"]


def test_the_public_key_does_not_contain_the_private_one() -> None:
    assert "d" not in SIGNER.public_keys()[0]
    with pytest.raises(Exception, match=r"(?i)key"):
        Ed25519Signer(SIGNER.public_keys()[0]).sign({})


def test_a_receipt_of_another_course_does_not_verify() -> None:
    with pytest.raises(VerificationFailed):
        SIGNER.verify(Ed25519Signer(new_private_key()).sign({"a": 1}))


@given(data=st.data())
def test_a_receipt_with_one_changed_character_does_not_verify(data: st.DataObject) -> None:
    text = SIGNER.sign({"user": "alice", "attempt": 1})
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("abcXYZ019-_.").filter(lambda letter: letter != text[place]))
    with pytest.raises(VerificationFailed):
        SIGNER.verify(text[:place] + letter + text[place + 1 :])


@given(text=st.text() | st.text(alphabet="aZ0-_.=") | st.binary().map(lambda raw: raw.decode("latin-1")))
def test_any_other_text_does_not_verify(text: str) -> None:
    with pytest.raises(VerificationFailed):
        SIGNER.verify(text)


def test_a_receipt_cannot_choose_its_own_algorithm() -> None:
    import base64
    import json

    _, payload, _ = SIGNER.sign({"a": 1}).split(".")
    for algorithm in ("none", "HS256", "EdDSA"):
        header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).decode().rstrip("=")
        with pytest.raises(VerificationFailed):
            SIGNER.verify(f"{header}.{payload}.")


def test_a_key_set_signs_with_its_first_key_and_verifies_with_all() -> None:
    new, old = new_private_key(), new_private_key()
    both = Ed25519Signer(new + public_pem(old))
    earlier = Ed25519Signer(old).sign({"a": 1})
    assert both.verify(earlier) == {"a": 1}
    assert both.sign({"b": 2}) == Ed25519Signer(new).sign({"b": 2})
    published = Ed25519Signer({"keys": list(both.public_keys())})
    assert published.verify(earlier) == {"a": 1}
    assert published.verify(both.sign({"b": 2})) == {"b": 2}
    with pytest.raises(VerificationFailed):
        Ed25519Signer(new).verify(earlier)


def test_a_key_is_identified_by_its_fingerprint_whatever_name_it_claims() -> None:
    (key,) = SIGNER.public_keys()
    assert Ed25519Signer({**key, "kid": "another"}).public_keys() == (key,)


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"nonsense",
        {},
        {"keys": []},
        {"keys": 1},
        ECKey.generate_key("P-256").as_pem(private=True),
        OctKey.generate_key(256).as_dict(),
    ],
)
def test_a_key_that_is_not_ed25519_is_refused(key: bytes) -> None:
    with pytest.raises(ValueError, match="not an Ed25519 key"):
        Ed25519Signer(key)
