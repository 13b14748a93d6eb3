"""Forks: keep a fork, and the end of the process, from happening while an HTTP client is made.

Making a client takes OpenSSL a few hundredths of a second, in which it reads the trust store. A child that is forked
meanwhile waits forever for locks that were held; its exit moves the file position from which the parent reads on, because
both share it. A process that exits meanwhile crashes. So both wait, within bounds.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_MAX_WAIT = 5.0  # seconds for a fork, or for the next client: much more than it takes, even on a very busy machine
_MAX_EXIT_WAIT = 1.0  # seconds for an exit
_fork_lock = threading.Lock()
_forking = threading.local()
_exiting_thread: int | None = None
"""The thread that runs the exit handlers, once the process ends."""


@contextmanager
def fork_guard() -> Iterator[None]:
    """No fork happens inside this block."""
    if is_exiting():  # the application's own exit handler waits for this client
        yield
        return
    lock = _fork_lock
    acquired = lock.acquire(timeout=_MAX_WAIT)
    try:
        yield
    finally:
        if acquired:
            lock.release()


def _before_fork() -> None:
    _forking.acquired = _fork_lock.acquire(timeout=_MAX_WAIT)


def _after_fork_in_parent() -> None:
    if _forking.acquired:
        _fork_lock.release()


def _after_fork_in_child() -> None:
    global _fork_lock  # noqa: PLW0603  # a thread of the parent may hold the old one, and no thread was copied
    _fork_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


def is_exiting() -> bool:
    """Whether this thread runs the exit handlers of the process: only here is a client still made."""
    return _exiting_thread == threading.get_ident()


def _before_exit() -> None:
    global _exiting_thread  # noqa: PLW0603  # set once
    _fork_lock.acquire(timeout=_MAX_EXIT_WAIT)  # never released: no other thread makes a client from then on
    _exiting_thread = threading.get_ident()


atexit.register(_before_exit)
