"""Runtime: the clock, random numbers and threads that a cache uses, in one place, so that tests can pass their own."""

from __future__ import annotations

import _thread
import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from .._clock import Clock


def _uniform(low: float, high: float) -> float:
    """A random number from the system: a generator in memory would repeat itself in forked and cloned processes."""
    return low + (high - low) * int.from_bytes(os.urandom(7), "big") / 2**56


def _start_thread(work: Callable[[], None]) -> None:
    # Not `threading.Thread`: its `start` waits without a timeout until the thread runs, and a thread that dies at once, for
    # lack of memory, never does. Like a daemon thread, this one does not delay the end of the process.
    _thread.start_new_thread(work, ())


class Runtime(NamedTuple):
    """What a cache takes from outside."""

    clock: Clock = time
    uniform: Callable[[float, float], float] = _uniform
    """A random number between two."""
    start_thread: Callable[[Callable[[], None]], None] = _start_thread
    """Runs something on another thread; a `RuntimeError` where that is impossible."""


def background_threads_run() -> bool:
    """Whether a thread goes on running after the request that started it.

    Not in functions that are frozen between requests, and not in uWSGI before 2.0.27 without `enable-threads` or `threads`.
    """
    frozen = ("AWS_LAMBDA_FUNCTION_NAME", "K_SERVICE", "FUNCTIONS_WORKER_RUNTIME")
    if any(os.environ.get(name) for name in frozen):
        return False
    # uWSGI computes this from its options and version: from 2.0.27 on threads always run.
    return bool(getattr(sys.modules.get("uwsgi"), "has_threads", True))
