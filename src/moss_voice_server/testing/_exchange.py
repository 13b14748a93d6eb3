"""Exchanges: the script, the record of requests, and what is under way, for socket and memory alike."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ._answer import Answer
from ._request import Headers, RecordedRequest


@dataclass(eq=False)
class Exchange:
    """One request and the answer it gets.

    released: set when the answer no longer has to wait at its holds.
    dropped: set when the fake is closed; nothing more is to be sent.
    """

    request: RecordedRequest
    answer: Answer
    released: threading.Event = field(default_factory=threading.Event)
    dropped: threading.Event = field(default_factory=threading.Event)

    def drop(self) -> None:
        """End it, wherever it waits."""
        self.dropped.set()
        self.released.set()


class Exchanges:
    """Hands out the scripted answers in order and remembers who asked; safe from any thread."""

    def __init__(
        self,
        clock: Callable[[], float],
        settle: Callable[[Answer, RecordedRequest], Answer],
        kept_requests: int | None = None,
    ) -> None:
        self._clock = clock
        self._settle = settle
        self._changed = threading.Condition()
        self._script: deque[Answer] = deque()
        self._otherwise = Answer()
        self._requests: deque[RecordedRequest] = deque(maxlen=kept_requests)
        self._count = 0
        self._live: set[Exchange] = set()
        self._bytes_sent = 0

    def script(self, answers: tuple[Answer, ...]) -> None:
        """Queue these answers."""
        with self._changed:
            self._script.extend(answers)

    def always(self, answer: Answer) -> None:
        """Say what is answered whenever the queue is empty."""
        with self._changed:
            self._otherwise = answer

    def normal(self) -> None:
        """Forget every scripted answer that has not been taken."""
        with self._changed:
            self._script.clear()
            self._otherwise = Answer()

    def connect(self) -> Exchange | None:
        """A client has connected: an exchange if the answer that is due resets it before it can ask."""
        with self._changed:
            due = self._script[0] if self._script else self._otherwise
            return self._begin("", "", Headers()) if due.reset == "accept" else None

    def ask(self, method: str, path: str, headers: Headers, body: bytes = b"") -> Exchange:
        """A request was read: it is recorded, and its answer taken and perhaps held, in one step."""
        with self._changed:
            return self._begin(method, path, headers, body)

    def _begin(self, method: str, path: str, headers: Headers, body: bytes = b"") -> Exchange:
        answer = self._script.popleft() if self._script else self._otherwise
        request = RecordedRequest(method, path, headers, self._clock(), body)
        exchange = Exchange(request, self._settle(answer, request))
        self._requests.append(request)
        self._count += 1
        self._live.add(exchange)
        self._changed.notify_all()
        return exchange

    def sent(self, count: int) -> None:
        """So many bytes of an answer went out."""
        with self._changed:
            self._bytes_sent += count

    def finish(self, exchange: Exchange) -> None:
        """The exchange is over, whoever ended it."""
        with self._changed:
            self._live.discard(exchange)
            self._changed.notify_all()

    def release(self) -> None:
        """Let every answer that is held now go on."""
        with self._changed:
            for exchange in self._live:
                exchange.released.set()
            self._changed.notify_all()

    def drop(self) -> None:
        """End everything that is under way."""
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
        """How many requests arrived, with those that are no longer kept."""
        with self._changed:
            return self._count

    @property
    def in_flight(self) -> int:
        """How many answers are held."""
        with self._changed:
            return self._held()

    @property
    def bytes_sent(self) -> int:
        """How many bytes of answers went out."""
        with self._changed:
            return self._bytes_sent

    def wait_for(self, count: int, timeout: float) -> tuple[RecordedRequest, ...]:
        """Block until so many requests arrived; an AssertionError tells how many did."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count >= count, timeout):
                raise AssertionError(f"FakeMoss: {self._count} of {count} requests arrived within {timeout:g} s")
            return tuple(self._requests)

    def wait_idle(self, timeout: float) -> None:
        """Block until no answer is under way; an AssertionError tells how many still are."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._live, timeout):
                raise AssertionError(
                    f"FakeMoss: {len(self._live)} answers were still under way after {timeout:g} s, "
                    f"{self._held()} of them held; release() lets those go on"
                )

    def renew_after_fork(self) -> None:
        """In a forked child: a lock that nobody holds, and none of the parent's exchanges."""
        self._changed = threading.Condition()
        self._live = set()

    def _held(self) -> int:
        return sum(live.answer.holds and not live.released.is_set() for live in self._live)
