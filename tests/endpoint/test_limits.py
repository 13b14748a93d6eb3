"""Limits: who asks too often waits, and how long he is told."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from limits.storage import MemoryStorage

from moss_voice_server.errors import InvalidArgument
from moss_voice_server.rate_limit import RateLimiter
from tests.endpoint.frameworks import AllFrameworks
from tests.endpoint.wire import Request, bearer

ADA = Request(bearer("ada"))
TOO_MANY = (429, b'{"error":"rate_limited","message":"Too many requests: try again later."}', "some")


def test_the_ready_limiter(all_frameworks: AllFrameworks) -> None:
    """Three an hour: three tokens, then 429 with a wait; somebody else, and another route, are not touched."""
    assert [201] * 3 == [all_frameworks(ADA, "limited").status for _ in range(3)]
    said = all_frameworks(ADA, "limited")
    assert TOO_MANY == (said.status, said.body, said.headers["retry-after"])
    assert 201 == all_frameworks(ADA, "token").status
    for target in all_frameworks.targets:
        wait = target.ask("limited", ADA).header("retry-after")
        assert wait is not None
        assert 0 < int(wait) <= 3600


def test_guests_are_counted_by_their_address(all_frameworks: AllFrameworks) -> None:
    """A guest is somebody new each time, and is limited all the same, whatever it says of its own address."""
    for target in all_frameworks.targets:
        assert [201] * 3 == [target.ask("limited-guests", Request()).status for _ in range(3)]
    said = all_frameworks(Request(), "limited-guests")
    assert TOO_MANY == (said.status, said.body, said.headers["retry-after"])
    elsewhere = Request({"x-real-ip": "198.51.100.1", "forwarded": "for=198.51.100.1"})
    assert 429 == all_frameworks(elsewhere, "limited-guests").status


def test_sessions_are_counted_by_what_the_app_says(all_frameworks: AllFrameworks) -> None:
    """An identity that is new for each session does not start a new count, where the app names its user."""
    session = Request(bearer("session"))
    assert [201] * 3 + [429] == [all_frameworks.targets[0].ask("limited-sessions", session).status for _ in range(4)]


def test_what_is_refused_counts(all_frameworks: AllFrameworks) -> None:
    """Guessing room names is limited like anything else."""
    guess = Request(bearer("pattern"), json={"room_name": "lobby"})
    assert [403] * 3 + [429] == [all_frameworks.targets[0].ask("limited-guesses", guess).status for _ in range(4)]


def test_a_limiter_of_the_apps_own(all_frameworks: AllFrameworks) -> None:
    """A plain or an async function says how many seconds to wait, which are told as whole ones."""
    assert 201 == all_frameworks(ADA, "limited-plain").status
    for target in all_frameworks.targets:
        answer = target.ask("limited-async", ADA)
        assert (429, "30") == (answer.status, answer.header("retry-after"))


def test_a_limiter_that_fails_lets_nobody_in(all_frameworks: AllFrameworks) -> None:
    """Without an answer from the limiter there is no token, and the log says so."""
    before = {name: len(program.told) for name, program in all_frameworks.programs.items()}
    assert 500 == all_frameworks(ADA, "limited-broken").status
    for name, program in all_frameworks.programs.items():
        assert ["ERROR"] * 2 == [record["level"] for record in program.told[before[name] :]]


# The ready one by itself.


def test_a_session_is_not_limited_by_default() -> None:
    """React's hook asks when the page is shown, at the end, and after each lost connection: ten a minute let it."""
    limit = RateLimiter()
    assert [0.0] * 10 == [limit("ada") for _ in range(10)]
    assert 1 <= limit("ada") <= 60
    assert 0.0 == limit("bob")


def test_two_limiters_count_for_themselves() -> None:
    """In memory each limiter, as each process, has counts of its own."""
    one, other = RateLimiter("1/hour"), RateLimiter("1/hour")
    assert [0.0, 0.0] == [one("ada"), other("ada")]
    assert one("ada") > 0
    assert other("ada") > 0


@pytest.mark.parametrize("identity", ["a/b", "a:b", "é", "🎤" * 64, " "])
def test_every_identity_has_a_count(identity: str) -> None:
    """No identity is mistaken for another, whatever separator the storage uses."""
    limit = RateLimiter("1/hour")
    assert 0.0 == limit(identity)
    assert limit(identity) > 0
    assert [0.0, 0.0] == [limit("a"), limit("b")]


def test_a_rate_that_cannot_be_read() -> None:
    """A mistake in the rate shows at once."""
    with pytest.raises(InvalidArgument) as refused:
        RateLimiter("ten a minute")
    assert "rate" == refused.value.field


def test_a_storage_that_cannot_work() -> None:
    """A storage for event loops, or an unknown one, is refused at once and never counts for nothing."""
    import limits.errors

    with pytest.raises(limits.errors.ConfigurationError):
        RateLimiter(storage="nowhere://")
    with pytest.raises(InvalidArgument) as caught:
        RateLimiter(storage="async+memory://")
    assert "storage" == caught.value.field


class Elsewhere(MemoryStorage):
    """Stands in for Redis: the library finds it by its scheme, and all who name it share its counts."""

    STORAGE_SCHEME: ClassVar[list[str]] = ["elsewhere"]  # type: ignore[misc]  # the library's own is shared as well
    shared: ClassVar[MemoryStorage] = MemoryStorage()

    def incr(self, *arguments: Any, **keywords: Any) -> int:
        """As any storage's."""
        return self.shared.incr(*arguments, **keywords)

    def get(self, key: str) -> int:
        """As any storage's."""
        return self.shared.get(key)

    def get_expiry(self, key: str) -> float:
        """As any storage's."""
        return self.shared.get_expiry(key)


def test_a_shared_storage() -> None:
    """Limiters that name one storage count together; it may be slow, so it is kept off the event loop."""
    one, other = RateLimiter("2/hour", "elsewhere://"), RateLimiter("2/hour", "elsewhere://")
    assert [0.0, 0.0] == [one("ada"), other("ada")]
    assert one("ada") > 0
    assert [False, False, True] == [one.is_nonblocking, other.is_nonblocking, RateLimiter().is_nonblocking]
