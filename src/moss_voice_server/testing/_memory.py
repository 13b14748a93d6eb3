"""MemoryTransport: the same responses without a socket, for httpx2.Client and httpx2.AsyncClient.

The bytes that the socket would carry go through h11, the parser with which httpx2 reads sockets (its dependency), so that
a broken response fails here as it does there. This is the only module of the kit that needs httpx2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from functools import partial

import anyio.lowlevel
import h11
import httpx2

from moss_voice_server._http.threads import run_in_thread

from ._exchange import Exchange, Exchanges
from ._request import Headers
from ._wire import Mark, Pause

# httpcore's own limit for a head, above h11's default.
_MAX_HEAD = 100 * 1024


class MemoryTransport(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """One object for any number of clients, threads and event loops; closing a client does not close it."""

    def __init__(
        self,
        exchanges: Exchanges,
        is_closed: Callable[[], bool],
        sleep: Callable[[float], object] | None,
        async_sleep: Callable[[float], Awaitable[object]] | None,
        limit: float,
    ) -> None:
        self._exchanges = exchanges
        self._is_closed = is_closed
        self._sleep = sleep
        self._async_sleep = async_sleep
        self._limit = limit

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer in the calling thread."""
        reading = self._read(request, request.read())
        stream = _Stream(reading, self._sleep, self._async_sleep)
        try:
            return _response(stream.next(), stream)
        except BaseException:
            stream.close()
            raise

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer in the calling task, whichever loop it runs in."""
        reading = self._read(request, await request.aread())
        stream = _Stream(reading, self._sleep, self._async_sleep)
        try:
            return _response(await stream.anext(), stream)
        except BaseException:
            await stream.aclose()
            raise

    def _read(self, request: httpx2.Request, body: bytes) -> _Reading:
        if self._is_closed():
            raise httpx2.ConnectError("the fake Moss API is closed", request=request)
        exchange = self._exchanges.connect()
        if exchange is not None:
            self._exchanges.finish(exchange)
            raise httpx2.ConnectError("connection reset by the fake Moss API", request=request)
        path = request.url.raw_path.decode("ascii")
        exchange = self._exchanges.ask(request.method, path, Headers(request.headers.multi_items()), body)
        if self._is_closed():  # meanwhile: close() may have dropped everything before this was there
            exchange.drop()
        return _Reading(self._exchanges, exchange, request, self._limit)


@dataclass(frozen=True)
class _Wait:
    """Wait `seconds`, or, at a hold, until the response is released before that."""

    seconds: float
    is_hold: bool


class _Reading:
    """What the client reads of one answer: waits for the driver to carry out, and parsed events."""

    def __init__(self, exchanges: Exchanges, exchange: Exchange, request: httpx2.Request, limit: float) -> None:
        self._exchanges = exchanges
        self._exchange = exchange
        self._request = request
        # As over a socket: the read timeout is about silence; the limit, all silence together, is ours.
        self._read_timeout: float | None = request.extensions.get("timeout", {}).get("read")
        self._left = limit
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
        self._parser.send(h11.Request(method=request.method, target="/", headers=[("Host", "moss")]))
        self._parser.send(h11.EndOfMessage())
        self.items = self._items()

    def wait(self, wait: _Wait) -> None:
        """Carry out a wait in a thread."""
        (self._exchange.released if wait.is_hold else self._exchange.dropped).wait(wait.seconds)

    async def async_wait(self, wait: _Wait) -> None:
        """Carry out a wait in a task; on a thread, as a pause on the loop never ends where a test freezes the time."""
        await run_in_thread(partial(self.wait, wait))

    def close(self) -> None:
        """The client wants no more."""
        self.items.close()
        self._exchanges.finish(self._exchange)

    def _items(self) -> Generator[_Wait | h11.Response | h11.Data, None, None]:
        silence = 0.0
        for step in self._exchange.response._steps(self._exchange.request.method):
            if isinstance(step, bytes):
                silence = 0.0
                if step and (yield from self._parse(step)):
                    return
            elif step is Mark.RESET:
                raise httpx2.ReadError("connection reset by the fake Moss API", request=self._request)
            else:
                is_hold = not isinstance(step, Pause)
                wanted = step.seconds if isinstance(step, Pause) else self._left
                allowed = min(wanted, self._left)
                if self._read_timeout is not None:
                    allowed = min(allowed, max(0.0, self._read_timeout - silence))
                yield _Wait(allowed, is_hold)
                if self._exchange.dropped.is_set():
                    break
                if not (self._exchange.released.is_set() if is_hold else allowed == wanted):
                    raise httpx2.ReadTimeout("the fake Moss API sent nothing in time", request=self._request)
                if not is_hold:
                    silence += allowed
                    self._left -= allowed
        if self._parser.their_state is h11.SEND_RESPONSE:
            raise self._broken("Server disconnected without sending a response.")
        yield from self._parse(b"")

    def _parse(self, received: bytes) -> Generator[h11.Response | h11.Data, None, bool]:
        """What these bytes (none: the connection's end) complete; True once the answer is whole."""
        self._exchanges.sent(len(received))
        self._parser.receive_data(received)
        while True:
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError as error:
                raise self._broken(str(error)) from error
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return False
            if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return True
            if isinstance(event, h11.Response | h11.Data):
                yield event

    def _broken(self, reason: str) -> httpx2.RemoteProtocolError:
        return httpx2.RemoteProtocolError(reason, request=self._request)


class _Stream(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """Drives a reading, from a thread or from a task, and is the body of its response."""

    def __init__(
        self,
        reading: _Reading,
        sleep: Callable[[float], object] | None,
        async_sleep: Callable[[float], Awaitable[object]] | None,
    ) -> None:
        self._reading = reading
        self._sleep = sleep
        self._async_sleep = async_sleep

    def next(self) -> h11.Response | h11.Data | None:
        for item in self._reading.items:
            if not isinstance(item, _Wait):
                return item
            if self._sleep is None:
                self._reading.wait(item)
            else:
                self._sleep(item.seconds)
        return None

    async def anext(self) -> h11.Response | h11.Data | None:
        # A socket gives the loop its turn with every read; without this an endless body would stop all tasks.
        await anyio.lowlevel.checkpoint()
        for item in self._reading.items:
            if not isinstance(item, _Wait):
                return item
            if self._async_sleep is None:
                await self._reading.async_wait(item)
            else:
                await self._async_sleep(item.seconds)
        return None

    def __iter__(self) -> Iterator[bytes]:
        while (event := self.next()) is not None:
            if isinstance(event, h11.Data):
                yield bytes(event.data)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (event := await self.anext()) is not None:
            if isinstance(event, h11.Data):
                yield bytes(event.data)

    def close(self) -> None:
        self._reading.close()

    async def aclose(self) -> None:
        self._reading.close()


def _response(event: h11.Response | h11.Data | None, stream: _Stream) -> httpx2.Response:
    if not isinstance(event, h11.Response):
        raise TypeError("the fake's parser gave a body before a head")  # h11 does not: it is a state machine
    return httpx2.Response(
        event.status_code,
        headers=event.headers.raw_items(),
        stream=stream,
        extensions={"http_version": b"HTTP/" + event.http_version, "reason_phrase": event.reason},
    )
