"""Limits: the ready rate limiter and custom ones, in every framework and alone."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from limits.storage import MemoryStorage

from moss_voice_server.errors import InvalidArgument
from moss_voice_server.rate_limit import RateLimiter
from tests.endpoint.frameworks import AllFrameworks
from tests.support.wire import Request, bearer

ADA = Request(bearer("ada"))
TOO_MANY = (429, b'{"error":"rate_limited","message":"Too many requests: try again later."}', "some")


def test_ready_limiter(all_frameworks: AllFrameworks) -> None:
    """Three an hour: three tokens, then 429 with the wait; another route is not affected."""
    assert [201] * 3 == [all_frameworks(ADA, "limited").status for _ in range(3)]
    said = all_frameworks(ADA, "limited")
    assert TOO_MANY == (said.status, said.body, said.headers["retry-after"])
    assert 201 == all_frameworks(ADA, "token").status
    for target in all_frameworks.targets:
        assert 0 < int(str(target.ask("limited", ADA).header("retry-after"))) <= 3600


def test_guests_are_limited_by_their_ip_address(all_frameworks: AllFrameworks) -> None:
    """A guest has a new identity each time, and is limited all the same, whatever its headers say."""
    for target in all_frameworks.targets:
        assert [201] * 3 == [target.ask("limited-guests", Request()).status for _ in range(3)]
    for headers in ({}, {"x-real-ip": "198.51.100.1", "forwarded": "for=198.51.100.1"}):
        said = all_frameworks(Request(headers), "limited-guests")
        assert TOO_MANY == (said.status, said.body, said.headers["retry-after"])


COUNTED = {
    # An identity that is new for each session does not start a new count, where the app sets `rate_limit_key`.
    "limited-sessions": (Request(bearer("session")), [201] * 3 + [429]),
    # Guessing room names counts as well.
    "limited-guesses": (Request(bearer("pattern"), json={"room_name": "lobby"}), [403] * 3 + [429]),
}


@pytest.mark.parametrize("route", COUNTED)
def test_what_counts(all_frameworks: AllFrameworks, route: str) -> None:
    """Requests are counted by `rate_limit_key`, whatever becomes of them."""
    request, statuses = COUNTED[route]
    assert statuses == [all_frameworks.targets[0].ask(route, request).status for _ in statuses]


@pytest.mark.parametrize("route", ["limited-plain", "limited-async"])
def test_custom_limiter(all_frameworks: AllFrameworks, route: str) -> None:
    """A plain or an async function returns how many seconds to wait."""
    for target in all_frameworks.targets:
        answer = target.ask(route, ADA)
        assert (429, "30") == (answer.status, answer.header("retry-after"))


# The ready one, without a framework.


def test_default_limit() -> None:
    """React's hook sends a request at the start, at the end, and after each lost connection: ten a minute allow that."""
    limit = RateLimiter()
    assert [0.0] * 10 == [limit("ada") for _ in range(10)]
    assert 1 <= limit("ada") <= 60
    assert 0.0 == limit("bob")


@pytest.mark.parametrize("identity", ["a/b", "a:b", "é", "🎤" * 64, " "])
def test_every_identity_has_a_count(identity: str) -> None:
    """No identity is mistaken for another, whatever separator the storage uses; two limiters in memory count apart."""
    limit = RateLimiter("1/hour")
    assert 0.0 == limit(identity)
    assert limit(identity) > 0
    assert [0.0, 0.0] == [limit("a"), limit("b")]
    assert 0.0 == RateLimiter("1/hour")(identity)


def test_unusable_rate_and_storage() -> None:
    """A mistake shows at once: a rate that cannot be read, an unknown storage, or one for event loops."""
    import limits.errors

    for field, arguments in (("rate", {"rate": "ten a minute"}), ("storage", {"storage": "async+memory://"})):
        with pytest.raises(InvalidArgument) as caught:
            RateLimiter(**arguments)
        assert field == caught.value.field
    with pytest.raises(limits.errors.ConfigurationError):
        RateLimiter(storage="nowhere://")


class SharedStorage(MemoryStorage):
    """Stands in for Redis: the library finds it by its scheme, and all instances share their counts."""

    STORAGE_SCHEME: ClassVar[list[str]] = ["shared"]  # type: ignore[misc]  # the library's own is shared as well
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


def test_shared_storage() -> None:
    """Limiters that name one storage count together; it may be slow, so it is called off the event loop."""
    one, other = RateLimiter("2/hour", "shared://"), RateLimiter("2/hour", "shared://")
    assert [0.0, 0.0] == [one("ada"), other("ada")]
    assert one("ada") > 0
    assert [False, False, True] == [one.is_nonblocking, other.is_nonblocking, RateLimiter().is_nonblocking]
