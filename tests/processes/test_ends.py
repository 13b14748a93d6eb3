"""Ends: exit, SIGINT, SIGSTOP, and no threads, in the middle of a fetch."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from moss_voice_server.testing import FakeMoss, MockResponse
from tests.processes.program import python, until

classes = pytest.mark.parametrize("server_class", ["sync", "async"])

# Seconds. Far more than an exit takes, and less than the shortest timeout that a broken one would wait for: 5.
SOON = 4.0


@pytest.mark.parametrize(
    ("function", "server_class"), [("end_during_a_renewal", "async"), ("end_during_a_refresh", "sync")]
)
def test_exit_during_a_fetch(function: str, server_class: str, moss: FakeMoss) -> None:
    """A process ends at once and in order though the Moss API hangs."""
    moss.queue(MockResponse(), MockResponse(hang=True))
    with python("ends", function, server_class, environ=moss.environ) as program:
        moss.wait_for(2)
        program.go_on()
        assert {"bye": 1} == program.hear()
        begun = time.monotonic()
        assert (0, "") == (program.end(), program.errors)
        assert time.monotonic() - begun < SOON


@classes
def test_exit_during_a_name_lookup(server_class: str, moss: FakeMoss) -> None:
    """A name lookup that hangs delays neither `refresh()`, whose error names the cause, nor the end of the process."""
    with python("ends", "end_during_a_lookup", server_class, environ=moss.environ) as program:
        error = program.hear()["error"]
        assert {"hanging": True} == program.hear()
        begun = time.monotonic()
        assert (0, "") == (program.end(), program.errors)
        assert time.monotonic() - begun < SOON
    assert "DNS" in error or "timed out" in error, error


@classes
def test_interrupts(server_class: str, moss: FakeMoss) -> None:
    """After Ctrl-C `refresh` waits for the same fetch. In `create` it ends the process at once, and shows no key."""
    moss.queue(MockResponse(hang=True))
    with python("ends", "interrupted_twice", server_class, environ=moss.environ, ends=False) as program:
        assert {"ready": 1} == program.hear()
        moss.wait_for(1)
        program.send_signal(signal.SIGINT)
        assert {"interrupted": 1} == program.hear()
        moss.release()
        assert {"key": moss.credentials["voice_agent_api_key"]} == program.hear()
        moss.queue(MockResponse(hang=True))
        fetched = moss.count  # twice if the first fetch had ended before the second refresh
        program.go_on()
        moss.wait_for(fetched + 1)
        begun = time.monotonic()
        program.send_signal(signal.SIGINT)
        assert -signal.SIGINT == program.end()
        assert time.monotonic() - begun < SOON
        assert program.errors.splitlines()[-1] == "KeyboardInterrupt"
        assert moss.arguments["project_key"] not in program.errors
        assert "Task was destroyed" not in program.errors


@classes
def test_no_thread_can_be_started(server_class: str, moss: FakeMoss) -> None:
    """Where `Thread.start` fails, `create`, a mint's renewal and `refresh` fetch on the caller's thread."""
    moss.etag = True
    with python("ends", "without_threads", server_class, environ=moss.environ) as program:
        assert {"created": None} == program.hear()
        second = moss.rotate()["voice_agent_api_key"]
        program.go_on()
        assert {"keys": [second, second], "error": None} == program.hear()
        assert {"error": None} == program.hear()


def test_fork_waits_for_the_trust_store(moss: FakeMoss) -> None:
    """A fork waits until OpenSSL has read the trust store: the child would inherit its locks, and the open file."""
    with python("ends", "fork_while_a_client_is_made", "sync", environ=moss.environ) as program:
        assert [{"made": 1}, {"child": True}, {"exit": 0}] == program.hear_all()


def test_exit_waits_for_the_trust_store(moss: FakeMoss) -> None:
    """So does the end of the process, in which OpenSSL frees what a thread may be using."""
    with python("ends", "end_while_a_client_is_made", "async", environ=moss.environ) as program:
        assert {"made": 1} == program.hear()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc, which only Linux has")
def test_frozen_during_a_renewal(moss: FakeMoss) -> None:
    """A laptop or a container that is stopped: every mint works before and after, and a later renewal brings the new key."""
    first = moss.credentials["voice_agent_api_key"]
    moss.queue(MockResponse(), MockResponse(hang=True))
    with python("ends", "mint_without_a_pause", "async", environ=moss.environ, ends=False) as program:
        assert {"ready": 1} == program.hear()
        assert {"key": first} == program.hear()
        moss.wait_for(2)
        second = moss.rotate()["voice_agent_api_key"]  # not in the answer that is held
        program.send_signal(signal.SIGSTOP)
        stat = Path(f"/proc/{program.pid}/stat")
        until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T", "the process is stopped")
        moss.release()
        moss.wait_idle()
        time.sleep(1.5)  # beyond the moment when the fetch counts as lost
        program.send_signal(signal.SIGCONT)

        assert {"key": second} == program.hear()
        assert "" == program.errors
