"""Load: many connections to a server on this machine, each sends its next request as soon as it has a response.

One thread and epoll, nothing else: a request takes it about half as long as it takes the fastest server under test, a bare
application, to answer. So it is the server that is measured.
"""

from __future__ import annotations

import gc
import re
import select
import socket
from time import perf_counter
from typing import NamedTuple

_LONGEST = 60.0  # seconds without any answer; the first one waits for the program's start
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Answers(NamedTuple):
    """The result of a number of requests."""

    seconds: float
    """Seconds from the first request to the last response."""
    latencies: list[float]
    """Latency of each request in seconds."""
    last: bytes
    """The body of the last answer."""


class Load:
    """Open connections; a context manager.

    Args:
        port: where the server listens, on this machine.
        request: the whole request, as it is sent.
        status: what every answer has to have.
    """

    def __init__(self, port: int, request: bytes, *, connections: int, status: int) -> None:
        self._request = request
        self._beginning = b"HTTP/1.1 %d " % status
        self._poll = select.epoll()
        self._sockets = {}
        for _ in range(connections):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[connection.fileno()] = connection
            self._poll.register(connection.fileno(), select.EPOLLIN)

    def __enter__(self) -> Load:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._poll.close()
        for connection in self._sockets.values():
            connection.close()

    def ask(self, count: int) -> Answers:
        """Send a number of requests over all connections.

        Raises:
            RuntimeError: an answer has another status, or there is none.
        """
        collecting = gc.isenabled()
        gc.disable()  # a collection here would be counted as the server's delay
        try:
            return self._ask(count)
        finally:
            if collecting:
                gc.enable()

    def _ask(self, count: int) -> Answers:
        request, sockets, poll = self._request, self._sockets, self._poll.poll
        latencies: list[float] = []
        began: dict[int, float] = {}
        parts: dict[int, bytes] = {}
        last = b""
        start = heard = perf_counter()
        for number, connection in list(sockets.items())[:count]:
            began[number] = perf_counter()
            connection.sendall(request)
        waiting = count - len(began)
        while began:
            ready = poll(0)
            if not ready:
                # Busy polling keeps this core awake. An idle core would charge the server for waking it at
                # each response.
                if perf_counter() - heard > _LONGEST:
                    raise RuntimeError(f"no answer for {_LONGEST:g} s")
                continue
            heard = perf_counter()
            for number, _event in ready:
                connection = sockets[number]
                received = connection.recv(65536)
                if not received:
                    raise RuntimeError("the server has closed a connection")
                answer = parts.pop(number) + received if number in parts else received
                body = self._body(answer)
                if body is None:
                    parts[number] = answer
                    continue
                now = perf_counter()
                latencies.append(now - began[number])
                last = body
                if waiting:
                    waiting -= 1
                    began[number] = now
                    connection.sendall(request)
                else:
                    del began[number]
        return Answers(perf_counter() - start, latencies, last)

    def _body(self, answer: bytes) -> bytes | None:
        """The body of a response, or `None` if it is not complete."""
        head, blank, body = answer.partition(b"\r\n\r\n")
        if not blank:
            return None
        length = _LENGTH.search(head)
        if not head.startswith(self._beginning) or length is None:
            raise RuntimeError(f"the server answered {answer[:400]!r}")
        return body if len(body) >= int(length[1]) else None
