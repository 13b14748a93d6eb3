"""Fake server: an HTTP server on a loopback port with queued responses and recorded requests; `FakeMoss` and `FakeLiveKit`."""

from __future__ import annotations

import os
import weakref
from types import TracebackType
from typing import TYPE_CHECKING

from ._response import MockResponse

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._exchange import Exchanges
    from ._request import RecordedRequest
    from ._socket import SocketServer


class FakeServer:
    """What both fakes share."""

    def __init__(self, exchanges: Exchanges, server: SocketServer) -> None:
        self._exchanges = exchanges
        self._server = server
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
        self._exchanges.drop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def queue(self, *responses: MockResponse | int) -> None:
        """Respond to the next requests with these, in this order; an int is a status.

        Raises:
            TypeError: neither a `MockResponse` nor an int.
        """
        self._exchanges.queue(tuple(as_response(response) for response in responses))

    def set_default(self, response: MockResponse | int) -> None:
        """Respond with this whenever the queue is empty, until `reset`."""
        self._exchanges.set_default(as_response(response))

    def reset(self) -> None:
        """Empty the queue and forget the default: respond as the API does."""
        self._exchanges.reset()

    def release(self) -> None:
        """Send the responses that wait now (`hang`); later ones wait for the next call."""
        self._exchanges.release()

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """The requests that arrived and are kept, oldest first."""
        return self._exchanges.requests

    def _renew_after_fork(self) -> None:
        self._exchanges.renew_after_fork()
        self._server.forget_after_fork()


def as_response(response: MockResponse | int) -> MockResponse:
    """The response itself, or one of this status; a TypeError for anything else."""
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
