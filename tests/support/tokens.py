"""Tokens: what a test reads in a join token, by the standard library alone, and the credentials it is signed with."""

from __future__ import annotations

import base64
import json
from typing import Any

URL = "wss://example.livekit.cloud"
API_KEY = "APIexample"
API_SECRET = "a-secret-for-tests-that-is-long-enough"


def header(token: str) -> dict[str, Any]:
    """The first part."""
    return _part(token, 0)


def claims(token: str) -> dict[str, Any]:
    """The second part, with any signature."""
    return _part(token, 1)


def untimed(token: str) -> dict[str, Any]:
    """The claims without the two times, for requests that are minted at different moments."""
    return {name: value for name, value in claims(token).items() if name not in ("nbf", "exp")}


def _part(token: str, index: int) -> dict[str, Any]:
    text = token.split(".")[index]
    part: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return part
