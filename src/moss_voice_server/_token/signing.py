"""Signer: HMAC-SHA256 JSON Web Tokens (RFC 7515, RFC 7518 section 3.2) for one API key, and nothing else."""

from __future__ import annotations

from binascii import b2a_base64

from .._secret import Sealed, Secret
from .json_string import json_string

try:  # OpenSSL's function alone: hashlib would load the other algorithms for the first token
    from _hashlib import openssl_sha256 as sha256
except ImportError:  # an interpreter without OpenSSL
    from hashlib import sha256

# base64url of {"alg":"HS256","typ":"JWT"}: the only header there is, so no caller can choose another algorithm.
_HEADER = b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
_BLOCK = 64  # bytes of a SHA-256 block, RFC 2104
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_URL_SAFE = bytes.maketrans(b"+/", b"-_")

MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: a key of the same size as the hash output, or larger, must be used."""


class Signer(Sealed):
    """Signs for one API key.

    HMAC hashes the secret's two padded blocks first, and the header is the same in every token, so these are hashed once
    here and the two states are copied for each token (RFC 2104, section 4). The secret itself is not kept.
    """

    __slots__ = ("_inner", "_key", "_outer", "fingerprint", "head", "weak")

    def __init__(self, api_key: str, api_secret: Secret[str]) -> None:
        block = Secret(_block(api_secret))
        self._key = sha256(block.reveal().translate(_INNER))
        self._inner = self._key.copy()
        self._inner.update(_HEADER)
        self._outer = sha256(block.reveal().translate(_OUTER))
        self.weak = len(api_secret.reveal().encode()) < MIN_SECRET_BYTES
        self.head = f'{{"iss":{json_string(api_key)},"nbf":'
        """How every payload of this signer begins: up to the time."""
        self.fingerprint = sha256(api_key.encode()).hexdigest()[:12]
        """Identifies the key in logs without its ID; it reveals nothing about the secret."""

    def signs_like(self, other: Signer) -> bool:
        """Whether both have the same key and secret: a new secret can have an old key ID."""
        from hmac import compare_digest

        return self.head == other.head and compare_digest(self.sign(b""), other.sign(b""))

    def sign(self, payload: bytes) -> str:
        """The compact JWT over this payload."""
        # Few payloads have one of these characters, so two searches take less time than `translate`.
        encoded = b2a_base64(payload).rstrip(b"=\n").replace(b"+", b"-").replace(b"/", b"_")
        inner = self._inner.copy()
        inner.update(encoded)
        outer = self._outer.copy()
        outer.update(inner.digest())
        # 32 bytes make 43 characters and one "=" of padding, which JWS leaves out.
        signature = b2a_base64(outer.digest())[:43].translate(_URL_SAFE)
        return b"".join((_HEADER, encoded, b".", signature)).decode("ascii")

    def verifies(self, signed: bytes, signature: bytes) -> bool:
        """Whether this signature over these bytes, whatever their JWT header, is made with the secret; in constant time."""
        from hmac import compare_digest

        inner, outer = self._key.copy(), self._outer.copy()
        inner.update(signed)
        outer.update(inner.digest())
        return compare_digest(outer.digest(), signature)


def _block(api_secret: Secret[str]) -> bytes:
    secret = Secret(api_secret.reveal().encode())
    if len(secret.reveal()) > _BLOCK:
        return sha256(secret.reveal()).digest().ljust(_BLOCK, b"\0")
    return secret.reveal().ljust(_BLOCK, b"\0")
