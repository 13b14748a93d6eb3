"""Faults of time, from end to end on simulated clocks: a long outage, a rotation, a refresh that is given up.

The rules over both clocks are in `credentials/test_state.py`, every order of events in `credentials/test_state_machine.py`.
"""

from __future__ import annotations

import logging

import pytest

from moss_voice_server.credentials import CredentialsStatus
from moss_voice_server.errors import CredentialsRejected, CredentialsUnavailable
from tests.support.errors import caught
from tests.support.simulation import DOWN, Simulation, Source, cache, good, mint, server, status

HOUR = 3600.0


def test_outage_over_a_weekend(caplog: pytest.LogCaptureFixture) -> None:
    """71 hours of outage: one WARNING. After 72 hours mints raise, with one ERROR. A recovery needs mints and time only."""
    caplog.set_level(logging.INFO)
    simulation, reported = Simulation(random=1.0), list[CredentialsStatus]()
    source = Source(simulation)
    made = server(cache(simulation, source, on_change=reported.append))
    made.refresh()
    caplog.clear()
    source.otherwise = DOWN
    for _ in range(71 * 60):
        simulation.advance(60)
        assert "key-1" == mint(made)

    # The backoff of the background: thirty seconds, doubling to ten minutes.
    assert 70 * 6 <= source.count <= 71 * 6 + 10
    simulation.advance(2 * HOUR)
    errors = [caught(lambda: mint(made)) for _ in range(100)]
    assert {CredentialsUnavailable} == {type(error) for error in errors}
    assert 1.0 <= (getattr(errors[0], "retry_after", None) or 0.0) <= 30.0
    assert "72 hours" in str(errors[0])

    source.otherwise = good(2)
    simulation.advance(30)
    assert "key-2" == mint(made)
    assert [logging.WARNING, logging.ERROR, logging.INFO] == [record.levelno for record in caplog.records]
    assert ["fresh", "stale", "expired", "fresh"] == [each.state for each in reported]


def test_late_success_of_a_refresh_that_was_given_up() -> None:
    """Its callers get the result that counts, not a success that was dropped."""
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
