"""Loops: one server outlives event loops and is shared by several at once."""

from __future__ import annotations

from moss_voice_server.testing import FakeMoss, MockResponse
from tests.processes.program import python


def test_loops_one_after_another(moss: FakeMoss) -> None:
    """Three `asyncio.run` with one server make a request each, and no loop is missed."""
    key = moss.credentials["voice_agent_api_key"]
    with python("loops", "one_after_another", environ=moss.environ) as program:
        assert [{"key": key}] * 3 == program.hear_all()
        assert (0, "") == (program.end(), program.errors)
    assert 3 == moss.count


def test_loop_closed_in_mid_fetch(moss: FakeMoss) -> None:
    """A fetch goes on when the loop that asked for it is closed; another loop shares it."""
    key = moss.credentials["voice_agent_api_key"]
    moss.queue(MockResponse(hang=True))
    with python("loops", "closed_in_mid_fetch", environ=moss.environ) as program:
        moss.wait_for(1)
        program.go_on()
        assert {"closed": 1} == program.hear()
        assert {"waiting": 1} == program.hear()

        moss.release()
        assert {"key": key} == program.hear()
        assert (0, "") == (program.end(), program.errors)
    assert 1 == moss.count


def test_loop_closed_for_good_in_mid_fetch(moss: FakeMoss) -> None:
    """A fetch lands when there is no event loop left at all."""
    key = moss.credentials["voice_agent_api_key"]
    moss.queue(MockResponse(hang=True))
    with python("loops", "closed_for_good_in_mid_fetch", environ=moss.environ) as program:
        moss.wait_for(1)
        program.go_on()
        assert {"closed": 1} == program.hear()

        moss.release()
        assert {"key": key} == program.hear()
        assert (0, "") == (program.end(), program.errors)
    assert 1 == moss.count


def test_four_loops_at_once(moss: FakeMoss) -> None:
    """Twenty tasks in four loops share one request."""
    key = moss.credentials["voice_agent_api_key"]
    moss.queue(MockResponse(hang=True))
    with python("loops", "four_at_once", environ=moss.environ) as program:
        moss.wait_for(1)
        assert {"waiting": 20} == program.hear()

        moss.release()
        assert {"keys": [key] * 20} == program.hear()
        assert (0, "") == (program.end(), program.errors)
    assert 1 == moss.count


def test_leader_cancelled(moss: FakeMoss) -> None:
    """Who waits for a fetch gets it even when the task that started it is cancelled."""
    key = moss.credentials["voice_agent_api_key"]
    moss.queue(MockResponse(hang=True))
    with python("loops", "leader_cancelled", environ=moss.environ) as program:
        moss.wait_for(1)
        assert {"cancelled": True} == program.hear()

        moss.release()
        assert {"key": key} == program.hear()
        assert (0, "") == (program.end(), program.errors)
    assert 1 == moss.count


def test_leader_timed_out(moss: FakeMoss) -> None:
    """A caller who gives up waiting leaves nothing behind that hinders the next."""
    key = moss.credentials["voice_agent_api_key"]
    moss.queue(MockResponse(hang=True))
    with python("loops", "leader_timed_out", environ=moss.environ) as program:
        assert [{"timed_out": True}, {"key": key}] == program.hear_all()
        assert (0, "") == (program.end(), program.errors)
    assert moss.count >= 2  # the first refresh may retry while the program still runs


def test_renewal_outlives_its_loop(moss: FakeMoss) -> None:
    """A renewal that a mint has started lands after its event loop is gone."""
    first = moss.credentials["voice_agent_api_key"]
    moss.queue(MockResponse())
    moss.set_default(MockResponse(hang=True))
    with python("loops", "renewal_outlives_its_loop", environ=moss.environ) as program:
        moss.wait_for(1)
        second = moss.rotate()["voice_agent_api_key"]
        program.go_on()
        assert {"closed": first} == program.hear()

        moss.wait_for(2)
        program.go_on()
        moss.release()
        assert {"key": second} == program.hear()
        assert (0, "") == (program.end(), program.errors)
