"""Limits: the ready rate limiter and custom ones, in every framework and alone."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from limits.storage import MemoryStorage

from moss_voice_server.rate_limit import RateLimiter
from tests.endpoint.frameworks import AllFrameworks
from tests.support.errors import refused
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


def test_unusable_rate_and_storage() -> None:
    """A mistake shows at once: a rate that cannot be read, an unknown storage, or one for event loops."""
    import limits.errors

    for name, value in (("rate", "ten a minute"), ("storage", "async+memory://")):
        assert name == refused(RateLimiter, **{name: value})[0]
    with pytest.raises(limits.errors.ConfigurationError):
        RateLimiter(storage="nowhere://")


class SharedStorage(MemoryStorage):
    """Stands in for Redis: the library finds it by its scheme, and there is only one."""

    STORAGE_SCHEME: ClassVar[list[str]] = ["shared"]  # type: ignore[misc]  # the library's own is shared as well
    only: ClassVar[Any] = None

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        """The one and only."""
        cls.only = cls.only or super().__new__(cls)
        return cls.only


def test_shared_storage() -> None:
    """Limiters that name one storage count together; it may be slow, so it is called off the event loop."""
    one, other = RateLimiter("2/hour", "shared://"), RateLimiter("2/hour", "shared://")
    assert [0.0, 0.0] == [one("ada"), other("ada")]
    assert one("ada") > 0
    assert [False, False, True] == [one.is_nonblocking, other.is_nonblocking, RateLimiter().is_nonblocking]
