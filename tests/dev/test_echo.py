"""The echo agent: dispatched by name or automatically, it repeats what people say and write, and leaves after them."""

from __future__ import annotations

import asyncio
import socket
import sys
import time
from collections.abc import Iterator
from secrets import token_hex
from typing import Any

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server._dev.echo import EchoAgent, EchoError, is_installed
from moss_voice_server._secret import Secret
from moss_voice_server.testing import LiveKitServer
from tests.livekit.media import Guest, guest, hears, playing
from tests.livekit.server_api import call
from tests.livekit.signalling import join
from tests.livekit.worker import worker

pytestmark = pytest.mark.once


PATIENCE = 20.0
TONE = 440.0
NAME = "clerk"
NAMES = (NAME, "")


@pytest.fixture(scope="module")
def agent(livekit_server: LiveKitServer) -> Iterator[EchoAgent]:
    """A registered echo agent."""
    with EchoAgent(
        livekit_server.url, livekit_server.api_key, Secret(livekit_server.api_secret), NAMES, load=0.5
    ) as one:
        yield one


def a_token(server: LiveKitServer, identity: str, room: str, agent_name: str = "") -> str:
    """A token for a room that dispatches an agent of this name, or the unnamed ones."""
    voice = MossVoiceServerSync.from_livekit(server.url, server.api_key, server.api_secret)
    return voice.create_participant_token(ParticipantInfo(identity), room, agent_name)


async def first_to_join(server: LiveKitServer, room: str) -> str:
    """The name of the one who joins a room after a person, who then leaves."""
    async with guest(server.url, a_token(server, "ada", room, NAME), "participant_connected") as ada:
        name: str = (await ada.next("participant_connected"))[0].name
        return name


async def state_of(listener: Guest, wanted: str) -> None:
    """Wait until the agent reports this state."""
    number = 1
    while (await listener.next("participant_attributes_changed", number))[0].get("lk.agent.state") != wanted:
        number += 1


@pytest.mark.livekit
def test_echo(livekit_server: LiveKitServer, agent: EchoAgent) -> None:
    """It joins as an agent, reports that it listens, and plays a tone back after its end."""

    async def talk() -> tuple[Any, str, bool]:
        token = a_token(livekit_server, "ada", f"room-{token_hex(8)}", NAME)
        async with guest(
            livekit_server.url, token, "participant_connected", "participant_attributes_changed", "track_subscribed"
        ) as ada:
            track, _, who = await ada.next("track_subscribed")
            async with playing(ada.room, TONE):
                await asyncio.sleep(1.0)  # what is to be said
            await state_of(ada, "speaking")
            heard = await hears(track, TONE)
            await state_of(ada, "listening")
            return who.kind, who.name, heard

    from livekit import rtc

    assert (rtc.ParticipantKind.PARTICIPANT_KIND_AGENT, "Echo", True) == asyncio.run(talk())


@pytest.mark.livekit
def test_leaves(livekit_server: LiveKitServer, agent: EchoAgent) -> None:
    """It leaves after the last person."""
    room = f"room-{token_hex(8)}"

    assert "Echo" == asyncio.run(first_to_join(livekit_server, room))
    deadline = time.monotonic() + PATIENCE
    while call(livekit_server, "RoomService", "ListParticipants", room)["participants"]:
        assert time.monotonic() < deadline, "the agent did not leave"
        time.sleep(0.05)


@pytest.mark.livekit
def test_other_workers_have_priority(livekit_binary: Any) -> None:
    """With a high load it leaves the jobs to a developer's own worker of the same name, and gets them without one."""
    with (
        LiveKitServer(livekit_binary) as server,
        EchoAgent(server.url, server.api_key, Secret(server.api_secret), NAMES, load=0.9999),
    ):
        with worker(server, NAME) as own:
            rooms = [f"room-{token_hex(8)}" for _ in range(5)]
            for room in rooms:
                with join(server.url, a_token(server, "ada", room, NAME)):
                    own.job(room)

        assert "Echo" == asyncio.run(first_to_join(server, "later"))


@pytest.mark.livekit
def test_deleted_dispatch(livekit_binary: Any) -> None:
    """When its dispatch is deleted, the agent leaves by itself, before LiveKit removes it after three seconds."""
    with (
        LiveKitServer(livekit_binary) as server,
        EchoAgent(server.url, server.api_key, Secret(server.api_secret), NAMES),
    ):

        async def main() -> None:
            events = ("participant_connected", "participant_disconnected")
            async with guest(server.url, a_token(server, "ada", "room", NAME), *events) as ada:
                await ada.next("participant_connected")
                (dispatch,) = call(server, "AgentDispatchService", "ListDispatch", "room")["agent_dispatches"]
                call(server, "AgentDispatchService", "DeleteDispatch", "room", dispatch_id=dispatch["id"])
                await ada.next("participant_disconnected")

        asyncio.run(main())
        assert "did not disconnect" not in server.log_tail(1000)


@pytest.mark.livekit
def test_registers_again(livekit_binary: Any) -> None:
    """After a restart of the LiveKit server the agent registers again, and is dispatched."""
    with (
        LiveKitServer(livekit_binary) as server,
        EchoAgent(server.url, server.api_key, Secret(server.api_secret), NAMES) as agent,
    ):
        server.restart()
        with agent._changed:
            assert agent._changed.wait_for(lambda: not agent.is_registered, PATIENCE)
            assert agent._changed.wait_for(lambda: agent.is_registered, PATIENCE)

        assert "Echo" == asyncio.run(first_to_join(server, "room"))


def test_no_server() -> None:
    """A server that is down is an error with the cause, at once; one that never answers is one after the timeout. The text
    of an agent contains no secret."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        for cause, timeout in (("connection refused", 10.0), ("no answer in time", 0.3)):
            url = f"ws://127.0.0.1:{server.getsockname()[1]}"
            agent = EchoAgent(url, "key", Secret("secret"), NAMES, timeout=timeout)
            assert "<EchoAgent: hidden>" == repr(agent)
            with pytest.raises(EchoError, match=rf"register with the LiveKit server \({cause}\)$"):
                agent.__enter__()
            server.listen()


@pytest.mark.parametrize("missing", ["livekit.rtc", "websockets"])
def test_without_a_package(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a package of the extra is missing, the error has the command that installs it."""
    assert is_installed()
    monkeypatch.setitem(sys.modules, missing, None)
    assert not is_installed()
    with pytest.raises(EchoError, match=r'needs its extra: pip install "moss-voice-server\[cli,agent\]"'):
        EchoAgent("ws://127.0.0.1:1", "key", Secret("secret"), NAMES).__enter__()
