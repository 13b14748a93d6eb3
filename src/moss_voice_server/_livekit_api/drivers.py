"""Drivers: run an operation to its result, on a thread or on an event loop."""

from __future__ import annotations

import time
from typing import TypeVar

import anyio

from .._http.client import send, send_async
from .call import Pause, Steps

Result = TypeVar("Result")


def run(steps: Steps[Result]) -> Result:
    """Runs an operation on this thread."""
    try:
        step = next(steps)
        while True:
            if isinstance(step, Pause):
                time.sleep(step.seconds)
                step = steps.send(None)
            else:
                time.sleep(step.delay)
                step = steps.send(send(step))
    except StopIteration as finished:
        result: Result = finished.value
        return result


async def run_async(steps: Steps[Result]) -> Result:
    """Runs an operation on the running event loop, asyncio's or trio's."""
    try:
        step = next(steps)
        while True:
            if isinstance(step, Pause):
                await anyio.sleep(step.seconds)
                step = steps.send(None)
            else:
                await anyio.sleep(step.delay)
                step = steps.send(await send_async(step))
    except StopIteration as finished:
        result: Result = finished.value
        return result
