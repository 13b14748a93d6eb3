"""Rules about the signature: whether a token was signed with the given API secret, and if not, with what."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple

from .._escape import escape
from .._jwt import Token, is_signed
from .._token.signing import MIN_SECRET_BYTES
from .finding import Rule

_GUESSABLE = 8  # characters; a shorter secret, as that of `livekit-server --dev`, can be part of any text
_SIZE = sha256().digest_size  # bytes of every HS256 signature
_SHOWN_KEY = 32  # characters; a longer key may be a secret


class Signed(NamedTuple):
    """A token, and the API key and secret to check it with."""

    token: Token
    api_key: str = ""  # empty: only the signature is checked
    api_secret: str | None = None

    @property
    def iss(self) -> str:
        key = self.token.claims.get("iss")
        return key if isinstance(key, str) else ""

    @property
    def has_whole_signature(self) -> bool:
        """Whether the signature has the length of its algorithm."""
        return self.token.header.get("alg") != "HS256" or len(self.token.signature) == _SIZE

    def is_secret(self, text: str) -> bool:
        secret = (self.api_secret or "").encode("utf-8", "surrogatepass")
        return self.api_secret is not None and compare_digest(text.encode("utf-8", "surrogatepass"), secret)

    @property
    def has_other_key(self) -> bool:
        """Whether the token names another key than the given one."""
        return bool(self.api_key and self.iss) and self.iss != self.api_key and not self.is_secret(self.iss)

    def holds_secret(self, value: object) -> bool:
        if isinstance(value, dict):
            return any(self.holds_secret(each) for each in (*value, *value.values()))
        if isinstance(value, list):
            return any(self.holds_secret(each) for each in value)
        secret = self.api_secret or ""
        return isinstance(value, str) and len(secret) >= _GUESSABLE and secret in value

    @property
    def cause(self) -> str:
        """Why the signature does not verify, as the code of a rule and a variant; "" where it does or is not checked."""
        secret = self.api_secret
        if not self.has_whole_signature or secret is None or self.has_other_key or is_signed(self.token, secret):
            return ""
        if self.is_secret(self.iss):
            return "swapped"
        if self.api_key and is_signed(self.token, self.api_key):
            return "signed_with_key"
        if any(is_signed(self.token, secret + end) for end in ("\n", "\r\n", " ")):
            return "newline in the token's secret"
        return "whitespace in the given secret" if is_signed(self.token, secret.strip()) else "bad_signature"


def _exposed(facts: Signed) -> str | None:
    if not facts.has_whole_signature:
        return None
    claims = facts.token.claims.items()
    return next((escape(name) for name, value in claims if name.lower() != "iss" and facts.holds_secret(value)), None)


def _is_weak(secret: str | None) -> bool:
    return secret is not None and len(secret.encode()) < MIN_SECRET_BYTES


def _other_key(facts: Signed) -> str | None:
    if facts.api_secret is None or not facts.has_whole_signature or not facts.has_other_key:
        return None
    return f"({escape(facts.iss)}) " if len(facts.iss) <= _SHOWN_KEY else " "


def _because(cause: str) -> Callable[[Signed], bool]:
    return lambda facts: facts.cause == cause


# fmt: off
RULES = (
    Rule("algorithm", "error", lambda facts: facts.token.header.get("alg") != "HS256",
         "the token's algorithm is not HS256, the only one that LiveKit accepts; LiveKit answers 401",
         "sign with HS256 and the API secret"),
    Rule("no_whole_signature", "error", lambda facts: not facts.has_whole_signature,
         "the token's signature does not have 32 bytes; LiveKit answers 401",
         "copy the whole token, and nothing after it"),
    Rule("not_checked", "info", lambda facts: facts.has_whole_signature and facts.api_secret is None,
         "the signature was not checked: no API secret is set",
         "set LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or LIVEKIT_API_SECRET_FILE"),
    Rule("secret_inside", "error", _exposed, "{} contains the API secret: anyone who sees the token can create any token",
         "remove it, and create a new pair of key and secret, since this one is exposed"),
    Rule("weak_secret", "warning", lambda facts: facts.has_whole_signature and _is_weak(facts.api_secret),
         f"the API secret has fewer than {MIN_SECRET_BYTES} bytes, the strength of HS256 (RFC 7518, section 3.2)",
         "create a longer one for anything but local tests: livekit-server generate-keys"),
    Rule("other_key", "warning", _other_key,
         "the token names another API key {}than the given one, so the signature was not checked",
         "check that the application and this shell use the same LiveKit project"),
    Rule("swapped", "error", _because("swapped"),
         "the token was created with key and secret swapped: iss is the secret, and anyone who sees the token sees it",
         "swap the two in the application's settings, and create a new pair, since this one is exposed"),
    Rule("signed_with_key", "error", _because("signed_with_key"),
         "the token is signed with the API key instead of the secret; LiveKit answers 401", "sign with the secret"),
    Rule("secret_with_line_end", "error", _because("newline in the token's secret"),
         "the token is signed with the secret and a trailing newline or space; LiveKit answers 401",
         "strip the secret after reading it"),
    Rule("secret_with_line_end", "error", _because("whitespace in the given secret"),
         "the given secret has whitespace around it; the token is signed with the secret alone",
         "strip the secret that is set here"),
    Rule("bad_signature", "error", _because("bad_signature"),
         "the token is not signed with the secret of its API key; LiveKit answers 401",
         "check that the application and the LiveKit server have the same key and secret"),
)
# fmt: on
