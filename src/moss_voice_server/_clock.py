"""Clocks: where a server reads the time; in one place, so that `testing.FrozenClock` can exchange it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple


class Clocks(NamedTuple):
    """The two clocks, both in seconds."""

    wall: Callable[[], float] = time.time
    mono: Callable[[], float] = time.monotonic


current = Clocks()
"""What a server that is made now reads."""
