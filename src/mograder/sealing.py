"""Signs and verifies receipts: compact JWS with Ed25519."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from mograder.domain.errors import BadRequest, VerificationFailed
from mograder.wire import decode_json, encode_json

ALGORITHM = "Ed25519"
_REGISTRY = jws.JWSRegistry(algorithms=[ALGORITHM])


def new_private_key() -> bytes:
    """A fresh Ed25519 key as PEM."""
    return OKPKey.generate_key("Ed25519").as_pem(private=True)


class Ed25519Seal:
    """A `Seal` (see domain.receipts) over an Ed25519 key; with a public key alone it can only verify."""

    def __init__(self, key: bytes | Mapping[str, Any]) -> None:
        """`key` is a PEM or a JWK. Raises ValueError when it is no Ed25519 key."""
        try:
            self._key = OKPKey.import_key(key if isinstance(key, bytes) else dict(key))
        except (JoseError, ValueError, TypeError) as error:
            raise ValueError(f"not an Ed25519 key: {error}") from None
        self._header = {"alg": ALGORITHM, "kid": self._key.thumbprint()}

    def sign(self, claims: Mapping[str, object]) -> str:
        return jws.serialize_compact(self._header, encode_json(claims), self._key, registry=_REGISTRY)

    def verify(self, text: str) -> Mapping[str, object]:
        try:
            content = jws.deserialize_compact(text, self._key, registry=_REGISTRY)
            claims = decode_json(content.payload, dict[str, Any])
        except (JoseError, BadRequest, ValueError) as error:
            raise VerificationFailed(f"the receipt is not signed by this course: {error}") from None
        return claims  # type: ignore[no-any-return]

    def public_key(self) -> Mapping[str, object]:
        return {
            **self._key.as_dict(private=False),
            "kid": self._header["kid"],
            "alg": ALGORITHM,
            "use": "sig",
        }
