"""Deadlines: bound a whole attempt by our own clock, and note how far it came.

The HTTP client's timeouts apply to one read each, so a server that sends one byte a second would never reach them. Both
classes are trace extensions of the HTTP client, which calls them before and after each step of a connection.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from .._clock import elapsed

_WRITE_SIZE = 16 * 1024  # bytes


class Progress:
    """The step that an attempt reached."""

    def __init__(self) -> None:
        self.phase = ""
        """`connect`, `handshake` or `exchange`; empty before the first step, or with a transport that tells none."""
        self.target: tuple[str, int] | None = None
        """Host and port to which a connection was attempted: those of the server or of a proxy."""

    def note(self, event: str, info: dict[str, Any]) -> None:
        """One event of the trace, such as `connection.connect_tcp.started`."""
        if event.endswith("connect_tcp.started"):
            self.phase, self.target = "connect", (str(info["host"]), int(info["port"]))
        elif event.endswith("start_tls.started"):
            self.phase = "handshake"
        elif event.endswith(".started"):
            self.phase = "exchange"


class Deadline(Progress):
    """For the sync client: shortens the timeout of every connect, handshake, read and write to what is left."""

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self._deadline = deadline

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        self.note(event, info)
        if event.endswith(("connect_tcp.started", "start_tls.started")):
            info["timeout"] = min(info["timeout"], self._left())
        elif event.endswith(("connect_tcp.complete", "start_tls.complete")) and info.get("return_value") is not None:
            stream = info["return_value"]
            stream.read = self._bounded_read(stream.read)
            stream.write = self._bounded_write(stream.write)

    def _left(self) -> float:
        return max(0.001, self._deadline - elapsed())

    def _check(self) -> None:
        if elapsed() > self._deadline:  # bytes that have arrived already are read without waiting
            raise TimeoutError

    def _bounded_read(self, read: Callable[[int, float | None], bytes]) -> Callable[[int, float | None], bytes]:
        def bounded(max_bytes: int, timeout: float | None = None) -> bytes:
            self._check()
            return read(max_bytes, self._left())

        return bounded

    def _bounded_write(self, write: Callable[[bytes, float | None], None]) -> Callable[[bytes, float | None], None]:
        def bounded(buffer: bytes, timeout: float | None = None) -> None:
            # The client repeats its timeout for each part that the system accepts.
            for start in range(0, len(buffer), _WRITE_SIZE):
                self._check()
                write(buffer[start : start + _WRITE_SIZE], self._left())

        return bounded


class OpenedStreams(Progress):
    """For the async client: closes the connections that it leaves open when a TLS handshake is cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self._streams: list[Any] = []

    async def __call__(self, event: str, info: dict[str, Any]) -> None:
        self.note(event, info)
        if event.endswith("connect_tcp.complete") and info.get("return_value") is not None:
            self._streams.append(info["return_value"])

    async def aclose(self) -> None:
        """Closes them all."""
        for stream in self._streams:
            with suppress(Exception):
                await stream.aclose()
