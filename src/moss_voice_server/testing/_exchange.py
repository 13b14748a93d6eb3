"""Exchanges: the queue of responses, the recorded requests and the open exchanges, for socket and memory alike."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ._request import Headers, RecordedRequest
from ._response import MockResponse


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


class Exchanges:
    """Returns the queued responses in order and records the requests; safe from any thread."""

    def __init__(
        self,
        clock: Callable[[], float],
        complete: Callable[[MockResponse, RecordedRequest], MockResponse],
        kept_requests: int | None = None,
    ) -> None:
        self._clock = clock
        self._complete = complete
        self._changed = threading.Condition()
        self._queue: deque[MockResponse] = deque()
        self._default = MockResponse()
        self._requests: deque[RecordedRequest] = deque(maxlen=kept_requests)
        self._count = 0
        self._live: set[Exchange] = set()
        self._bytes_sent = 0

    def queue(self, responses: tuple[MockResponse, ...]) -> None:
        """Queue these responses."""
        with self._changed:
            self._queue.extend(responses)

    def set_default(self, response: MockResponse) -> None:
        """The response whenever the queue is empty."""
        with self._changed:
            self._default = response

    def reset(self) -> None:
        """Forget the queue and the default."""
        with self._changed:
            self._queue.clear()
            self._default = MockResponse()

    def connect(self) -> Exchange | None:
        """A client has connected: an exchange if the next response resets the connection before the request."""
        with self._changed:
            due = self._queue[0] if self._queue else self._default
            return self._begin("", "", Headers()) if due._resets_on_accept else None

    def ask(self, method: str, path: str, headers: Headers, body: bytes = b"") -> Exchange:
        """A request was read: it is recorded, and its response taken from the queue, in one step."""
        with self._changed:
            return self._begin(method, path, headers, body)

    def _begin(self, method: str, path: str, headers: Headers, body: bytes = b"") -> Exchange:
        response = self._queue.popleft() if self._queue else self._default
        request = RecordedRequest(method, path, headers, self._clock(), body)
        exchange = Exchange(request, self._complete(response, request))
        self._requests.append(request)
        self._count += 1
        self._live.add(exchange)
        self._changed.notify_all()
        return exchange

    def sent(self, count: int) -> None:
        """`count` bytes of a response were sent."""
        with self._changed:
            self._bytes_sent += count

    def finish(self, exchange: Exchange) -> None:
        """The exchange is over."""
        with self._changed:
            self._live.discard(exchange)
            self._changed.notify_all()

    def release(self) -> None:
        """Release every response that waits now."""
        with self._changed:
            for exchange in self._live:
                exchange.released.set()
            self._changed.notify_all()

    def drop(self) -> None:
        """End every open exchange."""
        with self._changed:
            for exchange in self._live:
                exchange.drop()
            self._changed.notify_all()

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """All requests so far, oldest first."""
        with self._changed:
            return tuple(self._requests)

    @property
    def count(self) -> int:
        """How many requests arrived, including those that are no longer kept."""
        with self._changed:
            return self._count

    @property
    def in_flight(self) -> int:
        """How many responses wait for `release`."""
        with self._changed:
            return self._held()

    @property
    def bytes_sent(self) -> int:
        """How many bytes were sent."""
        with self._changed:
            return self._bytes_sent

    def wait_for(self, count: int, timeout: float) -> tuple[RecordedRequest, ...]:
        """Block until `count` requests arrived; the AssertionError says how many did."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count >= count, timeout):
                raise AssertionError(f"FakeMoss: {self._count} of {count} requests arrived within {timeout:g} s")
            return tuple(self._requests)

    def wait_idle(self, timeout: float) -> None:
        """Block until no exchange is open; the AssertionError says how many are."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._live, timeout):
                raise AssertionError(
                    f"FakeMoss: {len(self._live)} responses were not finished after {timeout:g} s, "
                    f"{self._held()} of them waiting for release()"
                )

    def renew_after_fork(self) -> None:
        """In a forked child: a new lock, and none of the parent's exchanges."""
        self._changed = threading.Condition()
        self._live = set()

    def _held(self) -> int:
        return sum(live.response._waits_for_release and not live.released.is_set() for live in self._live)
