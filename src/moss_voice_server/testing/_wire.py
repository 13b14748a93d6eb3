"""Steps: an Answer as what happens on the wire, step by step. No I/O: a socket or a parser takes them."""

from __future__ import annotations

import enum
import itertools
import json
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus

from ._answer import Answer


@dataclass(frozen=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


class Mark(enum.Enum):
    """HOLD: wait until released. RESET: reset the connection, and nothing more."""

    HOLD = "hold"
    RESET = "reset"


Step = bytes | Pause | Mark

_BLOCK = 1 << 16
_BLANKS = b" " * _BLOCK


def steps(answer: Answer, method: str = "GET") -> Iterator[Step]:
    """Everything that the server does to answer a request of this method, up to the end of the connection."""
    if answer.reset == "accept":
        yield Mark.RESET
        return
    if answer.delay:
        yield Pause(answer.delay)
    if answer.hang:
        yield Mark.HOLD
    if answer.reset == "request":
        yield Mark.RESET
        return
    head, body = _message(answer, method)
    drip = answer.drip
    yield from _paced(head, drip if answer.drip_from == "headers" else None)
    if answer.reset == "headers":
        yield Mark.RESET
        return
    if answer.hang_after_headers:
        yield Mark.HOLD
    yield from _paced(body, drip)


def _paced(chunks: Iterable[bytes], drip: float | None) -> Iterator[Step]:
    if drip is None:
        yield from chunks
        return
    for chunk in chunks:
        for index in range(len(chunk)):
            if drip:
                yield Pause(drip)
            yield chunk[index : index + 1]


def _message(answer: Answer, method: str) -> tuple[Iterable[bytes], Iterable[bytes]]:
    """The head and the body, as the bytes of each."""
    if answer.raw is not None:
        head, mark, rest = answer.raw.partition(b"\r\n\r\n")
        return [head + mark], _first([rest], answer.truncate)
    if answer.endless_headers:
        filler = (b"X-Filler-%d: %s\r\n" % (number, b"x" * 100) for number in itertools.count())
        return itertools.chain([_head(answer, None)[:-2]], filler), []
    # RFC 9110 6.4.1: an answer to HEAD, and one of these statuses, has no body.
    if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
        return [_head(answer, None)], []
    body, length = _body(answer)
    return [_head(answer, length)], _first(body, answer.truncate)


def _head(answer: Answer, length: int | None) -> bytes:
    fields = {"Content-Type": "application/json", "Connection": "close"}
    if answer.gzip_bomb is not None:
        fields["Content-Encoding"] = "gzip"
    if answer.chunked_garbage:
        fields["Transfer-Encoding"] = "chunked"
    told = length if answer.content_length is None else answer.content_length
    if told is not None:
        fields["Content-Length"] = str(told)
    for name, value in answer.headers.items():
        for known in [known for known in fields if known.lower() == name.lower()]:
            del fields[known]
        fields[name] = value
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in fields.items())]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")


def _body(answer: Answer) -> tuple[Iterable[bytes], int | None]:
    """The body and its length; None where the connection's end tells it."""
    if answer.size is not None:
        return _blanks(answer.size), answer.size
    if answer.gzip_bomb is not None:
        return _bomb(answer.gzip_bomb), None
    if answer.endless_body:
        return itertools.repeat(_BLANKS), None
    if answer.chunked_garbage:
        return [b"zz\r\nthis is no chunk\r\n"], None
    body = json.dumps(answer.json).encode() if answer.body is None else answer.body
    return [body], len(body)


def _first(chunks: Iterable[bytes], limit: int | None) -> Iterator[bytes]:
    """The chunks, up to so many bytes in all."""
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
    """So many blanks: JSON's white space, so that no parser may give up before the end."""
    for _ in range(size // _BLOCK):
        yield _BLANKS
    yield b" " * (size % _BLOCK)


def _bomb(size: int) -> Iterator[bytes]:
    """A gzip member (RFC 1952) of so many blanks: one deflated block is sent over and over."""
    yield b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    # A full flush ends on a byte and forgets what was before, so that the block may stand anywhere.
    block = deflate.compress(_BLANKS) + deflate.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(size // _BLOCK):
        checksum = zlib.crc32(_BLANKS, checksum)
        yield block
    rest = b" " * (size % _BLOCK)
    checksum = zlib.crc32(rest, checksum)
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    yield deflate.compress(rest) + deflate.flush() + struct.pack("<II", checksum, size & 0xFFFFFFFF)
