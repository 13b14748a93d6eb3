"""SocketServer: HTTP/1.1 on a loopback port, one daemon thread and one request per connection."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
from typing import TYPE_CHECKING

from moss_voice_server._clock import elapsed

from ._request import Headers

if TYPE_CHECKING:
    from ._fake_server import Exchange, FakeServer

_MAX_HEAD = 1 << 20  # bytes
_MAX_BODY = 16 << 20  # a session report may be large
_POLL_INTERVAL = 0.05  # seconds between two looks whether a client that waits is still there
_CLOSE_TIMEOUT = 5.0


class SocketServer:
    """Serves the responses of a fake. `close` ends every connection and thread; `start` may follow it."""

    def __init__(self, fake: FakeServer, ssl_context: ssl.SSLContext | None) -> None:
        self._fake = fake
        self._ssl_context = ssl_context
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, Connection] = {}
        self._acceptor: threading.Thread | None = None
        self._sockets: tuple[socket.socket, ...] = ()  # the listener, and what wakes its thread

    def start(self, port: int) -> int:
        """Listen on this port of 127.0.0.1 (0: any free one); returns the port."""
        listener = socket.create_server(("127.0.0.1", port), backlog=512)
        sleeper, waker = socket.socketpair()
        self._sockets = listener, waker
        self._acceptor = threading.Thread(
            target=self._accept, args=(listener, sleeper), name="fake-moss-accept", daemon=True
        )
        self._acceptor.start()
        address: tuple[str, int] = listener.getsockname()
        return address[1]

    def close(self) -> None:
        """End everything. Bounded: nothing here waits for a client."""
        if self._acceptor is None:
            return
        self._sockets[1].sendall(b"\0")  # its end would not be seen while a child of the C library's fork has a copy
        self._sockets[1].close()
        self._acceptor.join(_CLOSE_TIMEOUT)
        self._acceptor = None
        with self._lock:
            connections = dict(self._connections)
        for connection in connections.values():
            connection.interrupt()
        self._fake._drop()
        deadline = elapsed() + _CLOSE_TIMEOUT
        for thread in connections:
            thread.join(max(0.0, deadline - elapsed()))

    def forget_after_fork(self) -> None:
        """In a forked child, where our threads do not run: let go of its copies of our sockets."""
        for ours in (*self._sockets, *(connection.socket for connection in self._connections.values())):
            ours.close()
        self._lock = threading.Lock()
        self._connections = {}
        self._acceptor = None

    def _accept(self, listener: socket.socket, sleeper: socket.socket) -> None:
        with listener, sleeper, selectors.DefaultSelector() as selector:
            # A blocking accept() would never return for a client that has left in the meantime.
            listener.setblocking(False)
            selector.register(listener, selectors.EVENT_READ)
            selector.register(sleeper, selectors.EVENT_READ)
            while sleeper not in [key.fileobj for key, _ in selector.select()]:
                with contextlib.suppress(OSError):
                    client, _ = listener.accept()
                    client.setblocking(True)
                    self._open(client)

    def _open(self, client: socket.socket) -> None:
        connection = Connection(client, self._fake)
        thread = threading.Thread(target=self._serve, args=(connection,), name="fake-moss-answer", daemon=True)
        with self._lock:
            self._connections[thread] = connection
        thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            # A client that goes away in the middle, or fails our certificate, is what these tests are about.
            with contextlib.suppress(OSError):
                connection.serve(self._ssl_context)
        finally:
            connection.socket.close()
            with self._lock:
                self._connections.pop(threading.current_thread(), None)


class Connection:
    """One connection of a client, and its only request. Whatever ends it is an OSError."""

    exchange: Exchange

    def __init__(self, client: socket.socket, fake: FakeServer) -> None:
        self.socket = client
        self._fake = fake
        self._is_interrupted = False

    def interrupt(self) -> None:
        """From another thread: whatever waits for the client wakes up and fails."""
        self._is_interrupted = True
        with contextlib.suppress(OSError):
            # The plain socket's method: the TLS one would first take its own state apart under the reader.
            _shut_down(self.socket, socket.SHUT_RDWR)

    def serve(self, ssl_context: ssl.SSLContext | None) -> None:
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if ssl_context is not None:
            self.socket = ssl_context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
            if self._is_interrupted:  # maybe through the socket that has just been replaced
                return
            self.socket.do_handshake()
        self.exchange = self._read()
        try:
            self.exchange.response._send(self, self.exchange.request.method)
            self._end()
        finally:
            self._fake._finish(self.exchange)

    def _read(self) -> Exchange:
        """The recorded request; an OSError if the client leaves before it is complete, or sends more than the limit."""
        received = b""
        while b"\r\n\r\n" not in received:
            received += self._receive()
            if len(received) > _MAX_HEAD:
                raise ConnectionAbortedError("the request's head is too long")
        head, _, body = received.partition(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        method, path, *_ = [*line.split(" "), "", ""]
        pairs = (item.partition(":") for item in lines)
        headers = Headers((name.strip(), value.strip()) for name, _, value in pairs)
        length = headers.get("Content-Length", "")
        wanted = min(int(length), _MAX_BODY) if length.isdecimal() else 0
        while len(body) < wanted:
            body += self._receive()
        return self._fake._begin(method, path, headers, body)

    def _receive(self) -> bytes:
        received = self.socket.recv(65536)
        if not received:
            raise ConnectionAbortedError("the client has gone")
        return received

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)
        self._fake._sent(len(data))
        self._stop_if_dropped()

    def wait(self, seconds: float) -> None:
        self._wait(self.exchange.dropped, elapsed() + seconds)

    def hold(self) -> None:
        self._wait(self.exchange.released, float("inf"))

    def _wait(self, event: threading.Event, deadline: float) -> None:
        while (left := deadline - elapsed()) > 0 and not event.wait(min(_POLL_INTERVAL, left)):
            self.socket.setblocking(False)
            try:
                self._receive()  # the client has nothing more to say: what it sends is dropped
            except (BlockingIOError, ssl.SSLWantReadError):
                pass
            finally:
                self.socket.setblocking(True)
        self._stop_if_dropped()

    def _stop_if_dropped(self) -> None:
        if self.exchange.dropped.is_set():
            raise ConnectionAbortedError("the fake is closed")

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
