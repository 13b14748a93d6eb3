"""ASGI: the token endpoint as an ASGI application, for Starlette, Litestar, Quart or a server of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine, Generator, MutableMapping
from functools import lru_cache, partial
from types import coroutine
from typing import Any, cast

import anyio.to_thread

from ._endpoint.handler import REQUEST_HEADERS, Endpoint, Server, run_async
from ._endpoint.parse import INCOMPLETE, TOO_LARGE, Misread
from .endpoint import TokenEvent
from .errors import CredentialsError

__all__ = ["token_app"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_READ = {name.encode(): name for name in REQUEST_HEADERS}  # ASGI gives header names in lower case
_READ_TIMEOUT = 10.0  # seconds for a whole body of at most 16 KiB


def token_app(
    server: Server | Callable[[Scope], Server],
    *,
    authorize: Callable[..., Any],
    allow_origins: Any = (),
    rate_limiter: Callable[[str], Any] | None = None,
    on_token: Callable[[TokenEvent], object] | None = None,
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """An ASGI application that answers on whatever path it is mounted at.

    Args:
        server: a server of either class, or a function from the scope to one. One that was only constructed is fetched when
            the application starts, if this is the root application.
        authorize: called with the scope and the `TokenRequest`, sync (then on a thread) or async; returns an
            `endpoint.Admission`, or raises or returns `endpoint.Denied`.
        origins: exact origins whose pages may ask from elsewhere, such as `["https://app.example"]`; empty: CORS is off.
        limiter: called with the admission's `rate_limit_key`, or else its identity; returns the seconds to wait, or 0 or `None`
            to go on.
        on_token: called with a `TokenEvent` for each token.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """
    return _App(Endpoint(server, authorize, allow_origins=allow_origins, rate_limiter=rate_limiter, on_token=on_token))


class _App:
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            course = self._endpoint.course(scope, scope["method"], headers_of(scope), partial(read_body, receive))
            reply = await run_async(course, anyio.to_thread.run_sync)
            # A list of its own: a middleware may add to it.
            headers = [*_encoded(reply.headers)]
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            await send({"type": "http.response.body", "body": reply.body})
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await fetch_first(self._endpoint)
                await send({"type": "lifespan.startup.complete"})
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return


def headers_of(scope: Scope) -> dict[str, str]:
    """The headers that a course looks at; of two with one name, the last."""
    # Latin-1 never fails, and nothing that is compared holds other characters than ASCII.
    return {_READ[name]: value.decode("latin-1") for name, value in scope["headers"] if name in _READ}


async def fetch_first(endpoint: Endpoint) -> None:
    """Fetches the credentials of a server that was only constructed. A failure is logged and does not stop the start:

    the endpoint answers 503 until a renewal succeeds, which is started by the requests that come in.
    """
    server = endpoint.fixed
    if server is None or server.status().state != "empty":
        return
    try:
        refreshed = await anyio.to_thread.run_sync(server.refresh)
        if refreshed is not None:
            await refreshed
    except CredentialsError:
        pass  # the server's own log says why


async def read_body(receive: Receive, limit: int) -> bytes | Misread:
    """The whole body, or a `Misread` when it is longer than `limit`, breaks off or takes too long."""
    reading = _whole_body(receive, limit)
    try:
        waited = reading.send(None)
    except StopIteration as read:
        return cast("bytes | Misread", read.value)
    # The clock is started at the first wait, as most bodies are here already, and a timer for each would cost a tenth of the
    # time that a whole request takes.
    return await _in_time(reading, waited, _READ_TIMEOUT)


async def _whole_body(receive: Receive, limit: int) -> bytes | Misread:
    body = b""
    chunk: bytes
    while (message := await receive())["type"] == "http.request":
        chunk = message.get("body", b"")
        body += chunk
        if len(body) > limit:
            return TOO_LARGE
        if not message.get("more_body"):
            return body
    return INCOMPLETE


@coroutine
def _in_time(
    reading: Coroutine[Any, Any, bytes | Misread], waited: Any, seconds: float
) -> Generator[Any, Any, bytes | Misread]:
    """Awaits a coroutine that has begun to wait, but at most so long; then `INCOMPLETE`.

    The clock is the loop's own and no scope of anyio's: those must be left in the order in which they were entered, and a
    middleware's `receive` may be inside one when it waits.
    """
    clock = _Clock(seconds)
    try:
        while True:
            try:
                heard = yield waited
            except BaseException as error:  # noqa: BLE001  # a cancellation above all: it is for whoever waits
                go_on: Callable[[], Any] = partial(reading.throw, error)
            else:
                go_on = partial(reading.send, heard)
            try:
                waited = go_on()
            except StopIteration as read:
                return cast("bytes | Misread", read.value)
    except asyncio.CancelledError:
        if not clock.has_run_out:
            raise
        return INCOMPLETE
    finally:
        clock.stop()


class _Clock:
    """Cancels the current task after some time, and says whether it did."""

    def __init__(self, seconds: float) -> None:
        self.has_run_out = False
        self._task: Any = asyncio.current_task()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._run_out)

    def _run_out(self) -> None:
        self.has_run_out = True
        self._task.cancel()

    def stop(self) -> None:
        """Not needed any more."""
        self._timer.cancel()
        if self.has_run_out and sys.version_info >= (3, 11):
            self._task.uncancel()  # dealt with: it is not for the task's own scopes


@lru_cache(maxsize=1024)
def _encoded(headers: tuple[tuple[str, str], ...]) -> tuple[tuple[bytes, bytes], ...]:
    """An answer's headers for ASGI; few answers differ in them."""
    return tuple([(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers])
