"""Faults of time: clocks that stop and jump, lost refreshes, long outages, rotations and rejections, on simulated clocks."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pytest

from moss_voice_server import MossVoiceServerSync
from moss_voice_server._credentials.cache import CredentialsCache
from moss_voice_server._credentials.model import Credentials
from moss_voice_server._credentials.response import parse
from moss_voice_server._secret import Secret
from moss_voice_server.credentials import CredentialsStatus, RefreshPolicy
from moss_voice_server.errors import CredentialsRejected, CredentialsUnavailable
from tests.support.errors import caught
from tests.support.simulation import DOWN, Simulation, Source, answer, cache, fields, good, mint, server, status

HOUR, DAY = 3600.0, 86_400.0


@dataclass
class Case:
    """A server with credentials of generation 1, an hour of soft age, and all that surrounds it."""

    simulation: Simulation
    source: Source
    cache: CredentialsCache[Credentials]
    server: MossVoiceServerSync
    reported: list[CredentialsStatus]

    @property
    def state(self) -> str:
        """The state that is shown."""
        return self.server.status().state


def start(random: float = 1.0, policy: RefreshPolicy | None = None) -> Case:
    """A case whose first fetch has just been made."""
    simulation, reported = Simulation(random), list[CredentialsStatus]()
    source = Source(simulation)
    cached = cache(simulation, source, policy, reported.append)
    case = Case(simulation, source, cached, server(cached), reported)
    case.server.refresh()
    assert 1 == source.count
    return case


# --- clocks that stop and jump ---------------------------------------------------------------------


def test_frozen() -> None:
    """The wall clock went on for two hours, the monotonic one stood still: it serves, and renews once."""
    case = start()
    case.simulation.hold = True
    case.simulation.wall += 2 * HOUR
    case.source.otherwise = good(2)

    assert ["key-1"] * 100 == [mint(case.server) for _ in range(100)]
    assert "stale" == case.state
    assert 1 == len(case.simulation.held)
    case.simulation.run()
    assert "key-2" == mint(case.server)
    assert (2, "fresh") == (case.source.count, case.state)


def test_wall_clock_set_back() -> None:
    """Eleven days back: age goes by the monotonic clock, and the renewal comes when that says so."""
    case = start()
    case.simulation.wall -= 11 * DAY

    case.simulation.mono += HOUR - 1
    assert "key-1" == mint(case.server)
    assert (1, "fresh") == (case.source.count, case.state)
    case.simulation.mono += 1
    assert "key-1" == mint(case.server)
    assert 2 == case.source.count


def test_set_back_does_not_keep_them_alive() -> None:
    """A wall clock that was set back does not stretch the hard age."""
    case = start()
    case.source.otherwise = DOWN
    case.simulation.wall -= 11 * DAY
    case.simulation.mono += 73 * HOUR

    assert isinstance(caught(lambda: mint(case.server)), CredentialsUnavailable)
    assert "expired" == case.state


def test_monotonic_jump() -> None:
    """A jump of the monotonic clock alone: one renewal."""
    case = start()
    case.simulation.mono += 2 * HOUR

    for _ in range(100):
        mint(case.server)
    assert (2, "fresh") == (case.source.count, case.state)


def test_frozen_beyond_the_hard_age() -> None:
    """Thawed after a week: the first mint is refused and starts the renewal that the second one uses."""
    case = start()
    case.simulation.hold = True
    case.simulation.wall += 7 * DAY
    case.source.otherwise = good(2)

    error = caught(lambda: mint(case.server))
    assert isinstance(error, CredentialsUnavailable)
    assert error.retry_after == 1.0
    case.simulation.run()
    assert "key-2" == mint(case.server)


# --- a flight that is lost -------------------------------------------------------------------------


def test_killed() -> None:
    """The thread of a renewal is gone: callers wait 13 seconds for it, and then any of them may fetch."""
    case = start()
    case.simulation.hold = True
    case.simulation.advance(HOUR)
    assert "key-1" == mint(case.server)
    assert 1 == len(case.simulation.held)
    case.simulation.lose()
    case.simulation.hold = False
    case.source.otherwise = good(2)

    case.simulation.advance(12.9)
    assert "key-1" == mint(case.server)
    assert 1 == case.source.count
    case.simulation.advance(0.1)
    case.server.refresh()
    assert "key-2" == mint(case.server)
    assert 2 == case.source.count


@pytest.mark.parametrize("random", [0.0, 1.0])
def test_killed_without_a_later_refresh(random: float) -> None:
    """Minting alone takes it over too: a lost fetch is a failed one, so half a minute after it began at the latest."""
    case = start(random)
    case.simulation.hold = True
    case.simulation.advance(HOUR)
    mint(case.server)
    case.simulation.lose()
    case.simulation.hold = False
    case.source.otherwise = good(2)

    minted = []
    for _ in range(30):
        case.simulation.advance(1)
        minted.append(mint(case.server))
    assert "key-2" == minted[-1] or "key-2" == mint(case.server)
    assert {"key-1", "key-2"} == {*minted, mint(case.server)}
    assert 2 == case.source.count


def test_killed_while_nothing_serves() -> None:
    """At the hard age the next mint after 13 seconds starts another."""
    case = start()
    case.simulation.advance(73 * HOUR)
    case.simulation.hold = True
    assert isinstance(caught(lambda: mint(case.server)), CredentialsUnavailable)
    case.simulation.lose()

    case.simulation.advance(12.9)
    caught(lambda: mint(case.server))
    assert 0 == len(case.simulation.held)
    case.simulation.advance(0.1)
    caught(lambda: mint(case.server))
    assert 1 == len(case.simulation.held)


def test_frozen_thread_comes_back() -> None:
    """A fetch that was given up for lost comes in late: it does not undo the newer one."""
    case = start()
    case.simulation.hold = True
    case.simulation.advance(HOUR)
    mint(case.server)
    case.simulation.advance(13)
    case.simulation.hold = False
    case.source.answers.extend([good(3), good(2)])
    case.server.refresh()
    assert "key-3" == mint(case.server)

    case.simulation.run()
    assert "key-3" == mint(case.server)
    assert (3, "fresh", None) == (case.source.count, case.state, case.server.status().last_error)


def test_late_failure_changes_nothing() -> None:
    """Nor does a late failure."""
    case = start()
    case.simulation.hold = True
    case.simulation.advance(HOUR)
    mint(case.server)
    case.simulation.advance(13)
    case.simulation.hold = False
    case.server.refresh()
    before = case.cache.state
    case.source.otherwise = status(401)

    case.simulation.run()
    assert before == case.cache.state


def test_late_success_where_there_is_nothing() -> None:
    """Who waits for a fetch that was given up hears how things are now, not of a success that counts no more."""
    simulation = Simulation()
    source = Source(simulation)
    cached = cache(simulation, source)
    simulation.hold = True
    cached.refresh_in_background()
    refresh = cached._refresh
    assert refresh is not None
    simulation.advance(13)
    simulation.hold = False
    source.answers.extend([status(401), good()])
    assert isinstance(caught(cached.refresh), CredentialsRejected)
    simulation.run()

    assert "empty" == cached.status().state
    assert cached.state.failure == refresh.done.result()


# --- a long outage ---------------------------------------------------------------------------------


def test_outage_over_a_weekend(caplog: pytest.LogCaptureFixture) -> None:
    """71 hours of outage: it serves, with one WARNING. After 72 it raises. When the source is back, so is it, alone."""
    caplog.set_level(logging.INFO)
    case = start()
    caplog.clear()
    case.source.otherwise = DOWN
    for _ in range(71 * 60):
        case.simulation.advance(60)
        assert "key-1" == mint(case.server)

    assert [logging.WARNING] == [record.levelno for record in caplog.records]
    # Thirty seconds doubling to ten minutes, times one: this source of random numbers gives the largest.
    assert 70 * 6 <= case.source.count <= 71 * 6 + 10

    case.simulation.advance(2 * HOUR)
    error = caught(lambda: mint(case.server))
    assert isinstance(error, CredentialsUnavailable)
    assert error.retry_after is not None
    assert 1.0 <= error.retry_after <= 30.0
    assert "72 hours" in str(error)
    assert [logging.WARNING, logging.ERROR] == [record.levelno for record in caplog.records]
    for _ in range(100):
        caught(lambda: mint(case.server))
    assert [logging.WARNING, logging.ERROR] == [record.levelno for record in caplog.records]

    case.source.otherwise = good(2)
    case.simulation.advance(30)
    assert "key-2" == mint(case.server)
    assert [logging.WARNING, logging.ERROR, logging.INFO] == [record.levelno for record in caplog.records]
    assert ["stale", "expired", "fresh"] == [each.state for each in case.reported if each.state != "fresh"] + [
        case.state
    ]


def test_two_outages_two_warnings(caplog: pytest.LogCaptureFixture) -> None:
    """A source that comes and goes is reported once each time it goes."""
    caplog.set_level(logging.WARNING)
    case = start()
    for _ in range(2):
        case.simulation.advance(HOUR)
        case.source.otherwise = DOWN
        for _ in range(60):
            mint(case.server)
            case.simulation.advance(60)
        case.source.otherwise = good()
        case.simulation.advance(600)
        mint(case.server)
        assert "fresh" == case.state

    assert [logging.WARNING] * 2 == [record.levelno for record in caplog.records]


def test_for_ever() -> None:
    """`expire_after=None` serves through any outage."""
    case = start(policy=RefreshPolicy(expire_after=None))
    case.source.otherwise = DOWN
    case.simulation.advance(365 * DAY)

    assert "key-1" == mint(case.server)
    assert "stale" == case.state


# --- rotation --------------------------------------------------------------------------------------


def test_new_secret_under_the_same_key(caplog: pytest.LogCaptureFixture) -> None:
    """It is picked up at `refresh_after`, and reported by the key's fingerprint alone."""
    caplog.set_level(logging.INFO)
    case = start()
    old = case.server.create_participant_token
    case.source.otherwise = answer(_json({**fields(1), "voice_agent_api_secret": "n" * 40}))
    caplog.clear()
    before = case.cache.peek()
    case.simulation.advance(HOUR)
    mint(case.server)

    after = case.cache.peek()
    assert before.signer.fingerprint == after.signer.fingerprint
    assert not before.signer.signs_like(after.signer)
    assert [("rotated", logging.INFO)] == [(each.__dict__["moss_event"], each.levelno) for each in caplog.records]
    assert after.signer.fingerprint in caplog.text
    assert "key-1" not in caplog.text
    assert old == case.server.create_participant_token


