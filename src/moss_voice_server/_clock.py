"""Clock: where the package reads the time, so that one place decides which clock a server uses."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Two clocks, both in seconds. The `time` module is one."""

    def time(self) -> float:
        """Seconds since 1970."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; it never goes back."""
        ...


current: Clock = time
"""The clock of every server that is created from now on.

It is the module and not its functions: `time.time` is looked up at each call, so tools that replace it in tests
(freezegun, time-machine) also replace it here.
"""


# A tuple, because freezegun replaces functions that it finds as attributes of modules.
_MONOTONIC = (time.monotonic,)


def elapsed() -> float:
    """A monotonic clock for deadlines on real sockets and threads. Tools that freeze the time do not stop it."""
    if hasattr(time, "clock_gettime"):
        return time.clock_gettime(time.CLOCK_MONOTONIC)  # time-machine replaces `time.monotonic` itself
    return _MONOTONIC[0]()
