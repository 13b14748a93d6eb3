"""`rooms`: list, show and end calls, bring the agent into one; against a real LiveKit server, exit statuses included."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server._dev import echo
from moss_voice_server._secret import Secret
from moss_voice_server.testing import LiveKitServer
from tests.cli.shell import Done, Shell, read_soon
from tests.doctor.workers import agent
from tests.livekit.server_api import signed
from tests.livekit.signalling import join

pytestmark = pytest.mark.once


@pytest.fixture
def own_server(livekit_binary: Path) -> Iterator[LiveKitServer]:
    """A LiveKit server without other rooms."""
    with LiveKitServer(livekit_binary) as server:
        yield server


@pytest.fixture
def rooms(shell: Shell, own_server: LiveKitServer) -> Shell:
    """A shell with that server's credentials."""
    shell.environ.update(
        LIVEKIT_URL=own_server.url, LIVEKIT_API_KEY=own_server.api_key, LIVEKIT_API_SECRET=own_server.api_secret
    )
    shell.secrets.append("eyJ")
    return shell


def occupied(server: LiveKitServer, room: str, identity: str = "user-42") -> Any:
    """A participant in a room."""
    return join(server.url, signed(server, {"sub": identity, "video": {"roomJoin": True, "room": room}}))


def answer(done: Done) -> Any:
    """The JSON of a command that succeeded."""
    assert (0, "") == (done.status, done.err)
    return json.loads(done.out)


def names(rooms: Shell) -> set[str]:
    """The rooms that exist."""
    return {room["name"] for room in answer(rooms("rooms", "list", "--json"))["rooms"]}


@pytest.mark.livekit
def test_list_and_show(rooms: Shell, own_server: LiveKitServer) -> None:
    """Rooms and participants, as JSON and as a table."""
    with occupied(own_server, "support-1"), occupied(own_server, "sales-1"):
        listed = answer(rooms("rooms", "list", "--prefix", "support-", "--json"))["rooms"]
        shown = answer(rooms("rooms", "show", "support-1", "--json"))
        table = rooms("rooms", "show", "support-1")

    # LiveKit counts participants with a delay.
    assert ["support-1"] == [room["name"] for room in listed]
    assert ["name", "sid", "created_at", "participants", "publishers", "metadata"] == list(listed[0])
    assert ("support-1", ["user-42"]) == (shown["room"]["name"], [each["identity"] for each in shown["participants"]])
    assert (0, True) == (table.status, "user-42" in table.out)


@pytest.mark.livekit
def test_room_that_does_not_exist(rooms: Shell) -> None:
    """Showing it fails with status 1; ending it is success."""
    shown, ended = rooms("rooms", "show", "nowhere"), rooms("rooms", "end", "nowhere")
    listed = rooms("rooms", "list", "--prefix", "nowhere")

    assert (1, "", 1) == (shown.status, shown.out, shown.err.count("\n"))
    assert Done(0, "nowhere\n", "") == ended
    assert (0, "", 1) == (listed.status, listed.out, listed.err.count("\n"))


@pytest.mark.livekit
def test_end(rooms: Shell, own_server: LiveKitServer) -> None:
    """Without a terminal rooms are ended without a question."""
    with occupied(own_server, "one"), occupied(own_server, "two"), occupied(own_server, "three"):
        assert {"ended": ["one", "two"], "failed": {}} == answer(rooms("rooms", "end", "one", "two", "--json"))
        assert {"three"} == names(rooms)


@pytest.mark.livekit
def test_end_older_than(rooms: Shell, own_server: LiveKitServer) -> None:
    """Only rooms with the prefix that are older; a dry run ends none."""
    with occupied(own_server, "support-1"), occupied(own_server, "sales-1"):
        older = ["rooms", "end-older-than", "0", "--prefix", "support-", "--json"]
        young = answer(rooms("rooms", "end-older-than", "1h", "--prefix", "support-", "--json"))
        dry = answer(rooms(*older, "--dry-run"))
        before = names(rooms)
        done = answer(rooms(*older))

        assert ([], ["support-1"], ["support-1"]) == (young["ended"], dry["ended"], done["ended"])
        assert ({"support-1", "sales-1"}, {"sales-1"}) == (before, names(rooms))


@pytest.mark.livekit
@pytest.mark.parametrize(("typed", "status", "left"), [("n\n", 1, {"one"}), ("\n", 1, {"one"}), ("y\n", 0, set())])
def test_confirmation(typed: str, status: int, left: set[str], rooms: Shell, own_server: LiveKitServer) -> None:
    """On a terminal rooms are ended only after a yes."""
    import pty

    ours, theirs = pty.openpty()
    with occupied(own_server, "one"), rooms.started("rooms", "end", "one", stdin=theirs) as process:
        os.close(theirs)
        assert process.stderr is not None
        assert "End 1 room (one)?" in read_soon(process.stderr.fileno(), 100)
        os.write(ours, typed.encode())
        assert status == rooms.ended(process).status
        assert left == names(rooms)
    os.close(ours)


@pytest.mark.livekit
def test_ensure_agent(rooms: Shell, own_server: LiveKitServer) -> None:
    """Two calls give one dispatch; without a worker, waiting ends with status 1."""
    with agent(own_server, "clerk"):
        calls = [answer(rooms("rooms", "ensure-agent", "one", "--agent", "clerk", "--json")) for _ in "ab"]
    missing = rooms("rooms", "ensure-agent", "two", "--agent", "boss", "--wait", "1s")

    assert calls[0]["id"] == calls[1]["id"]
    assert ("one", "clerk") == (calls[0]["room"], calls[0]["agent_name"])
    assert (1, "", 1) == (missing.status, missing.out, missing.err.count("\n"))


@pytest.mark.livekit
def test_ensure_agent_waits(rooms: Shell, own_server: LiveKitServer) -> None:
    """With --wait, a real agent is in the room when the command ends."""
    worker = echo.EchoAgent(own_server.url, own_server.api_key, Secret(own_server.api_secret), ["clerk"], timeout=60)
    with worker, occupied(own_server, "one"):
        made = answer(rooms("rooms", "ensure-agent", "one", "--agent", "clerk", "--wait", "60s", "--json"))
        shown = answer(rooms("rooms", "show", "one", "--json"))

    agents = [each["identity"] for each in shown["participants"] if each["agent_name"] == "clerk"]
    assert ("running", [made["agent_identity"]]) == (made["status"], agents)


@pytest.mark.livekit
def test_rejected_keys(rooms: Shell) -> None:
    """LiveKit rejects the token: status 1, one line, no secret."""
    done = rooms("rooms", "list", environ={"LIVEKIT_API_SECRET": "another-secret" * 3})

    assert (1, "", 1) == (done.status, done.out, done.err.count("\n"))


WRONG = {
    "no action": ["rooms"],
    "unknown action": ["rooms", "stop"],
    "no room": ["rooms", "end"],
    "blank room": ["rooms", "end", " "],
    "no prefix": ["rooms", "end-older-than", "30m"],
    "empty prefix": ["rooms", "end-older-than", "30m", "--prefix", ""],
    "not a duration": ["rooms", "end-older-than", "soon", "--prefix", "a"],
    "no credentials": ["rooms", "list"],
    "no agent": ["rooms", "ensure-agent", "one", "--livekit-url", "ws://127.0.0.1:1", "--api-key", "APIkey"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG.keys())
def test_wrong_usage(arguments: list[str], shell: Shell) -> None:
    """Wrong usage is one line and status 2."""
    done = shell(*arguments)
    assert (2, "", 1) == (done.status, done.out, done.err.count("\n"))
