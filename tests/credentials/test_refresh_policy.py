"""RefreshPolicy and CredentialsStatus: the defaults, what is refused, and that they are values."""

from __future__ import annotations

import copy
import dataclasses
import math
import pickle
from datetime import timedelta
from typing import Any

import pytest

from moss_voice_server.credentials import CredentialsStatus, RefreshPolicy, seconds
from tests.support.errors import refused

DEFAULTS = {
    "refresh_after": 3600,
    "expire_after": 72 * 3600,
    "attempt_timeout": 5,
    "attempts": 3,
    "total_timeout": 8,
    "max_rejections": 3,
    "rejection_window": 600,
    "max_retry_after": 300,
}
COUNTS = ("attempts", "max_rejections")
NO_TIMES: list[Any] = [
    0,
    -1,
    timedelta(0),
    timedelta(-1),
    math.nan,
    math.inf,
    -math.inf,
    True,
    "60",
    None,
    [60],
    10**400,
]
NO_COUNTS: list[Any] = [0, -1, 1.5, True, "3", None]


def test_defaults() -> None:
    """The defaults are those in the documentation."""
    assert DEFAULTS == {name: seconds(value) for name, value in dataclasses.asdict(RefreshPolicy()).items()}


@pytest.mark.parametrize("name", DEFAULTS)
def test_values(name: str) -> None:
    """A time is a `timedelta` or seconds, and a count an integer of at least 1; an error has the name of the argument."""
    good: Any
    for good in (1,) if name in COUNTS else (60, 60.0, timedelta(minutes=1)):
        assert good == getattr(RefreshPolicy(**{"refresh_after": 30, name: good}), name)
    for value in NO_COUNTS if name in COUNTS else NO_TIMES:
        if (name, value) == ("expire_after", None) or (name == "rejection_window" and value in (0, timedelta(0))):
            assert value == getattr(RefreshPolicy(**{name: value}), name)
        else:
            assert name == refused(RefreshPolicy, **{name: value})[0]


@pytest.mark.parametrize("name", ["attempt_timeout", "total_timeout"])
def test_timeouts_are_at_most_a_day(name: str) -> None:
    """A timeout that the system's clocks cannot count is refused here, and not by an OverflowError in `create`."""
    assert 86_400 == getattr(RefreshPolicy(**{name: 86_400}), name)
    for value in (86_400.1, timedelta.max):
        assert name == refused(RefreshPolicy, **{name: value})[0]


def test_refresh_after_beyond_expire_after_is_refused() -> None:
    """Credentials must not expire before their refresh; equal times, and no expiry, are allowed."""
    assert "refresh_after" == refused(RefreshPolicy, refresh_after=61, expire_after=60)[0]
    assert 60 == RefreshPolicy(refresh_after=60, expire_after=60).refresh_after
    assert timedelta.max == RefreshPolicy(refresh_after=timedelta.max, expire_after=None).refresh_after


def test_they_are_values() -> None:
    """Both are frozen, compare and hash by content, and can be copied and pickled: nothing in them is secret."""
    for value in (RefreshPolicy(attempts=1), CredentialsStatus("stale", 1.0, None, 0.0, "0123456789ab")):
        assert [value] * 3 == [copy.deepcopy(value), pickle.loads(pickle.dumps(value)), dataclasses.replace(value)]
        assert hash(value) == hash(copy.copy(value))
        with pytest.raises(dataclasses.FrozenInstanceError):
            value.attempts = 2  # type: ignore[misc,union-attr]  # that is what is tested
