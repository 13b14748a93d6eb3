"""A join over the signal connection returns the values of the token, and LiveKit misreads those that we reject."""

from __future__ import annotations

from typing import Any

import pytest
from livekit.protocol import rtc as signals

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.testing import LiveKitServer
from tests.livekit.server_api import call, signed
from tests.livekit.signalling import join
from tests.support.tokens import claims

pytestmark = pytest.mark.livekit

EVERY_CONTROL = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)]))

PARTICIPANTS = {
    "identity only": ("r", ParticipantInfo("user-42")),
    "empty texts": ("a/b?c=d&e#f%41", ParticipantInfo("user-42", "", "", {"empty": "", "": "no key"})),
    "letters beyond ASCII": (
        "Küche-🍳",
        ParticipantInfo("Žofie-李-🎻", "Žofie 李 🎻", "مرحبا 👩‍👩‍👧", {"šatna": "číslo 5 🎟"}),
    ),
    "quotes, backslashes, markup": (
        '"quoted\\room"',
        ParticipantInfo('a"b\\c/d&e', "<b>Ada</b> \\", "</script>\u2028\u2029", {'"k\\': '"v\\'}),
    ),
    "control characters": ("room", ParticipantInfo("user-42", None, EVERY_CONTROL, {"control": EVERY_CONTROL})),
    "byte order mark and non-characters": ("🎻" * 64, ParticipantInfo("\ufeffuser\uffff", "\ufffe\U0010ffff")),
    "surrounding space": ("room with spaces", ParticipantInfo(" user 42 ", " Ada ", " m ", {" k ": " v "})),
    "looks like JSON": ("null", ParticipantInfo("null", "true", '{"identity": "admin"}', {"1": "0", "null": "null"})),
    "256 bytes": ("r" * 256, ParticipantInfo("🎻" * 64, "é" * 128)),
    "metadata and attributes as large as LiveKit takes them": (
        "room",
        ParticipantInfo("user-42", "Ada", "m" * 512 * 1024, {"key": "v" * (64 * 1024 - 3)}),
    ),
}


@pytest.mark.parametrize(("name", "participant"), PARTICIPANTS.values(), ids=PARTICIPANTS.keys())
def test_participant_arrives_as_minted(
    name: str, participant: ParticipantInfo, livekit_server: LiveKitServer, voice: MossVoiceServerSync
) -> None:
    """Room, identity, name, metadata and attributes come back from the server as they went into the token."""
    with join(livekit_server.url, voice.create_participant_token(participant, name)) as signal:
        room, joined = signal.joined.room, signal.joined.participant

    expected: list[Any] = [name, participant.identity, participant.name or "", participant.metadata or ""]
    assert [*expected, dict(participant.attributes or {}), 0] == [
        *(room.name, joined.identity, joined.name, joined.metadata, dict(joined.attributes), joined.kind)
    ]


def test_room_config_shapes_the_new_room(livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str) -> None:
    """Metadata, capacity and timeouts of a room config are those of the room that the token opens."""
    config = {"metadata": "a room's own", "max_participants": 7, "empty_timeout": 61, "departure_timeout": 31}
    token = voice.create_participant_token(ParticipantInfo("user-42"), room, room_config=config)

    with join(livekit_server.url, token) as signal:
        assert config == {name: getattr(signal.joined.room, name) for name in config}


def test_values_that_we_reject(livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str) -> None:
    """LiveKit reads half a surrogate pair as U+FFFD, so that two users could become one, and a null attribute as an
    empty text. It ignores an unknown source and an agent with a bad deployment.
    """
    ours = claims(voice.create_participant_token(ParticipantInfo("user-42"), room))
    changes: dict[str, Any] = {
        "sub": "user-\ud83c",
        "attributes": {"plan": None},
        "video": {**ours["video"], "canPublishSources": ["mic"]},
        "roomConfig": {"agents": [{"agentName": "agent", "deployment": "blue_green"}]},
    }
    with join(livekit_server.url, signed(livekit_server, {**ours, **changes})) as signal:
        who = signal.joined.participant
        assert ("user-\ufffd", {"plan": ""}) == (who.identity, dict(who.attributes))
        assert {"agent_dispatches": []} == call(livekit_server, "AgentDispatchService", "ListDispatch", room)
        signal.ask(add_track=signals.AddTrackRequest(cid="1", source="MICROPHONE"))
        answer = signal.wait_for("track_published", "request_response")
    assert "request_response" == answer.WhichOneof("message")
