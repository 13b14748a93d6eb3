"""SocketServer: HTTP/1.1 on a loopback port, one daemon thread and one request per connection."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import ssl
import struct
import threading

from moss_voice_server._clock import elapsed

from ._exchange import Exchange, Exchanges
from ._request import Headers
from ._wire import Mark, Pause

_MAX_HEAD = 1 << 20  # bytes
_MAX_BODY = 16 << 20  # a session report may be large
_LOOK = 0.05  # seconds between two looks whether a client that waits is still there
_CLOSE_TIMEOUT = 5.0
_LINGER = "hh" if os.name == "nt" else "ii"  # struct linger: two shorts on Windows, two ints elsewhere


class SocketServer:
    """Serves the responses of `Exchanges`. `close` ends every connection and thread; `start` may follow it."""

    def __init__(self, exchanges: Exchanges, ssl_context: ssl.SSLContext | None) -> None:
        self._exchanges = exchanges
        self._ssl_context = ssl_context
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, _Connection] = {}
        self._listener: socket.socket | None = None
        self._waker: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    def start(self, port: int) -> int:
        """Listen on this port of 127.0.0.1 (0: any free one); returns the port."""
        listener = socket.create_server(("127.0.0.1", port), backlog=512)
        sleeper, waker = socket.socketpair()
        self._listener, self._waker = listener, waker
        self._acceptor = threading.Thread(
            target=self._accept, args=(listener, sleeper), name="fake-moss-accept", daemon=True
        )
        self._acceptor.start()
        address: tuple[str, int] = listener.getsockname()
        return address[1]

    def close(self) -> None:
        """End everything. Bounded: nothing here waits for a client."""
        if self._acceptor is None or self._waker is None:
            return
        self._waker.close()
        self._acceptor.join(_CLOSE_TIMEOUT)
        self._acceptor = self._waker = self._listener = None
        with self._lock:
            connections = dict(self._connections)
        for connection in connections.values():
            connection.interrupt()
        self._exchanges.drop()
        deadline = elapsed() + _CLOSE_TIMEOUT
        for thread in connections:
            thread.join(max(0.0, deadline - elapsed()))

    def forget_after_fork(self) -> None:
        """In a forked child, where our threads do not run: let go of its copies of our sockets."""
        for connection in self._connections.values():
            connection.socket.close()
        for ours in (self._listener, self._waker):
            if ours is not None:
                ours.close()
        self._lock = threading.Lock()
        self._connections = {}
        self._acceptor = self._waker = self._listener = None

    def _accept(self, listener: socket.socket, sleeper: socket.socket) -> None:
        with listener, sleeper, selectors.DefaultSelector() as selector:
            # A blocking accept() would never return for a client that has left in the meantime.
            listener.setblocking(False)
            selector.register(listener, selectors.EVENT_READ)
            selector.register(sleeper, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if sleeper in ready:
                    return
                with contextlib.suppress(OSError):
                    client, _ = listener.accept()
                    client.setblocking(True)
                    self._open(client)

    def _open(self, client: socket.socket) -> None:
        connection = _Connection(client, self._exchanges)
        name = "fake-moss-answer"
        thread = threading.Thread(target=self._serve, args=(connection,), name=name, daemon=True)
        with self._lock:
            self._connections[thread] = connection
        try:
            thread.start()
        except RuntimeError:  # no thread to be had: the client sees a connection that ends
            with self._lock:
                del self._connections[thread]
            client.close()

    def _serve(self, connection: _Connection) -> None:
        try:
            # A client that goes away in the middle, or fails our certificate, is what these tests are about.
            with contextlib.suppress(OSError):
                connection.serve(self._ssl_context)
        finally:
            connection.socket.close()
            with self._lock:
                self._connections.pop(threading.current_thread(), None)


class _Connection:
    def __init__(self, client: socket.socket, exchanges: Exchanges) -> None:
        self.socket = client
        self._exchanges = exchanges
        self._is_interrupted = False

    def interrupt(self) -> None:
        """From another thread: whatever waits for the client wakes up and fails."""
        self._is_interrupted = True
        with contextlib.suppress(OSError):
            # The plain socket's method: the TLS one would first take its own state apart under the reader.
            _shut_down(self.socket, socket.SHUT_RDWR)

    def serve(self, ssl_context: ssl.SSLContext | None) -> None:
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        exchange = self._exchanges.connect()
        if exchange is None:
            if ssl_context is not None:
                self.socket = ssl_context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
                if self._is_interrupted:  # maybe through the socket that has just been replaced
                    return
                self.socket.do_handshake()
            exchange = self._read()
        if exchange is None:
            return
        try:
            if self._answer(exchange):
                self._end()
        finally:
            self._exchanges.finish(exchange)

    def _read(self) -> Exchange | None:
        """The recorded request; `None` if the client leaves before it is complete, or sends more than the limit."""
        received = b""
        while b"\r\n\r\n" not in received:
            chunk = self.socket.recv(65536)
            received += chunk
            if not chunk or len(received) > _MAX_HEAD:
                return None
        head, _, body = received.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        method, path, *_ = [*line.split(" "), "", ""]
        pairs = (item.partition(":") for item in lines)
        headers = Headers((name.strip(), value.strip()) for name, _, value in pairs)
        length = headers.get("Content-Length", "")
        wanted = min(int(length), _MAX_BODY) if length.isdecimal() else 0
        while len(body) < wanted:
            chunk = self.socket.recv(65536)
            if not chunk:
                return None
            body += chunk
        return self._exchanges.ask(method, path, headers, body)

    def _answer(self, exchange: Exchange) -> bool:
        """Take every step; True when the connection is to end in good order."""
        for step in exchange.response._steps(exchange.request.method):
            if isinstance(step, bytes):
                self.socket.sendall(step)
                self._exchanges.sent(len(step))
            elif isinstance(step, Pause):
                self._wait(exchange.dropped, step.seconds)
            elif step is Mark.HOLD:
                self._wait(exchange.released, None)
            else:
                # Lingering for no time makes close() send RST instead of FIN (POSIX.1-2017, 2.10.16).
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(_LINGER, 1, 0))
                return False
            if exchange.dropped.is_set():
                return False
        return True

    def _wait(self, event: threading.Event, seconds: float | None) -> None:
        """Wait for the event, at most `seconds`; an OSError if the client has left."""
        deadline = None if seconds is None else elapsed() + seconds
        while True:
            left = _LOOK if deadline is None else min(_LOOK, deadline - elapsed())
            if left <= 0 or event.wait(left):
                return
            self._look()

    def _look(self) -> None:
        """Raise an OSError if the client is gone. It has nothing more to say: what it sends is dropped."""
        self.socket.setblocking(False)
        try:
            if not self.socket.recv(65536):
                raise ConnectionAbortedError("the client has gone")
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        finally:
            self.socket.setblocking(True)

    def _end(self) -> None:
        if isinstance(self.socket, ssl.SSLSocket):
            # Says close_notify (RFC 8446 6.1); waiting for the other side's is the read that fails.
            self.socket.setblocking(False)
            with contextlib.suppress(OSError, ValueError):
                self.socket.unwrap()
        # Closing alone would leave the connection open where a forked child has a copy of it.
        with contextlib.suppress(OSError):
            _shut_down(self.socket, socket.SHUT_WR)


def _shut_down(connection: socket.socket, how: int) -> None:
    if isinstance(connection, ssl.SSLSocket):
        socket.socket.shutdown(connection, how)  # its own method drops the TLS state, which another thread may be using
    else:
        connection.shutdown(how)  # eventlet's sockets have methods of their own
