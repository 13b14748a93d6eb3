"""`rooms`: list, show and end calls, bring the agent into one; against a real LiveKit server, exit statuses included."""

from __future__ import annotations

import json
import os
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
def rooms(shell: Shell, livekit_server: LiveKitServer) -> Shell:
    """A shell with the server's credentials."""
    server = livekit_server
    shell.environ.update(LIVEKIT_URL=server.url, LIVEKIT_API_KEY=server.api_key, LIVEKIT_API_SECRET=server.api_secret)
    shell.secrets.append("eyJ")
    return shell


def occupied(server: LiveKitServer, room: str) -> Any:
    """A participant in a room."""
    return join(server.url, signed(server, {"sub": "user-42", "video": {"roomJoin": True, "room": room}}))


def answer(done: Done) -> Any:
    """The JSON of a command that succeeded."""
    assert (0, "") == (done.status, done.err)
    return json.loads(done.out)


def names(rooms: Shell, prefix: str) -> set[str]:
    """The rooms with this prefix that exist."""
    return {room["name"] for room in answer(rooms("rooms", "list", "--prefix", prefix, "--json"))["rooms"]}


@pytest.mark.livekit
def test_list_and_show(rooms: Shell, livekit_server: LiveKitServer, room: str) -> None:
    """Rooms and participants, as JSON and as a table."""
    with occupied(livekit_server, room), occupied(livekit_server, f"no-{room}"):
        listed = answer(rooms("rooms", "list", "--prefix", room, "--json"))["rooms"]
        shown = answer(rooms("rooms", "show", room, "--json"))
        table = rooms("rooms", "show", room)

    # LiveKit counts participants with a delay.
    assert [room] == [room["name"] for room in listed]
    assert ["name", "sid", "created_at", "participants", "publishers", "metadata"] == list(listed[0])
    assert (room, ["user-42"]) == (shown["room"]["name"], [each["identity"] for each in shown["participants"]])
    assert (0, True) == (table.status, "user-42" in table.out)


@pytest.mark.livekit
def test_failures(rooms: Shell) -> None:
    """Showing a room that does not exist fails with status 1; ending it is success. LiveKit rejects a token: status 1."""
    shown, ended = rooms("rooms", "show", "nowhere"), rooms("rooms", "end", "nowhere")
    listed = rooms("rooms", "list", "--prefix", "nowhere")
    rejected = rooms("rooms", "list", environ={"LIVEKIT_API_SECRET": "another-secret" * 3})

    assert [(1, "", 1)] * 2 == [(done.status, done.out, done.err.count("\n")) for done in (shown, rejected)]
    assert Done(0, "nowhere\n", "") == ended
    assert (0, "", 1) == (listed.status, listed.out, listed.err.count("\n"))


@pytest.mark.livekit
def test_end(rooms: Shell, livekit_server: LiveKitServer, room: str) -> None:
    """Rooms by name, without a terminal without a question; and those with a prefix that are older. A dry run ends none."""
    one, two, three = (f"{room}-{name}" for name in ("a1", "a2", "b"))
    older = ["rooms", "end-older-than", "0", "--prefix", f"{room}-a", "--json"]
    with occupied(livekit_server, one), occupied(livekit_server, two), occupied(livekit_server, three):
        assert {"ended": [one], "failed": {}} == answer(rooms("rooms", "end", one, "--json"))
        young = answer(rooms("rooms", "end-older-than", "1h", "--prefix", room, "--json"))
        dry = answer(rooms(*older, "--dry-run"))
        assert {two, three} == names(rooms, room)
        done = answer(rooms(*older))

        assert ([], [two], [two]) == (young["ended"], dry["ended"], done["ended"])
        assert {three} == names(rooms, room)


@pytest.mark.livekit
@pytest.mark.parametrize(("typed", "status"), [("n\n", 1), ("\n", 1), ("y\n", 0)])
def test_confirmation(typed: str, status: int, rooms: Shell, livekit_server: LiveKitServer, room: str) -> None:
    """On a terminal rooms are ended only after a yes."""
    import pty

    ours, theirs = pty.openpty()
    with occupied(livekit_server, room), rooms.started("rooms", "end", room, stdin=theirs) as process:
        os.close(theirs)
        assert process.stderr is not None
        assert f"End 1 room ({room})?" in read_soon(process.stderr.fileno(), 100)
        os.write(ours, typed.encode())
        assert status == rooms.ended(process).status
        assert ({room} if status else set()) == names(rooms, room)
    os.close(ours)


@pytest.mark.livekit
def test_ensure_agent(rooms: Shell, livekit_server: LiveKitServer, room: str) -> None:
    """Two calls give one dispatch; without a worker, waiting ends with status 1."""
    ensure = ("rooms", "ensure-agent", room, "--agent", f"agent-{room}")
    with agent(livekit_server, f"agent-{room}"):
        calls = [answer(rooms(*ensure, "--json")) for _ in "ab"]
    missing = rooms("rooms", "ensure-agent", room, "--agent", "boss", "--wait", "1s")

    assert calls[0]["id"] == calls[1]["id"]
    assert (room, f"agent-{room}") == (calls[0]["room"], calls[0]["agent_name"])
    assert (1, "", 1) == (missing.status, missing.out, missing.err.count("\n"))


@pytest.mark.livekit
def test_ensure_agent_waits(rooms: Shell, livekit_server: LiveKitServer, room: str) -> None:
    """With --wait, a real agent is in the room when the command ends."""
    server, name = livekit_server, f"agent-{room}"
    worker = echo.EchoAgent(server.url, server.api_key, Secret(server.api_secret), [name], timeout=60)
    with worker, occupied(server, room):
        made = answer(rooms("rooms", "ensure-agent", room, "--agent", name, "--wait", "60s", "--json"))
        shown = answer(rooms("rooms", "show", room, "--json"))

    agents = [each["identity"] for each in shown["participants"] if each["agent_name"] == name]
    assert ("running", [made["agent_identity"]]) == (made["status"], agents)


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
