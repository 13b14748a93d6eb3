"""Dispatch: which workers a real server has, as the doctor finds out by sending for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server._doctor import Check
from moss_voice_server._doctor.check import Stopwatch
from moss_voice_server._doctor.dispatch import Outcome, verdict
from moss_voice_server.testing import FakeMoss, LiveKitServer
from tests.doctor.agents import agent
from tests.doctor.bench import Named, assert_named, examined, livekit_environ, moss_secrets, plan
from tests.livekit.server_api import signed

NAMED, UNNAMED = "dispatch.named", "dispatch.unnamed"


@pytest.fixture
def servers(livekit_binary: Path) -> Iterator[ExitStack]:
    """Servers of a test's own: workers must be there before the first room."""
    with ExitStack() as stack:
        yield stack


def started(stack: ExitStack, binary: Path, *workers: str, joins: bool = True) -> LiveKitServer:
    """A server with workers of these names."""
    server = stack.enter_context(LiveKitServer(binary))
    for name in workers:
        stack.enter_context(agent(server, name, joins=joins))
    return server


def asked_by_moss(server: LiveKitServer, **changes: Any) -> dict[str, Check]:
    """All checks, with a Moss that names the agent `clerk`."""
    with FakeMoss(url=server.url, api_key=server.api_key, api_secret=server.api_secret, agent_name="clerk") as moss:
        asked = plan(moss.environ, agents=True, agent_timeout=4.0, **changes)
        return examined(asked, *moss_secrets(moss))


def rooms(server: LiveKitServer) -> Any:
    """The rooms that the server has."""
    from tests.livekit.server_api import _request

    token = signed(server, {"video": {"roomList": True}})
    status, text = _request(server, "POST", "/twirp/livekit.RoomService/ListRooms", token, "{}")
    assert 200 == status
    return json.loads(text)["rooms"]


@pytest.mark.livekit
def test_both_kinds_come(servers: ExitStack, livekit_binary: Path) -> None:
    """Workers with the name and without: both come, each to its room, and every room is gone afterwards."""
    server = started(servers, livekit_binary, "clerk", "")
    checks = asked_by_moss(server)

    assert ("ok", "ok") == (checks[NAMED].status, checks[UNNAMED].status)
    assert [] == rooms(server)


@pytest.mark.livekit
def test_worker_without_a_name_is_told_from_one_with(servers: ExitStack, livekit_binary: Path) -> None:
    """The documented Moss worker registers without a name: naming it would keep it out."""
    checks = asked_by_moss(started(servers, livekit_binary, ""))

    assert_named(
        checks, Named(NAMED, "warn", "no worker is registered as clerk, it seems; one without", "leave agent_name out")
    )
    assert "ok" == checks[UNNAMED].status


@pytest.mark.livekit
def test_worker_with_a_name_is_told_from_one_without(servers: ExitStack, livekit_binary: Path) -> None:
    """A worker that registers with its name comes only when it is named."""
    checks = asked_by_moss(started(servers, livekit_binary, "clerk"))

    assert "ok" == checks[NAMED].status
    assert_named(checks, Named(UNNAMED, "warn", "registered by its name only", r"agent_name=server.get_agent_name\(\)"))


@pytest.mark.livekit
def test_worker_of_another_name_does_not_come(servers: ExitStack, livekit_binary: Path) -> None:
    """A name that differs in one letter is another agent: neither kind comes, and both are told."""
    server = started(servers, livekit_binary, "Clerk")
    checks = asked_by_moss(server)

    assert_named(checks, Named(NAMED, "fail", "no worker is registered as clerk", "agent_name=clerk, letter by letter"))
    assert_named(checks, Named(UNNAMED, "fail", "without a name", "start the worker"), alone=False)
    assert [] == rooms(server)


@pytest.mark.livekit
def test_worker_that_does_not_join_does_not_count(servers: ExitStack, livekit_binary: Path) -> None:
    """A worker that takes its jobs and never joins has not come; its log is pointed to."""
    server = started(servers, livekit_binary, "clerk", "", joins=False)
    checks = asked_by_moss(server)

    assert_named(checks, Named(NAMED, "fail", "no agent came within 4 s", "its log says .* why it did not join"))


@pytest.mark.livekit
def test_named_by_the_user(servers: ExitStack, livekit_binary: Path) -> None:
    """`--agent` says who must come; the worker without a name is no substitute, and not missed either."""
    server = started(servers, livekit_binary, "boss")
    environ = livekit_environ(server.url, server.api_key, server.api_secret)
    checks = examined(plan(environ, agents=True, agent_timeout=20.0, agent_name="boss"))

    assert ("ok", "skip") == (checks[NAMED].status, checks[UNNAMED].status)
    assert checks[UNNAMED].ms < checks[NAMED].ms + 5000  # nobody waits for it once the other has come


@pytest.mark.livekit
def test_name_that_livekit_does_not_take(livekit_server: LiveKitServer) -> None:
    """A name in Moss that no token can hold is named itself."""
    server = livekit_server
    with FakeMoss(url=server.url, api_key=server.api_key, api_secret=server.api_secret, agent_name="a" * 300) as moss:
        checks = examined(plan(moss.environ, agents=True, agent_timeout=1.0), *moss_secrets(moss))

    assert_named(checks, Named(NAMED, "fail", "300 bytes long", "shorten it"))


CAME, NONE = Outcome("agent-1", 0.4), Outcome(None, 15.0)
BAD = Outcome(trouble=("/rtc: HTTP 500: LiveKit cannot open a session", "look at its log"))
VERDICTS: dict[str, tuple[str, bool, Outcome | None, Outcome, str, str]] = {
    "both": ("clerk", False, CAME, CAME, "ok", "ok"),
    "only with its name": ("clerk", False, CAME, NONE, "ok", "warn"),
    "only with its name, as said": ("clerk", True, CAME, NONE, "ok", "skip"),
    "only without a name": ("clerk", False, NONE, CAME, "warn", "ok"),
    "only without a name, against what was said": ("clerk", True, NONE, CAME, "fail", "ok"),
    "nobody": ("clerk", False, NONE, NONE, "fail", "fail"),
    "nobody, against what was said": ("clerk", True, NONE, NONE, "fail", "skip"),
    "no name, and somebody": ("", False, None, CAME, "skip", "ok"),
    "no name, and nobody": ("", False, None, NONE, "skip", "fail"),
    "no room": ("clerk", False, BAD, BAD, "fail", "fail"),
}


@pytest.mark.parametrize(
    ("name", "explicit", "named", "unnamed", "one", "other"), VERDICTS.values(), ids=VERDICTS.keys()
)
def test_verdict(name: str, explicit: bool, named: Outcome | None, unnamed: Outcome, one: str, other: str) -> None:
    """What two outcomes mean, with a remedy wherever something is wrong."""
    checks = verdict(name, explicit, named, unnamed, Stopwatch())

    assert (one, other) == (checks[0].status, checks[1].status)
    assert all(check.remedy for check in checks if check.status in ("warn", "fail"))
