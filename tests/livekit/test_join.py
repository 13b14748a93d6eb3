"""A join over the signal connection returns the values of the token."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.grants import ParticipantGrants
from moss_voice_server.testing import LiveKitServer
from tests.livekit.server_api import call, validate
from tests.livekit.signalling import join

pytestmark = pytest.mark.livekit

EVERY_CONTROL = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))

PARTICIPANTS = {
    "identity only": ParticipantInfo("user-42"),
    "every field": ParticipantInfo("user-42", "Ada", '{"plan": "gold"}', {"language": "en", "level": "3"}),
    "empty name, metadata and attributes": ParticipantInfo("user-42", "", "", {}),
    "an empty attribute": ParticipantInfo("user-42", attributes={"empty": "", "": "no key"}),
    "letters beyond ASCII": ParticipantInfo("Žofie-李-🎻", "Žofie 李 🎻", "مرحبا 👩‍👩‍👧", {"šatna": "číslo 5 🎟"}),
    "quotes and backslashes": ParticipantInfo('a"b\\c/d', 'Ada "the" O\'Neil \\', '"\\"\\\\/', {'"k\\': '"v\\'}),
    "markup and line separators": ParticipantInfo("a&b", "<b>Ada</b>", "</script>\u2028\u2029", {"a=b": "<&>"}),
    "control characters": ParticipantInfo("user-42", None, EVERY_CONTROL, {"control": EVERY_CONTROL}),
    "byte order mark and non-characters": ParticipantInfo("\ufeffuser\uffff", "\ufffe\U0010ffff"),
    "surrounding space": ParticipantInfo(" user 42 ", " Ada ", " m ", {" k ": " v "}),
    "looks like JSON": ParticipantInfo("null", "true", '{"identity": "admin"}', {"1": "0", "null": "null"}),
    "identity of 256 bytes": ParticipantInfo("x" * 256, "n" * 256),
    "identity of 256 bytes in 64 letters": ParticipantInfo("🎻" * 64, "é" * 128),
    "metadata and attributes as large as LiveKit takes them": ParticipantInfo(
        "user-42", "Ada", "m" * 512 * 1024, {"key": "v" * (64 * 1024 - 3)}
    ),
}


@pytest.mark.parametrize("participant", PARTICIPANTS.values(), ids=PARTICIPANTS.keys())
def test_participant_arrives_as_minted(
    participant: ParticipantInfo, livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str
) -> None:
    """Room, identity, name, metadata and attributes come back from the server as they went into the token."""
    token = voice.create_participant_token(participant, room)

    with join(livekit_server.url, token) as signal:
        joined = signal.joined

    assert {
        "room": room,
        "identity": participant.identity,
        "name": participant.name or "",
        "metadata": participant.metadata or "",
        "attributes": dict(participant.attributes or {}),
        "kind": 0,
    } == {
        "room": joined.room.name,
        "identity": joined.participant.identity,
        "name": joined.participant.name,
        "metadata": joined.participant.metadata,
        "attributes": dict(joined.participant.attributes),
        "kind": joined.participant.kind,
    }


ROOMS = ["r", "room with spaces", "a/b?c=d&e#f%41", "Küche-🍳", '"quoted\\room"', "r" * 256, "🎻" * 64]


@pytest.mark.parametrize("name", ROOMS)
def test_room_is_the_one_that_was_named(name: str, livekit_server: LiveKitServer, voice: MossVoiceServerSync) -> None:
    """A room's name of any letters, up to 256 bytes, opens the room of exactly that name."""
    token = voice.create_participant_token(ParticipantInfo("user-42"), name)

    assert (200, "success") == validate(livekit_server, token)
    with join(livekit_server.url, token) as signal:
        assert name == signal.joined.room.name


EVERYTHING = {"can_publish": True, "can_subscribe": True, "can_publish_data": True}

PERMISSIONS: dict[str, tuple[ParticipantGrants | None, dict[str, Any]]] = {
    "none given": (None, EVERYTHING),
    "defaults": (ParticipantGrants(), EVERYTHING),
    "no publishing: no data either": (ParticipantGrants(can_publish=False), {"can_subscribe": True}),
    "no publishing but data": (
        ParticipantGrants(can_publish=False, can_publish_data=True),
        {"can_subscribe": True, "can_publish_data": True},
    ),
    "no data": (ParticipantGrants(can_publish_data=False), {"can_publish": True, "can_subscribe": True}),
    "no subscribing": (ParticipantGrants(can_subscribe=False), {"can_publish": True, "can_publish_data": True}),
    "nothing": (ParticipantGrants(can_publish=False, can_subscribe=False), {}),
    "one source": (
        ParticipantGrants(can_publish_sources=("microphone",)),
        {**EVERYTHING, "can_publish_sources": ["MICROPHONE"]},
    ),
    "every source": (
        ParticipantGrants(can_publish_sources=("camera", "microphone", "screen_share", "screen_share_audio")),
        {**EVERYTHING, "can_publish_sources": ["CAMERA", "MICROPHONE", "SCREEN_SHARE", "SCREEN_SHARE_AUDIO"]},
    ),
    "sources do not bring publishing back": (
        ParticipantGrants(can_publish=False, can_publish_sources=("microphone",)),
        {"can_subscribe": True, "can_publish_sources": ["MICROPHONE"]},
    ),
    "own metadata": (ParticipantGrants(can_update_own_metadata=True), {**EVERYTHING, "can_update_metadata": True}),
    "metrics": (ParticipantGrants(can_subscribe_metrics=True), {**EVERYTHING, "can_subscribe_metrics": True}),
    "agent session": (
        ParticipantGrants(can_manage_agent_session=True),
        {**EVERYTHING, "can_manage_agent_session": True},
    ),
    "hidden": (ParticipantGrants(hidden=True), {**EVERYTHING, "hidden": True}),
}


@pytest.mark.parametrize(("grants", "expected"), PERMISSIONS.values(), ids=PERMISSIONS.keys())
def test_permissions_are_those_granted(
    grants: ParticipantGrants | None,
    expected: dict[str, Any],
    livekit_server: LiveKitServer,
    voice: MossVoiceServerSync,
    room: str,
) -> None:
    """The server gives the participant the granted permissions and no others."""
    token = voice.create_participant_token(ParticipantInfo("user-42"), room, grants=grants)

    with join(livekit_server.url, token) as signal:
        permission = signal.joined.participant.permission

    assert expected == MessageToDict(permission, preserving_proto_field_name=True)


def test_room_config_shapes_the_new_room(livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str) -> None:
    """Metadata, capacity and timeouts of a room config are those of the room that the token opens."""
    token = voice.create_participant_token(
        ParticipantInfo("user-42"),
        room,
        room_config={"metadata": "a room's own", "max_participants": 7, "empty_timeout": 61, "departure_timeout": 31},
    )

    with join(livekit_server.url, token) as signal:
        joined = signal.joined.room

    assert ("a room's own", 7, 61, 31) == (
        joined.metadata,
        joined.max_participants,
        joined.empty_timeout,
        joined.departure_timeout,
    )


def test_validating_opens_no_room(livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str) -> None:
    """`/rtc/validate` accepts the token and leaves no trace: the doctor may ask it about any room."""
    token = voice.create_participant_token(ParticipantInfo("user-42"), room)

    assert (200, "success") == validate(livekit_server, token)
    assert {"participants": []} == call(livekit_server, "RoomService", "ListParticipants", room)
