"""Forks: children of a process that forks at any moment create tokens and refresh; the parent is not affected."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from moss_voice_server.testing import FakeLiveKit, FakeMoss, MockResponse
from tests.processes.program import python

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

classes = pytest.mark.parametrize("server_class", ["sync", "async"])
# Python's own fork, and that of the C library, which runs no hooks of Python; each with one of the classes.
ways = pytest.mark.parametrize(("server_class", "how"), [("sync", "libc"), ("async", "python")])


@ways
def test_fork_with_the_first_fetch_in_flight(server_class: str, how: str, moss: FakeMoss) -> None:
    """A child that is forked before there are credentials can fetch its own, and the parent gets those it waits for."""
    first = moss.credentials["voice_agent_api_key"]
    moss.queue(MockResponse(hang=True))
    with python("forks", "with_the_first_fetch_in_flight", server_class, how, environ=moss.environ) as program:
        moss.wait_for(1)
        second = moss.rotate()["voice_agent_api_key"]
        program.go_on()

        assert {"child": second} == program.hear()
        assert {"exit": 0} == program.hear()
        assert {"parent": "child is done"} == program.hear()

        moss.release()
        assert {"parent": first} == program.hear()
    assert 2 == moss.count


@ways
def test_fork_with_the_lock_held(server_class: str, how: str, moss: FakeMoss) -> None:
    """A child, and its child, does not wait for a lock whose holder stayed behind; the parent's own lock is not touched."""
    keys = [moss.credentials["voice_agent_api_key"]] * 2
    with python("forks", "with_the_lock_held", server_class, how, environ=moss.environ) as program:
        assert [{"child": keys}, {"exit": 0}] * 2 + [{"parent": keys}] == program.hear_all()


@pytest.mark.once
def test_forks_under_busy_threads(moss: FakeMoss) -> None:
    """Each child mints and ends in order, wherever five busy threads were when it was forked."""
    key = moss.credentials["voice_agent_api_key"]
    with python("forks", "many_times_under_busy_threads", "sync", "12", environ=moss.environ) as program:
        assert {"created": 1} == program.hear()
        moss.set_default(503)
        program.go_on()
        _all_did(12, key, program.hear_all())


@ways
@pytest.mark.once
def test_forks_under_waiting_threads(server_class: str, how: str, moss: FakeMoss) -> None:
    """The same while five threads wait for a fetch: no child repeats or awaits it, and every fifth fetches for itself.

    Past Python's hooks too. CPython itself does not survive such a fork while another thread wants to run, so all wait.
    """
    key = moss.credentials["voice_agent_api_key"]
    moss.queue(MockResponse(), MockResponse(hang=True))
    with python("forks", "many_times_under_waiting_threads", server_class, how, "10", environ=moss.environ) as program:
        moss.wait_for(2)
        program.go_on()
        _all_did(10, key, program.hear_all())
    assert 2 + 10 // 5 == moss.count


def _all_did(forks: int, key: str, reported: list[dict[str, object]]) -> None:
    assert [{"child": key}] * forks == [line for line in reported if "child" in line]
    assert [{"exit": 0}] * forks == [line for line in reported if "exit" in line]


@ways
def test_fork_from_inside_a_thread(server_class: str, how: str, moss: FakeMoss) -> None:
    """The child of a thread mints and refreshes, and so does the parent afterwards."""
    keys = [moss.credentials["voice_agent_api_key"]] * 2
    with python("forks", "from_inside_a_thread", server_class, how, environ=moss.environ) as program:
        assert [{"child": keys}, {"exit": 0}, {"parent": keys}] == program.hear_all()


@classes
def test_threads_of_a_child_share_one_fetch(server_class: str, moss: FakeMoss) -> None:
    """Eight threads that notice a fork at the same moment make one request and all get its credentials."""
    key = moss.credentials["voice_agent_api_key"]
    moss.queue(MockResponse())
    moss.set_default(MockResponse(hang=True))
    with python("forks", "threads_at_once_after_a_fork", server_class, "libc", environ=moss.environ) as program:
        for number in range(3):
            assert {"child": "waits"} == program.hear()
            moss.wait_for(2 + number)
            assert 2 + number == moss.count
            moss.release()
            assert {"child": [key] * 8} == program.hear()
            assert {"exit": 0} == program.hear()


@ways
def test_calls_to_livekit(server_class: str, how: str) -> None:
    """Children call as their parent did before; each gets the new keys after a rotation, and so does the parent."""
    with FakeLiveKit() as livekit:
        livekit.add_room("room-1")
        with (
            FakeMoss(url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret) as moss,
            python("forks", "with_calls_to_livekit", server_class, how, environ=moss.environ) as program,
        ):
            assert {"parent": ["room-1"]} == program.hear()
            livekit.rotate()
            moss.rotate(livekit.api_key, livekit.api_secret)
            program.go_on()

            assert [{"child": ["room-1"]}, {"exit": 0}] * 2 + [{"parent": ["room-1"]}] == program.hear_all()
        assert 1 + 2 + 1 == moss.count


@classes
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for a thread in /proc, which only Linux has")
def test_fork_while_a_fetchs_thread_is_leaving(server_class: str, moss: FakeMoss) -> None:
    """A fork waits for a thread that is just ending: the locks that it holds then would be held in the child forever."""
    with python("forks", "while_a_fetchs_thread_is_leaving", server_class, environ=moss.environ) as program:
        assert {"created": 1} == program.hear()
        key = moss.rotate()["voice_agent_api_key"]
        program.go_on()
        assert [{"child": key}, {"exit": 0}, {"lingered": False, "refresher": True}] == program.hear_all()


@classes
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads in /proc, which only Linux has")
def test_a_fetch_leaves_no_thread_behind(server_class: str, moss: FakeMoss) -> None:
    """When `create` and `refresh` return, the thread that fetched is gone from the system, not just on its way out.

    A server program forks right after it has loaded the application. A thread that is just ending holds a lock of
    OpenSSL's for a moment, and maybe the interpreter's; a child forked in that moment would wait for it forever.
    """
    with python("forks", "threads_after_fetches", server_class, environ=moss.environ) as program:
        assert {"counts": [1] * 20} == program.hear()
