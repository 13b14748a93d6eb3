"""`server.rooms` against a real LiveKit server, with real agents in its rooms."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from secrets import token_hex

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server._dev import echo
from moss_voice_server._secret import Secret
from moss_voice_server.errors import LiveKitUnavailable, RoomNotFound
from moss_voice_server.grants import ApiGrants
from moss_voice_server.testing import LiveKitServer
from tests.livekit.conftest import livekit_binary
from tests.livekit.server_api import call
from tests.livekit.signalling import join
from tests.rooms.plain import AGENT, PlainRooms, Server, rooms_of

__all__ = ["livekit_binary"]

pytestmark = pytest.mark.livekit

PROCESSES, CALLS = 4, 10
PATIENCE = 60.0
ADA = ParticipantInfo("user-42")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def livekit(livekit_binary: Path) -> Iterator[LiveKitServer]:
    """A LiveKit server with a worker that sends the echo agent, a real participant, into rooms."""
    with (
        LiveKitServer(livekit_binary) as server,
        echo.EchoAgent(server.url, server.api_key, Secret(server.api_secret), [AGENT], timeout=PATIENCE),
    ):
        yield server


@pytest.fixture
def voice(kind: type[Server], livekit: LiveKitServer) -> Server:
    """A server of each class with this LiveKit's keys; its voice agent is the echo agent."""
    return rooms_of(kind, livekit).server


@pytest.fixture
def room() -> str:
    """The name of a room that does not exist yet."""
    return f"room-{token_hex(8)}"


def agents_in(livekit: LiveKitServer, room: str) -> list[str]:
    """The identities of the agents in a room, from LiveKit itself."""
    found = call(livekit, "RoomService", "ListParticipants", room)["participants"]
    return [each["identity"] for each in found if each["kind"] == "AGENT"]


def dispatches(livekit: LiveKitServer, room: str) -> list[str]:
    """The IDs of the echo agent's dispatches in a room, from LiveKit itself."""
    found = call(livekit, "AgentDispatchService", "ListDispatch", room)["agent_dispatches"]
    return [each["id"] for each in found if each["agent_name"] == AGENT]


def settled(livekit: LiveKitServer, voice: MossVoiceServerSync, room: str) -> list[str]:
    """The agents in a room once there is exactly one, three times in a row: LiveKit takes superfluous ones out in seconds.

    It calls again meanwhile, as a program would: on a busy machine an agent can fail to join. LiveKit removes a participant
    without media after some seconds, and the echo agent leaves with the last one, so another one joins each time.
    """
    deadline, counts = time.monotonic() + PATIENCE, [0]
    with ExitStack() as people:
        while counts[-3:] != [1, 1, 1] and time.monotonic() < deadline:
            user = ParticipantInfo(f"user-{len(counts)}")
            people.enter_context(join(livekit.url, voice.create_participant_token(user, room, "another-agent")))
            time.sleep(1)
            with suppress(LiveKitUnavailable):
                voice.rooms.ensure_agent(room)
            counts.append(len(agents_in(livekit, room)))
        return agents_in(livekit, room)


