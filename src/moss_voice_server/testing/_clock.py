"""Frozen clock: time that moves only when the test moves it, for the times of tokens and the age of credentials."""

from __future__ import annotations

import time
from types import SimpleNamespace

from .. import _clock as _clocks


class FrozenClock:
    """Time for the servers that are created inside the `with`: their clocks stand still until `advance`.

    Args:
        at: seconds since 1970; the present by default.

    ::

        with FakeMoss() as moss, FrozenClock() as clock:
            server = MossVoiceServerSync.create(**moss.arguments)
            clock.advance(3600)  # now a refresh is due
            assert server.status().state == "stale"
    """

    def __init__(self, at: float | None = None) -> None:
        self.time = time.time() if at is None else float(at)
        """The wall clock, in seconds since 1970."""
        self.monotonic = 1_000_000.0
        """The monotonic clock, in seconds."""

    def advance(self, seconds: float) -> None:
        """Move both clocks forward."""
        self.time += seconds
        self.monotonic += seconds

    def __enter__(self) -> FrozenClock:
        self._before = _clocks.current
        _clocks.current = SimpleNamespace(time=lambda: self.time, monotonic=lambda: self.monotonic)
        return self

    def __exit__(self, *_exc: object) -> None:
        _clocks.current = self._before
