"""Credentials: whether the API key and secret look like what they are to be."""

from __future__ import annotations

import re
from collections.abc import Generator

from .._credentials import response as answer
from .._inspect.participant import looks_like_secret
from .._secret import Secret
from .._token.signing import MIN_SECRET_BYTES
from .check import Check, Stopwatch, split
from .environment import LIVEKIT_VARIABLES
from .keys import Keys
from .plan import Given, Plan
from .redact import Redactor

NAMES = ("credentials",)
# What may be shown: the form of LiveKit's own keys, and of `livekit-server --dev`. Anything else may be the secret.
_KEY = re.compile(r"API[A-Za-z0-9]{1,20}|devkey")
_STAND_IN = "ws://127.0.0.1"
SWAPPED = "the API key looks like a secret, and the secret like a key: the two are swapped, perhaps"


def of_given(given: Given, plan: Plan, redactor: Redactor) -> Keys:
    """Credentials that were handed in, for the checks of each; the address is LiveKit's to check."""
    return Keys(given.url, given.api_key, given.api_secret, "", plan, redactor)


def checks(keys: Keys, plan: Plan) -> Generator[Check, None, bool]:
    """One check; returns whether tokens can be made."""
    watch = Stopwatch(plan.mono)
    names = ("url", *LIVEKIT_VARIABLES[1:], "agent")
    made = answer.credentials(Secret(_STAND_IN), keys.api_key, keys.api_secret, Secret(""), names)
    if isinstance(made, str):
        detail, remedy = split(made, "copy it again, without anything around it")
        yield watch.fail(NAMES[0], detail, remedy)
        return False
    key, size = keys.api_key.reveal(), len(keys.api_secret.reveal().encode())
    shape = f"API key {key if _KEY.fullmatch(key) else f'of {len(key)} characters'}, secret of {size} bytes"
    if look_swapped(keys):
        yield watch.warn(NAMES[0], f"{shape}: {SWAPPED}", "exchange key and secret")
    elif size < MIN_SECRET_BYTES:
        yield watch.warn(
            NAMES[0],
            f"{shape}, under the {MIN_SECRET_BYTES} that HS256 wants (RFC 7518, section 3.2)",
            "make a longer one for anything but local tests: livekit-server generate-keys",
        )
    else:
        yield watch.ok(NAMES[0], shape)
    return True


def look_swapped(keys: Keys) -> bool:
    """Whether the key looks like a secret, and the secret like a key."""
    return looks_like_secret(keys.api_key.reveal()) and len(keys.api_secret.reveal()) < MIN_SECRET_BYTES
