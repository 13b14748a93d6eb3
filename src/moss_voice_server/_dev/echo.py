"""Echo agent: a LiveKit agent without any AI or key, which plays back what it hears; needs the extra `agent`."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING

from moss_voice_server._secret import Sealed

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from moss_voice_server._secret import Secret

    from ._worker import Job, Worker

NAME = "echo"
"""The name under which it is sent for."""

EXTRA = 'pip install "moss-voice-server[cli,agent]"'
"""The line that brings what it needs."""

_AGAIN = 2.0  # seconds until it tries to connect again
_STOP_TIMEOUT = 10.0  # seconds; leaving a room takes some milliseconds


class EchoError(RuntimeError):
    """The echo agent cannot be had; the text says why and what to do."""


def is_installed() -> bool:
    """Whether the packages of the extra are there."""
    try:
        return all(find_spec(name) is not None for name in ("livekit.rtc", "livekit.protocol", "websockets"))
    except ModuleNotFoundError:  # `livekit` itself is missing
        return False


class EchoAgent(Sealed):
    """Registers with a LiveKit server under `NAME` and goes into every room that sends for it, while the context lasts.

    It hears people out, up to a pause, and plays back what they said; it writes back what they write, and leaves when
    the last of them has left. Runs on a thread of its own. When the server goes away it registers again later.

    Args:
        url: the LiveKit server, ws, wss, http or https.
        api_key, api_secret: LiveKit credentials.
        timeout: seconds within which it must have registered.

    Raises:
        EchoError: on entering, when a package is missing, or the server did not let it register in time.
    """

    def __init__(self, url: str, api_key: str, api_secret: Secret[str], *, timeout: float = 10.0) -> None:
        self._given = (url, api_key, api_secret)
        self._timeout = timeout
        self._news = threading.Condition()
        self._is_registered = False
        self._failure = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        # A daemon: should LiveKit's library hang, the program ends all the same.
        self._thread = threading.Thread(target=self._run, name="echo-agent", daemon=True)
        self._rooms: set[asyncio.Task[None]] = set()

    @property
    def is_registered(self) -> bool:
        """Whether the server will send for it."""
        return self._is_registered

    def __enter__(self) -> Self:
        if not is_installed():
            raise EchoError(f"the echo agent needs its extra: {EXTRA}")
        self._thread.start()
        with self._news:
            self._news.wait_for(lambda: self._is_registered or self._failure, self._timeout)
        if not self._is_registered:
            self.__exit__(None, None, None)
            raise EchoError(
                f"the echo agent could not register with the LiveKit server ({self._failure or 'no answer in time'})"
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._news:
            self._news.wait_for(lambda: self._main is not None or not self._thread.is_alive(), self._timeout)
        if self._loop is not None and self._main is not None:
            with suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join(_STOP_TIMEOUT)

    def _run(self) -> None:
        # LiveKit's library logs what ends well, too; the page shows what does not.
        log, unheard = logging.getLogger("livekit"), logging.NullHandler()
        log.addHandler(unheard)
        try:
            with suppress(asyncio.CancelledError):
                asyncio.run(self._serve())
        finally:
            log.removeHandler(unheard)

    async def _serve(self) -> None:
        """Stay registered until cancelled; then leave all rooms."""
        from websockets.exceptions import WebSocketException

        self._tell(main=asyncio.current_task())
        worker = self._worker()
        try:
            while True:
                try:
                    await worker.serve()
                    failure = "it closed the connection"
                except (OSError, WebSocketException, asyncio.TimeoutError) as error:
                    failure = _reason(error)
                self._tell(failure=failure)
                await asyncio.sleep(_AGAIN)
        finally:
            for room in self._rooms:
                room.cancel()
            await asyncio.gather(*self._rooms, return_exceptions=True)

    def _worker(self) -> Worker:
        from ._worker import Worker

        return Worker(*self._given, NAME, registered=lambda: self._tell(is_registered=True), take=self._take)

    def _tell(self, *, main: asyncio.Task[None] | None = None, is_registered: bool = False, failure: str = "") -> None:
        with self._news:
            if main is not None:
                self._loop, self._main = main.get_loop(), main
            self._is_registered, self._failure = is_registered, failure
            self._news.notify_all()

    def _take(self, job: Job) -> None:
        from ._echo_room import EchoRoom

        task = asyncio.ensure_future(EchoRoom().attend(job))
        self._rooms.add(task)
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._rooms.discard(task)
        if not task.cancelled():
            task.exception()  # a room that cannot be joined is that room's end, and the page says so


def _reason(error: Exception) -> str:
    """Why it could not connect, without what the server wrote: LiveKit up to 1.13.5 repeats a refused token."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code}"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else type(error).__name__
