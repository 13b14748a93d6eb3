"""FaultResponse: a response of FakeMoss that is broken in one of the ways in which networks and servers break."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from moss_voice_server.testing import MockResponse
from moss_voice_server.testing._response import head, is_without_body, merged
from moss_voice_server.testing._socket import Connection
from tests.support.sockets import reset

_BLOCK = 1 << 16
_BLANKS = b" " * _BLOCK


@dataclass(frozen=True, repr=False)
class FaultResponse(MockResponse):
    """A `MockResponse` with faults.

    Args:
        content_length: the value of Content-Length, true or not.
        truncate: the connection ends after so many bytes of the body; Content-Length still states the whole.
        size: a body of so many bytes (JSON's whitespace), created while it is sent.
        gzip_bomb: a valid gzip body that decodes to so many bytes, about a thousandth of that on the wire.
        endless_body: a body without end; endless_headers: headers without end.
        chunked_garbage: `Transfer-Encoding: chunked` with a body that is not.
        raw: the exact bytes on the wire.
        hang_after_headers: as `hang`, between the headers and the body.
        trickle: seconds before each single byte; trickle_from: from the first byte ("headers") or the body's.
        reset: the connection is reset (TCP RST): once the request is read ("request"), or once the headers are sent
            ("headers").
    """

    hang_after_headers: bool = False
    trickle: float | None = None
    trickle_from: Literal["headers", "body"] = "headers"
    endless_body: bool = False
    endless_headers: bool = False
    reset: Literal["request", "headers"] | None = None
    content_length: int | None = None
    truncate: int | None = None
    chunked_garbage: bool = False
    gzip_bomb: int | None = None
    raw: bytes | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if self.hang_after_headers:
            object.__setattr__(self, "hang", True)
        super().__post_init__()

    def _content(self) -> list[str]:
        """The fields that say what the body is."""
        names = ("body", "raw", "size", "gzip_bomb", "endless_body", "endless_headers", "chunked_garbage")
        given = [name for name in names if getattr(self, name) is not None and getattr(self, name) is not False]
        return given if self.json is ... else ["json", *given]

    @property
    def _has_content(self) -> bool:
        return bool(self._content())

    def _send(self, connection: Connection, method: str) -> None:
        connection.wait(self.delay)
        if self.hang and not self.hang_after_headers:
            connection.hold()
        if self.reset == "request":
            _reset(connection)
        first, rest = self._message(method)
        _paced(connection, first, self.trickle if self.trickle_from == "headers" else None)
        if self.reset == "headers":
            _reset(connection)
        if self.hang_after_headers:
            connection.hold()
        _paced(connection, rest, self.trickle)

    def _message(self, method: str) -> tuple[Iterable[bytes], Iterable[bytes]]:
        """The head and the body."""
        if self.raw is not None:
            first, mark, rest = self.raw.partition(b"\r\n\r\n")
            return [first + mark], _first([rest], self.truncate)
        if self.endless_headers:
            filler = (b"X-Filler-%d: %s\r\n" % (number, b"x" * 100) for number in itertools.count())
            return itertools.chain([self._head(None)[:-2]], filler), []
        if is_without_body(method, self.status):
            return [self._head(None)], []
        body, length = self._chunks()
        return [self._head(length)], _first(body, self.truncate)

    def _head(self, length: int | None) -> bytes:
        defaults = {"Content-Type": "application/json", "Connection": "close"}
        if self.gzip_bomb is not None:
            defaults["Content-Encoding"] = "gzip"
        if self.chunked_garbage:
            defaults["Transfer-Encoding"] = "chunked"
        stated = length if self.content_length is None else self.content_length
        if stated is not None:
            defaults["Content-Length"] = str(stated)
        return head(self.status, merged(defaults, self.headers))

    def _chunks(self) -> tuple[Iterable[bytes], int | None]:
        """The body and its length; `None` where the end of the connection ends it."""
        if self.size is not None:
            return _blanks(self.size), self.size
        if self.gzip_bomb is not None:
            return _bomb(self.gzip_bomb), None
        if self.endless_body:
            return itertools.repeat(_BLANKS), None
        if self.chunked_garbage:
            return [b"zz\r\nthis is not a chunk\r\n"], None
        body = self._body("GET") or b""
        return [body], len(body)


def _reset(connection: Connection) -> None:
    reset(connection.socket, connection.exchange.dropped)
    raise ConnectionAbortedError("reset")


def _paced(connection: Connection, chunks: Iterable[bytes], trickle: float | None) -> None:
    for chunk in chunks:
        if trickle is None:
            connection.send(chunk)
            continue
        for index in range(len(chunk)):
            connection.wait(trickle)
            connection.send(chunk[index : index + 1])


def _first(chunks: Iterable[bytes], limit: int | None) -> Iterator[bytes]:
    """The chunks, up to `limit` bytes in all."""
    for chunk in chunks:
        if limit is None:
            yield chunk
            continue
        if limit:
            yield chunk[:limit]
        limit -= min(limit, len(chunk))
        if not limit:
            return


def _blanks(size: int) -> Iterator[bytes]:
    """`size` spaces: JSON's whitespace, so that no parser may stop before the end."""
    for _ in range(size // _BLOCK):
        yield _BLANKS
    yield b" " * (size % _BLOCK)


def _bomb(size: int) -> Iterator[bytes]:
    """A gzip member (RFC 1952) of `size` spaces."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for chunk in _blanks(size):
        yield packer.compress(chunk)
    yield packer.flush()
