"""Deadlines: bound a whole attempt by our own clock.

The HTTP client's timeouts apply to one read each, so a server that sends one byte a second would never reach them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any


class Deadline:
    """Trace extension of the sync client: shortens the timeout of every connect, handshake and read to what is left."""

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith(("connect_tcp.started", "start_tls.started")):
            info["timeout"] = min(info["timeout"], self._left())
        elif event.endswith(("connect_tcp.complete", "start_tls.complete")) and info.get("return_value") is not None:
            stream = info["return_value"]
            stream.read = self._bounded(stream.read)

    def _left(self) -> float:
        return max(0.001, self._deadline - time.monotonic())

    def _bounded(self, read: Callable[[int, float | None], bytes]) -> Callable[[int, float | None], bytes]:
        def bounded(max_bytes: int, timeout: float | None = None) -> bytes:
            if time.monotonic() > self._deadline:  # bytes that have arrived already are read without waiting
                raise TimeoutError
            return read(max_bytes, self._left())

        return bounded


class OpenedStreams:
    """Trace extension of the async client: closes the connections that it leaves open when a TLS handshake is cancelled."""

    def __init__(self) -> None:
        self._streams: list[Any] = []

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith("connect_tcp.complete") and info.get("return_value") is not None:
            self._streams.append(info["return_value"])

    async def aclose(self) -> None:
        """Closes them all."""
        for stream in self._streams:
            with suppress(Exception):
                await stream.aclose()
