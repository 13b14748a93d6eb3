"""Claims in words: what a token says, as rows for people to read."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple


class Row(NamedTuple):
    """One claim: its name, indented below the object that holds it, its value, and what it means."""

    claim: str
    value: str
    words: str


_WORDS = {
    "iss": "API key",
    "sub": "identity: who joins",
    "name": "shown to the others",
    "video": "",
    "room": "this room only",
}
_GRANTS = {
    "roomJoin": ("may join", "may not join"),
    "canPublish": ("may send audio, video", "sends no audio, video"),
    "canSubscribe": ("may hear and see", "hears, sees nothing"),
    "canPublishData": ("may send data", "sends no data"),
}


def decode(token: str) -> dict[str, Any]:
    """The claims of a token that was just minted; its signature is not checked."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def describe(claims: Mapping[str, Any], now: float) -> Iterator[Row]:
    """The rows of a token's claims; `now` is in seconds since 1970, and times are told relative to it as well."""
    for claim, value in claims.items():
        if claim in ("nbf", "exp"):
            absolute = datetime.fromtimestamp(value, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
            yield Row(claim, absolute, _time_in_words(claim, value - now))
        elif isinstance(value, dict):
            yield Row(claim, "", _WORDS.get(claim, ""))
            for row in describe(value, now):
                yield row._replace(claim=f"  {row.claim}")
        elif isinstance(value, bool) and claim in _GRANTS:
            yield Row(claim, _json(value), _GRANTS[claim][0 if value else 1])
        else:
            yield Row(claim, value if isinstance(value, str) else _json(value), _WORDS.get(claim, ""))


def _time_in_words(claim: str, seconds: float) -> str:
    past, future = {"nbf": ("valid since", "valid"), "exp": ("expired", "expires")}[claim]
    if round(abs(seconds)) < 2:
        return f"{future} from now on" if claim == "nbf" else f"{future} now"
    length = _length(abs(seconds))
    if seconds > 0:
        return f"{future} in {length}"
    return f"{past} {length}" if claim == "nbf" else f"{past} {length} ago"


def _length(seconds: float) -> str:
    """The length in the largest unit of which there are two or more."""
    unit, name = next(
        ((unit, name) for unit, name in ((3600, "hour"), (60, "minute")) if round(seconds / unit) >= 2), (1, "second")
    )
    return f"{round(seconds / unit)} {name}s"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
