"""Join: what LiveKit's own client gets from each example application opens a room on a real server, and an agent comes."""

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

AGENT = "support-agent"  # which the FastAPI example lets clients ask for


@pytest.fixture(scope="module")
def livekit(livekit_binary: Path) -> Iterator[LiveKitServer]:  # noqa: F811  # as above
    """A server of this module's own: its workers are registered before the first room asks for one."""
    with LiveKitServer(livekit_binary) as server:
        yield server


@pytest.fixture(scope="module")
def workers(livekit: LiveKitServer) -> Iterator[dict[str, Worker]]:
    """A worker without a name, as in Moss's own examples, and one with a name."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(worker(livekit, name)) for name in ("", AGENT)}


@pytest.fixture(scope="module")
def livekit_moss(livekit: LiveKitServer) -> Iterator[FakeMoss]:
    """A Moss API that hands out the keys of this LiveKit server."""
    with FakeMoss(url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret) as moss:
        yield moss


@pytest.fixture(scope="module", params=ONE_OF_EACH)
def office(
    request: pytest.FixtureRequest, livekit_moss: FakeMoss, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """One example application of each framework, for that LiveKit server."""
    with started(APPS[request.param], livekit_moss, tmp_path_factory.mktemp("join")) as running:
        yield running


def test_user_joins_and_the_agent_comes(
    office: Running, token_source: TokenSource, livekit: LiveKitServer, workers: dict[str, Worker]
) -> None:
    """Signed in, asked, joined: the user is in a room of their own, and the worker without a name is sent for."""
    (answer,) = token_source.fetch(office.token_url, office.sign_in(), {"options": {}})

    room = answer["payload"]["video"]["room"]
    with join(answer["server_url"], answer["participant_token"]) as signal:
        job = workers[""].job(room)

    assert livekit.url == answer["server_url"]
    assert room == signal.joined.room.name
    assert re.fullmatch(office.example.identity, signal.joined.participant.identity)
    assert ("", room) == (job.agent_name, job.room.name)
    assert [] == workers[AGENT].jobs(room)


@pytest.mark.parametrize("office", ["fastapi"], indirect=True)
def test_agent_that_the_client_asks_for_comes(
    office: Running, token_source: TokenSource, livekit: LiveKitServer, workers: dict[str, Worker]
) -> None:
    """The agent that the client names, where the application lets it, gets the job with the client's metadata."""
    options = {"agentName": AGENT, "agentMetadata": "speaks English"}
    (answer,) = token_source.fetch(office.token_url, office.sign_in(), {"options": options})

    room = answer["payload"]["video"]["room"]
    with join(livekit.url, answer["participant_token"]):
        job = workers[AGENT].job(room)

    assert (AGENT, "speaks English", room) == (job.agent_name, job.metadata, job.room.name)
    assert [] == workers[""].jobs(room)
