"""Signs and verifies receipts and other statements: compact JWS with Ed25519.

joserfc verifies them and reads JWKs. A server signs many and verifies few, so it signs with cryptography, which is
faster, and loads joserfc only when it is needed.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from mograder.domain.errors import BadRequest, VerificationFailed
from mograder.wire.codec import decode_json, encode_json

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

ALGORITHM = "Ed25519"
_PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)


def new_private_key() -> bytes:
    """A new Ed25519 private key as PEM."""
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Ed25519PrivateKey.generate().private_bytes(*form)


def public_pem(key: bytes) -> bytes:
    """The public parts of all PEMs in a signing key's file."""
    form = (serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return b"".join(_public(_read(each)).public_bytes(*form) for each in _pems(key))


class Ed25519Signer:
    """A `Signer` (see domain.receipts) with Ed25519 keys: the first signs, all verify.

    With only public keys it can only verify.
    """

    def __init__(self, key: bytes | Mapping[str, Any]) -> None:
        """`key` is one or more PEMs, a JWK, or a JWK Set. Raises ValueError unless it holds Ed25519 keys."""
        try:
            given = _pems(key) if isinstance(key, bytes) else key.get("keys", [key])
            keys = [_read(each) for each in given]
            self._key = keys[0]
        except (ValueError, TypeError, AttributeError, IndexError, UnsupportedAlgorithm) as error:
            raise ValueError(f"not an Ed25519 key: {error}") from None
        self._public = tuple(_jwk(_public(each)) for each in keys)
        self._header = _encoded(encode_json({"alg": ALGORITHM, "kid": self._public[0]["kid"]})) + b"."

    def sign(self, claims: Mapping[str, object], kind: str = "") -> str:
        """`kind` is the `typ` in the header, "" for none, as in receipts. `verify` refuses statements of another kind.

        Raises ValueError without a private key.
        """
        if not isinstance(self._key, Ed25519PrivateKey):
            raise ValueError("a public key cannot sign")
        header = self._header
        if kind:
            fields = {"alg": ALGORITHM, "kid": self._public[0]["kid"], "typ": kind}
            header = _encoded(encode_json(fields)) + b"."
        signed = header + _encoded(encode_json(claims))
        return (signed + b"." + _encoded(self._key.sign(signed))).decode("ascii")

    @cached_property
    def _keys(self) -> KeySet:
        from joserfc.jwk import KeySet, OKPKey

        return KeySet([OKPKey.import_key({**each}) for each in self._public])

    def verify(self, text: str, kind: str = "") -> Mapping[str, object]:
        from joserfc import jws
        from joserfc.errors import JoseError
        from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

        try:
            content = jws.deserialize_compact(text, self._keys, registry=jws.JWSRegistry(algorithms=[ALGORITHM]))
            if any(urlsafe_b64encode(urlsafe_b64decode(each)) != each for each in text.encode().split(b".")):
                # The last letters of base64 have unused bits: other letters would decode to the same bytes.
                raise ValueError("it is not written as it was signed")
            if content.headers().get("typ", "") != kind:
                raise ValueError("it is a statement of another kind")
            claims = decode_json(content.payload, dict[str, Any])
        except (JoseError, BadRequest, ValueError) as error:
            what = "statement" if kind else "receipt"
            raise VerificationFailed(f"the {what} is not signed by this course: {error}") from None
        return claims  # type: ignore[no-any-return]

    def public_keys(self) -> tuple[Mapping[str, str], ...]:
        return self._public


def _pems(text: bytes) -> list[bytes]:
    return [match[0] for match in _PEM.finditer(text)]


def _read(key: bytes | Mapping[str, Any]) -> Ed25519PrivateKey | Ed25519PublicKey:
    """The key of a PEM or JWK. Raises ValueError, TypeError, UnsupportedAlgorithm."""
    if isinstance(key, bytes):
        is_private = b"PRIVATE" in key.partition(b"\n")[0]
        found: object = (
            serialization.load_pem_private_key(key, None) if is_private else serialization.load_pem_public_key(key)
        )
    else:
        found = _read_jwk(key)
    if not isinstance(found, Ed25519PrivateKey | Ed25519PublicKey):
        raise ValueError(f"it is another kind of key: {type(found).__name__}")
    return found


def _read_jwk(key: Mapping[str, Any]) -> object:
    from joserfc.errors import JoseError
    from joserfc.jwk import OKPKey

    given = {name: key[name] for name in ("kty", "crv", "x", "d") if name in key}
    try:
        return OKPKey.import_key(given).get_op_key("sign" if "d" in given else "verify")
    except JoseError as error:
        raise ValueError(str(error)) from None


def _public(key: Ed25519PrivateKey | Ed25519PublicKey) -> Ed25519PublicKey:
    return key.public_key() if isinstance(key, Ed25519PrivateKey) else key


def _jwk(key: Ed25519PublicKey) -> Mapping[str, str]:
    """The public key as a JWK. Its `kid` is its fingerprint (RFC 7638), whatever a given JWK had."""
    named = {"crv": ALGORITHM, "kty": "OKP", "x": _encoded(key.public_bytes_raw()).decode("ascii")}
    kid = _encoded(sha256(encode_json(named)).digest()).decode("ascii")
    return {**named, "kid": kid, "alg": ALGORITHM, "use": "sig"}


def _encoded(content: bytes) -> bytes:
    return urlsafe_b64encode(content).rstrip(b"=")