def test_new_address_and_key() -> None:
    """All of it changes in one step: a reader has the old or the new, whole."""
    case = start()
    case.source.otherwise = good(2)
    case.simulation.hold = True
    case.simulation.advance(HOUR)
    seen = []
    for _ in range(2):
        mint(case.server)
        known = case.cache.peek()
        seen.append((known.url, known.agent_name, known.signer.fingerprint))
        if case.simulation.held:
            case.simulation.run()

    expected = []
    for generation in (1, 2):
        made = parse(Secret(_json(fields(generation))))
        assert not isinstance(made, tuple)
        expected.append((f"wss://livekit-{generation}", f"agent-{generation}", made.signer.fingerprint))
    assert expected == seen
    assert ("wss://livekit-2", "agent-2") == (case.server.get_server_url(), case.server.get_agent_name())


def test_invalid_answer_keeps_the_old() -> None:
    """Half of a rotation does not count: what cannot be used does not replace what can."""
    case = start()
    case.source.otherwise = answer(_json({**fields(2), "voice_agent_api_secret": ""}))
    case.simulation.advance(HOUR)

    assert "key-1" == mint(case.server)
    assert "wss://livekit-1" == case.server.get_server_url()
    assert ("stale", "CredentialsInvalid") == (case.state, case.server.status().last_error)


