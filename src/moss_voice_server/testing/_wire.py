"""Steps: a response as what happens on the wire, step by step. No I/O: a socket or a parser carries them out."""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True)
class Pause:
    """Wait for `seconds`."""

    seconds: float


class Mark(enum.Enum):
    """HOLD: wait until released. RESET: reset the connection, and nothing more."""

    HOLD = "hold"
    RESET = "reset"


Step = bytes | Pause | Mark


def simple_steps(
    delay: float, hang: bool, status: int, headers: Mapping[str, str], body: bytes, method: str
) -> Iterator[Step]:
    """A whole response to a request of this method."""
    yield from before(delay, hang)
    if is_without_body(method, status):
        yield head(status, {}, headers)
    else:
        yield head(status, {"Content-Length": str(len(body))}, headers)
        yield body


def before(delay: float, hang: bool) -> Iterator[Step]:
    """What happens before the first byte."""
    if delay:
        yield Pause(delay)
    if hang:
        yield Mark.HOLD


def is_without_body(method: str, status: int) -> bool:
    """RFC 9110 6.4.1: the response to HEAD, and one with such a status, has no body."""
    return method == "HEAD" or status < 200 or status in (204, 304)


def head(status: int, defaults: Mapping[str, str], headers: Mapping[str, str]) -> bytes:
    """The status line and the headers; `headers` replace the defaults."""
    fields = {"Content-Type": "application/json", "Connection": "close", **defaults}
    for name, value in headers.items():
        for known in [known for known in fields if known.lower() == name.lower()]:
            del fields[known]
        fields[name] = value
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in fields.items())]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")
