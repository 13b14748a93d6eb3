"""Two participants in one room hear each other."""

from __future__ import annotations

import asyncio

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.testing import LiveKitServer
from tests.livekit.media import guest, hears, playing

pytestmark = pytest.mark.livekit


def test_audio_of_one_is_heard_by_the_other(
    livekit_server: LiveKitServer, voice: MossVoiceServerSync, room: str
) -> None:
    """Two of our tokens open one room with media: each hears the other's tone, and LiveKit's client reads back
    the identity, name, metadata and attributes that were minted."""
    tokens = [
        voice.create_participant_token(ParticipantInfo(f"user-{n}", f"Ada {n}", f"metadata {n}", {"n": f"{n}"}), room)
        for n in (1, 2)
    ]

    async def main() -> list[tuple[str, str, str, str, dict[str, str]]]:
        async with (
            guest(livekit_server.url, tokens[0], "track_subscribed") as first,
            guest(livekit_server.url, tokens[1], "track_subscribed") as second,
            playing(first.room, 440),
            playing(second.room, 1000),
        ):
            of_first, _, first_remote = await second.next("track_subscribed")
            of_second, _, second_remote = await first.next("track_subscribed")
            assert all(await asyncio.gather(hears(of_first, 440), hears(of_second, 1000)))
            return [
                (first.room.name, each.identity, each.name, each.metadata, dict(each.attributes))
                for each in (first.room.local_participant, first_remote, second.room.local_participant, second_remote)
            ]

    one, two = ((room, f"user-{n}", f"Ada {n}", f"metadata {n}", {"n": f"{n}"}) for n in (1, 2))
    assert [one, one, two, two] == asyncio.run(main())
