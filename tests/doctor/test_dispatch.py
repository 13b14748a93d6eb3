"""The doctor's dispatch checks, with workers at a real LiveKit server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server._doctor import Check
from moss_voice_server._doctor.check import fail
from moss_voice_server._doctor.dispatch import Outcome, verdict
from moss_voice_server.testing import LiveKitServer
from tests.doctor.helpers import assert_found, examined, fails, livekit_environ, moss_of, moss_secrets, options
from tests.doctor.workers import agent
from tests.livekit.server_api import rooms

pytestmark = pytest.mark.once

NAMED, UNNAMED = "dispatch.named", "dispatch.unnamed"


@contextmanager
def started(binary: Path, *workers: str) -> Iterator[LiveKitServer]:
    """A server of a test's own with workers of these names, which must be there before the first room."""
    with LiveKitServer(binary) as server, ExitStack() as stack:
        for name in workers:
            stack.enter_context(agent(server, name))
        yield server


def checks_with_moss(
    server: LiveKitServer, timeout: float = 10.0, *, moss_name: str = "clerk", **changes: Any
) -> dict[str, Check]:
    """All checks, with a Moss whose voice agent has this name; `timeout` is how long an absent agent is waited for."""
    with moss_of(server, moss_name) as moss:
        asked = options(moss.environ, agents=True, agent_timeout=timeout, **changes)
        return examined(asked, *moss_secrets(moss))


@pytest.mark.livekit
def test_both_kinds(livekit_binary: Path) -> None:
    """A named and an unnamed worker: the named one joins, no check fails, and every room is deleted."""
    with started(livekit_binary, "clerk", "") as server:
        checks = checks_with_moss(server)

        assert "ok" == checks[NAMED].status
        # The unnamed one may be too late: nothing waits for it once the named one is there.
        assert [] == [check for check in checks.values() if check.status == "fail"]
        assert [] == rooms(server)


@pytest.mark.livekit
def test_unnamed_worker(livekit_binary: Path) -> None:
    """An unnamed worker never joins by default; with --unnamed-agent it is what is expected."""
    with started(livekit_binary, "") as server:
        checks, expected = checks_with_moss(server, 6.0), checks_with_moss(server, agent_name="")

    assert_found(checks, fails(NAMED, r"agent_name=clerk.*agents=\(\)"))
    assert "ok" == checks[UNNAMED].status
    assert ("skip", "ok") == (expected[NAMED].status, expected[UNNAMED].status)


@pytest.mark.livekit
def test_absent_worker(livekit_binary: Path) -> None:
    """Names are case-sensitive. A worker that takes its job but never joins counts as absent."""
    with started(livekit_binary, "Clerk") as server:
        assert_found(checks_with_moss(server, 1.0), fails(NAMED, "exactly agent_name=clerk"))
        assert [] == rooms(server)
        with agent(server, "clerk", joins=False):
            assert_found(checks_with_moss(server, 2.0), fails(NAMED, "within 2 s.*log"))


@pytest.mark.livekit
def test_agent_option(livekit_binary: Path) -> None:
    """`--agent` names the agent that must join, without Moss."""
    with started(livekit_binary, "boss") as server:
        environ = livekit_environ(server.url, server.api_key, server.api_secret)
        checks = examined(options(environ, agents=True, agent_timeout=20.0, agent_name="boss"))

    assert ("ok", "skip") == (checks[NAMED].status, checks[UNNAMED].status)


@pytest.mark.livekit
def test_invalid_name(livekit_server: LiveKitServer) -> None:
    """A name in Moss that no token can contain."""
    assert_found(checks_with_moss(livekit_server, 1.0, moss_name="a" * 300), fails(NAMED, "300 bytes.*256"))


JOINED, ABSENT = Outcome("agent-1", 0.4), Outcome(None, 15.0)
BROKEN = Outcome(trouble=fail("/rtc: HTTP 500: LiveKit cannot open a session", "check its log"))
VERDICTS: dict[str, tuple[str, bool, Outcome | None, Outcome, str, str]] = {
    "both": ("clerk", False, JOINED, JOINED, "ok", "ok"),
    "named only": ("clerk", False, JOINED, ABSENT, "ok", "skip"),
    "unnamed only": ("clerk", False, ABSENT, JOINED, "fail", "ok"),
    "none": ("clerk", False, ABSENT, ABSENT, "fail", "skip"),
    "unnamed, as expected": ("", True, None, JOINED, "skip", "ok"),
    "unnamed expected, none": ("", True, None, ABSENT, "skip", "fail"),
    "no name, one joined": ("", False, None, JOINED, "skip", "ok"),
    "no name, none": ("", False, None, ABSENT, "skip", "fail"),
    "no room": ("clerk", False, BROKEN, BROKEN, "fail", "fail"),
}


def test_verdict() -> None:
    """What two outcomes mean, with a remedy for every failure."""
    for name, expects_unnamed, named, unnamed, named_status, unnamed_status in VERDICTS.values():
        checks = verdict(name, expects_unnamed, named, unnamed)

        assert (named_status, unnamed_status) == (checks[0].status, checks[1].status)
        assert all(check.remedy for check in checks if check.status == "fail")
