"""Check whether the API key and secret have the expected form."""

from __future__ import annotations

import re

from .._credentials.model import validated
from .._inspect.participant import looks_like_secret
from .._livekit_credentials import LiveKitCredentials
from .._secret import Secret
from .._token.signing import MIN_SECRET_BYTES
from .check import Verdict, need, ok, warn
from .environment import LIVEKIT_VARIABLES
from .found import Found

# Shown: keys in the form of LiveKit's own, and of `livekit-server --dev`. Anything else may be the secret.
_KEY = re.compile(r"API[A-Za-z0-9]{1,20}|devkey")
_ANY_URL = Secret("ws://127.0.0.1")
SWAPPED = "the API key looks like a secret, and the secret like a key; the two may be swapped"


def judge(found: Found) -> Verdict:
    """Finds the credentials that tokens can be created with."""
    credentials = need(found.unchecked)
    key, secret = credentials.api_key, credentials.api_secret
    validated(_ANY_URL, Secret(key), Secret(secret), Secret(""), ("url", *LIVEKIT_VARIABLES[1:], "agent"))
    found.credentials = credentials
    size = len(secret.encode())
    shape = f"API key {key if _KEY.fullmatch(key) else f'of {len(key)} characters'}, secret of {size} bytes"
    if keys_look_swapped(credentials):
        return warn(f"{shape}: {SWAPPED}", "swap key and secret")
    if size < MIN_SECRET_BYTES:
        return warn(
            f"{shape}; HS256 needs {MIN_SECRET_BYTES} (RFC 7518, section 3.2)",
            "create a longer one for anything but local tests: livekit-server generate-keys",
        )
    return ok(shape)


def keys_look_swapped(credentials: LiveKitCredentials) -> bool:
    """Whether the key looks like a secret, and the secret like a key."""
    return looks_like_secret(credentials.api_key) and len(credentials.api_secret) < MIN_SECRET_BYTES
