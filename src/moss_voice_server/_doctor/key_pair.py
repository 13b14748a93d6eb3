"""Check whether the API key and secret have the expected form."""

from __future__ import annotations

import re
from collections.abc import Generator

from .._credentials.model import validated
from .._inspect.participant import looks_like_secret
from .._livekit_credentials import LiveKitCredentials
from .._secret import Secret
from .._token.signing import MIN_SECRET_BYTES
from ..errors import InvalidArgument
from .check import Check, Stopwatch, cause_and_remedy
from .environment import LIVEKIT_VARIABLES
from .options import Options

NAMES = ("credentials",)
# Shown: keys in the form of LiveKit's own, and of `livekit-server --dev`. Anything else may be the secret.
_KEY = re.compile(r"API[A-Za-z0-9]{1,20}|devkey")
_ANY_URL = "ws://127.0.0.1"
SWAPPED = "the API key looks like a secret, and the secret like a key; the two may be swapped"


def checks(credentials: LiveKitCredentials, options: Options) -> Generator[Check, None, bool]:
    """One check; returns whether tokens can be created."""
    watch = Stopwatch(options.mono)
    key, secret = credentials.api_key, credentials.api_secret
    names = ("url", *LIVEKIT_VARIABLES[1:], "agent")
    try:
        validated(Secret(_ANY_URL), Secret(key), Secret(secret), Secret(""), names)
    except InvalidArgument as error:
        yield watch.fail(NAMES[0], *cause_and_remedy(error, "copy it again, without anything around it"))
        return False
    size = len(secret.encode())
    shape = f"API key {key if _KEY.fullmatch(key) else f'of {len(key)} characters'}, secret of {size} bytes"
    if keys_look_swapped(credentials):
        yield watch.warn(NAMES[0], f"{shape}: {SWAPPED}", "swap key and secret")
    elif size < MIN_SECRET_BYTES:
        yield watch.warn(
            NAMES[0],
            f"{shape}; HS256 needs {MIN_SECRET_BYTES} (RFC 7518, section 3.2)",
            "create a longer one for anything but local tests: livekit-server generate-keys",
        )
    else:
        yield watch.ok(NAMES[0], shape)
    return True


def keys_look_swapped(credentials: LiveKitCredentials) -> bool:
    """Whether the key looks like a secret, and the secret like a key."""
    return looks_like_secret(credentials.api_key) and len(credentials.api_secret) < MIN_SECRET_BYTES
