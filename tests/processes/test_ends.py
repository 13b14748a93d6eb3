"""Ends: exit, SIGINT, and no threads, in the middle of a fetch."""

from __future__ import annotations

import signal
import time

import pytest

from moss_voice_server.testing import FakeMoss, MockResponse
from tests.processes.program import Program, python

faces = pytest.mark.parametrize("server_class", ["sync", "async"])

# Seconds. Far more than an exit takes, and far less than what is waited for when it is broken: 5 at least.
SOON = 4.0


@faces
@pytest.mark.parametrize("function", ["end_during_a_renewal", "end_during_a_refresh"])
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


@faces
def test_exit_during_a_name_look_up(server_class: str, moss: FakeMoss) -> None:
    """A name look-up that hangs holds up neither `refresh()`, which says what may be wrong, nor the process's end."""
    with python("ends", "end_during_a_look_up", server_class, environ=moss.environ) as program:
        error = program.hear()["error"]
        assert {"hanging": True} == program.hear()
        begun = time.monotonic()
        assert (0, "") == (program.end(), program.errors)
        assert time.monotonic() - begun < SOON
    assert "DNS" in error or "timed out" in error, error


@faces
def test_interrupt_during_create(server_class: str, moss: FakeMoss) -> None:
    """Ctrl-C ends `create` and the process at once, by KeyboardInterrupt; the traceback does not show the key."""
    moss.queue(MockResponse(hang=True))
    with python("ends", "interrupted", server_class, environ=moss.environ) as program:
        moss.wait_for(1)
        begun = time.monotonic()
        program.send_signal(signal.SIGINT)
        assert -signal.SIGINT == program.end()
        assert time.monotonic() - begun < SOON
        assert program.errors.splitlines()[-1] == "KeyboardInterrupt"
        assert moss.arguments["project_key"] not in program.errors
        assert "Task was destroyed" not in program.errors


@faces
def test_refresh_after_an_interrupt(server_class: str, moss: FakeMoss) -> None:
    """An application that survives Ctrl-C waits for the same fetch when it asks again."""
    key = moss.credentials["voice_agent_api_key"]
    moss.queue(MockResponse(hang=True))
    with python("ends", "interrupted_and_going_on", server_class, environ=moss.environ) as program:
        assert {"ready": 1} == program.hear()
        moss.wait_for(1)
        program.send_signal(signal.SIGINT)
        assert {"interrupted": 1} == program.hear()
        moss.release()
        assert {"key": key} == program.hear()
        assert (0, "") == (program.end(), program.errors)


@faces
@pytest.mark.parametrize("where", ["address", "name"])
def test_no_thread_can_be_started(where: str, server_class: str, moss: FakeMoss) -> None:
    """Where `Thread.start` fails, `create`, a mint's renewal and `refresh` do their fetch in line, also by a host's name."""
    moss.etag = True
    with python("ends", "without_threads", server_class, where, environ=moss.environ) as program:
        assert {"created": None} == program.hear()
        second = moss.rotate()["voice_agent_api_key"]
        program.go_on()
        assert {"keys": [second, second], "error": None} == program.hear()
        assert {"error": None} == program.hear()
        assert (0, "") == (program.end(), program.errors)


FROZEN = ["AWS_LAMBDA_FUNCTION_NAME", "K_SERVICE", "FUNCTIONS_WORKER_RUNTIME"]


@faces
@pytest.mark.parametrize("variable", FROZEN)
def test_renewal_in_line_where_threads_freeze(variable: str, server_class: str, moss: FakeMoss) -> None:
    """In a function that is frozen between requests the mint itself brings the new credentials."""
    environ = {**moss.environ, variable: "voice-token"}
    with python("ends", "where_threads_freeze", server_class, environ=environ) as program:
        moss.wait_for(1)
        for _ in range(3):
            key = moss.rotate()["voice_agent_api_key"]
            assert (key, None) == _minted(program)[:2]
    assert 4 == moss.count


def test_renewal_in_line_is_bounded(moss: FakeMoss) -> None:
    """While the Moss API hangs, one mint in a backoff window waits, 2.5 s at most; the others do not ask at all."""
    key = moss.credentials["voice_agent_api_key"]
    environ = {**moss.environ, "AWS_LAMBDA_FUNCTION_NAME": "voice-token"}
    moss.queue(MockResponse())
    moss.set_default(MockResponse(hang=True))
    with python("ends", "where_threads_freeze", "sync", environ=environ) as program:
        first = _minted(program)
        assert (key, True) == (first[0], 1.0 < first[2] < 2.5 + 1.5)
        later = [_minted(program) for _ in range(20)]
    assert [key] * 20 == [minted[0] for minted in later]
    assert sum(minted[2] for minted in later) < 1.0
    assert 2 == moss.count


def _minted(program: Program) -> tuple[str, str | None, float]:
    program.go_on()
    reported = program.hear()
    return reported["key"], reported["error"], reported["seconds"]


@faces
def test_fork_waits_for_the_trust_store(server_class: str, moss: FakeMoss) -> None:
    """A fork waits until OpenSSL has read the trust store: the child would inherit its locks, and the open file."""
    with python("ends", "fork_while_a_client_is_made", server_class, environ=moss.environ) as program:
        assert {"made": 1} == program.hear()
        assert {"child": True} == program.hear()
        assert {"exit": 0} == program.hear()
        assert (0, "") == (program.end(), program.errors)


@faces
def test_exit_waits_for_the_trust_store(server_class: str, moss: FakeMoss) -> None:
    """So does the end of the process, in which OpenSSL clears up what a thread may be using."""
    with python("ends", "end_while_a_client_is_made", server_class, environ=moss.environ) as program:
        assert {"made": 1} == program.hear()
        assert (0, "") == (program.end(), program.errors)
