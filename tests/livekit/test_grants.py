"""A participant can do in LiveKit what the grants allow, and nothing else."""

from __future__ import annotations

import asyncio

import pytest
from livekit.protocol import models
from livekit.protocol import rtc as signals

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.grants import ParticipantGrants
from moss_voice_server.testing import LiveKitServer
from tests.livekit.media import guest, hears, playing
from tests.livekit.server_api import call
from tests.livekit.signalling import join

pytestmark = pytest.mark.livekit

NOT_ALLOWED = signals.RequestResponse.NOT_ALLOWED
ALL_SOURCES = ("CAMERA", "MICROPHONE", "SCREEN_SHARE", "SCREEN_SHARE_AUDIO")

PUBLISHING = {
    "by default": (ParticipantGrants(), ALL_SOURCES),
    "can_publish=False": (ParticipantGrants(can_publish=False), ()),
    "can_publish=False with sources": (ParticipantGrants(can_publish=False, can_publish_sources=("microphone",)), ()),
    "microphone": (ParticipantGrants(can_publish_sources=("microphone",)), ("MICROPHONE",)),
    "camera and screen": (
        ParticipantGrants(can_publish_sources=("camera", "screen_share")),
        ("CAMERA", "SCREEN_SHARE"),
    ),
    "sound of the screen": (ParticipantGrants(can_publish_sources=("screen_share_audio",)), ("SCREEN_SHARE_AUDIO",)),
}


@pytest.mark.parametrize(("grants", "expected"), PUBLISHING.values(), ids=PUBLISHING.keys())
def test_publish_sources(
    grants: ParticipantGrants,
    expected: tuple[str, ...],
    livekit_server: LiveKitServer,
    voice: MossVoiceServerSync,
    room: str,
) -> None:
    """Of four tracks, one of each source, the server accepts those that the grants name."""
    token = voice.create_participant_token(ParticipantInfo("user-42"), room, grants=grants)
    taken = []

    with join(livekit_server.url, token) as signal:
        for source in ALL_SOURCES:
            kind = models.AUDIO if source in {"MICROPHONE", "SCREEN_SHARE_AUDIO"} else models.VIDEO
            signal.ask(add_track=signals.AddTrackRequest(cid=source, type=kind, source=source, width=16, height=16))
            answer = signal.wait_for("track_published", "request_response")
            if answer.HasField("track_published"):
                assert source == answer.track_published.cid
                taken.append(source)
            else:
                assert (source, NOT_ALLOWED) == (answer.request_response.add_track.cid, answer.request_response.reason)

    assert expected == tuple(taken)


@pytest.mark.parametrize("allowed", [False, True])
def test_own_metadata(allowed: bool, livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str) -> None:
    """Name, metadata and attributes can be changed after joining with `can_update_own_metadata`, and only then."""
    token = voice.create_participant_token(
        ParticipantInfo("user-42", "Ada", "as minted", {"role": "guest"}),
        room,
        grants=ParticipantGrants(can_update_own_metadata=allowed),
    )
    with join(livekit_server.url, token) as signal:
        signal.ask(
            update_metadata=signals.UpdateParticipantMetadata(
                request_id=7, name="Root", metadata="changed", attributes={"role": "admin"}
            )
        )
        answer = signal.wait_for("request_response").request_response
        listed = call(livekit_server, "RoomService", "ListParticipants", room)["participants"][0]

    expected = ("Root", "changed", "admin") if allowed else ("Ada", "as minted", "guest")
    assert (7, signals.RequestResponse.OK if allowed else NOT_ALLOWED) == (answer.request_id, answer.reason)
    assert expected == (listed["name"], listed["metadata"], listed["attributes"]["role"])


def test_tracks_reach_only_those_who_may_subscribe(
    livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str
) -> None:
    """A participant with `can_subscribe=False` gets no track, and gets it once the server allows it."""
    speaker = voice.create_participant_token(ParticipantInfo("speaker"), room)
    listener = voice.create_participant_token(ParticipantInfo("listener"), room)
    deaf = voice.create_participant_token(ParticipantInfo("deaf"), room, grants=ParticipantGrants(can_subscribe=False))

    async def main() -> list[str]:
        async with (
            guest(livekit_server.url, deaf, "track_subscribed", "participant_permissions_changed") as third,
            guest(livekit_server.url, listener, "track_subscribed") as second,
            guest(livekit_server.url, speaker) as first,
            playing(first.room, 440),
        ):
            track, _, _ = await second.next("track_subscribed")
            assert await hears(track, 440)
            # The track is on its way to others by now. Lifting the ban is what brings it, so the ban held it back.
            await asyncio.to_thread(
                call,
                livekit_server,
                "RoomService",
                "UpdateParticipant",
                room,
                identity="deaf",
                permission={"canSubscribe": True, "canPublish": True, "canPublishData": True},
            )
            track, _, _ = await third.next("track_subscribed")
            assert await hears(track, 440)
            return [event for event, _ in third.heard]

    assert ["participant_permissions_changed", "track_subscribed"] == asyncio.run(main())


def test_data_needs_the_grant(livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str) -> None:
    """Data without the grant is dropped; data that is sent after the grant was given arrives."""
    grants = ParticipantGrants(can_publish_data=False)
    sender = voice.create_participant_token(ParticipantInfo("sender"), room, grants=grants)
    witness = voice.create_participant_token(ParticipantInfo("witness"), room)
    receiver = voice.create_participant_token(ParticipantInfo("receiver"), room)

    async def main() -> list[bytes]:
        async with (
            guest(livekit_server.url, receiver, "data_received") as third,
            guest(livekit_server.url, sender, "participant_permissions_changed") as first,
        ):
            await first.room.local_participant.publish_data("without the right")
            async with guest(livekit_server.url, witness) as second:
                await second.room.local_participant.publish_data("later, by another")
                await third.next("data_received")
            await asyncio.to_thread(
                call,
                livekit_server,
                "RoomService",
                "UpdateParticipant",
                room,
                identity="sender",
                permission={"canPublishData": True},
            )
            await first.next("participant_permissions_changed")
            await first.room.local_participant.publish_data("with the right")
            await third.next("data_received", 2)
            return [packet.data for _, (packet,) in third.heard]

    assert [b"later, by another", b"with the right"] == asyncio.run(main())


def test_hidden_participant(livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str) -> None:
    """The others do not see a hidden participant, who is in the room and sees them."""
    tokens = {
        name: voice.create_participant_token(
            ParticipantInfo(name), room, grants=ParticipantGrants(hidden=name == "hidden")
        )
        for name in ("observer", "hidden", "visible")
    }

    async def main() -> tuple[list[str], set[str], set[str]]:
        async with (
            guest(livekit_server.url, tokens["observer"], "participant_connected") as observer,
            guest(livekit_server.url, tokens["hidden"], "participant_connected") as hidden,
            guest(livekit_server.url, tokens["visible"]),
        ):
            await observer.next("participant_connected")
            await hidden.next("participant_connected")
            listed = await asyncio.to_thread(call, livekit_server, "RoomService", "ListParticipants", room)
            return (
                [who.identity for _, (who,) in observer.heard],
                set(hidden.room.remote_participants),
                {each["identity"] for each in listed["participants"]},
            )

    seen_by_others, seen_by_hidden, in_the_room = asyncio.run(main())
    assert ["visible"] == seen_by_others
    assert {"observer", "visible"} == seen_by_hidden
    assert {"observer", "hidden", "visible"} == in_the_room
