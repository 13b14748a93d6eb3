"""Lookups: resolve host names on daemon threads, so that a slow resolver delays neither a loop's end nor the process's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any


class DaemonExecutor(ThreadPoolExecutor):
    """An executor with a daemon thread for each call, which nothing joins. asyncio accepts only this base class."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Calls the function on a thread; on this one if no thread can be started."""
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001  # as every executor does
                future.set_exception(error)
            else:
                future.set_result(result)

        try:
            threading.Thread(target=work, name="moss-voice-server-lookup", daemon=True).start()
        except RuntimeError:
            work()
        return future
