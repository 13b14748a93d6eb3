"""What LiveKit's own client gets from each example application creates a room on a real server, and the agent joins."""

from __future__ import annotations

import re
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from moss_voice_server.testing import FakeMoss, LiveKitServer
from tests.examples.apps import APPS, ONE_OF_EACH, Running, started
from tests.livekit.conftest import livekit_binary  # noqa: F401  # a fixture
from tests.livekit.signalling import join
from tests.livekit.worker import Worker, worker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.clients.token_source import TokenSource

pytestmark = pytest.mark.livekit

AGENT = "support-agent"  # the voice agent's name in Moss


@pytest.fixture(scope="module")
def livekit(livekit_binary: Path) -> Iterator[LiveKitServer]:  # noqa: F811  # as above
    """A LiveKit server for these tests: its workers are registered before the first room."""
    with LiveKitServer(livekit_binary) as server:
        yield server


@pytest.fixture(scope="module")
def workers(livekit: LiveKitServer) -> Iterator[dict[str, Worker]]:
    """An unnamed worker, and one with the voice agent's name, as Moss documents it."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(worker(livekit, name)) for name in ("", AGENT)}


@pytest.fixture(scope="module")
def livekit_moss(livekit: LiveKitServer) -> Iterator[FakeMoss]:
    """A Moss API with the keys of this LiveKit server."""
    with FakeMoss(url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret, agent_name=AGENT) as moss:
        yield moss


@pytest.fixture(scope="module", params=ONE_OF_EACH)
def app(
    request: pytest.FixtureRequest, livekit_moss: FakeMoss, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One example application of each framework, for that LiveKit server."""
    with started(APPS[request.param], livekit_moss, tmp_path_factory.mktemp("join")) as running:
        yield running


@pytest.mark.parametrize("options", [{}, {"agentName": AGENT}], ids=["default", "the client names it"])
def test_user_joins_and_the_agent_too(
    options: dict[str, str], app: Running, token_source: TokenSource, livekit: LiveKitServer, workers: dict[str, Worker]
) -> None:
    """A signed-in user joins a new room, and LiveKit dispatches the voice agent by its name, and no unnamed worker."""
    (answer,) = token_source.fetch(app.token_url, app.sign_in(), {"options": options})

    room = answer["payload"]["video"]["room"]
    with join(answer["server_url"], answer["participant_token"]) as signal:
        job = workers[AGENT].job(room)

    assert livekit.url == answer["server_url"]
    assert room == signal.joined.room.name
    assert re.fullmatch(app.example.identity, signal.joined.participant.identity)
    assert (AGENT, "", room) == (job.agent_name, job.metadata, job.room.name)
    assert [] == workers[""].jobs(room)
