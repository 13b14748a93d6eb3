"""The agents that a token dispatches, as a real server's workers receive them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

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
def workers(livekit_binary: Path) -> Iterator[tuple[LiveKitServer, dict[str, Worker]]]:
    """A server for this module, and its workers: they register before the first room."""
    with LiveKitServer(livekit_binary) as server, ExitStack() as stack:
        yield server, {title: stack.enter_context(worker(server, *each)) for title, each in WORKERS.items()}


INTERPRETER = AgentDispatch("interpreter", 'of "Žofie 🎻"\n', attributes={"language": "cs", "quote": '"\\'})

# Arguments of `create_participant_token`, the metadata of each worker's job, and the dispatches that the server lists.
DISPATCHES: dict[str, tuple[dict[str, Any], dict[str, str], list[tuple[str, str]]]] = {
    "a named agent": ({"agent_name": "clerk"}, {"clerk": ""}, [("clerk", "")]),
    "no agent: automatic dispatch": ({}, {"unnamed": ""}, [("", "")]),
    "an empty name": ({"agent_name": ""}, {"unnamed": ""}, [("", "")]),
    "agents of every argument": (
        {
            "agent_name": "clerk",
            "agents": [INTERPRETER],
            "room_config": {"agents": [{"agent_name": "", "metadata": "from the room config"}]},
        },
        {"clerk": "", "interpreter": INTERPRETER.metadata, "unnamed": "from the room config"},
        [("", "from the room config"), ("clerk", ""), ("interpreter", INTERPRETER.metadata)],
    ),
    "a deployment": (
        {"agents": [AgentDispatch("clerk", deployment="canary")]},
        {"clerk of the canary": ""},
        [("clerk", "")],
    ),
}


@pytest.mark.parametrize(("arguments", "jobs", "dispatches"), DISPATCHES.values(), ids=DISPATCHES.keys())
def test_dispatch(
    arguments: dict[str, Any],
    jobs: dict[str, str],
    dispatches: list[tuple[str, str]],
    workers: tuple[LiveKitServer, dict[str, Worker]],
    room: str,
) -> None:
    """The agents of a token get jobs with their metadata and attributes, and no other worker does. Those of a second
    participant's token do not: the room exists already.
    """
    server, registered = workers
    voice = MossVoiceServerSync.from_livekit(server.url, server.api_key, server.api_secret)
    second = voice.create_participant_token(ParticipantInfo("second"), room, "interpreter", agents=["clerk"])

    with join(server.url, voice.create_participant_token(ParticipantInfo("first"), room, **arguments)):
        found = {title: registered[title].job(room) for title in jobs}
        with join(server.url, second):
            listed = call(server, "AgentDispatchService", "ListDispatch", room)["agent_dispatches"]

    assert jobs == {title: job.metadata for title, job in found.items()}
    assert {title: WORKERS[title] for title in jobs} == {
        title: (job.agent_name, job.deployment) for title, job in found.items()
    }
    assert "interpreter" not in found or INTERPRETER.attributes == dict(found["interpreter"].attributes)
    assert dispatches == sorted((each["agent_name"], each["metadata"]) for each in listed)
    assert [] == [title for title in WORKERS.keys() - jobs.keys() if registered[title].jobs(room)]
