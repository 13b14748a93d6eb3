"""Rules about the grants: what a token allows, and what LiveKit infers from what is absent."""

from __future__ import annotations

from collections.abc import Iterator

from .._escape import escape
from .._validation import LABEL_LIMIT
from ..grants import PUBLISH_SOURCES
from .facts import Facts
from .finding import Finding, Rule, apply, size

# A backend's own grants, and what the holder of a token can do with each.
_POWERS = {
    "roomAdmin": "remove and mute others, and change them and the room",
    "roomList": "list every room of the project",
    "roomRecord": "start and stop recordings",
    "ingressAdmin": "publish external streams into rooms",
    "recorder": "be an invisible recorder",
}
_OTHER_CLAIMS = {
    "sip": "use SIP calls and trunks",
    "agent": "administer agents",
    "observability": "write to the project's observability data",
    "inference": "use inference at the project's expense",
}
_BACKEND_ONLY = "remove it from participants' tokens; only a backend needs it"


def grants(facts: Facts) -> Iterator[Finding]:
    yield from apply(_KIND_OF_TOKEN, facts)
    if facts.can_join:
        yield from apply(_JOINING, facts)
    for finding in apply(_POWER_RULES, facts):
        yield finding if facts.can_join else finding._replace(severity="info", remedy=_BACKEND_ONLY)


def _room(facts: Facts) -> object:
    return facts.video.get("room")


def _publishes(facts: Facts) -> bool:
    return facts.video.get("canPublish") is not False


def _sources(facts: Facts) -> list[str]:
    sources = facts.video.get("canPublishSources")
    is_usable = isinstance(sources, list) and all(isinstance(each, str) for each in sources)
    return list(sources) if isinstance(sources, list) and is_usable else []


def _has_other_grants(facts: Facts) -> bool:
    return any(facts.claims.get(name) for name in (*_OTHER_CLAIMS, "sha256"))


def _powers(facts: Facts) -> Iterator[str]:
    for name, powers in _POWERS.items():
        if facts.video.get(name) is True:
            yield f"{name} lets the holder {powers}"
    for name, powers in _OTHER_CLAIMS.items():
        claim = facts.claims.get(name)
        if isinstance(claim, dict) and any(each is True for each in claim.values()):
            yield f"the claim {name} lets the holder {powers}"


_NO_GRANT = "the token has no video grant and cannot be used to join; LiveKit answers 401"
_ADD_GRANT = "for joining, add video.roomJoin and video.room"
# fmt: off
_KIND_OF_TOKEN = (
    Rule("no_video_grant", "warning", lambda facts: facts.claims.get("video") is None and _has_other_grants(facts), _NO_GRANT,
         _ADD_GRANT),
    Rule("no_video_grant", "error", lambda facts: facts.claims.get("video") is None and not _has_other_grants(facts), _NO_GRANT,
         _ADD_GRANT),
    Rule("not_a_join_token", "warning",
         lambda facts: facts.claims.get("video") is not None and not facts.can_join and facts.is_for_servers,
         "this is an API token for a backend and cannot be used to join; LiveKit answers 401",
         "for a participant, create a token with video.roomJoin and without a backend's grants"),
    Rule("no_room_join", "error",
         lambda facts: facts.claims.get("video") is not None and not facts.can_join and not facts.is_for_servers,
         "video.roomJoin is not true; LiveKit answers 401", "set video.roomJoin to true"),
)
_JOINING = (
    Rule("no_room", "error", lambda facts: _room(facts) in (None, ""),
         "the token names no room; LiveKit answers 400, and older servers let its holder join any room",
         "set video.room (not roomName) to the room's name"),
    Rule("room_too_long", "error", lambda facts: str(size(_room(facts))) if size(_room(facts)) > LABEL_LIMIT else None,
         f"video.room has {{}} bytes; LiveKit answers 400 above {LABEL_LIMIT}", "shorten it"),
    Rule("data_follows_publish", "info", lambda facts: not _publishes(facts) and facts.video.get("canPublishData") is None,
         "canPublish is false and canPublishData is absent: LiveKit forbids data messages as well",
         "set canPublishData to true if chat or RPC is needed"),
    Rule("data_without_publish", "info", lambda facts: not _publishes(facts) and facts.video.get("canPublishData") is True,
         "canPublish is false, but data messages are allowed (livekit-api for Python adds that by itself)",
         "set canPublishData to false for a listener"),
    Rule("unknown_source", "error",
         lambda facts: [escape(each) for each in _sources(facts) if each not in PUBLISH_SOURCES][:1],
         "canPublishSources contains {}, which matches no track: LiveKit silently refuses to publish it",
         f"use exactly these names: {', '.join(PUBLISH_SOURCES)}"),
    Rule("sources_without_publish", "warning", lambda facts: bool(_sources(facts)) and not _publishes(facts),
         "canPublishSources does not override canPublish: false; nothing can be published",
         "set canPublish to true, which the sources then restrict"),
    Rule("hears_nothing", "info", lambda facts: facts.video.get("canSubscribe") is False,
         "canSubscribe is false: the participant receives no audio or video, not even an agent's",
         "remove it, if the participant should hear the agent"),
    Rule("granted_by_default", "info",
         lambda facts: " and ".join(name for name in ("canPublish", "canSubscribe") if facts.video.get(name) is None),
         "LiveKit treats an absent grant as true: {}", "set it to false to forbid it"),
    Rule("own_metadata", "info", lambda facts: facts.video.get("canUpdateOwnMetadata") is True,
         "canUpdateOwnMetadata: the participant can change their name, metadata and attributes after joining",
         "do not trust those in the agent, or remove the grant"),
    Rule("hidden", "info", lambda facts: facts.video.get("hidden") is True,
         "the participant is invisible to the others and to the agent", "remove hidden for people who talk"),
)
_POWER_RULES = (
    Rule("room_create", "warning", lambda facts: facts.video.get("roomCreate") is True,
         "roomCreate lets the holder create rooms and DELETE any room of the project",
         "remove it: LiveKit creates the room when the first participant joins"),
    Rule("worker", "warning", lambda facts: facts.video.get("agent") is True,
         "video.agent lets the holder register as a worker and take every job, with its metadata and room token",
         _BACKEND_ONLY),
    Rule("server_power", "warning", _powers, "{}", _BACKEND_ONLY),
)
# fmt: on
