"""MockResponse: the response to one request to a fake."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self

    from ._socket import Connection


@dataclass(frozen=True, repr=False)
class MockResponse:
    """One response to queue. `MockResponse()` is what the API itself returns: the credentials, 401, 404 or 304.

    A response of status 200 without content is the API's own, so `MockResponse(delay=2)` is the credentials two seconds
    late. Any other status without content gets a small JSON error.

    Args:
        status: the HTTP status, 100 to 999.
        json: a value that is sent as JSON (`None` is `null`); `...`, the default: no value.
        body: the bytes of the body, instead of `json`.
        headers: headers to set or, whatever their case, to replace.
        delay: seconds before the response.
        hang: no response until `FakeMoss.release()`; none at all if the fake is closed first.

    Raises:
        ValueError: `json` and `body` are both set, or a value is out of range.
        TypeError: `body` is not bytes.
    """

    status: int = 200
    json: Any = ...
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    hang: bool = False

    def __post_init__(self) -> None:
        name = type(self).__name__
        if self.json is not ... and self.body is not None:
            raise ValueError(f"{name}: json and body exclude each other; set one of them")
        if not 100 <= self.status <= 999:
            raise ValueError(f"{name}: status must be 100 to 999, not {self.status}")
        if self.body is not None and not isinstance(self.body, bytes):
            raise TypeError(f"{name}: body must be bytes, not {type(self.body).__name__}; encode() a text")
        if not 0 <= self.delay < math.inf:
            raise ValueError(f"{name}: delay must be a finite number that is not negative")
        for header, value in self.headers.items():
            # A header on the wire is Latin-1 (RFC 9110 5.5).
            if not header or any(sign in "\r\n" or sign > "\xff" for sign in header + value):
                raise ValueError(f"{name}: headers must be one line of Latin-1")

    @classmethod
    def redirect(cls, location: str, status: int = 302) -> Self:
        """A redirect to `location`, with any 3xx status."""
        return cls(status, headers={"Location": location})

    @classmethod
    def retry_after(cls, value: str, status: int = 429) -> Self:
        """A refusal whose Retry-After header is `value`: seconds, a date (RFC 9110 10.2.3), or an invalid text."""
        return cls(status, headers={"Retry-After": value})

    @property
    def _has_content(self) -> bool:
        return self.json is not ... or self.body is not None

    def _send(self, connection: Connection, method: str) -> None:
        """Responds on a socket to a request of this method."""
        connection.wait(self.delay)
        if self.hang:
            connection.hold()
        body = self._body(method)
        connection.send(head(self.status, self._fields(body)) + (body or b""))

    def _body(self, method: str) -> bytes | None:
        """The body; `None` where there can be none."""
        if is_without_body(method, self.status):
            return None
        return json.dumps(self.json).encode() if self.body is None else self.body

    def _fields(self, body: bytes | None) -> dict[str, str]:
        ours = {"Content-Type": "application/json", "Connection": "close"}
        return merged(ours if body is None else {**ours, "Content-Length": str(len(body))}, self.headers)

    def __repr__(self) -> str:
        """Only what was set; a body, which may contain a secret, as its size or as `<given>`."""
        shown = []
        for item in fields(self):
            value = getattr(self, item.name)
            if value == item.default or (item.name == "headers" and not value):
                continue
            if item.name == "json":
                value = "<given>"
            elif isinstance(value, bytes):
                value = f"<{len(value)} bytes>"
            else:
                value = sorted(value) if item.name == "headers" else repr(value)
            shown.append(f"{item.name}={value}")
        return f"{type(self).__name__}({', '.join(shown)})"


def is_without_body(method: str, status: int) -> bool:
    """RFC 9110 6.4.1: the response to HEAD, and one with such a status, has no body."""
    return method == "HEAD" or status < 200 or status in (204, 304)


def merged(headers: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    """The headers, and the others, which replace them whatever their case."""
    replaced = {name.lower() for name in others}
    return {**{name: value for name, value in headers.items() if name.lower() not in replaced}, **others}


def phrase(status: int) -> str:
    """The reason phrase of a status; "" for one that HTTP does not define."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def head(status: int, fields: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {phrase(status)}", *(f"{name}: {value}" for name, value in fields.items())]
    return "".join(f"{line}\r\n" for line in [*lines, ""]).encode("latin-1")
