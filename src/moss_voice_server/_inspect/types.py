"""The JSON type of each claim; LiveKit refuses the whole token for one wrong type."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .._escape import escape
from .facts import Facts
from .finding import Finding, kind


def _is_uint32(value: object) -> bool:
    """Protobuf's JSON accepts 300, "300" and 300.0."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    if isinstance(value, str):
        return re.fullmatch("[0-9]{1,10}", value) is not None and int(value) < 2**32
    return 0 <= value < 2**32 and value == int(value)


TEXT, OBJECT, FLAG, TEXTS, ARRAY = "a string", "an object", "true or false", "an array of strings", "an array"
UINT32 = "an unsigned 32-bit integer"
_FITS: dict[str, Callable[[Any], bool]] = {
    TEXT: lambda value: isinstance(value, str),
    OBJECT: lambda value: isinstance(value, dict),
    FLAG: lambda value: isinstance(value, bool),
    ARRAY: lambda value: isinstance(value, list),
    TEXTS: lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    UINT32: _is_uint32,
}
# livekit/protocol auth/grants.go: the Go types of each field.
_CLAIMS = {
    **dict.fromkeys(("iss", "sub", "jti", "identity", "name", "kind", "metadata", "sha256", "roomPreset"), TEXT),
    **dict.fromkeys(("video", "sip", "agent", "inference", "observability", "attributes", "roomConfig"), OBJECT),
    "kindDetails": TEXTS,
}
_VIDEO = {
    **dict.fromkeys(("roomCreate", "roomList", "roomRecord", "roomAdmin", "roomJoin"), FLAG),
    **dict.fromkeys(("canPublish", "canSubscribe", "canPublishData", "canUpdateOwnMetadata"), FLAG),
    **dict.fromkeys(("canSubscribeMetrics", "canManageAgentSession", "ingressAdmin"), FLAG),
    **dict.fromkeys(("hidden", "recorder", "agent"), FLAG),
    **dict.fromkeys(("room", "destinationRoom"), TEXT),
    "canPublishSources": TEXTS,
}


def types(facts: Facts) -> Iterator[Finding]:
    """Every claim and video grant of a wrong type."""
    for where, fields, expected in (("", facts.claims, _CLAIMS), ("video.", facts.video, _VIDEO)):
        for name, value in fields.items():
            if name in expected:
                yield from mismatch(where + name, value, expected[name])
    audience = facts.claims.get("aud")
    if not isinstance(audience, str):
        yield from mismatch("aud", audience, TEXTS)
    attributes = facts.claims.get("attributes")
    if isinstance(attributes, dict):
        yield from _attributes(attributes)


def mismatch(name: str, value: object, expected: str) -> Iterator[Finding]:
    """One finding if a value is not of the expected type; null is the same as absent to Go."""
    if value is not None and not _FITS[expected](value):
        yield wrong_type(name, value, expected)


def wrong_type(name: str, value: object, expected: str) -> Finding:
    """The finding for a value of a wrong type."""
    found = kind(value)
    if expected == TEXTS and isinstance(value, list):
        found = "an array with other values"
    elif expected == UINT32 and found == "a number":
        found = "a number out of range"
    remedy = (
        "encode structured data first, for example with json.dumps" if name == "metadata" else f"make it {expected}"
    )
    message = f"{name} is {found}, not {expected}; LiveKit answers 401 to the whole token"
    return Finding("wrong_type", "error", message, remedy)


def _attributes(attributes: Mapping[str, Any]) -> Iterator[Finding]:
    for name, value in attributes.items():
        where = f"attributes.{escape(name)}"
        if value is None:
            message = f"{where} is null, which LiveKit reads as an empty string"
            yield Finding("null_attribute", "warning", message, 'write "", or remove it')
        else:
            yield from mismatch(where, value, TEXT)