@pytest.mark.once
@pytest.mark.parametrize("exists", [True, False], ids=["existing", "new"])
def test_race(livekit: LiveKitServer, room: str, exists: bool) -> None:
    """Four processes with ten simultaneous calls each, of both classes: all return one dispatch, and one agent stays."""
    voice = MossVoiceServerSync.from_livekit(livekit.url, livekit.api_key, livekit.api_secret, AGENT)
    if exists:
        voice.rooms.ensure_agent(room, "another-agent")
    command = [sys.executable, "-m", "tests.rooms.racer", livekit.url, room, AGENT, str(CALLS)]
    environ = {**os.environ, "API_KEY": livekit.api_key, "API_SECRET": livekit.api_secret}
    racers = [
        subprocess.Popen(command, cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(PROCESSES)
    ]
    for racer in racers:
        assert racer.stdout is not None
        assert "ready\n" == racer.stdout.readline()
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    while not voice.rooms.list([room]):  # one of them creates it, if it does not exist
        assert any(racer.poll() is None for racer in racers)
    with join(livekit.url, voice.create_participant_token(ADA, room, "another-agent")):
        returned = [dispatch for racer in racers for dispatch in racer.communicate()[0].split()]

        assert PROCESSES * CALLS == len(returned)
        assert dispatches(livekit, room) == list(set(returned))
        assert 1 == len(settled(livekit, voice, room))
        assert [voice.rooms.ensure_agent(room).id] == dispatches(livekit, room)


def test_wait(livekit: LiveKitServer, voice: Server, room: str) -> None:
    """With `wait` the agent is in the room when the call returns, and the result names it."""
    with join(livekit.url, voice.create_participant_token(ADA, room, "another-agent")):
        made = PlainRooms(voice).ensure_agent(room, wait=PATIENCE)

        assert "running" == made.status
        assert [made.agent_identity] == agents_in(livekit, room)
        agent = next(each for each in PlainRooms(voice).participants(room) if each.kind == "agent")
        assert (made.agent_identity, AGENT) == (agent.identity, agent.agent_name)


def test_end(livekit: LiveKitServer, voice: Server, room: str) -> None:
    """Everyone is disconnected and the room is gone; ending it again is success.

    A self-hosted LiveKit revokes nothing: a token that is still valid creates the room again, as the documentation says.
    """
    rooms, token = PlainRooms(voice), voice.create_participant_token(ADA, room, "another-agent")
    with join(livekit.url, token) as signal:
        assert [room] == [each.name for each in rooms.list([room])]
        rooms.end(room)
        signal.wait_for("leave")

    assert () == rooms.list([room])
    with pytest.raises(RoomNotFound):
        rooms.participants(room)
    assert rooms.end(room) is None
    with join(livekit.url, token):
        assert [room] == [each.name for each in rooms.list([room])]
    rooms.end(room)


def test_remove(livekit: LiveKitServer, voice: Server, room: str) -> None:
    """The participant is disconnected, others stay; removing again is success."""
    rooms = PlainRooms(voice)
    with (
        join(livekit.url, voice.create_participant_token(ADA, room, "another-agent")) as ada,
        join(livekit.url, voice.create_participant_token(ParticipantInfo("user-43"), room)),
    ):
        rooms.remove(room, "user-42")
        ada.wait_for("leave")
        assert ["user-43"] == [each.identity for each in rooms.participants(room) if each.state != "disconnected"]
        assert rooms.remove(room, "user-42") is None
    assert rooms.remove("room-that-is-not-there", "user-42") is None


def test_end_older_than(livekit: LiveKitServer, voice: Server) -> None:
    """The rooms with the prefix are ended, and no others."""
    rooms, prefix = PlainRooms(voice), f"old-{token_hex(4)}-"
    for number in range(5):
        rooms.ensure_agent(f"{prefix}{number}", "another-agent")
    rooms.ensure_agent(other := f"other-{prefix}", "another-agent")

    assert () == rooms.end_older_than(3600, prefix).ended
    done = rooms.end_older_than(0, prefix)

    assert ({f"{prefix}{number}" for number in range(5)}, {}) == (set(done), dict(done.failed))
    assert [other] == [each.name for each in rooms.list([other, *done])]


def test_rest_of_the_server_api(livekit: LiveKitServer, voice: Server, room: str) -> None:
    """`livekit-api` works with an API token, so that egress, telephony and data need no API secret."""
    from livekit.api import LiveKitAPI
    from livekit.protocol.room import ListRoomsRequest, SendDataRequest, UpdateRoomMetadataRequest

    async def use() -> list[str]:
        token = voice.create_api_token(ApiGrants(room=room, room_admin=True, room_list=True))
        async with LiveKitAPI.with_token(token, url=voice.get_server_url()) as livekit_api:
            await livekit_api.room.send_data(SendDataRequest(room=room, data=b"hello", topic="greeting"))
            await livekit_api.room.update_room_metadata(UpdateRoomMetadataRequest(room=room, metadata="vip"))
            listed: list[str] = []
            while listed != ["vip"]:  # LiveKit stores it a moment later
                found = await livekit_api.room.list_rooms(ListRoomsRequest(names=[room]))
                listed = [each.metadata for each in found.rooms]
        return listed

    with join(livekit.url, voice.create_participant_token(ADA, room, "another-agent")):
        assert ["vip"] == asyncio.run(asyncio.wait_for(use(), PATIENCE))
