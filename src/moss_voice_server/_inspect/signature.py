"""Signature: whether a token was signed with the API secret at hand, and if not, with what."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from hmac import HMAC, compare_digest
from typing import NamedTuple

from .._secret import Secret
from .._token.signing import MIN_SECRET_BYTES
from .finding import Finding, error, info, shown, warning
from .reading import Token

_CHECK = "check that the token's maker and the LiveKit server have the same key and secret"


_GUESSABLE = 8  # characters; a shorter secret, as that of `livekit-server --dev`, is a word that may stand anywhere
_SIZE = sha256().digest_size  # bytes of every HS256 signature


class Pair(NamedTuple):
    """An API key and its secret. The key may be empty: only the signature is checked then."""

    key: str
    secret: Secret[str]


def signature(token: Token, key: object, pair: Pair | None) -> Iterator[Finding]:
    """What is wrong with the header and the signature; `key` is the token's `iss`."""
    yield from _header(token)
    if token.header.get("alg") == "HS256" and len(token.signature.reveal()) != _SIZE:
        yield error(
            "no_whole_signature",
            "the token ends before its signature does: it was cut off when it was copied, or never signed; LiveKit answers 401",
            "take the whole token, to the last character",
        )
        return
    if pair is None:
        yield info(
            "not_checked",
            "the signature was not checked: there is no API secret at hand",
            "set LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or LIVEKIT_API_SECRET_FILE",
        )
        return
    yield from _inside(token, pair)
    if len(pair.secret.reveal().encode()) < MIN_SECRET_BYTES:
        yield warning(
            "weak_secret",
            f"the API secret has fewer than {MIN_SECRET_BYTES} bytes, less than HS256's own strength (RFC 7518, section 3.2)",
            "make a longer one for anything but local tests: livekit-server generate-keys",
        )
    if pair.key and isinstance(key, str) and key != pair.key and not _equal(key, pair.secret):
        yield warning(
            "other_key",
            f"the token is of another API key ({shown(key)}) than the one at hand, so the signature was not checked"
            if len(key) <= 32
            else "the token is of another API key than the one at hand, so the signature was not checked",
            "check that the application and this shell have the credentials of the same LiveKit project",
        )
    else:
        yield from _signed(token, key, pair)


def is_swapped(key: object, pair: Pair | None) -> bool:
    """Whether a token names the secret where the key belongs."""
    return pair is not None and isinstance(key, str) and _equal(key, pair.secret)


def holds(value: object, pair: Pair | None) -> bool:
    """Whether the secret at hand stands somewhere in a claim's value."""
    if isinstance(value, dict):
        return any(holds(each, pair) for each in (*value, *value.values()))
    if isinstance(value, list):
        return any(holds(each, pair) for each in value)
    return (
        pair is not None
        and isinstance(value, str)
        and len(pair.secret.reveal()) >= _GUESSABLE
        and pair.secret.reveal() in value
    )


def _inside(token: Token, pair: Pair) -> Iterator[Finding]:
    """The secret among the claims; in the key's place it is a finding of its own."""
    name = next((name for name, value in token.claims.items() if name.lower() != "iss" and holds(value, pair)), None)
    if name is not None:
        yield error(
            "secret_inside",
            f"{shown(name)} holds the API secret: everybody who gets the token can read it, and make any token",
            "leave it out, and make a new pair of key and secret: this one is known",
        )


def _header(token: Token) -> Iterator[Finding]:
    if token.header.get("alg") != "HS256":
        yield error(
            "algorithm",
            "the token's header does not say HS256 (in capitals), the one algorithm that LiveKit takes; it answers 401",
            "sign with HS256 and the API secret",
        )


def _signed(token: Token, key: object, pair: Pair) -> Iterator[Finding]:
    if _fits(token, pair.secret):
        return
    if is_swapped(key, pair):
        yield error(
            "swapped",
            "the token was made with key and secret swapped: iss is the secret, and all who see the token see it",
            "exchange the two in the application's settings, and make a new pair: this one is known",
        )
    elif pair.key and _fits(token, Secret(pair.key)):
        yield error(
            "signed_with_key", "the token is signed with the API key in the secret's place", "sign with the secret"
        )
    elif any(_fits(token, Secret(pair.secret.reveal() + end)) for end in ("\n", "\r\n", " ")):
        yield error(
            "secret_with_line_end",
            "the token is signed with the secret and the line end behind it, from a file perhaps; LiveKit answers 401",
            "strip the secret when it is read",
        )
    elif _fits(token, Secret(pair.secret.reveal().strip())):
        yield error(
            "secret_with_line_end",
            "the secret at hand has white space around it; the token is signed with the secret alone",
            "strip the secret that is at hand here",
        )
    else:
        yield error(
            "bad_signature", "the token is not signed with the secret of its API key; LiveKit answers 401", _CHECK
        )


def _fits(token: Token, secret: Secret[str]) -> bool:
    made = HMAC(secret.reveal().encode("utf-8", "surrogatepass"), token.signed.reveal(), sha256).digest()
    return compare_digest(made, token.signature.reveal())


def _equal(text: str, secret: Secret[str]) -> bool:
    return compare_digest(text.encode("utf-8", "surrogatepass"), secret.reveal().encode("utf-8", "surrogatepass"))
