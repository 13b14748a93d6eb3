"""Grants: what a token lets its holder do, and what LiveKit infers from what is not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .._validation import LABEL_LIMIT
from ..grants import PUBLISH_SOURCES
from .finding import Finding, error, info, shown, warning
from .participant import label, size

# A server's own powers, and what whoever holds the token can do with each.
_POWERS = {
    "roomAdmin": "throw others out, mute them, and change them and the room",
    "roomList": "list every room of the project",
    "roomRecord": "start and stop recordings",
    "ingressAdmin": "bring streams into rooms",
    "recorder": "be an invisible recorder",
}
_OTHER_CLAIMS = {
    "sip": "SIP calls and trunks",
    "agent": "the administration of agents",
    "observability": "writing to the project's observability data",
    "inference": "inference at the project's expense",
}
_NOT_FOR_PEOPLE = "leave it out in tokens for participants; use it only between servers"


def grants(claims: Mapping[str, Any], video: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with the grants; `video` is the claim of that name, {} where it is absent."""
    if claims.get("video") is None:
        others = [name for name in ("sip", *_OTHER_CLAIMS, "sha256") if claims.get(name)]
        yield (warning if others else error)(
            "no_video_grant",
            "the token has no grant `video`: nobody joins with it; LiveKit answers 401",
            "if it is for joining, give it video.roomJoin and video.room",
        )
    elif video.get("roomJoin") is True:
        yield from _joining(video)
    else:
        yield from _not_joining(video)
    yield from _powers(claims, video)


def joins(video: Mapping[str, Any]) -> bool:
    """Whether the token is one for joining, even if it fails at it: all are but a server's own."""
    return video.get("roomJoin") is True or not _for_servers(video)


def _for_servers(video: Mapping[str, Any]) -> bool:
    return any(video.get(name) is True for name in ("agent", "roomCreate", *_POWERS))


def _not_joining(video: Mapping[str, Any]) -> Iterator[Finding]:
    if _for_servers(video):
        yield warning(
            "not_a_join_token",
            "the token is one for servers: nobody joins with it, LiveKit answers 401",
            "if it is for a participant, mint one with video.roomJoin and none of a server's powers",
        )
    else:
        yield error("no_room_join", "video.roomJoin is not true; LiveKit answers 401", "set video.roomJoin to true")


def _joining(video: Mapping[str, Any]) -> Iterator[Finding]:
    yield from _room(video.get("room"))
    yield from _publishing(video)
    if video.get("canSubscribe") is False:
        yield info(
            "hears_nothing",
            "canSubscribe is false: the participant hears and sees nobody, no agent either",
            "leave it out, if they are to hear the agent",
        )
    silent = [name for name in ("canPublish", "canSubscribe") if video.get(name) is None]
    if silent:
        yield info(
            "granted_by_default",
            f"{' and '.join(silent)} {'are' if len(silent) > 1 else 'is'} not there; LiveKit takes that for true",
            "write false for what is not to be allowed",
        )
    if video.get("canUpdateOwnMetadata") is True:
        yield info(
            "own_metadata",
            "canUpdateOwnMetadata: the participant may change their name, metadata and attributes after joining",
            "do not build on those in the agent, or leave the grant out",
        )
    if video.get("hidden") is True:
        yield info(
            "hidden",
            "the participant is invisible to the others, and to the agent",
            "leave hidden out for people who talk",
        )


def _room(room: object) -> Iterator[Finding]:
    if room is None or room == "":
        yield error(
            "no_room",
            "the token names no room; LiveKit answers 400, and older servers let its holder into any room",
            "set video.room (not roomName) to the room's name",
        )
    elif isinstance(room, str):
        yield from label("video.room", room)
        if not room.strip():
            yield warning("blank", "video.room is blank", "name the room")
        if size(room) > LABEL_LIMIT:
            yield error(
                "room_too_long",
                f"video.room is {size(room)} bytes long; LiveKit answers 400 above {LABEL_LIMIT}",
                "shorten it",
            )


def _publishing(video: Mapping[str, Any]) -> Iterator[Finding]:
    data, publishes = video.get("canPublishData"), video.get("canPublish") is not False
    if not publishes and data is None:
        yield info(
            "data_follows_publish",
            "canPublish is false and canPublishData is not there: LiveKit then forbids data messages as well",
            "write canPublishData: true, if chat or RPC is needed",
        )
    if not publishes and data is True:
        yield info(
            "data_without_publish",
            "canPublish is false, and data messages are allowed all the same (livekit-api for Python writes that unasked)",
            "write canPublishData: false, if a mere listener is meant",
        )
    sources = video.get("canPublishSources")
    if not isinstance(sources, list) or not sources or not all(isinstance(each, str) for each in sources):
        return
    unknown = [each for each in sources if each not in PUBLISH_SOURCES]
    if unknown:
        allowed = ", ".join(PUBLISH_SOURCES)
        yield error(
            "unknown_source",
            f"canPublishSources holds {shown(unknown[0])}, which matches no track: it is silently not published",
            f"LiveKit compares letter by letter: {allowed}",
        )
    if not publishes:
        yield warning(
            "sources_without_publish",
            "canPublishSources does not override canPublish: false; nothing can be published",
            "set canPublish to true: the sources narrow it",
        )


def _powers(claims: Mapping[str, Any], video: Mapping[str, Any]) -> Iterator[Finding]:
    joining = video.get("roomJoin") is True
    if video.get("roomCreate") is True:
        yield (warning if joining else info)(
            "room_create",
            "roomCreate lets the holder create rooms, and DELETE any room of the project",
            "leave it out: LiveKit makes the room when the first participant arrives" if joining else _NOT_FOR_PEOPLE,
        )
    if video.get("agent") is True:
        yield (warning if joining else info)(
            "worker",
            "video.agent lets the holder register as a worker and take every job, with its metadata and a token for its room",
            _NOT_FOR_PEOPLE,
        )
    for name, powers in _POWERS.items():
        if video.get(name) is True:
            yield (warning if joining else info)("server_power", f"{name} lets the holder {powers}", _NOT_FOR_PEOPLE)
    for name, powers in _OTHER_CLAIMS.items():
        value = claims.get(name)
        if isinstance(value, dict) and any(each is True for each in value.values()):
            yield (warning if joining else info)(
                "server_power", f"the claim {name} gives the holder {powers}", _NOT_FOR_PEOPLE
            )
