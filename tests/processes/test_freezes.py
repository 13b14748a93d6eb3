"""Freezes: a process that is stopped in mid-fetch recovers when it goes on, however long that was."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from moss_voice_server.testing import FakeMoss, MockResponse
from tests.processes.program import Program, python, until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc, which only Linux has")

FROZEN = 1.5  # seconds, beyond the moment when a fetch counts as lost


@pytest.mark.parametrize("server_class", ["sync", "async"])
def test_frozen_during_the_first_fetch(server_class: str, moss: FakeMoss) -> None:
    """`refresh` succeeds, or fails in bounded time and then succeeds."""
    key = moss.credentials["voice_agent_api_key"]
    moss.queue(MockResponse(hang=True))
    with python("freezes", "refresh_until_it_works", server_class, environ=moss.environ) as program:
        assert {"ready": 1} == program.hear()
        moss.wait_for(1)
        _freeze(program, moss)

        assert {"key": key} == program.hear()


def test_frozen_during_a_renewal(moss: FakeMoss) -> None:
    """Every mint works before and after, and a later renewal brings the new key."""
    first = moss.credentials["voice_agent_api_key"]
    moss.queue(MockResponse(), MockResponse(hang=True))
    with python("freezes", "mint_without_a_pause", "async", environ=moss.environ, ends=False) as program:
        assert {"ready": 1} == program.hear()
        assert {"key": first} == program.hear()
        moss.wait_for(2)
        second = moss.rotate()["voice_agent_api_key"]  # not in the answer that is held
        _freeze(program, moss)

        assert {"key": second} == program.hear()
        assert "" == program.errors


def _freeze(program: Program, moss: FakeMoss) -> None:
    """Stop the process; the answer comes meanwhile; go on after a while."""
    program.send_signal(signal.SIGSTOP)
    until(lambda: _state(program) == "T", "the process is stopped")
    moss.release()
    moss.wait_idle()
    time.sleep(FROZEN)  # how long it is frozen is what the test is about
    program.send_signal(signal.SIGCONT)


def _state(program: Program) -> str:
    return Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()[0]
