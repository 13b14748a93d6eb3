"""Signer: tokens of RFC 7515 and RFC 7518, checked by other libraries."""

from __future__ import annotations

import base64
import gc
import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given, settings
from hypothesis import strategies as st

from moss_voice_server._secret import Secret
from moss_voice_server._token.signing import Signer

KEY = "APIexample"
SECRET = "a-secret-for-tests-that-is-long-enough"
HEADER = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"


def signer(secret: str = SECRET, key: str = KEY) -> Signer:
    """A signer."""
    return Signer(key, Secret(secret))


def base64url(data: bytes) -> str:
    """Base64url without padding, RFC 7515 section 2."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def test_known_token() -> None:
    """One token, computed with OpenSSL's `dgst -sha256 -hmac`, never changes."""
    token = "eyJpc3MiOiJBUElleGFtcGxlIn0.kVVClPQGcixxnDieJlamOkeY0lhJgisewCwbQvTxmWQ"
    assert f"{HEADER}.{token}" == signer().sign(b'{"iss":"APIexample"}')


@settings(deadline=None, max_examples=300)
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=150), st.binary(max_size=300))
def test_signature_agrees_with_the_standard_library(secret: str, payload: bytes) -> None:
    """For any secret and any payload the token is what RFC 7515 makes of header, payload and HMAC."""
    message = f"{HEADER}.{base64url(payload)}"
    expected = f"{message}.{base64url(hmac.digest(secret.encode(), message.encode(), hashlib.sha256))}"

    assert expected == signer(secret).sign(payload)


def test_eight_threads_sign_as_one() -> None:
    """One signer serves eight threads at once, and each gets its own token."""
    one = signer()
    payloads = [str(number).encode() * 50 for number in range(400)]
    expected = [one.sign(payload) for payload in payloads]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: [one.sign(payload) for payload in payloads], range(8)))

    assert [expected] * 8 == found


def test_weak_is_less_than_32_bytes() -> None:
    """A secret is weak below 32 bytes of UTF-8, not characters."""
    secrets = ["", "k" * 31, "k" * 32, "é" * 15, "é" * 16, "🎤" * 8]
    assert [True, True, False, True, False, False] == [signer(secret).weak for secret in secrets]


def test_head_begins_every_payload_with_the_key() -> None:
    """The head is the JSON up to the time, the key quoted in it."""
    for key in ["APIexample", 'quo"te', "back\\slash", "\x7f", "ü"]:
        head = signer(key=key).head

        assert {"iss": key, "nbf": 5} == json.loads(head + "5}")


def test_fingerprint_is_of_the_key_only() -> None:
    """The fingerprint is 12 hexadecimal digits of the key's hash, the same for any secret."""
    expected = hashlib.sha256(b"APIexample").hexdigest()[:12]
    assert [expected, expected] == [signer().fingerprint, signer("another").fingerprint]


def test_equal_signers() -> None:
    """A new secret under an old key id is another signer; the same pair is the same signer."""
    for secret, key, expected in [(SECRET, KEY, True), (SECRET + ".", KEY, False), (SECRET, "APIother", False)]:
        assert [expected] * 2 == [signer().signs_like(signer(secret, key)), signer(secret, key).signs_like(signer())]


@settings(deadline=None)
@given(st.binary(max_size=200), st.text(min_size=1, max_size=80))
def test_signer_verifies_any_message(signed: bytes, secret: str) -> None:
    """For any bytes, the signature of the same secret is accepted, and no other."""
    expected = hmac.digest(secret.encode(), signed, "sha256")

    assert signer(secret).verifies(signed, expected)
    assert not signer(secret + "x").verifies(signed, expected)
    assert not signer(secret).verifies(signed, expected[:-1])
    assert not signer(secret).verifies(signed + b"x", expected)


def test_secret_is_not_kept() -> None:
    """Nothing that a signer holds is the secret or contains it; nor do its renderings."""
    one = signer()
    held = [repr(each) for each in gc.get_referents(one)] + [repr(one), str(one), f"{one}", repr(one.head)]

    assert [] == [text for text in held if SECRET in text or SECRET.encode().hex() in text]
    assert "<Signer: hidden>" == repr(one)
