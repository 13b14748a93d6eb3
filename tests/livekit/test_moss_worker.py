"""Moss's worker, made with `livekit-agents`, and `moss-voice-server dev`: it gets the calls in place of the echo agent."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.cli.shell import PATIENCE, Shell, bare_environ
from tests.dev.program import Dev, dev
from tests.dev.wire import ask
from tests.livekit.moss_worker import agents_in, running_worker
from tests.livekit.server_api import LiveKitKeys
from tests.livekit.signalling import join
from tests.support.tokens import claims

pytestmark = [pytest.mark.once, pytest.mark.livekit]


def test_moss_worker(livekit_binary: Path, tmp_path: Path) -> None:
    """Moss's worker gets the calls of the page and of the command line, and its session report is stored."""
    environ = {**bare_environ(tmp_path), "LIVEKIT_SERVER_BIN": str(livekit_binary)}
    with dev("--port", "0", environ=environ) as running:
        shell = Shell({**bare_environ(tmp_path), **running.moss_environ})
        assert ["Echo"] == agents_of(running, token_of(running))
        with running_worker(running.moss_environ, tmp_path):
            assert [""] == agents_of(running, token_of(running))
            token = shell("token").out.strip()
            assert [""] == agents_of(running, token)
            deadline = time.monotonic() + PATIENCE
            while room_of(token) not in shell("transcripts", room_of(token), "--json").out:
                assert time.monotonic() < deadline, "no session report"
                time.sleep(0.2)
        assert ["Echo"] == agents_of(running, token_of(running))


def token_of(running: Dev) -> str:
    """A token of `dev`'s endpoint."""
    token: str = ask(running.url, "/voice/token", method="POST", body={}).json["participant_token"]
    return token


def agents_of(running: Dev, token: str) -> list[str]:
    """Join the room of `token` and wait for an agent; the agents' names."""
    url, key, secret = running.livekit_environ.values()
    with join(url, token):
        return agents_in(LiveKitKeys(url.replace("ws", "http", 1), key, secret), room_of(token))


def room_of(token: str) -> str:
    """The room that a token is for."""
    room: str = claims(token)["video"]["room"]
    return room
