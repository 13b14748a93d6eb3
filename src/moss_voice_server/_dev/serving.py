"""Serving: one ASGI application on this machine's loopback, by uvicorn, on a thread of its own."""

from __future__ import annotations

import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

HOST = "127.0.0.1"
FRIENDLY_PORT = 7877
"""Tried first: a browser remembers the permission for the microphone by address and port."""

_GRACE = 1  # seconds that answers under way are given when it stops
_START_TIMEOUT = 10.0  # seconds; uvicorn is there within a few milliseconds
_STOP_TIMEOUT = 5.0


class PortTaken(OSError):
    """The port that was asked for cannot be had."""


def listen(port: int | None = None) -> socket.socket:
    """A socket that listens on `port` of loopback.

    0 is any free port; None is `FRIENDLY_PORT`, or any free port when that one is taken.

    Raises:
        PortTaken: the port that was asked for cannot be had.
    """
    if port is None:
        try:
            return listen(FRIENDLY_PORT)
        except PortTaken:
            return listen(0)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would share a port that another program has
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PortTaken(error.errno, f"port {port} cannot be had: {error.strerror}") from None
    return listener


class Serving:
    """Serves `app` on `listener` for as long as the context lasts; the listener is closed with it."""

    def __init__(self, app: Any, listener: socket.socket) -> None:
        self._listener = listener
        self._server = _Server(
            uvicorn.Config(
                app,
                http="h11",  # what is installed in any case; with a faster one nothing would be felt here
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        # Not `Thread.join`: before Python 3.13 a Ctrl-C in it makes it take a thread that runs for one that has ended.
        self._has_ended = threading.Event()
        # A daemon: should it hang, the program ends all the same.
        self._thread = threading.Thread(target=self._run, name="serving", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._server.is_up.wait(_START_TIMEOUT):
            self.__exit__(None, None, None)
            raise OSError(None, f"the web server did not start within {_START_TIMEOUT:g} s")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._has_ended.wait(_STOP_TIMEOUT)
        self._listener.close()

    def wait(self, timeout: float) -> bool:
        """Whether it has ended by itself; waits for that at most `timeout` seconds."""
        return self._has_ended.wait(timeout)

    def _run(self) -> None:
        try:
            self._server.run([self._listener])
        finally:
            self._has_ended.set()


class _Server(uvicorn.Server):
    """Uvicorn's server, which tells when it is up. Not on the main thread, it leaves the signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.is_up.set()
