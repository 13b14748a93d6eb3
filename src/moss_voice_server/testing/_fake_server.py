"""Fake server: queued responses and recorded requests, on a loopback port and in memory; `FakeMoss` and `FakeLiveKit`."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ._request import Headers, RecordedRequest
from ._response import MockResponse, merged
from ._socket import SocketServer

if TYPE_CHECKING:
    import ssl

    from typing_extensions import Self


@dataclass(eq=False)
class Exchange:
    """One request and its response.

    released: set when the response no longer has to wait.
    dropped: set when the fake is closed; nothing more is sent.
    """

    request: RecordedRequest
    response: MockResponse
    released: threading.Event = field(default_factory=threading.Event)
    dropped: threading.Event = field(default_factory=threading.Event)

    def drop(self) -> None:
        """End it, wherever it waits."""
        self.dropped.set()
        self.released.set()


class FakeServer:
    """What both fakes share: responses in order, from any thread.

    Args:
        api: what the API itself responds to a request.
        error: the JSON body of an error, by its status.
        clock: where `RecordedRequest.time` comes from.
        kept_requests: how many of the newest requests are kept; `None`: all.
    """

    def __init__(
        self,
        api: Callable[[RecordedRequest], MockResponse],
        error: Callable[[int], Any],
        clock: Callable[[], float],
        kept_requests: int | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._api_response = api
        self._api_error = error
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[MockResponse] = deque()
        self._default = MockResponse()
        self._requests: deque[RecordedRequest] = deque(maxlen=kept_requests)
        self._count = 0
        self._open: set[Exchange] = set()
        self._bytes_sent = 0
        self._server = SocketServer(self, ssl_context)
        self._port = 0
        self._is_started = self._is_closed = False
        _living.add(self)

    def start(self) -> Self:
        """Listen; after `close` on the same port again. Does nothing if it listens already.

        Raises:
            OSError: no socket is available.
        """
        if not self._is_started:
            self._port = self._server.start(self._port)
            self._is_started, self._is_closed = True, False
        return self

    def close(self) -> None:
        """End every connection and thread and refuse new ones. May be called twice."""
        self._is_closed = True
        self._is_started = False
        self._server.close()
        self._drop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def queue(self, *responses: MockResponse | int) -> None:
        """Respond to the next requests with these, in this order; an int is a status.

        Raises:
            TypeError: neither a `MockResponse` nor an int.
        """
        checked = [_as_response(response) for response in responses]
        with self._changed:
            self._queue.extend(checked)

    def set_default(self, response: MockResponse | int) -> None:
        """Respond with this whenever the queue is empty, until `reset`."""
        self._default = _as_response(response)

    def reset(self) -> None:
        """Empty the queue and forget the default: respond as the API does."""
        with self._changed:
            self._queue.clear()
            self._default = MockResponse()

    def release(self) -> None:
        """Send the responses that wait now (`hang`); later ones wait for the next call."""
        with self._changed:
            for exchange in self._open:
                exchange.released.set()

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The requests that arrived and are kept, oldest first."""
        with self._changed:
            return tuple(self._requests)

    def _begin(self, method: str, path: str, headers: Headers, body: bytes = b"") -> Exchange:
        """A request was read: it is recorded, and its response taken from the queue, in one step."""
        with self._changed:
            response = self._queue.popleft() if self._queue else self._default
            request = RecordedRequest(method, path, headers, self._clock(), body)
            exchange = Exchange(request, self._complete(response, request))
            self._requests.append(request)
            self._count += 1
            self._open.add(exchange)
            if self._is_closed:  # meanwhile, and the others are dropped already
                exchange.drop()
            self._changed.notify_all()
            return exchange

    def _complete(self, response: MockResponse, request: RecordedRequest) -> MockResponse:
        """The API's own response where a queued one leaves it open, or the body of an error."""
        if response._has_content:
            return response
        if response.status != 200:
            return replace(response, json=self._api_error(response.status))
        own = self._api_response(request)
        return replace(response, status=own.status, json=own.json, headers=merged(own.headers, response.headers))

    def _sent(self, count: int) -> None:
        with self._changed:
            self._bytes_sent += count

    def _finish(self, exchange: Exchange) -> None:
        """The response is sent, or its client has left."""
        with self._changed:
            self._open.discard(exchange)
            self._changed.notify_all()

    def _drop(self) -> None:
        with self._changed:
            for exchange in self._open:
                exchange.drop()

    def _renew_after_fork(self) -> None:
        self._changed = threading.Condition()
        self._open = set()
        self._server.forget_after_fork()


def _as_response(response: MockResponse | int) -> MockResponse:
    if not isinstance(response, (MockResponse, int)) or isinstance(response, bool):
        # Here the line of the test is in the traceback, and not that of the thread that responds.
        raise TypeError(f"expected a MockResponse or a status such as 503, not {type(response).__name__}")
    return MockResponse(response) if isinstance(response, int) else response


_living: weakref.WeakSet[FakeServer] = weakref.WeakSet()


def _after_fork() -> None:
    for fake in list(_living):
        fake._renew_after_fork()


if hasattr(os, "register_at_fork"):
    # A child that was forked while another thread held our lock would deadlock, and its copies of our sockets would keep
    # the port and the connections open after the parent has closed them.
    os.register_at_fork(after_in_child=_after_fork)
