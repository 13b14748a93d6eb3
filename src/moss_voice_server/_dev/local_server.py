"""Serve one ASGI application on loopback with uvicorn, on a separate thread."""

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
DEFAULT_PORT = 7877
"""Tried first: a browser stores the permission for the microphone by host and port."""

_GRACE = 1  # seconds for unfinished responses when it stops
_START_TIMEOUT = 10.0  # seconds; uvicorn starts within a few milliseconds
_STOP_TIMEOUT = 5.0


class PortTaken(OSError):
    """The requested port is not available."""


def listen(port: int | None = None) -> socket.socket:
    """A socket that listens on `port` of loopback.

    0 is any free port; `None` is `DEFAULT_PORT`, or any free port when that one is taken.

    Raises:
        PortTaken: the requested port is not available.
    """
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


class LocalServer:
    """Serves `app` on `listener` while the context lasts, and closes the listener."""

    def __init__(self, app: Any, listener: socket.socket) -> None:
        self._listener = listener
        self._server = _Server(
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
        # Not `Thread.join`: before Python 3.13, after a Ctrl-C in it, it reports a running thread as finished.
        self._has_ended = threading.Event()
        # A daemon: should it hang, the program still exits.
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
        """Whether it has stopped; waits for that at most `timeout` seconds."""
        return self._has_ended.wait(timeout)

    def _run(self) -> None:
        try:
            self._server.run([self._listener])
        finally:
            self._has_ended.set()


class _Server(uvicorn.Server):
    """Uvicorn's server with an event for its start. On another thread than the main one it leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.is_up.set()
