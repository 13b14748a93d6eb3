"""A participant can do in LiveKit what the grants allow, and nothing else."""

from __future__ import annotations

import asyncio
import functools
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from livekit.protocol import models
from livekit.protocol import rtc as signals

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.grants import PUBLISH_SOURCES, ParticipantGrants
from moss_voice_server.testing import LiveKitServer
from tests.livekit.media import guest, hears, playing
from tests.livekit.server_api import call
from tests.livekit.signalling import join

pytestmark = pytest.mark.livekit

NOT_ALLOWED = signals.RequestResponse.NOT_ALLOWED
ALL_SOURCES = ("CAMERA", "MICROPHONE", "SCREEN_SHARE", "SCREEN_SHARE_AUDIO")

EVERYTHING = {"can_publish": True, "can_subscribe": True, "can_publish_data": True}

# Grants, the permissions that they give, and the sources of tracks that the server accepts.
PERMISSIONS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "defaults": ({}, EVERYTHING, ALL_SOURCES),
    "no publishing: no data either": ({"can_publish": False}, {"can_subscribe": True}, ()),
    "no publishing but data": (
        {"can_publish": False, "can_publish_data": True},
        {"can_subscribe": True, "can_publish_data": True},
        (),
    ),
    "no data": ({"can_publish_data": False}, {"can_publish": True, "can_subscribe": True}, ALL_SOURCES),
    "no subscribing": ({"can_subscribe": False}, {"can_publish": True, "can_publish_data": True}, ALL_SOURCES),
    "nothing": ({"can_publish": False, "can_subscribe": False}, {}, ()),
    **{
        " and ".join(sources): (
            {"can_publish_sources": sources},
            {**EVERYTHING, "can_publish_sources": [source.upper() for source in sources]},
            tuple(source.upper() for source in sources),
        )
        for sources in (("microphone",), ("camera", "screen_share"), ("screen_share_audio",), PUBLISH_SOURCES)
    },
    "sources do not bring publishing back": (
        {"can_publish": False, "can_publish_sources": ("microphone",)},
        {"can_subscribe": True, "can_publish_sources": ["MICROPHONE"]},
        (),
    ),
    "own metadata": ({"can_update_own_metadata": True}, {**EVERYTHING, "can_update_metadata": True}, ALL_SOURCES),
    **{
        name: ({name: True}, {**EVERYTHING, name: True}, ALL_SOURCES)
        for name in ("can_subscribe_metrics", "can_manage_agent_session", "hidden")
    },
}


@pytest.mark.parametrize(("grants", "permissions", "accepted"), PERMISSIONS.values(), ids=PERMISSIONS.keys())
def test_permissions(
    grants: dict[str, Any],
    permissions: dict[str, Any],
    accepted: tuple[str, ...],
    livekit_server: LiveKitServer,
    voice: MossVoiceServerSync,
    room: str,
) -> None:
    """The server gives the granted permissions and no others; of four tracks, it accepts those that the grants name."""
    granted = ParticipantGrants(**grants) if grants else None
    taken = []

    with join(
        livekit_server.url, voice.create_participant_token(ParticipantInfo("user-42"), room, grants=granted)
    ) as signal:
        permission = signal.joined.participant.permission
        for source in ALL_SOURCES:
            kind = models.AUDIO if source in {"MICROPHONE", "SCREEN_SHARE_AUDIO"} else models.VIDEO
            signal.ask(add_track=signals.AddTrackRequest(cid=source, type=kind, source=source, width=16, height=16))
            answer = signal.wait_for("track_published", "request_response")
            if answer.HasField("track_published"):
                taken.append(answer.track_published.cid)
            else:
                assert (source, NOT_ALLOWED) == (answer.request_response.add_track.cid, answer.request_response.reason)

    assert permissions == MessageToDict(permission, preserving_proto_field_name=True)
    assert accepted == tuple(taken)


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
            permission = {"canSubscribe": True, "canPublish": True, "canPublishData": True}
            request = functools.partial(call, identity="deaf", permission=permission)
            await asyncio.to_thread(request, livekit_server, "RoomService", "UpdateParticipant", room)
            track, _, _ = await third.next("track_subscribed")
            assert await hears(track, 440)
            return [event for event, _ in third.heard]

    assert ["participant_permissions_changed", "track_subscribed"] == asyncio.run(main())
