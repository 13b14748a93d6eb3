"""JSON Web Tokens: read by us as by PyJWT, verified by us as by PyJWT, and refused with the part that is wrong."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_voice_server._jwt import InvalidToken, is_signed, read

SECRET = "a-secret-for-tests-that-is-long-enough"
CLAIMS = st.dictionaries(
    st.text(max_size=9), st.text(max_size=9) | st.integers() | st.lists(st.booleans()), max_size=4
).filter(lambda claims: not {"exp", "nbf", "iat", "aud", "iss", "sub", "jti"} & claims.keys())
TOKEN = jwt.encode({"sub": "ada"}, SECRET)


def part(value: Any) -> str:
    """One part of a token: JSON in base64url without padding."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@settings(deadline=None)
@given(CLAIMS)
def test_pyjwts_tokens_are_read_and_verified(claims: dict[str, Any]) -> None:
    """Header, claims and signature of any token that PyJWT makes; another secret does not fit."""
    token = read(jwt.encode(claims, SECRET))

    assert (token.header["alg"], token.claims) == ("HS256", claims)
    assert is_signed(token, SECRET)
    assert is_signed(token, SECRET.encode())
    assert not is_signed(token, SECRET + "x")


@settings(deadline=None)
@given(st.integers(0, len(TOKEN) - 1), st.sampled_from("AQgwx_-19."))
def test_no_altered_token_is_signed(index: int, char: str) -> None:
    """Any other character at any place, the last one included, whose low bits base64 would ignore."""
    altered = TOKEN[:index] + char + TOKEN[index + 1 :]
    if altered == TOKEN:
        return
    try:
        token = read(altered)
    except InvalidToken:
        return
    assert not is_signed(token, SECRET)


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_other_algorithms_are_not_signed(algorithm: str) -> None:
    """HS256 only, also if the header names another algorithm."""
    assert not is_signed(read(jwt.encode({}, SECRET * 2, algorithm=algorithm)), SECRET * 2)
    _, claims, _ = TOKEN.split(".")
    assert not is_signed(read(f"{part({'alg': 'none'})}.{claims}."), SECRET)
    signed = f"{part({'alg': 'hs256'})}.{claims}"
    signature = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), signed.encode(), "sha256")).rstrip(b"=")
    assert not is_signed(read(f"{signed}.{signature.decode()}"), SECRET)


H, C, S = TOKEN.split(".")
REFUSED = [
    ("", "parts", ""),
    ("a.b", "parts", ""),
    (TOKEN + ".x", "parts", ""),
    (f"{H}=.{C}.{S}", "base64", "header"),
    (f"{H}.{C}\n.{S}", "base64", "claims"),
    (f"{H}.{C}.{S}=", "base64", "signature"),
    (f"{H}.{C}.{S[:-1]}é", "base64", "signature"),
    (f"{H}.{C}.A", "base64", "signature"),
    (f"{H}.{C}.AB", "base64", "signature"),
    (f"{H}.{C.replace('J', '+', 1)}.{S}", "base64", "claims"),
    (f"AAAA.{C}.{S}", "json", "header"),
    (f"{H}..{S}", "json", "claims"),
    (f"{H}.{part([])}.{S}", "type", "claims"),
    (f"{part(None)}.{C}.{S}", "type", "header"),
]


def test_invalid_tokens() -> None:
    """The reason and the part; the token, which is a secret, is in no frame of ours."""
    for text, reason, where in REFUSED:
        with pytest.raises(InvalidToken) as caught:
            read(text)

        assert (caught.value.reason, caught.value.part, caught.value.__context__) == (reason, where, None)
        assert all(S not in repr(entry.frame.f_locals) for entry in caught.traceback[1:])
