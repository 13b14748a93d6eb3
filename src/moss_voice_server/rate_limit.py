"""Rate limit: a rate limiter for the token endpoint, on the `limits` library: in memory, Redis, Valkey and others."""

from __future__ import annotations

import time

from .errors import InvalidArgument

try:
    from limits import parse
    from limits.storage import Storage, storage_from_string
    from limits.strategies import FixedWindowRateLimiter
except ImportError:
    raise ImportError('limits is not installed: pip install "moss-voice-server[limits]"') from None

__all__ = ["RateLimiter"]


class RateLimiter:
    """Limits the tokens for one identity, or one `Admission.rate_limit_key`; pass it to an endpoint as `rate_limiter=`.

    LiveKit's clients request up to three tokens in a session: when the page loads, at the end, and after each lost
    connection. Allow more than that.

    Args:
        rate: such as `"10/minute"` or `"100 per hour"`.
        storage: where the counts are: `"memory://"` counts in each process separately; `"redis://host:6379"`,
            `"valkey://host:6379"` and others are shared. See the library's documentation.

    Raises:
        InvalidArgument: `rate` cannot be parsed, or `storage` is an `async+…` one: this limiter runs on a thread where its
            storage may block.
        limits.errors.ConfigurationError: `storage` is unknown, or its client is not installed.
    """

    def __init__(self, rate: str = "10/minute", storage: str = "memory://") -> None:
        try:
            self._rate = parse(rate)
        except ValueError:
            raise InvalidArgument(
                "rate cannot be parsed", field="rate", remedy="write one such as '10/minute'"
            ) from None
        counts = storage_from_string(storage)
        if not isinstance(counts, Storage):
            # Its results would be coroutines, which are true: every request would be within the rate.
            raise InvalidArgument("storage is asynchronous", field="storage", remedy="remove the prefix async+")
        self._limiter = FixedWindowRateLimiter(counts)
        self.is_nonblocking = storage.startswith("memory:")
        """Whether it may be called on an event loop: only with a storage in memory; see `endpoint.RateLimit`."""

    def __call__(self, key: str) -> float:
        """Counts a request: the seconds to wait, 0 if it is within the rate."""
        if self._limiter.hit(self._rate, "moss-voice-token", key):
            return 0.0
        reset = self._limiter.get_window_stats(self._rate, "moss-voice-token", key).reset_time
        return max(1.0, reset - time.time())
