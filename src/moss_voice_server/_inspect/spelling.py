"""The names that LiveKit reads in a token, and the names that it silently ignores."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .._escape import escape
from .finding import Finding, Severity

CLAIMS = frozenset(
    [
        *("iss", "sub", "exp", "nbf", "iat", "jti", "aud", "identity", "name", "kind", "kindDetails", "video", "sip"),
        *("agent", "inference", "observability", "agentEndpoint", "agentThread", "roomConfig", "roomPreset"),
        *("metadata", "attributes", "sha256"),
    ]
)
"""livekit/protocol auth/grants.go, `ClaimGrants`, and the registered claims of RFC 7519."""

GRANTS = frozenset(
    [
        *("roomCreate", "roomList", "roomRecord", "roomAdmin", "roomJoin", "room", "destinationRoom", "canPublish"),
        *("canSubscribe", "canPublishData", "canPublishSources", "canUpdateOwnMetadata", "canSubscribeMetrics"),
        *("canManageAgentSession", "ingressAdmin", "hidden", "recorder", "agent"),
    ]
)
"""livekit/protocol auth/grants.go, `VideoGrant`."""

# Common misspellings of the names above.
_MEANT = {
    "roomname": "room",
    "roomid": "room",
    "join": "roomJoin",
    "canjoin": "roomJoin",
    "publish": "canPublish",
    "subscribe": "canSubscribe",
    "publishdata": "canPublishData",
    "cansenddata": "canPublishData",
    "sources": "canPublishSources",
    "publishsources": "canPublishSources",
    "canupdatemetadata": "canUpdateOwnMetadata",
    "grants": "video",
    "videogrant": "video",
    "videogrants": "video",
    "roomconfiguration": "roomConfig",
    "agents": "roomConfig",
    "displayname": "name",
    "user": "sub",
    "participantidentity": "sub",
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
