"""The names and types of the fields that LiveKit reads in a token, and the names that it silently ignores."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from .._escape import escape
from .finding import Finding, Severity, kind


def _is_uint32(value: object) -> bool:
    """Protobuf's JSON accepts 300, "300" and 300.0."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    if isinstance(value, str):
        return re.fullmatch("[0-9]{1,10}", value) is not None and int(value) < 2**32
    return 0 <= value < 2**32 and value == int(value)


TEXT, OBJECT, FLAG, TEXTS, ARRAY = "a string", "an object", "true or false", "an array of strings", "an array"
UINT32, ANY = "an unsigned 32-bit integer", "anything"
_FITS: dict[str, Callable[[Any], bool]] = {
    TEXT: lambda value: isinstance(value, str),
    OBJECT: lambda value: isinstance(value, dict),
    FLAG: lambda value: isinstance(value, bool),
    ARRAY: lambda value: isinstance(value, list),
    TEXTS: lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    UINT32: _is_uint32,
    ANY: lambda value: True,
}

CLAIMS: Mapping[str, str] = {
    **dict.fromkeys(("iss", "sub", "jti", "identity", "name", "kind", "metadata", "sha256", "roomPreset"), TEXT),
    **dict.fromkeys(("video", "sip", "agent", "inference", "observability", "attributes", "roomConfig"), OBJECT),
    "kindDetails": TEXTS,
    # Times and the audience have rules of their own.
    **dict.fromkeys(("exp", "nbf", "iat", "aud", "agentEndpoint", "agentThread"), ANY),
}
"""livekit/protocol auth/grants.go, `ClaimGrants`, and the registered claims of RFC 7519; with the Go types."""

GRANTS: Mapping[str, str] = {
    **dict.fromkeys(("roomCreate", "roomList", "roomRecord", "roomAdmin", "roomJoin", "canPublish"), FLAG),
    **dict.fromkeys(("canSubscribe", "canPublishData", "canUpdateOwnMetadata", "canSubscribeMetrics"), FLAG),
    **dict.fromkeys(("canManageAgentSession", "ingressAdmin", "hidden", "recorder", "agent"), FLAG),
    **dict.fromkeys(("room", "destinationRoom"), TEXT),
    "canPublishSources": TEXTS,
}
"""livekit/protocol auth/grants.go, `VideoGrant`."""

# Common misspellings of the names above.
_MEANT = {
    **dict.fromkeys(("roomname", "roomid"), "room"),
    **dict.fromkeys(("join", "canjoin"), "roomJoin"),
    "publish": "canPublish",
    "subscribe": "canSubscribe",
    **dict.fromkeys(("publishdata", "cansenddata"), "canPublishData"),
    **dict.fromkeys(("sources", "publishsources"), "canPublishSources"),
    "canupdatemetadata": "canUpdateOwnMetadata",
    **dict.fromkeys(("grants", "videogrant", "videogrants"), "video"),
    **dict.fromkeys(("roomconfiguration", "agents"), "roomConfig"),
    "displayname": "name",
    **dict.fromkeys(("user", "participantidentity"), "sub"),
}
# Without these no participant can join, or no agent is dispatched.
_VITAL = frozenset(["roomJoin", "room", "sub", "video", "roomConfig"])


def read(where: str, fields: Mapping[str, Any], known: Iterable[str]) -> tuple[dict[str, Any], list[Finding]]:
    """The fields by the names that LiveKit reads, and findings about all other names.

    Go's JSON decoder ignores the letter case of names, and nothing else (encoding/json, "Unmarshal").
    """
    by_case = {name.lower(): name for name in known}
    values: dict[str, Any] = {}
    findings: list[Finding] = []
    for name, value in fields.items():
        own = by_case.get(name.lower())
        if own is None:
            findings.append(_unknown(where, name, by_case))
        elif own != name:
            message = f"{where}{escape(name)} should be spelled {own}; the server reads it anyway, clients may not"
            findings.append(Finding("letter_case", "info", message, f"write {own}"))
            values.setdefault(own, value)
        else:
            values[own] = value
    return values, findings


def _unknown(where: str, name: str, by_case: Mapping[str, str]) -> Finding:
    quoted = where + escape(name)
    meant = by_case.get(name.replace("_", "").lower()) if "_" in name else None
    code = "snake_case" if meant else "unknown_name"
    if not meant:
        meant = by_case.get(_MEANT.get(re.sub(r"[^a-z]", "", name.lower()), "").lower())
    if meant:
        severity: Severity = "error" if meant in _VITAL else "warning"
        return Finding(code, severity, f"LiveKit silently ignores {quoted}; it reads {meant}", f"write {meant}")
    if where == "video." and name in ("admin", "call"):
        message = f"LiveKit silently ignores {quoted}: it is a grant of the claim sip"
        return Finding("sip_in_video", "warning", message, "make it a SIP grant, and grant it to no participant")
    message = f"LiveKit does not know {quoted} and ignores it"
    return Finding("unknown_name", "info", message, "remove it, or correct its name")


def types(claims: Mapping[str, Any], video: Mapping[str, Any]) -> Iterator[Finding]:
    """Every claim and video grant of a wrong type; LiveKit rejects the whole token for one."""
    for where, fields, expected in (("", claims, CLAIMS), ("video.", video, GRANTS)):
        for name, value in fields.items():
            yield from mismatch(where + name, value, expected[name])
    if not isinstance(claims.get("aud"), str):
        yield from mismatch("aud", claims.get("aud"), TEXTS)
    attributes = claims.get("attributes")
    for name, value in attributes.items() if isinstance(attributes, dict) else ():
        where = f"attributes.{escape(name)}"
        if value is None:
            message = f"{where} is null, which LiveKit reads as an empty string"
            yield Finding("null_attribute", "warning", message, 'write "", or remove it')
        yield from mismatch(where, value, TEXT)


def mismatch(name: str, value: object, expected: str) -> Iterator[Finding]:
    """One finding if a value is not of the expected type; null is the same as absent to Go."""
    if value is not None and not _FITS[expected](value):
        yield wrong_type(name, value, expected)


def wrong_type(name: str, value: object, expected: str) -> Finding:
    found = kind(value)
    if expected == TEXTS and isinstance(value, list):
        found = "an array with other values"
    elif expected == UINT32 and found == "a number":
        found = "a number out of range"
    encode = "encode structured data first, for example with json.dumps"
    message = f"{name} is {found}, not {expected}; LiveKit answers 401 to the whole token"
    return Finding("wrong_type", "error", message, encode if name == "metadata" else f"make it {expected}")
