"""Wire: HTTP by hand, so that a test controls every byte that it sends, and sees the headers as they came."""

from __future__ import annotations

import http.client
import io
import json
import re
import selectors
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tests.support import tokens

LONGEST = 60.0  # seconds for one request; only a server that hangs takes so long


class Answer(NamedTuple):
    """A response; header names are in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        """The only header of this name, or `None`."""
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def claims(self) -> dict[str, Any]:
        """The claims of the token."""
        assert self.status == 201, self
        return tokens.claims(self.json["participant_token"])


class Request(NamedTuple):
    """A request: by default a POST of `{}` as JSON. `json`, if given, replaces `body`."""

    headers: Mapping[str, str | None] = {}
    """Added to the usual ones; `None` takes one out."""
    body: bytes = b"{}"
    json: Any = None
    method: str = "POST"
    chunked: bool = False

    def as_sent(self, path: str) -> bytes:
        """Every byte of it."""
        body = self.body if self.json is None else json.dumps(self.json).encode()
        headers: dict[str, str | None] = {
            "host": "test.example",
            "connection": "close",
            "content-type": "application/json",
        }
        if self.chunked:
            headers["transfer-encoding"] = "chunked"
            half = len(body) // 2
            body = (
                b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part)
                + b"0\r\n\r\n"
            )
        else:
            headers["content-length"] = str(len(body))
        headers |= {name.lower(): value for name, value in self.headers.items()}
        lines = [f"{name}: {value}" for name, value in headers.items() if value is not None]
        return "\r\n".join([f"{self.method} {path} HTTP/1.1", *lines, "", ""]).encode("latin-1") + body


def bearer(name: str, **headers: str) -> dict[str, str]:
    """The headers of a user to whom the rule of this name applies."""
    return {"authorization": f"Bearer {name}", **{key.replace("_", "-"): value for key, value in headers.items()}}


def ask(port: int, path: str, request: Request) -> Answer:
    """Sends a request on a new connection."""
    return exchange(port, [request.as_sent(path)], request.method)


def exchange(port: int, parts: Iterable[bytes], method: str = "POST", *, ends: bool = False) -> Answer:
    """Sends the parts until there are no more or the response begins, and returns it; `ends` closes the sending side then.

    Raises:
        TimeoutError: the server waits for the end of an endless body.
        ConnectionError: it closes the connection without a response.
    """
    deadline = time.monotonic() + LONGEST
    with socket.create_connection(("127.0.0.1", port), timeout=LONGEST) as connection:
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
            for part in parts:
                if not _sent(connection, selector, part, deadline):
                    break
        if ends:
            connection.shutdown(socket.SHUT_WR)
        return _answer(_received(connection), method)


def _received(connection: socket.socket) -> bytes:
    """The response, or all until the end of the connection, be it a reset: a server stops reading what it has refused."""
    received = b""
    while not _is_whole(received):
        try:
            chunk = connection.recv(65536)
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            break
        received += chunk
    return received


def _is_whole(received: bytes) -> bool:
    """Whether a response with a length has arrived; some servers keep a connection open although the request says close."""
    head, end, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
    return bool(end and length and len(body) >= int(length[1]))


class _Played:
    """Stands in for a socket from which everything has been read."""

    def __init__(self, received: bytes) -> None:
        self._received = received

    def makefile(self, mode: str) -> io.BytesIO:
        """As a socket's."""
        return io.BytesIO(self._received)


def _answer(received: bytes, method: str) -> Answer:
    response = http.client.HTTPResponse(_Played(received), method=method)  # type: ignore[arg-type]  # it only makes a file
    try:
        response.begin()
    except http.client.BadStatusLine as error:
        raise ConnectionError(f"no answer, but {received[:100]!r}") from error
    headers = tuple((name.lower(), value) for name, value in response.getheaders())
    # A client takes no body from HEAD, whatever is there; a test looks.
    body = received.partition(b"\r\n\r\n")[2] if method == "HEAD" else response.read()
    return Answer(response.status, headers, body)


def _sent(connection: socket.socket, selector: selectors.BaseSelector, part: bytes, deadline: float) -> bool:
    """Sends a part; False when the response has begun, or the connection is closed."""
    rest = memoryview(part)
    while rest:
        if time.monotonic() > deadline:
            raise TimeoutError("there is no answer")
        events = selector.select(1)
        if any(mask & selectors.EVENT_READ for _, mask in events):
            return False
        if events:
            try:
                rest = rest[connection.send(rest) :]
            except (BrokenPipeError, ConnectionResetError):
                return False
    return True
