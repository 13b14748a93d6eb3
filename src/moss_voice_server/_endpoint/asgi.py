"""ASGI: how the request is read, for the adapters whose host has an event loop, asyncio's or trio's."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from functools import lru_cache, partial
from types import CoroutineType
from typing import Any

import anyio
import anyio.to_thread

from .._functions import is_nonblocking
from ..errors import CredentialsError
from .calls import NEVER_AWAITABLE
from .handler import Call, Incoming, TokenEndpoint
from .parse import REQUEST_HEADERS, incomplete, may_have_body, too_large
from .refusal import Headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

READ_TIMEOUT = 10.0  # seconds for the rest of a body of at most 16 KiB, once its first part is here
_NAMES = {name.encode(): name for name in REQUEST_HEADERS}  # ASGI delivers names in lower case


def call_on_loop_with(in_thread: Callable[..., Awaitable[Any]]) -> Call:
    """A function that calls others on the running event loop, and those that may block with `in_thread`."""

    def call_on_loop(function: Callable[..., Any], nonblocking: bool, /, *arguments: Any) -> Awaitable[Any]:
        if nonblocking:
            result = function(*arguments)
            return result if type(result) is CoroutineType else resolved(result)
        return _threaded(in_thread(partial(function, *arguments)))

    return call_on_loop


async def resolved(result: Any) -> Any:
    """The result, awaited if need be."""
    return await result if type(result) not in NEVER_AWAITABLE and inspect.isawaitable(result) else result


async def _threaded(result: Awaitable[Any]) -> Any:
    return await resolved(await result)


call_on_loop = call_on_loop_with(anyio.to_thread.run_sync)


def incoming(scope: Scope, receive: Receive, request: Any = None) -> Incoming:
    """The request of a scope; `request` is what `authorize` gets, by default the scope."""
    # Latin-1 never fails, and no value that is compared has other characters than ASCII. Of repeated headers, the last.
    headers = {}
    for name, value in scope["headers"]:
        if name in _NAMES:
            headers[_NAMES[name]] = value.decode("latin-1")
    return Incoming(
        scope if request is None else request,
        scope["method"],
        scope.get("path", ""),
        headers,
        partial(_read_body, scope, receive, headers),
    )


async def _read_body(scope: Scope, receive: Receive, headers: Mapping[str, str], limit: int) -> bytes:
    """The whole body.

    Raises:
        Refusal: it is longer than `limit`, ends early, or its rest does not arrive in time.
    """
    message = await receive()
    body: bytes = message.get("body") or b""
    if message.get("more_body"):  # rare: a timer for every request would cost a quarter of what it costs in all
        with anyio.move_on_after(READ_TIMEOUT):
            while message.get("more_body") and len(body) <= limit:
                message = await receive()
                body += message.get("body") or b""
    if len(body) > limit:
        raise too_large()
    length = headers.get("content-length")
    announced = int(length or may_have_body("transfer-encoding" in headers, scope.get("http_version", "1.1")))
    if message["type"] != "http.request" or message.get("more_body") or len(body) < announced:
        raise incomplete()
    return body


async def fetch_first(endpoint: TokenEndpoint) -> None:
    """Fetches the credentials of a server that was only constructed.

    A failure is logged and does not stop the application's start: the endpoint answers 503 until a refresh succeeds.
    """
    server = endpoint.static_server
    if server is not None and server.status().state == "empty":
        with suppress(CredentialsError):  # the server's own log says why
            await call_on_loop(server.refresh, is_nonblocking(server.refresh))


@lru_cache(maxsize=1024)
def encoded(headers: Headers) -> tuple[tuple[bytes, bytes], ...]:
    """A response's headers for ASGI; few responses differ in them."""
    return tuple([(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers])
