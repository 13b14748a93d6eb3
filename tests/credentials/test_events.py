"""Log records for operators: one for each change, the most severe only, and a key only by its fingerprint."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

from moss_voice_server._credentials.fetch import TEXTS, parse
from moss_voice_server._credentials.model import Credentials
from moss_voice_server._credentials.source import Fetched, NotModified
from moss_voice_server._credentials.state import CacheState, Instant, after_failure, after_success, state_at
from moss_voice_server._credentials.wording import (
    DEBUG,
    ERROR,
    INFO,
    WARNING,
    LogEvent,
    Reported,
    log_event,
)
from moss_voice_server._http.model import Failure
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsRejected, CredentialsUnavailable
from tests.support.simulation import good

HOUR = 3600.0
POLICY = RefreshPolicy()
MOST: Callable[[float, float], float] = max
OUTAGE = Failure(CredentialsUnavailable, "connection refused")
REJECTION = Failure(CredentialsRejected, "rejected", is_rejection=True)
EMPTY = CacheState[Credentials]()


class Step(NamedTuple):
    """What happens after so many seconds: credentials of that generation (0: the same, confirmed), a failure, or nothing."""

    after: float
    happens: int | Failure | None = None


def credentials(generation: int) -> Credentials:
    """Credentials of that generation."""
    made = parse(good(generation).body)
    assert isinstance(made, Credentials)
    return made


def story(*steps: Step) -> list[LogEvent]:
    """The records of these steps, reported after each."""
    known = Reported()
    record, moment = EMPTY, Instant(1_800_000_000.0, 5_000.0)
    items = []
    for step in steps:
        moment = Instant(moment.wall + step.after, moment.mono + step.after)
        if isinstance(step.happens, Failure):
            record = after_failure(record, step.happens, POLICY, moment, MOST)
        elif step.happens == 0:
            record = after_success(record, NotModified(None), POLICY, moment, MOST)
        elif step.happens is not None:
            record = after_success(record, Fetched(credentials(step.happens), "", None), POLICY, moment, MOST)
        new = Reported(state_at(record, moment), record.value, record.failure)
        item = log_event(known, new, TEXTS)
        known = new
        if item:
            items.append(item)
    return items


def short(items: list[LogEvent]) -> list[tuple[int, str]]:
    """Level and event of each."""
    return [(item.level, item.event) for item in items]


def test_normal_life_is_quiet() -> None:
    """One INFO for the first credentials; renewals that bring the same, or 304, say nothing above DEBUG."""
    items = story(Step(0, 1), Step(10), Step(HOUR), Step(1, 1), Step(HOUR), Step(1, 0))

    assert [(INFO, "fetched"), *[(DEBUG, "stale"), (DEBUG, "fresh")] * 2] == short(items)


def test_rotation_is_info() -> None:
    """Other credentials: one INFO with both fingerprints."""
    items = story(Step(0, 1), Step(HOUR), Step(1, 2))

    assert (INFO, "rotated") == short(items)[-1]
    for generation in (1, 2):
        assert credentials(generation).signer.fingerprint in items[-1].text


def test_new_secret_under_the_same_key_is_a_rotation() -> None:
    """It is not the key id alone that counts."""
    one, two = credentials(1), credentials(1)
    two.signer = credentials(2).signer
    two.signer.head, two.signer.fingerprint = one.signer.head, one.signer.fingerprint

    item = log_event(Reported("fresh", one), Reported("fresh", two), TEXTS)

    assert item is not None
    assert (INFO, "rotated") == (item.level, item.event)


def test_outage_is_one_warning() -> None:
    """However long it lasts: one WARNING when it begins, one INFO when it ends; the next outage is reported again."""
    items = story(Step(0, 1), Step(HOUR), *[*[Step(600, OUTAGE)] * 9, Step(600, 1)] * 2)

    first = [(INFO, "fetched"), (DEBUG, "stale"), (WARNING, "outage"), (INFO, "recovered")]
    assert [*first, (WARNING, "outage"), (DEBUG, "stale"), (INFO, "recovered")] == short(items)
    assert "still in use" in items[2].text
    assert "connection refused" in items[2].text


def test_outage_at_the_start() -> None:
    """Before the first success the warning says that nothing can be minted."""
    items = story(Step(0, OUTAGE), Step(1, OUTAGE), Step(1, 1))

    assert [(WARNING, "outage"), (INFO, "fetched")] == short(items)
    assert "suspended" in items[0].text


def test_rejection_is_an_error_at_once() -> None:
    """One ERROR for the first rejection, though minting goes on, also after an outage; the second adds nothing."""
    items = story(Step(0, 1), Step(9, OUTAGE), Step(9, REJECTION), Step(9, REJECTION))

    assert [(INFO, "fetched"), (WARNING, "outage"), (ERROR, "refused")] == short(items)
    assert "still in use" in items[2].text


def test_suspension_is_an_error_once() -> None:
    """When minting stops: one ERROR, and one INFO when it resumes."""
    items = story(Step(0, 1), *[Step(300, REJECTION)] * 6, Step(60, 0))

    assert [(INFO, "fetched"), (ERROR, "refused"), (ERROR, "rejected"), (INFO, "recovered")] == short(items)
    assert "suspended" in items[2].text


def test_expiry_in_an_outage_is_an_error_once() -> None:
    """When the credentials become too old: one ERROR."""
    items = story(Step(0, 1), Step(HOUR, OUTAGE), Step(72 * HOUR, OUTAGE), Step(600, OUTAGE), Step(600, 2))

    assert [(INFO, "fetched"), (WARNING, "outage"), (ERROR, "expired"), (INFO, "rotated")] == short(items)


@pytest.mark.parametrize("brings", [0, 1])
def test_end_of_an_error_is_reported(brings: int) -> None:
    """An application without requests for 72 hours logs an ERROR, and so an INFO when it recovers."""
    items = story(Step(0, 1), Step(73 * HOUR), Step(1, brings))

    assert [(INFO, "fetched"), (ERROR, "expired"), (INFO, "recovered")] == short(items)


def test_no_change_is_no_record() -> None:
    """The same state twice."""
    known = Reported("stale", credentials(1), OUTAGE)
    assert log_event(known, known, TEXTS) is None


def test_no_record_shows_a_key() -> None:
    """Key, secret and URL are in no text."""
    steps = [Step(0, OUTAGE), Step(1, 1), Step(HOUR), Step(1, 2), Step(9, OUTAGE), Step(9, REJECTION), Step(73 * HOUR)]
    items = story(*steps, Step(1, 3))

    assert 7 <= len(items)
    assert not any(part in item.text for item in items for part in ("key-", "secret-", "livekit-"))
