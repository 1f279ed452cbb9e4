"""Signs and verifies receipts: compact JWS with Ed25519."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey
from joserfc.util import urlsafe_b64decode, urlsafe_b64encode

from mograder.domain.errors import BadRequest, VerificationFailed
from mograder.wire import decode_json, encode_json

ALGORITHM = "Ed25519"
_REGISTRY = jws.JWSRegistry(algorithms=[ALGORITHM])
_PEM = re.compile(rb"-----BEGIN ([A-Z ]+)-----.*?-----END \1-----", re.DOTALL)


def new_private_key() -> bytes:
    """A fresh Ed25519 key as PEM."""
    return OKPKey.generate_key("Ed25519").as_pem(private=True)


def public_pem(key: bytes) -> bytes:
    """The PEMs of a signing key's file, each with its public part alone."""
    return b"".join(OKPKey.import_key(each).as_pem(private=False) for each in _pems(key))


class Ed25519Seal:
    """A `Seal` (see domain.receipts) over Ed25519 keys: the first signs, all verify.

    With public keys alone it can only verify.
    """

    def __init__(self, key: bytes | Mapping[str, Any]) -> None:
        """`key` is a PEM or several, a JWK, or a JWK Set. Raises ValueError when it holds no Ed25519 key."""
        try:
            given = _pems(key) if isinstance(key, bytes) else key.get("keys", [key])
            self._keys = KeySet([_import(each) for each in given])
            self._key = self._keys.keys[0]
        except (JoseError, ValueError, TypeError, AttributeError, IndexError) as error:
            raise ValueError(f"not an Ed25519 key: {error}") from None
        self._header = {"alg": ALGORITHM, "kid": self._key.kid}

    def sign(self, claims: Mapping[str, object]) -> str:
        return jws.serialize_compact(self._header, encode_json(claims), self._key, registry=_REGISTRY)

    def verify(self, text: str) -> Mapping[str, object]:
        try:
            content = jws.deserialize_compact(text, self._keys, registry=_REGISTRY)
            if any(urlsafe_b64encode(urlsafe_b64decode(each)) != each for each in text.encode().split(b".")):
                raise ValueError("it is not written as it was signed")  # the last letters hold bits that mean nothing
            claims = decode_json(content.payload, dict[str, Any])
        except (JoseError, BadRequest, ValueError) as error:
            raise VerificationFailed(f"the receipt is not signed by this course: {error}") from None
        return claims  # type: ignore[no-any-return]

    def public_keys(self) -> tuple[Mapping[str, str], ...]:
        return tuple(
            {name: str(value) for name, value in each.as_dict(private=False).items()} | {"alg": ALGORITHM, "use": "sig"}
            for each in self._keys
        )


def _pems(text: bytes) -> list[bytes]:
    return [match[0] for match in _PEM.finditer(text)]


def _import(key: bytes | Mapping[str, Any]) -> OKPKey:
    """Raises ValueError, TypeError, JoseError. The key is called by its fingerprint, whatever a JWK calls it."""
    given = key if isinstance(key, bytes) else {name: key[name] for name in ("kty", "crv", "x", "d") if name in key}
    imported = OKPKey.import_key(given)
    if imported.curve_name != "Ed25519":
        raise ValueError(f"its curve is {imported.curve_name}")
    return imported
