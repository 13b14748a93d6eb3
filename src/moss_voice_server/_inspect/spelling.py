"""Spelling: how LiveKit reads the names in a token, and the names that it silently passes over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from .finding import Finding, error, info, shown, warning

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

# What people write for the names above.
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
# Without these nobody joins, or no agent comes: to lose one is no trifle.
_VITAL = frozenset(["roomJoin", "room", "sub", "video", "roomConfig"])


def read(where: str, fields: Mapping[str, Any], known: Iterable[str]) -> tuple[dict[str, Any], list[Finding]]:
    """The fields by the names that LiveKit reads them under, and what it makes of the other names.

    Go's JSON decoder takes a name in any letter case, and nothing else for it (encoding/json, "Unmarshal").
    """
    by_case = {name.lower(): name for name in known}
    values: dict[str, Any] = {}
    findings: list[Finding] = []
    for name, value in fields.items():
        own = by_case.get(name.lower())
        if own is None:
            findings.append(_unknown(where, name, by_case))
        elif own != name:
            findings.append(
                info(
                    "letter_case",
                    f"{where}{shown(name)} is spelled {own}; the server reads it all the same, clients may not",
                    f"write {own}",
                )
            )
            values.setdefault(own, value)
        else:
            values[own] = value
    return values, findings


def _unknown(where: str, name: str, by_case: Mapping[str, str]) -> Finding:
    meant = by_case.get(name.replace("_", "").lower()) if "_" in name else None
    code = "snake_case" if meant else "unknown_name"
    if not meant:
        meant = by_case.get(_MEANT.get(re.sub(r"[^a-z]", "", name.lower()), "").lower())
    if meant:
        make = error if meant in _VITAL else warning
        return make(code, f"LiveKit silently ignores {where}{shown(name)}: it reads {meant}", f"write {meant}")
    if where == "video." and name in ("admin", "call"):
        return warning(
            "sip_in_video",
            f"LiveKit silently ignores video.{name}: it is a grant of the claim sip",
            "give it as a SIP grant (addSIPGrant, with_sip_grants), and to no participant",
        )
    return info("unknown_name", f"LiveKit knows no {where}{shown(name)} and ignores it", "leave it out, or correct it")
