"""Bodies: what is far too long, or never ends: refused early, in little memory, and with an answer."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from tests.endpoint.frameworks import AllFrameworks
from tests.endpoint.programs import Program
from tests.endpoint.wire import Answer, Request, bearer, exchange

GIGABYTE = 1 << 30
PART = 1 << 16
TOO_LARGE = b'{"error":"body_too_large","message":"Request body too large: at most 16384 bytes are allowed."}'
# Django's ASGI handler takes a whole body in, on disk, before it calls any view: nothing in a view can shorten that.
TAKES_ALL = "django-uvicorn"
MEGABYTES = 8  # how much more memory a program may have needed, ever, after all this


def head(path: str, **headers: str) -> bytes:
    """The headers of a request whose body is told apart."""
    given: dict[str, str | None] = {**bearer("ada"), "content-length": None}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(given, b"").as_sent(path)


def announced(path: str, size: int) -> Iterator[bytes]:
    """A request whose body has a length, and is as long."""
    yield head(path, content_length=str(size))
    yield from repeat(b" " * PART, size // PART)


def chunks(path: str, chunk: bytes, count: int | None) -> Iterator[bytes]:
    """A request whose body comes in chunks: so many, or without an end."""
    yield head(path, transfer_encoding="chunked")
    part = b"%x\r\n%b\r\n" % (len(chunk), chunk)
    yield from repeat(part) if count is None else repeat(part, count)
    if count is not None:
        yield b"0\r\n\r\n"


def peak(program: Program) -> int:
    """The most memory that a program has ever had, in bytes (proc(5), VmHWM)."""
    status = Path(f"/proc/{program.workers[-1]}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a process's peak memory is read from /proc")
@pytest.mark.parametrize("way", ["announced", "in chunks", "in small chunks, without an end", "without an end"])
def test_a_body_that_is_far_too_long(all_frameworks: AllFrameworks, way: str) -> None:
    """A gigabyte, or a body without an end, is answered while it is still being sent, and kept nowhere."""
    for target in all_frameworks.targets:
        if target.program.name == TAKES_ALL:
            continue
        path = f"/{target.mode}/token"
        target.ask("token", Request(bearer("ada")))
        before = peak(target.program)
        parts = {
            "announced": announced(path, GIGABYTE),
            "in chunks": chunks(path, b" " * PART, GIGABYTE // PART),
            "in small chunks, without an end": chunks(path, b" ", None),
            "without an end": chunks(path, b" " * PART, None),
        }[way]
        answer: Answer = exchange(target.program.port, parts)
        assert (413, TOO_LARGE) == (answer.status, answer.body)
        assert "no-store" == answer.header("cache-control")
        assert peak(target.program) - before < MEGABYTES << 20
        assert 201 == target.ask("token", Request(bearer("ada"))).status


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a process's peak memory is read from /proc")
def test_where_the_framework_takes_it_all_in(all_frameworks: AllFrameworks) -> None:
    """Under ASGI Django has the whole body on disk before our view is called; it is refused then, and not read into memory."""
    program = all_frameworks.programs[TAKES_ALL]
    program.ask("/sync/token", Request(bearer("ada")))
    before = peak(program)
    for mode in ("sync", "async"):
        path = f"/{mode}/token"
        for parts in (announced(path, 32 << 20), chunks(path, b" " * PART, (32 << 20) // PART)):
            answer = exchange(program.port, parts)
            assert (413, TOO_LARGE) == (answer.status, answer.body)
    assert peak(program) - before < MEGABYTES << 20
    assert 201 == program.ask("/sync/token", Request(bearer("ada"))).status


def test_a_length_is_believed_before_a_byte_is_read(all_frameworks: AllFrameworks) -> None:
    """Who announces too much is refused without sending anything."""
    for target in all_frameworks.targets:
        if target.program.name != TAKES_ALL:
            answer = exchange(target.program.port, [head(f"/{target.mode}/token", content_length=str(GIGABYTE))])
            assert (413, TOO_LARGE) == (answer.status, answer.body)


def test_less_than_announced(all_frameworks: AllFrameworks) -> None:
    """What came before a connection broke off is no request, even if it reads like one. (Uvicorn answers nobody who has gone.)"""
    for target in all_frameworks.targets:
        if "gunicorn" in target.program.name:
            sent = [head(f"/{target.mode}/token", content_length="100"), b"{}"]
            answer = exchange(target.program.port, sent, ends=True)
            assert (400, "body_incomplete") == (answer.status, answer.json["error"]), target.name


@pytest.mark.parametrize(
    "body", [b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}\r\n0\r\nno header\r\n\r\n"], ids=["size", "trailer"]
)
def test_chunks_that_are_none(all_frameworks: AllFrameworks, body: bytes) -> None:
    """Where a server leaves it to us to find out, while reading: our answer, and no page of a framework's."""
    request = Request(bearer("ada") | {"content-length": None, "transfer-encoding": "chunked"}, body)
    said = all_frameworks(request, where=lambda target: "gunicorn" in target.program.name)
    assert (400, "body_incomplete") == (said.status, json.loads(said.body)["error"])