def test_refresh_takes_it_at_once() -> None:
    """`refresh()` does not wait for the soft age."""
    case = start()
    case.source.otherwise = good(2)
    case.server.refresh()

    assert "key-2" == mint(case.server)


def _json(value: dict[str, str]) -> bytes:
    import json

    return json.dumps(value).encode()


# --- refresh() in a tight loop ---------------------------------------------------------------------


@pytest.mark.parametrize(("random", "flights"), [(0.0, 7), (1.0, 6)])
def test_source_down(random: float, flights: int) -> None:
    """A hundred calls a second for a minute: a flight at 0, 1, 3, 7, 15, 31 seconds (or at half of that), no more."""
    case = start(random)
    case.source.otherwise = DOWN
    begun = case.simulation.mono
    errors = []
    while case.simulation.mono < begun + 60:
        errors.append(caught(case.server.refresh))
        case.simulation.advance(0.01)

    assert {CredentialsUnavailable} == {type(each) for each in errors}
    assert flights <= (case.source.count - 1) / 3 <= flights + 1
    assert "fresh" == case.state


def test_refused() -> None:
    """Refused: at most one request a second."""
    case = start(0.0)
    case.source.otherwise = status(403)
    begun = case.simulation.mono
    while case.simulation.mono < begun + 60:
        assert isinstance(caught(case.server.refresh), CredentialsRejected)
        case.simulation.advance(0.01)

    assert case.source.count - 1 <= 60


def test_retry_after_of_the_api() -> None:
    """`Retry-After: 3600` is obeyed by refresh() too, five minutes long."""
    case = start()
    case.source.otherwise = status(429, retry_after="3600")
    for _ in range(299):
        error = caught(case.server.refresh)
        assert isinstance(error, CredentialsUnavailable)
        case.simulation.advance(1)
    assert 2 == case.source.count
    case.simulation.advance(1)
    caught(case.server.refresh)
    assert 3 == case.source.count


def test_memory_does_not_stop_minting() -> None:
    """While refresh() raises what it remembers, fresh credentials mint on without a request."""
    case = start()
    case.source.otherwise = DOWN
    caught(case.server.refresh)
    count = case.source.count
    assert ["key-1"] * 100 == [mint(case.server) for _ in range(100)]
    assert count == case.source.count


def test_background_pause_does_not_hold_up_refresh() -> None:
    """The long pause of the background is not for those who ask: they wait for the short memory only."""
    case = start()
    case.source.answers.append(DOWN)
    case.simulation.advance(HOUR)
    assert "key-1" == mint(case.server)
    case.source.otherwise = good(2)
    case.simulation.advance(1)
    assert "key-1" == mint(case.server)
    case.server.refresh()

    assert "key-2" == mint(case.server)
    assert 3 == case.source.count


def test_retry_after_of_errors_tells_when_to_come_back() -> None:
    """`retry_after` is the rest of the wait, and a call after it makes a request again."""
    case = start()
    case.source.otherwise = DOWN
    caught(case.server.refresh)
    case.simulation.advance(0.25)
    error = caught(case.server.refresh)

    assert isinstance(error, CredentialsUnavailable)
    assert 0.75 == error.retry_after
    count = case.source.count
    case.simulation.advance(0.75)
    caught(case.server.refresh)
    assert case.source.count > count
