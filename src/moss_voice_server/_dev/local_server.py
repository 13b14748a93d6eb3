"""Serve one ASGI application on loopback with uvicorn, on a separate thread."""

from __future__ import annotations

import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import uvicorn

if TYPE_CHECKING:
    from typing_extensions import Self

HOST = "127.0.0.1"
DEFAULT_PORT = 7877  # tried first: a browser stores the permission for the microphone by host and port

_GRACE = 1  # seconds for unfinished responses when it stops
_START_TIMEOUT = 10.0  # seconds; uvicorn starts within a few milliseconds
_STOP_TIMEOUT = 5.0


class PortTaken(OSError):
    """The requested port is not available."""


def listen(port: int | None = None) -> socket.socket:
    """A socket that listens on a port of loopback: 0 is any free one, `None` the `DEFAULT_PORT` or, if it is taken, any."""
    if port is None:
        try:
            return listen(DEFAULT_PORT)
        except PortTaken:
            return listen(0)
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would share the port of another program
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen()
    except OSError as error:
        listener.close()
        raise PortTaken(error.errno, f"port {port} is not available: {error.strerror}") from None
    return listener


class LocalServer(uvicorn.Server):
    """Serves `app` on `listener` while the context lasts, and closes the listener.

    Not on the main thread, so that it leaves signals alone.
    """

    def __init__(self, app: Any, listener: socket.socket) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="h11",  # always installed; a faster one would make no difference here
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        self._listener = listener
        self._has_started = threading.Event()
        # Not `Thread.join`: before Python 3.13, after a Ctrl-C in it, it reports a running thread as finished.
        self._has_ended = threading.Event()

    def __enter__(self) -> Self:
        # A daemon: should it hang, the program still exits.
        threading.Thread(target=self._run_to_end, name="serving", daemon=True).start()
        if not self._has_started.wait(_START_TIMEOUT):
            self.__exit__()
            raise OSError(None, f"the web server did not start within {_START_TIMEOUT:g} s")
        return self

    def __exit__(self, *_: object) -> None:
        self.should_exit = True
        self._has_ended.wait(_STOP_TIMEOUT)
        self._listener.close()

    def wait(self, timeout: float) -> bool:
        """Whether it has stopped; waits for that at most `timeout` seconds."""
        return self._has_ended.wait(timeout)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._has_started.set()

    def _run_to_end(self) -> None:
        try:
            self.run([self._listener])
        finally:
            self._has_ended.set()
