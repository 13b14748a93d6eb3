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


_LONGEST = 240  # characters of a value that are shown
_TIMES = ("nbf", "exp", "iat")
# By the path of names, without the positions in lists.
_WORDS = {
    "iss": "API key",
    "sub": "identity: who joins",
    "jti": "the token's own id",
    "name": "shown to the others",
    "kind": "kind of participant",
    "metadata": "for the others and the agent",
    "sha256": "of a webhook's body",
    "video.room": "this room only",
    "video.canPublishSources": "nothing else may be sent",
    "video.destinationRoom": "for moving and forwarding",
    "roomConfig": "read when the room is new",
    "roomConfig.name": "LiveKit ignores it",
    "roomConfig.agents.agentName": "is sent for",
    "roomConfig.agents.metadata": "for the agent's job",
    "roomConfig.agents.deployment": "this deployment of it",
    "roomConfig.agents.attributes": "for the agent's job",
    "roomConfig.emptyTimeout": "s until an unused room ends",
    "roomConfig.departureTimeout": "s the room outlives the last",
    "roomConfig.maxParticipants": "so many people at most",
    "roomConfig.metadata": "of the room",
    "roomConfig.egress": "records from the start",
    "roomPreset": "a preset of the server's",
}
_GRANTS = {
    "video.roomJoin": ("may join", "may not join"),
    "video.canPublish": ("may send audio, video", "sends no audio, video"),
    "video.canSubscribe": ("may hear and see", "hears, sees nothing"),
    "video.canPublishData": ("may send data", "sends no data"),
    "video.canUpdateOwnMetadata": ("may change name, metadata", "keeps name and metadata"),
    "video.canSubscribeMetrics": ("gets others' metrics", "gets no metrics"),
    "video.canManageAgentSession": ("may control the agent", "does not control the agent"),
    "video.hidden": ("is invisible to others", "is seen by the others"),
    "video.recorder": ("passes for a recorder", "is no recorder"),
    "video.agent": ("may work as an agent", "is no worker"),
    "video.roomCreate": ("may make and DELETE rooms", "makes and deletes no rooms"),
    "video.roomList": ("may list all rooms", "lists no rooms"),
    "video.roomRecord": ("may record", "does not record"),
    "video.roomAdmin": ("may throw out and mute", "administers nothing"),
    "video.ingressAdmin": ("may bring streams in", "brings no streams in"),
}


def decode(token: str) -> dict[str, Any]:
    """The claims of a token that was just minted; its signature is not checked."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def describe(claims: Mapping[str, Any], now: float) -> Iterator[Row]:
    """The rows of a token's claims; `now` is in seconds since 1970, and times are told relative to it as well.

    Any claims will do, whatever their types: what is not known is shown as it is, cut where it is long, and without what a
    terminal would obey.
    """
    for claim, value in claims.items():
        absolute = _absolute(value) if claim in _TIMES else ""
        if absolute:
            yield Row(claim, absolute, _time_in_words(claim, value - now))
        else:
            yield from _rows(claim, value, claim, 0)


def _rows(claim: str, value: Any, path: str, depth: int) -> Iterator[Row]:
    name = "  " * depth + _visible(claim)
    if isinstance(value, dict):
        yield Row(name, "", _WORDS.get(path, ""))
        for key, item in value.items():
            yield from _rows(key, item, f"{path}.{key}", depth + 1)
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for index, each in enumerate(value):
            yield from _rows(f"{claim}[{index}]", each, path, depth)
    elif isinstance(value, bool) and path in _GRANTS:
        yield Row(name, _json(value), _GRANTS[path][0 if value else 1])
    else:
        yield Row(name, _visible(value if isinstance(value, str) else _json(value)), _WORDS.get(path, ""))


def _absolute(value: object) -> str:
    """A time in UTC; "" for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    try:
        return datetime.fromtimestamp(value, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # after the year 9999
        return ""


def _time_in_words(claim: str, seconds: float) -> str:
    past, future = {"nbf": ("valid since", "valid"), "exp": ("expired", "expires"), "iat": ("minted", "minted")}[claim]
    if round(abs(seconds)) < 2:
        return f"{future} from now on" if claim == "nbf" else f"{future} now"
    length = _length(abs(seconds))
    if seconds > 0:
        return f"{future} in {length}"
    return f"{past} {length}" if claim == "nbf" else f"{past} {length} ago"


def _length(seconds: float) -> str:
    """The length in the largest unit of which there are two or more."""
    units = ((365 * 86400, "year"), (86400, "day"), (3600, "hour"), (60, "minute"))
    unit, name = next(((unit, name) for unit, name in units if round(seconds / unit) >= 2), (1, "second"))
    return f"{round(seconds / unit)} {name}s"


def _visible(text: str) -> str:
    """A text from a token that anybody may have made, as a terminal may show it."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}... ({len(text)} characters)"
    return text if text.isprintable() else "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
