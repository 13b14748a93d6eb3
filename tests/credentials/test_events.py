"""Log records for operators: one for each change, the most severe only, and a key only by its fingerprint."""

from __future__ import annotations

import pytest

from moss_voice_server._credentials.fetch import TEXTS
from moss_voice_server._credentials.source import Fetched, NotModified
from moss_voice_server._credentials.state import state_at
from moss_voice_server._credentials.wording import LogEvent, Reported, log_event
from moss_voice_server.errors import CredentialsUnavailable
from tests.support.errors import caught
from tests.support.simulation import DOWN, Simulation, Source, cache
from tests.support.states import FETCHED, HOUR, ONE, OUTAGE, REJECTION, TWO, Step, at, credentials, failing, life

LEVELS = {
    **dict.fromkeys(("stale", "fresh"), 10),
    **dict.fromkeys(("fetched", "rotated", "recovered"), 20),
    "outage": 30,
    **dict.fromkeys(("rejection", "rejected", "expired"), 40),
}
IN_USE, SUSPENDED = "are still in use", "token creation is suspended"
AGAIN = Fetched(credentials(1))
# What happens, the events, and what the last but one of their texts says.
STORIES: dict[str, tuple[list[Step], str, str]] = {
    "a normal life": (
        [FETCHED, (10, None), (HOUR, None), (HOUR + 1, AGAIN), (3 * HOUR, None), (3 * HOUR, NotModified())],
        "fetched stale fresh stale fresh",
        "are stale",
    ),
    "a rotation": ([FETCHED, (HOUR, None), (HOUR, Fetched(TWO))], "fetched stale rotated", "are stale"),
    "outages": (
        [FETCHED, *failing(OUTAGE, *range(0, 3000, 600)), (3000, AGAIN), *failing(OUTAGE, 3600, 9000), (9000, AGAIN)],
        "fetched outage recovered outage stale recovered",
        "are stale",
    ),
    "an outage with credentials": ([FETCHED, (9, OUTAGE), (10, AGAIN)], "fetched outage recovered", IN_USE),
    "an outage without": ([*failing(OUTAGE, 0, 1), (2, FETCHED[1])], "outage fetched", SUSPENDED),
    "a rejection after an outage": (
        [FETCHED, (9, OUTAGE), *failing(REJECTION, 10, 20), (30, AGAIN)],
        "fetched outage rejection recovered",
        IN_USE,
    ),
    "rejections": (
        [FETCHED, *failing(REJECTION, *range(0, 1800, 300)), (1800, NotModified())],
        "fetched rejection rejected recovered",
        SUSPENDED,
    ),
    "an outage for days": (
        [FETCHED, *failing(OUTAGE, HOUR, 73 * HOUR, 74 * HOUR), (75 * HOUR, Fetched(TWO))],
        "fetched outage expired rotated",
        SUSPENDED,
    ),
    # An application without requests for 72 hours logs an ERROR, and so an INFO when it recovers.
    "a quiet weekend": ([FETCHED, (73 * HOUR, None), (73 * HOUR, AGAIN)], "fetched expired recovered", SUSPENDED),
}


def records(steps: list[Step]) -> list[LogEvent]:
    """The records of these steps, reported after each."""
    known, found = Reported(), []
    for number, (moment, _) in enumerate(steps, 1):
        state = life(*steps[:number])
        new = Reported(state_at(state, at(moment)), state.value, state.failure)
        found.append(log_event(known, new, TEXTS))
        known = new
    return [each for each in found if each]


@pytest.mark.parametrize(("steps", "events", "text"), STORIES.values(), ids=STORIES)
def test_story(steps: list[Step], events: str, text: str) -> None:
    """One record for each change, however long it lasts, with its level; no record shows key, secret or URL."""
    found = records(steps)

    assert events.split() == [each.event for each in found]
    assert [LEVELS[each.event] for each in found] == [each.level for each in found]
    assert text in found[-2].text
    assert not any(part in each.text for each in found for part in ("key-", "secret-", "livekit-"))
    for each in found:
        if each.event == "rotated":
            assert f"{ONE.fingerprint} to {TWO.fingerprint}" in each.text
        if each.event in ("outage", "rejection"):
            assert (OUTAGE if each.event == "outage" else REJECTION).message in each.text


def test_new_secret_under_the_same_key_is_a_rotation() -> None:
    """It is not the key id alone that counts."""
    new = credentials(1)
    new.signer = credentials(2).signer
    new.signer.head, new.signer.fingerprint = ONE.signer.head, ONE.signer.fingerprint

    event = log_event(Reported("fresh", ONE), Reported("fresh", new), TEXTS)
    assert event
    assert "rotated" == event.event


def test_no_change_is_no_record() -> None:
    """The same state twice."""
    known = Reported("stale", ONE, OUTAGE)
    assert log_event(known, known, TEXTS) is None


def test_failure_is_raised_or_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Not both: who waits for a refresh, also for one that runs in the background already, gets an exception."""
    simulation = Simulation()
    source = Source(simulation)
    source.otherwise = DOWN
    cached = cache(simulation, source)
    assert isinstance(caught(cached.refresh), CredentialsUnavailable)
    simulation.advance(60)
    simulation.hold = True
    cached.refresh_in_background()
    assert cached._start_or_join(background=False)
    simulation.run()
    assert [] == caplog.records

    simulation.advance(60)
    cached.refresh_in_background()
    simulation.run()
    assert ["outage"] == [record.__dict__["moss_event"] for record in caplog.records]
