"""Drivers: run a flow to its result; one for threads, one for event loops, one for async transports on a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from .._clock import elapsed
from .client import AsyncTransport, SyncTransport, send, send_async, uses_async_client
from .environment import setup_error
from .faults import strip_traceback
from .flow import Flow, Steps
from .model import Answer, Attempt, TransportError
from .threads import DaemonExecutor, asyncio_is_running, native_pool, run_in_thread, run_on_native_thread

Result = TypeVar("Result")


def run(steps: Steps[Result], transport: SyncTransport | None = None) -> Result:
    """Runs a flow, or several with pauses, on this thread."""
    return _drive(steps, lambda attempt: send(attempt, transport))


def _drive(steps: Steps[Result], answer: Callable[[Attempt], Answer]) -> Result:
    try:
        step = next(steps)
        while True:
            time.sleep(step.delay)
            step = steps.send(answer(step) if isinstance(step, Attempt) else None)
    except StopIteration as finished:
        result: Result = finished.value
        return result


async def run_async(steps: Steps[Result], transport: AsyncTransport | None = None) -> Result:
    """Runs a flow, or several with pauses, on the running event loop, asyncio's or trio's."""
    try:
        step = next(steps)
        while True:
            await _pause(step.delay)
            step = steps.send(await send_async(step, transport) if isinstance(step, Attempt) else None)
    except StopIteration as finished:
        result: Result = finished.value
        return result


async def _pause(seconds: float) -> None:
    """Waits on a thread: where a test freezes the time, a pause on the event loop never ends."""
    if seconds > 0:
        await run_in_thread(lambda: time.sleep(seconds))


class _Loop(asyncio.SelectorEventLoop):
    """Its clock goes on where a test freezes the time."""

    def time(self) -> float:
        """Seconds of real time."""
        return elapsed()


def run_on_own_loop(flow: Flow[Result], transport: AsyncTransport | None = None) -> Result:
    """Runs a flow on this thread, with an async transport on an event loop that only this call uses."""
    if not uses_async_client(transport):
        return run(flow)
    if asyncio_is_running() and native_pool() is not None:
        return run_on_native_thread(lambda: run_on_own_loop(flow, transport))
    if asyncio_is_running():  # no thread could be started, and a coroutine waits for this call
        problem = TransportError("no thread can be started, and an async transport needs one")
        return _drive(flow, lambda _: problem)
    # Not the loop of the application's policy: uvloop resolves names on threads that delay the end of the process.
    try:
        loop = _Loop()
    except OSError as error:
        reason = error
        return _drive(flow, lambda attempt: setup_error(reason, attempt.request, own_transport=True))
    try:
        try:
            loop.set_default_executor(DaemonExecutor())
            return loop.run_until_complete(run_async(flow, transport))
        finally:
            _close(loop)
    except Exception:
        raise
    except BaseException as interruption:  # noqa: BLE001  # raised again: asyncio lets it pass by `send_async`
        raise strip_traceback(interruption) from None


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """Closes the loop, after ending the tasks that an interruption left on it."""
    try:
        for task in asyncio.all_tasks(loop):
            task.cancel()
            with suppress(BaseException):  # the same interruption again, which is being raised already
                loop.run_until_complete(task)
            if task.done() and not task.cancelled():
                task.exception()  # otherwise asyncio logs that it was never retrieved
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
