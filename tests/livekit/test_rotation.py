"""The whole chain: credentials from the Moss API, a token made of them, a LiveKit server that lets its holder in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.testing import FakeMoss, LiveKitServer
from tests.livekit.signalling import join, refused_status
from tests.livekit.worker import worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.livekit

ADA = ParticipantInfo("user-42", "Ada")


@pytest.fixture
def own_server(livekit_binary: Path) -> Iterator[LiveKitServer]:
    """A server of this test's own, because its keys will be exchanged."""
    with LiveKitServer(livekit_binary) as server:
        yield server


@pytest.fixture
def moss(own_server: LiveKitServer) -> Iterator[FakeMoss]:
    """A Moss API that hands out this server's address and keys, for the voice agent `clerk`."""
    with FakeMoss(
        url=own_server.url,
        api_key=own_server.api_key,
        api_secret=own_server.api_secret,
        agent_name="clerk",
    ) as fake:
        yield fake


@pytest.fixture
def arguments(moss: FakeMoss) -> dict[str, Any]:
    """What leads our library to that Moss API."""
    return {**moss.arguments}


def exchange_keys(server: LiveKitServer, moss: FakeMoss, api_key: str | None = None) -> None:
    """Give the LiveKit server other keys than it has, and let the Moss API tell them."""
    new = moss.rotate(api_key)
    server.restart(keys={new["voice_agent_api_key"]: new["voice_agent_api_secret"]})


def joined(server: LiveKitServer, token: str) -> tuple[str, str, str]:
    """Room, identity and name, as the server sees the holder of `token`."""
    with join(server.url, token) as signal:
        participant = signal.joined.participant
        return signal.joined.room.name, participant.identity, participant.name


def test_fetched_credentials_open_a_room(own_server: LiveKitServer, moss: FakeMoss, room: str) -> None:
    """From the Moss API to the agent: the fetched agent's name sends its worker into the room that Ada joins."""
    with (
        worker(own_server, "clerk") as clerk,
        MossVoiceServerSync.from_env(moss.environ) as voice,
    ):
        token = voice.create_participant_token(ADA, room, voice.get_agent_name())
        with join(voice.get_server_url(), token) as signal:
            job = clerk.job(room)

    assert (room, "user-42", "clerk") == (
        signal.joined.room.name,
        signal.joined.participant.identity,
        job.agent_name,
    )
    assert 1 == moss.count


@pytest.mark.parametrize("same_key", [False, True], ids=["key and secret", "secret only"])
def test_joins_go_on_after_a_rotation(
    same_key: bool, own_server: LiveKitServer, moss: FakeMoss, arguments: dict[str, Any], room: str
) -> None:
    """After LiveKit's keys were exchanged our tokens are refused; `refresh()` brings the new ones and joins go on."""
    with MossVoiceServerSync.create(**arguments) as voice:
        assert (room, "user-42", "Ada") == joined(own_server, voice.create_participant_token(ADA, room))

        exchange_keys(own_server, moss, own_server.api_key if same_key else None)
        assert 401 == refused_status(own_server.url, voice.create_participant_token(ADA, room))

        voice.refresh()
        assert (room, "user-42", "Ada") == joined(own_server, voice.create_participant_token(ADA, room))
    assert 2 == moss.count


def test_joins_go_on_after_a_rotation_async(
    own_server: LiveKitServer, moss: FakeMoss, arguments: dict[str, Any], room: str
) -> None:
    """The same with the asynchronous class."""

    async def main() -> None:
        async with await MossVoiceServer.create(**arguments) as voice:
            assert (room, "user-42", "Ada") == joined(own_server, voice.create_participant_token(ADA, room))

            exchange_keys(own_server, moss)
            assert 401 == refused_status(own_server.url, voice.create_participant_token(ADA, room))

            await voice.refresh()
            assert (room, "user-42", "Ada") == joined(own_server, voice.create_participant_token(ADA, room))

    asyncio.run(main())
    assert 2 == moss.count


def test_no_participant_is_refused_while_both_keys_are_valid(
    own_server: LiveKitServer, moss: FakeMoss, arguments: dict[str, Any], room: str
) -> None:
    """When LiveKit knows the old and the new keys for a while, tokens from before and after `refresh()` are good."""
    with MossVoiceServerSync.create(**arguments) as voice:
        before = voice.create_participant_token(ADA, room)
        old = {own_server.api_key: own_server.api_secret}
        new = moss.rotate()
        own_server.restart(keys=old | {new["voice_agent_api_key"]: new["voice_agent_api_secret"]})
        voice.refresh()
        after = voice.create_participant_token(ADA, room)

    assert [0, 0] == [refused_status(own_server.url, token) for token in (before, after)]

    own_server.restart(keys={new["voice_agent_api_key"]: new["voice_agent_api_secret"]})
    assert [401, 0] == [refused_status(own_server.url, token) for token in (before, after)]
