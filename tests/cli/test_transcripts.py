"""`transcripts`: the conversations that Moss stores, as text and as lines of JSON."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from moss_voice_server.testing import FakeMoss
from tests.cli.shell import Shell

pytestmark = pytest.mark.once

ITEMS = [
    {"type": "message", "role": "user", "content": ["Hello\x1b[2J", "there"], "created_at": 1.5},
    {"type": "function_call", "name": "look_up", "arguments": "{}"},
    {"type": "message", "role": "assistant", "content": "Hi!", "created_at": 2.5, "interrupted": True},
]


@pytest.fixture
def reports(moss: FakeMoss) -> FakeMoss:
    """A Moss with three reports: of two rooms, and of four days ago."""
    now = datetime.now(timezone.utc)
    for room, age in (("support-1", 1), ("support-2", 2), ("support-1", 96)):
        moss.add_session_report(room, {"chat_history": {"items": ITEMS}}, now - timedelta(hours=age))
    return moss


@pytest.mark.parametrize(
    ("arguments", "rooms"),
    [
        ([], ["support-1", "support-2"]),
        (["support-1"], ["support-1"]),
        (["support-1", "--since", "5d"], ["support-1", "support-1"]),
        (["--since", "90m"], ["support-1"]),
        (["--since", "999999999d"], ["support-1", "support-1", "support-2"]),
    ],
    ids=["a day", "one room", "five days", "90 minutes", "always"],
)
def test_selection(arguments: list[str], rooms: list[str], moss_shell: Shell, reports: FakeMoss) -> None:
    """The calls of a day by default, of any room; one object a line, without fetching LiveKit credentials."""
    status, out, err = moss_shell("transcripts", "--json", *arguments)
    found = [json.loads(line) for line in out.splitlines()]

    assert (0, "") == (status, err)
    assert sorted(rooms) == sorted(report["room_name"] for report in found)
    assert ["id", "room_name", "created_at", "messages", "raw"] == list(found[0])
    assert [("user", False), ("assistant", True)] == [
        (message["role"], message["interrupted"]) for message in found[0]["messages"]
    ]
    assert {"/api/voice-agent/session-reports"} == {request.path.partition("?")[0] for request in reports.requests}


def test_text(moss_shell: Shell, reports: FakeMoss) -> None:
    """As text: a line for each message, without control characters."""
    status, out, err = moss_shell("transcripts", "support-2")

    assert (0, "", True) == (status, err, out.startswith("support-2  20"))
    assert "  user: Hello\\x1b[2J" in out
    assert "  assistant (interrupted): Hi!\n" in out


def test_nothing_found(moss_shell: Shell, reports: FakeMoss) -> None:
    """A note on standard error, and none beside JSON."""
    text, lines = moss_shell("transcripts", "support-3"), moss_shell("transcripts", "support-3", "--json")

    assert ((0, "", 1), (0, "", "")) == ((text.status, text.out, text.err.count("\n")), tuple(lines)[:3])


def test_no_project(shell: Shell) -> None:
    """All missing variables at once, status 2."""
    done = shell("transcripts")

    assert (2, "", 1) == (done.status, done.out, done.err.count("\n"))
    for name in ("MOSS_PROJECT_ID", "MOSS_PROJECT_KEY", "MOSS_VOICE_AGENT_ID"):
        assert name in done.err
