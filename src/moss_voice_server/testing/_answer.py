"""Answer: what one request to the fake Moss API gets, good or bad, and how it travels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

# Each of these says by itself what the body is, so at most one of them may be given.
_CONTENT = (
    "json",
    "body",
    "raw",
    "size",
    "gzip_bomb",
    "endless_body",
    "endless_headers",
    "chunked_garbage",
)


@dataclass(frozen=True, repr=False)
class Answer:
    """One scripted answer. `Answer()` is whatever the API itself says: the credentials, 401, 404 or 304.

    An answer of status 200 without content of its own is always the API's own, so `Answer(delay=2)` is the
    credentials two seconds late. Any other status without content gets a small JSON error. Two fields that
    both say what the body is are refused with a `ValueError`, as is a value that is out of range; a body that is
    no bytes is a `TypeError`. How an answer travels goes with any content.

    Content:
        status: the HTTP status, 100 to 999.
        json: a value that is sent as JSON (`None` is `null`); `...`, the default, means that none is given.
        body: the bytes of the body.
        headers: set or, whatever their case, replace headers; a value of `""` stays empty.
        content_length: what Content-Length says, be it true or not.
        truncate: the connection ends after so many bytes of the body; Content-Length still tells the whole.
        size: a body of so many bytes (JSON's white space), made while it is sent, so 1 GB costs no memory.
        gzip_bomb: a valid gzip body that decodes to so many bytes, about a thousandth of that on the wire.
        endless_body: a body that never ends; endless_headers: headers that never end.
        chunked_garbage: `Transfer-Encoding: chunked` with a body that is not.
        raw: the exact bytes on the wire, whatever they are.

    Travel:
        delay: seconds before anything is answered.
        hang: nothing is answered until `FakeMoss.release()`, and nothing at all if the fake is closed first.
        hang_after_headers: the same between the headers and the body.
        drip: seconds before each single byte; drip_from: from the first byte ("headers") or the body's.
        reset: the connection is reset (TCP RST): once it is accepted ("accept": a client may notice while it
            still connects), once the request is read ("request"), or once the headers are sent ("headers").
    """

    status: int = 200
    json: Any = ...
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang: bool = False
    hang_after_headers: bool = False
    drip: float | None = None
    drip_from: Literal["headers", "body"] = "headers"
    endless_body: bool = False
    endless_headers: bool = False
    reset: Literal["accept", "request", "headers"] | None = None
    content_length: int | None = None
    truncate: int | None = None
    chunked_garbage: bool = False
    gzip_bomb: int | None = None
    raw: bytes | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        content = [name for name in _CONTENT if self._has(name)]
        if len(content) > 1:
            raise ValueError(f"Answer: {' and '.join(content)} exclude each other; give one of them")
        if not 100 <= self.status <= 999:
            raise ValueError(f"Answer: status must be 100 to 999, not {self.status}")
        if self.drip_from not in ("headers", "body"):
            raise ValueError('Answer: drip_from must be "headers" or "body"')
        if self.reset not in (None, "accept", "request", "headers"):
            raise ValueError('Answer: reset must be "accept", "request", "headers" or None')
        for name in ("body", "raw"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, bytes):
                raise TypeError(f"Answer: {name} must be bytes, not {type(value).__name__}; encode() a text")
        for name in ("delay", "drip", "truncate", "gzip_bomb", "size"):
            number = getattr(self, name)
            if number is not None and not 0 <= number < math.inf:
                raise ValueError(f"Answer: {name} must be a finite number that is not negative")
        for name, value in self.headers.items():
            # Latin-1 is what can be on the wire as a header at all (RFC 9110 5.5).
            if not name or any(sign in "\r\n" or sign > "\xff" for sign in name + value):
                raise ValueError("Answer: headers must be one line of Latin-1; raw= sends any bytes")

    @classmethod
    def redirect(cls, location: str, status: int = 302) -> Answer:
        """A redirect to `location`, of any 3xx status."""
        return cls(status, headers={"Location": location})

    @classmethod
    def retry_after(cls, value: str, status: int = 429) -> Answer:
        """A refusal whose Retry-After header says `value`: seconds, a date (RFC 9110 10.2.3), or nonsense."""
        return cls(status, headers={"Retry-After": value})

    @property
    def is_own(self) -> bool:
        """True when the answer leaves it to the API what to say: status 200 and no content of its own."""
        return self.status == 200 and not self.has_content

    @property
    def has_content(self) -> bool:
        """True when a field says what the body is."""
        return any(self._has(name) for name in _CONTENT)

    @property
    def holds(self) -> bool:
        """True when the answer waits for `FakeMoss.release()` somewhere."""
        return self.hang or self.hang_after_headers

    def _has(self, name: str) -> bool:
        value = getattr(self, name)
        return value is not ... if name == "json" else value is not None and value is not False

    def __repr__(self) -> str:
        """Only what was set; a body, which may hold a secret, as its size or as `<given>`."""
        shown = []
        for item in fields(self):
            value = getattr(self, item.name)
            if item.name == "json":
                text = "" if value is ... else "<given>"
            elif isinstance(value, bytes):
                text = f"<{len(value)} bytes>"
            elif item.name == "headers":
                text = repr(sorted(value)) if value else ""
            else:
                text = "" if value == item.default else repr(value)
            if text:
                shown.append(f"{item.name}={text}")
        return f"Answer({', '.join(shown)})"
