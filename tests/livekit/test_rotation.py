"""From the Moss API to LiveKit: tokens of fetched credentials are accepted, also after a rotation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.testing import FakeMoss, LiveKitServer
from tests.livekit.signalling import join, refused_status
from tests.livekit.worker import worker

pytestmark = pytest.mark.livekit

ADA = ParticipantInfo("user-42", "Ada")


@pytest.fixture
def own_server(livekit_binary: Path) -> Iterator[LiveKitServer]:
    """A server for one test, because its keys are rotated."""
    with LiveKitServer(livekit_binary) as server:
        yield server


@pytest.fixture
def moss(own_server: LiveKitServer) -> Iterator[FakeMoss]:
    """A Moss API with this server's URL and keys, for the voice agent `clerk`."""
    with FakeMoss(
        url=own_server.url, api_key=own_server.api_key, api_secret=own_server.api_secret, agent_name="clerk"
    ) as fake:
        yield fake


def joined(server: LiveKitServer, token: str) -> tuple[str, str, str]:
    """Room, identity and name, as the server sees the holder of `token`."""
    with join(server.url, token) as signal:
        participant = signal.joined.participant
        return signal.joined.room.name, participant.identity, participant.name


def test_fetched_credentials_open_a_room(own_server: LiveKitServer, moss: FakeMoss, room: str) -> None:
    """From the Moss API to the agent: the fetched agent's name sends its worker into the room that Ada joins."""
    with worker(own_server, "clerk") as clerk, MossVoiceServerSync.from_env(moss.environ) as voice:
        token = voice.create_participant_token(ADA, room, voice.get_agent_name())
        with join(voice.get_server_url(), token) as signal:
            job = clerk.job(room)

    assert (room, "user-42", "clerk") == (signal.joined.room.name, signal.joined.participant.identity, job.agent_name)
    assert 1 == moss.count


@pytest.mark.parametrize("same_key", [False, True], ids=["key and secret", "secret only"])
def test_joins_go_on_after_a_rotation(same_key: bool, own_server: LiveKitServer, moss: FakeMoss, room: str) -> None:
    """After a rotation of LiveKit's keys tokens are rejected until `refresh()` fetches the new ones."""
    with MossVoiceServerSync.create(**moss.arguments) as voice:
        assert (room, "user-42", "Ada") == joined(own_server, voice.create_participant_token(ADA, room))

        new = moss.rotate(own_server.api_key if same_key else None)
        own_server.restart(keys={new["voice_agent_api_key"]: new["voice_agent_api_secret"]})
        assert 401 == refused_status(own_server.url, voice.create_participant_token(ADA, room))

        voice.refresh()
        assert (room, "user-42", "Ada") == joined(own_server, voice.create_participant_token(ADA, room))
    assert 2 == moss.count


def test_no_participant_is_refused_while_both_keys_are_valid(
    own_server: LiveKitServer, moss: FakeMoss, room: str
) -> None:
    """While LiveKit knows the old and the new keys, tokens from before and after `refresh()` are accepted."""
    with MossVoiceServerSync.create(**moss.arguments) as voice:
        before = voice.create_participant_token(ADA, room)
        old = {own_server.api_key: own_server.api_secret}
        new = moss.rotate()
        own_server.restart(keys=old | {new["voice_agent_api_key"]: new["voice_agent_api_secret"]})
        voice.refresh()
        after = voice.create_participant_token(ADA, room)

    assert [0, 0] == [refused_status(own_server.url, token) for token in (before, after)]

    own_server.restart(keys={new["voice_agent_api_key"]: new["voice_agent_api_secret"]})
    assert [401, 0] == [refused_status(own_server.url, token) for token in (before, after)]
