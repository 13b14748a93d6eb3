"""The agents that a token dispatches, as a real server's workers receive them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.grants import AgentDispatch
from moss_voice_server.testing import LiveKitServer
from tests.livekit.server_api import call
from tests.livekit.signalling import join
from tests.livekit.worker import Worker, worker

pytestmark = pytest.mark.livekit

WORKERS = {
    "unnamed": ("", ""),
    "clerk": ("clerk", ""),
    "interpreter": ("interpreter", ""),
    "clerk of the canary": ("clerk", "canary"),
}


@pytest.fixture(scope="module")
def agents_server(livekit_binary: Path) -> Iterator[LiveKitServer]:
    """A server for this module: all workers are registered before the first room."""
    with LiveKitServer(livekit_binary) as server:
        yield server


@pytest.fixture(scope="module")
def workers(agents_server: LiveKitServer) -> Iterator[dict[str, Worker]]:
    """An unnamed worker, two named ones, and another deployment of the first of these."""
    with ExitStack() as stack:
        yield {
            title: stack.enter_context(worker(agents_server, *registration)) for title, registration in WORKERS.items()
        }


@pytest.fixture(scope="module")
def voice_server(agents_server: LiveKitServer) -> MossVoiceServerSync:
    """Our library with the keys of this module's server."""
    return MossVoiceServerSync.from_livekit(agents_server.url, agents_server.api_key, agents_server.api_secret)


def dispatched(server: LiveKitServer, room: str) -> list[tuple[str, str]]:
    """The name and metadata of every dispatch that the server has for `room`, sorted."""
    listed = call(server, "AgentDispatchService", "ListDispatch", room)["agent_dispatches"]
    return sorted((each["agent_name"], each["metadata"]) for each in listed)


def test_named_agent_gets_its_job_and_the_unnamed_none(
    agents_server: LiveKitServer, workers: dict[str, Worker], voice_server: MossVoiceServerSync, room: str
) -> None:
    """`agent_name=` dispatches the worker of that name, and no unnamed worker."""
    token = voice_server.create_participant_token(ParticipantInfo("user-42"), room, "clerk")

    with join(agents_server.url, token):
        job = workers["clerk"].job(room)
        listed = dispatched(agents_server, room)

    assert ("clerk", "", {}, room) == (job.agent_name, job.metadata, dict(job.attributes), job.room.name)
    assert [("clerk", "")] == listed
    assert [] == workers["unnamed"].jobs(room)


@pytest.mark.parametrize("agent_name", [None, ""])
def test_unnamed_agent_gets_the_job_by_default(
    agent_name: str | None,
    agents_server: LiveKitServer,
    workers: dict[str, Worker],
    voice_server: MossVoiceServerSync,
    room: str,
) -> None:
    """Without an agent's name LiveKit dispatches the unnamed workers, and no others."""
    token = voice_server.create_participant_token(ParticipantInfo("user-42"), room, agent_name)

    with join(agents_server.url, token):
        job = workers["unnamed"].job(room)
        listed = dispatched(agents_server, room)

    assert ("", "", room) == (job.agent_name, job.metadata, job.room.name)
    assert [("", "")] == listed


def test_several_agents_are_all_dispatched(
    agents_server: LiveKitServer, workers: dict[str, Worker], voice_server: MossVoiceServerSync, room: str
) -> None:
    """`agent_name`, `agents` and the room config's agents are dispatched, each with its metadata and attributes."""
    interpreter = AgentDispatch("interpreter", 'of "Žofie 🎻"\n', attributes={"language": "cs", "quote": '"\\'})
    token = voice_server.create_participant_token(
        ParticipantInfo("user-42"),
        room,
        "clerk",
        agents=[interpreter],
        room_config={"agents": [{"agent_name": "", "metadata": "from the room config"}]},
    )

    with join(agents_server.url, token):
        jobs = {title: workers[title].job(room).metadata for title in ("clerk", "interpreter", "unnamed")}
        assert dict(interpreter.attributes) == dict(workers["interpreter"].job(room).attributes)
        listed = dispatched(agents_server, room)

    assert {"clerk": "", "interpreter": interpreter.metadata, "unnamed": "from the room config"} == jobs
    assert [("", "from the room config"), ("clerk", ""), ("interpreter", interpreter.metadata)] == listed


def test_deployment(
    agents_server: LiveKitServer, workers: dict[str, Worker], voice_server: MossVoiceServerSync, room: str
) -> None:
    """A deployment dispatches the workers that registered with it, not production's of the same name."""
    token = voice_server.create_participant_token(
        ParticipantInfo("user-42"), room, agents=[AgentDispatch("clerk", deployment="canary")]
    )

    with join(agents_server.url, token):
        job = workers["clerk of the canary"].job(room)
        listed = dispatched(agents_server, room)

    assert ("clerk", "canary") == (job.agent_name, job.deployment)
    assert [("clerk", "")] == listed
    assert [] == workers["clerk"].jobs(room)


def test_only_the_token_that_creates_the_room_dispatches_agents(
    agents_server: LiveKitServer, workers: dict[str, Worker], voice_server: MossVoiceServerSync, room: str
) -> None:
    """The agents in a second participant's token are not dispatched: the room exists already."""
    first = voice_server.create_participant_token(ParticipantInfo("first"), room, "clerk")
    second = voice_server.create_participant_token(ParticipantInfo("second"), room, "interpreter")

    with join(agents_server.url, first), join(agents_server.url, second):
        workers["clerk"].job(room)
        listed = dispatched(agents_server, room)

    assert [("clerk", "")] == listed
    assert [] == workers["interpreter"].jobs(room)
