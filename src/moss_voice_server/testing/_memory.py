"""MemoryTransport: the same responses without a socket, for httpx2.Client and httpx2.AsyncClient.

This is the only module of the kit that needs httpx2.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

import anyio.lowlevel
import httpx2

from moss_voice_server._http.threads import run_in_thread

from ._fake_server import Exchange, FakeServer
from ._request import Headers
from ._response import head


class MemoryTransport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """One object for any number of clients, threads and event loops; closing a client does not close it."""

    def __init__(
        self,
        fake: FakeServer,
        sleep: Callable[[float], object] | None,
        async_sleep: Callable[[float], Awaitable[object]] | None,
        limit: float,
    ) -> None:
        self._fake = fake
        self._sleep = sleep
        self._async_sleep = async_sleep
        self._limit = limit

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = self._begin(request, request.read())
        try:
            for event, seconds in self._waits(exchange, request):
                if self._sleep is None:
                    event.wait(seconds)
                else:
                    self._sleep(seconds)
            return self._response(exchange, request)
        finally:
            self._fake._finish(exchange)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        exchange = self._begin(request, await request.aread())
        try:
            await anyio.lowlevel.checkpoint()  # as with a socket, the loop's other tasks get their turn
            for event, seconds in self._waits(exchange, request):
                if self._async_sleep is None:
                    # On a thread: a pause on the loop never ends where a test freezes the time.
                    await run_in_thread(partial(event.wait, seconds))
                else:
                    await self._async_sleep(seconds)
            return self._response(exchange, request)
        finally:
            exchange.drop()  # a thread that still waits, because this task was cancelled, ends
            self._fake._finish(exchange)

    def _begin(self, request: httpx2.Request, body: bytes) -> Exchange:
        if self._fake._is_closed:
            raise httpx2.ConnectError("the fake Moss API is closed", request=request)
        path = request.url.raw_path.decode("ascii")
        return self._fake._begin(request.method, path, Headers(request.headers.multi_items()), body)

    def _waits(self, exchange: Exchange, request: httpx2.Request) -> Iterator[tuple[threading.Event, float]]:
        """Each wait: the event that ends it and the seconds that it may last, by the client's read timeout and the limit."""
        response = exchange.response
        timeout: float | None = request.extensions.get("timeout", {}).get("read")
        left = self._limit if timeout is None else min(self._limit, timeout)
        if response.delay:
            yield exchange.dropped, min(response.delay, left)
            if response.delay > left and not exchange.dropped.is_set():
                raise _timed_out(request)
            left -= response.delay
        if response.hang and not exchange.dropped.is_set():
            yield exchange.released, left
            if not exchange.released.is_set():
                raise _timed_out(request)

    def _response(self, exchange: Exchange, request: httpx2.Request) -> httpx2.Response:
        if exchange.dropped.is_set():
            raise httpx2.RemoteProtocolError("Server disconnected without sending a response.", request=request)
        response = exchange.response
        body = response._body(request.method)
        fields = response._fields(body)
        self._fake._sent(len(head(response.status, fields)) + len(body or b""))
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields.items()]
        return httpx2.Response(response.status, headers=headers, stream=httpx2.ByteStream(body or b""))


def _timed_out(request: httpx2.Request) -> httpx2.ReadTimeout:
    return httpx2.ReadTimeout("the fake Moss API sent nothing in time", request=request)
