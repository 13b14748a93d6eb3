"""JSON Web Tokens, read and verified: three parts of canonical base64url (RFC 7515), signed with HS256 (RFC 7518)."""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from hmac import compare_digest, digest
from typing import Any, Literal, NamedTuple

from ._json import InvalidJSON, decode

Part = Literal["header", "claims", "signature"]
MAX_DEPTH = 32
"""Levels of arrays and objects in a token; a LiveKit token has at most ten."""


class InvalidToken(ValueError):
    """The text is not a JSON Web Token. Neither the error nor its context contains the text.

    Args:
        reason: `parts` (not three), `base64` (not base64url, padded, or not canonical), `json`, `type` (not an object).
        part: which part is meant; empty for `parts`.
    """

    def __init__(self, reason: Literal["parts", "base64", "json", "type"], part: Part | Literal[""] = "") -> None:
        super().__init__(f"{reason} {part}".strip())
        self.reason = reason
        self.part = part


class Token(NamedTuple):
    """A token in its parts. `read` does not verify the signature."""

    header: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    """What the signature is computed over: header and claims as they were sent."""
    signature: bytes


def read(text: str) -> Token:
    """Split and decode a token.

    Raises:
        InvalidToken: `reason` and `part` say why.
    """
    parts = text.split(".")
    if len(parts) != 3:
        del text, parts
        raise InvalidToken("parts")
    decoded = [_base64url(part) for part in parts]
    signed = text.rpartition(".")[0].encode("utf-8", "replace")
    del text, parts
    for part, value in zip(("header", "claims", "signature"), decoded, strict=True):
        if value is None:
            del decoded, signed
            raise InvalidToken("base64", part)  # type: ignore[arg-type]  # one of the three above
    header, claims, signature = decoded
    return Token(_object("header", header), _object("claims", claims), signed, signature or b"")


def is_signed(token: Token, secret: str | bytes) -> bool:
    """Whether the header says HS256 and the signature is made with this secret; compared in constant time."""
    key = secret if isinstance(secret, bytes) else secret.encode("utf-8", "surrogatepass")
    made = digest(key, token.signed, "sha256")
    return compare_digest(made, token.signature) and token.header.get("alg") == "HS256"


_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")


def _base64url(part: str) -> bytes | None:
    """The bytes, or `None` for anything but their one canonical spelling (RFC 4648, sections 3.5 and 5)."""
    if not _ALPHABET.fullmatch(part) or len(part) % 4 == 1:
        return None
    standard = part.encode().replace(b"-", b"+").replace(b"_", b"/")
    decoded = a2b_base64(standard + b"=" * (-len(part) % 4))
    return decoded if b2a_base64(decoded, newline=False).rstrip(b"=") == standard else None


def _object(part: Part, encoded: bytes | None) -> dict[str, Any]:
    value: Any = None
    wrong: Literal["json", "type", ""] = ""
    try:
        value = decode(encoded or b"", max_depth=MAX_DEPTH)
    except InvalidJSON:
        wrong = "json"
    if not wrong and isinstance(value, dict):
        return value
    del value, encoded
    raise InvalidToken(wrong or "type", part)
