"""The echo agent: a LiveKit agent without a model or a key, which repeats what it hears; needs the extra `agent`."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from moss_voice_server._secret import Sealed
from moss_voice_server._token.signing import Signer

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from typing_extensions import Self

    from moss_voice_server._secret import Secret

    from .worker import Job

EXTRA = 'pip install "moss-voice-server[cli,agent]"'  # the command that installs what it needs

_RETRY_DELAY = 2.0  # seconds until it connects again
_STOP_TIMEOUT = 10.0  # seconds; leaving a room takes some milliseconds


class EchoError(RuntimeError):
    """The echo agent could not start; the text gives the cause and the remedy."""


def is_installed() -> bool:
    try:
        return all(find_spec(name) is not None for name in ("livekit.rtc", "livekit.protocol", "websockets"))
    except ModuleNotFoundError:  # `livekit` itself is missing
        return False


class Tasks:
    """Tasks that may fail unnoticed: what a room needs is gone when it closes, and the page shows what matters."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._on_done)
        return task

    async def cancel(self) -> None:
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()


class EchoAgent(Sealed):
    """Registers one worker per name with a LiveKit server and joins each room that LiveKit dispatches them to.

    It waits for a pause and repeats what was said, answers a chat message with the same text, and leaves after the
    last person. It runs on its own thread, while the context lasts, and registers again after a broken connection.

    Args:
        names: agent names to register under; "" is an unnamed worker, for automatic dispatch.
        load: from 0 to 1; LiveKit prefers other workers of the same name with a lower load.
        timeout: seconds within which all workers must have registered, else entering fails with `EchoError`.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        api_secret: Secret[str],
        names: Sequence[str],
        *,
        load: float = 0.0,
        timeout: float = 10.0,
    ) -> None:
        self._url = ("ws" + url[4:] if url.startswith("http") else url).rstrip("/")
        self._signer = Signer(api_key, api_secret)
        self._names = names
        self._load = load
        self._timeout = timeout
        self._changed = threading.Condition()
        self._registered: set[str] = set()
        self._failure = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._main: asyncio.Task[None] | None = None
        # A daemon: should LiveKit's library hang, the program still exits.
        self._thread = threading.Thread(target=self._run, name="echo-agent", daemon=True)
        self._rooms = Tasks()
        self._jobs: dict[str, asyncio.Task[None]] = {}

    @property
    def is_registered(self) -> bool:
        """Whether LiveKit can dispatch it under all its names."""
        return self._registered == set(self._names)

    def __enter__(self) -> Self:
        if not is_installed():
            raise EchoError(f"the echo agent needs its extra: {EXTRA}")
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self.is_registered or self._failure, self._timeout)
        if not self.is_registered:
            self.__exit__()
            raise EchoError(
                f"the echo agent could not register with the LiveKit server ({self._failure or 'no answer in time'})"
            )
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._main is not None or not self._thread.is_alive(), self._timeout)
        if self._loop is not None and self._main is not None:
            with suppress(RuntimeError):  # the loop is closed already
                self._loop.call_soon_threadsafe(self._main.cancel)
        self._thread.join(_STOP_TIMEOUT)

    def _run(self) -> None:
        # LiveKit's library logs what succeeds, too; the page shows what fails.
        log, silent = logging.getLogger("livekit"), logging.NullHandler()
        log.addHandler(silent)
        try:
            with suppress(asyncio.CancelledError):
                asyncio.run(self._serve())
        finally:
            log.removeHandler(silent)

    async def _serve(self) -> None:
        """Stay registered until cancelled; then leave all rooms."""
        with self._changed:
            self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
            self._changed.notify_all()
        workers = [asyncio.ensure_future(self._keep_registered(name)) for name in self._names]
        try:
            await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, self._rooms.cancel(), return_exceptions=True)

    async def _keep_registered(self, name: str) -> None:
        from websockets.exceptions import WebSocketException

        from .worker import Worker

        worker = Worker(
            self._url,
            self._signer,
            name,
            self._load,
            on_registered=lambda: self._set_registered(name, ""),
            on_job=self._join,
            on_termination=self._leave,
        )
        while True:
            try:
                await worker.serve()
                failure = "it closed the connection"
            except (OSError, WebSocketException, asyncio.TimeoutError) as error:
                failure = _reason(error)
            self._set_registered(name, failure)
            await asyncio.sleep(_RETRY_DELAY)

    def _set_registered(self, name: str, failure: str) -> None:
        with self._changed:
            self._failure = failure
            (self._registered.discard if failure else self._registered.add)(name)
            self._changed.notify_all()

    def _join(self, job: Job) -> None:
        from .echo_room import EchoRoom

        task = self._jobs[job.id] = self._rooms.start(EchoRoom().run(job))
        task.add_done_callback(lambda _: self._jobs.pop(job.id, None))

    def _leave(self, job_id: str) -> None:
        if job_id in self._jobs:
            self._jobs[job_id].cancel()


def _reason(error: Exception) -> str:
    """Why it could not connect, without the server's text: LiveKit up to 1.13.5 repeats a refused token."""
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP {response.status_code}"
    if isinstance(error, ConnectionRefusedError):
        return "connection refused"
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else type(error).__name__
