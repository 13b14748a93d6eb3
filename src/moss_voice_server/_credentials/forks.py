"""Forks: keeps every cache of the process usable in the children of `os.fork`."""

from __future__ import annotations

import os
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .. import _clock
from .refresh import THREAD_EXIT_TIMEOUT

if TYPE_CHECKING:
    from .refresher import Refresher

registered: weakref.WeakSet[Refresher[Any]] = weakref.WeakSet()
"""The caches of this process."""


def _before_fork() -> None:
    deadline = _clock.elapsed() + THREAD_EXIT_TIMEOUT
    with suppress(RuntimeError):  # another thread has just added a cache to the set
        for cache in list(registered):
            cache.before_fork(deadline)


def _after_fork_in_child() -> None:
    for cache in list(registered):
        cache.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
