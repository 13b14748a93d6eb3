"""Limits: a ready rate limiter for the token endpoint, on the `limits` library: memory, Redis, Valkey and others."""

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
    """So many tokens for one identity, or one `Admission.rate_limit_key`, in a time; give it to an endpoint as `rate_limiter=`.

    LiveKit's clients ask up to three times in a session (when the page is shown, at the end, after each lost connection), so
    allow more than that.

    Args:
        rate: such as `"10/minute"` or `"100 per hour"`.
        storage: where the counts are: `"memory://"` counts in each process for itself; `"redis://host:6379"`,
            `"valkey://host:6379"` and others are shared. See the library's documentation.

    Raises:
        ValueError: for a rate that cannot be read.
        InvalidArgument: for an `async+…` storage: this limiter is called on a thread where its storage takes time.
        limits.errors.ConfigurationError: for a storage that is unknown, or whose client is not installed.
    """

    def __init__(self, rate: str = "10/minute", storage: str = "memory://") -> None:
        self._rate = parse(rate)
        counts = storage_from_string(storage)
        if not isinstance(counts, Storage):
            # Its answers would be coroutines, and those are true: everybody would be within the rate.
            raise InvalidArgument("storage must be one that is not for event loops: leave async+ out", field="storage")
        self._limiter = FixedWindowRateLimiter(counts)
        self.is_nonblocking = storage.startswith("memory:")
        """Whether it may be called on an event loop: only where it talks to nobody."""

    def __call__(self, key: str) -> float:
        """Counts a call: the seconds to wait, 0 where it is within the rate."""
        if self._limiter.hit(self._rate, "moss-voice-token", key):
            return 0.0
        reset = self._limiter.get_window_stats(self._rate, "moss-voice-token", key).reset_time
        return max(1.0, reset - time.time())
