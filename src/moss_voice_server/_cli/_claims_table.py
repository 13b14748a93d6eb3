"""A token's claims as table rows: name, value, and meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from .._duration import format_duration
from .._escape import escape


class Row(NamedTuple):
    """One claim: its name, indented below the object that contains it, its value, and its meaning."""

    claim: str
    value: str
    meaning: str


_LONGEST = 240  # characters of a value that are shown
_TIMES = ("nbf", "exp", "iat")
# By the path of names, without the positions in lists.
_MEANINGS = {
    "iss": "API key",
    "sub": "identity: who joins",
    "jti": "token ID",
    "name": "display name",
    "kind": "kind of participant",
    "metadata": "for others and the agent",
    "sha256": "of a webhook's body",
    "video.room": "only this room",
    "video.canPublishSources": "only these sources",
    "video.destinationRoom": "for moving and forwarding",
    "roomConfig": "used when the room is new",
    "roomConfig.name": "ignored by LiveKit",
    "roomConfig.agents.agentName": "dispatched agent",
    "roomConfig.agents.metadata": "for the agent's job",
    "roomConfig.agents.deployment": "the agent's deployment",
    "roomConfig.agents.attributes": "for the agent's job",
    "roomConfig.emptyTimeout": "s until an unused room ends",
    "roomConfig.departureTimeout": "s after the last has left",
    "roomConfig.maxParticipants": "maximum of participants",
    "roomConfig.metadata": "the room's metadata",
    "roomConfig.egress": "records from the start",
    "roomPreset": "a preset of the server",
}
_GRANTS = {
    "video.roomJoin": ("can join", "cannot join"),
    "video.canPublish": ("can publish audio, video", "cannot publish"),
    "video.canSubscribe": ("can hear and see others", "cannot hear or see others"),
    "video.canPublishData": ("can send data", "cannot send data"),
    "video.canUpdateOwnMetadata": ("can change name, metadata", "cannot change metadata"),
    "video.canSubscribeMetrics": ("receives others' metrics", "receives no metrics"),
    "video.canManageAgentSession": ("can control the agent", "cannot control the agent"),
    "video.hidden": ("invisible to others", "visible to others"),
    "video.recorder": ("a recorder", "not a recorder"),
    "video.agent": ("can register as a worker", "not a worker"),
    "video.roomCreate": ("can create, DELETE rooms", "cannot create rooms"),
    "video.roomList": ("can list all rooms", "cannot list rooms"),
    "video.roomRecord": ("can record", "cannot record"),
    "video.roomAdmin": ("can remove and mute others", "not an admin"),
    "video.ingressAdmin": ("can manage ingress", "cannot manage ingress"),
}


def describe(claims: Mapping[str, Any], now: float) -> Iterator[Row]:
    """The rows of a token's claims; `now` is in seconds since 1970, for relative times.

    Claims of any type are accepted: unknown ones are shown as they are, shortened and escaped.
    """
    for claim, value in claims.items():
        absolute = _absolute(value) if claim in _TIMES else ""
        if absolute:
            yield Row(claim, absolute, _relative(claim, value - now))
        else:
            yield from _rows(claim, value, claim, 0)


def _rows(claim: str, value: Any, path: str, depth: int) -> Iterator[Row]:
    name = "  " * depth + escape(claim, _LONGEST)
    if isinstance(value, dict):
        yield Row(name, "", _MEANINGS.get(path, ""))
        for key, item in value.items():
            yield from _rows(key, item, f"{path}.{key}", depth + 1)
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for index, each in enumerate(value):
            yield from _rows(f"{claim}[{index}]", each, path, depth)
    elif isinstance(value, bool) and path in _GRANTS:
        yield Row(name, json.dumps(value), _GRANTS[path][0 if value else 1])
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        yield Row(name, escape(text, _LONGEST), _MEANINGS.get(path, ""))


def _absolute(value: object) -> str:
    """A time in UTC; "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return ""
    try:
        return datetime.fromtimestamp(value, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # after the year 9999
        return ""


def _relative(claim: str, seconds: float) -> str:
    past, future = {"nbf": ("became valid", "valid"), "exp": ("expired", "expires"), "iat": ("minted", "minted")}[claim]
    if round(abs(seconds)) < 2:
        return f"{future} now"
    length = format_duration(round(abs(seconds)))
    if seconds > 0:
        return f"{future} in {length}"
    return f"{past} {length} ago"
