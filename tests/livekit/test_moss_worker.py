"""Moss's own worker and `livekit-agents` join the rooms of our tokens: from each adapter, the command line and `dev`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import jwt
import pytest

from moss_voice_server.testing import FakeMoss, LiveKitServer
from tests.cli.shell import PATIENCE, Shell, bare_environ
from tests.dev.program import Dev, dev
from tests.dev.wire import ask
from tests.examples.apps import APPS, ONE_OF_EACH, started
from tests.livekit.moss_worker import agents_in, running_worker
from tests.livekit.server_api import LiveKitKeys
from tests.livekit.signalling import join

pytestmark = [pytest.mark.once, pytest.mark.livekit]

NAME = "support-agent"


@pytest.fixture(scope="module")
def server(livekit_binary: Path) -> Iterator[LiveKitServer]:
    """A LiveKit server for these tests: its workers are registered before the first room."""
    with LiveKitServer(livekit_binary) as one:
        yield one


@pytest.fixture(scope="module")
def moss(server: LiveKitServer) -> Iterator[FakeMoss]:
    """A Moss API whose voice agent has this LiveKit server, and a name."""
    with FakeMoss(url=server.url, api_key=server.api_key, api_secret=server.api_secret, agent_name=NAME) as fake:
        yield fake


@pytest.fixture(scope="module")
def moss_worker(moss: FakeMoss, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Moss's own worker, started as its documentation says."""
    with running_worker("moss_agent", moss.environ, tmp_path_factory.mktemp("worker")):
        yield


@pytest.mark.usefixtures("moss_worker")
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_adapters(name: str, server: LiveKitServer, moss: FakeMoss, tmp_path: Path) -> None:
    """The example of each framework, with its default admission, brings Moss's worker into the room."""
    with started(APPS[name], moss, tmp_path) as app:
        reply = httpx2.post(app.token_url, json={}, headers=app.sign_in(), trust_env=False)
    assert 201 == reply.status_code, reply.text
    assert 1 == len(joined_by(keys(server), reply.json()["participant_token"]))


@pytest.mark.usefixtures("moss_worker")
def test_command_line_and_report(server: LiveKitServer, moss: FakeMoss, tmp_path: Path) -> None:
    """So does a token of the command line; when the call ends, the worker posts its report to the local Moss API."""
    status, out, _ = Shell({**bare_environ(tmp_path), **moss.environ})("token")
    assert 0 == status
    assert 1 == len(joined_by(keys(server), out.strip()))
    room = room_of(out.strip())
    deadline = time.monotonic() + PATIENCE
    while not [report for report in moss.session_reports if report["room_name"] == room]:
        assert time.monotonic() < deadline, "no session report"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def running(livekit_binary: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """`dev` with its echo agent."""
    environ = {**bare_environ(tmp_path_factory.mktemp("home")), "LIVEKIT_SERVER_BIN": str(livekit_binary)}
    with dev("--port", "0", environ=environ) as one:
        yield one


def token_of(running: Dev, query: str = "") -> str:
    """A token of `dev`'s endpoint."""
    token: str = ask(running.url, f"/voice/token{query}", method="POST", body={}).json["participant_token"]
    return token


def keys_of(running: Dev) -> LiveKitKeys:
    """The LiveKit server that `dev` has printed."""
    url, key, secret = running.livekit_environ.values()
    return LiveKitKeys(url.replace("ws", "http", 1), key, secret)


def test_moss_worker_with_dev(running: Dev, tmp_path: Path) -> None:
    """Moss's worker, started with the lines that `dev` prints, gets the call in place of the echo agent."""
    assert ["Echo"] == joined_by(keys_of(running), token_of(running))
    with running_worker("moss_agent", running.moss_environ, tmp_path):
        assert [""] == joined_by(keys_of(running), token_of(running))
    assert ["Echo"] == joined_by(keys_of(running), token_of(running))


def test_livekit_agents_with_dev(running: Dev, tmp_path: Path) -> None:
    """An unnamed worker of `livekit-agents`, started with the lines that `dev` prints, gets the call."""
    with running_worker("livekit_agent", running.livekit_environ, tmp_path):
        assert [""] == joined_by(keys_of(running), token_of(running, "?dispatch=automatic"))


def joined_by(server: LiveKitKeys, token: str) -> list[str]:
    """Join the room of `token` and wait for an agent; the agents' names."""
    with join(server.http_url.replace("http", "ws", 1), token):
        return agents_in(server, room_of(token))


def room_of(token: str) -> str:
    """The room that a token is for."""
    room: str = jwt.decode(token, options={"verify_signature": False})["video"]["room"]
    return room


def keys(server: LiveKitServer) -> LiveKitKeys:
    """The keys of a LiveKit server of ours."""
    return LiveKitKeys(server.http_url, server.api_key, server.api_secret)
