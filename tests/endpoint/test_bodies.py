"""Bodies that are far too long, or never end: refused early, in little memory, and with a response."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from tests.endpoint.frameworks import AllFrameworks, Target
from tests.endpoint.programs import Program
from tests.support.wire import Request, bearer, exchange

GIGABYTE = 1 << 30
PART = b" " * (1 << 16)
TOO_LARGE = b'{"error":"body_too_large","message":"Request body too large: at most 16384 bytes are allowed."}'
# Django's ASGI handler takes a whole body in, on disk, before it calls any view: nothing in a view can shorten that.
TAKES_ALL = "django-uvicorn"
MEGABYTES = 8  # how much the peak memory of a program may grow by all this


def head(path: str, **headers: str) -> bytes:
    """The headers of a request whose body is sent apart."""
    given: dict[str, str | None] = {**bearer("ada"), "content-length": None}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(given, b"").as_sent(path)


def announced(path: str, size: int) -> Iterator[bytes]:
    """A request whose body has a length, and is as long."""
    yield head(path, content_length=str(size))
    yield from repeat(PART, size // len(PART))


def chunks(path: str, chunk: bytes, count: int | None) -> Iterator[bytes]:
    """A request whose body comes in so many chunks; `None`: without an end."""
    yield head(path, transfer_encoding="chunked")
    part = b"%x\r\n%b\r\n" % (len(chunk), chunk)
    yield from repeat(part) if count is None else repeat(part, count)
    yield b"0\r\n\r\n"


def peak(program: Program) -> int:
    """The most memory that a program has ever had, in bytes (proc(5), VmHWM)."""
    status = Path(f"/proc/{program.workers[-1]}/status").read_text(encoding="ascii")
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024


def is_refused(target: Target, requests: list[Iterator[bytes]]) -> None:
    """Each request gets 413, in little memory, and the next one a token."""
    assert 201 == target.ask("token", Request(bearer("ada"))).status
    before = peak(target.program)
    for parts in requests:
        answer = exchange(target.program.port, parts)
        assert (413, TOO_LARGE, "no-store") == (answer.status, answer.body, answer.header("cache-control"))
    assert peak(target.program) - before < MEGABYTES << 20
    assert 201 == target.ask("token", Request(bearer("ada"))).status


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a process's peak memory is read from /proc")
def test_far_too_long(all_frameworks: AllFrameworks) -> None:
    """A gigabyte, or a body without an end, gets its response while it is still being sent, and is not stored.

    Where the framework stores a whole body on disk before it calls the view, it is refused then, and not read into memory.
    """
    for target in all_frameworks.targets:
        path = f"/{target.mode}/token"
        if target.program.name == TAKES_ALL:
            is_refused(target, [announced(path, 32 << 20), chunks(path, PART, 512)])
        else:
            small = chunks(path, b" ", None)  # without an end
            long = [announced(path, GIGABYTE), chunks(path, PART, GIGABYTE // len(PART)), chunks(path, PART, None)]
            without = iter([head(path, content_length=str(GIGABYTE))])  # refused before a byte of it arrives
            is_refused(target, [*long, small, without])


@pytest.mark.parametrize(
    "body", [b"zz\r\n{}\r\n0\r\n\r\n", b"2\r\n{}\r\n0\r\nno header\r\n\r\n"], ids=["size", "trailer"]
)
def test_invalid_chunks(all_frameworks: AllFrameworks, body: bytes) -> None:
    """Where a server reports them only while we read, the response is ours, and not a page of the framework."""
    request = Request(bearer("ada") | {"content-length": None, "transfer-encoding": "chunked"}, body)
    said = all_frameworks(request, where=lambda target: "gunicorn" in target.program.name)
    assert (400, "body_incomplete") == (said.status, json.loads(said.body)["error"])
