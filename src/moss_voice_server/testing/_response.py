"""MockResponse: the response to one request to the fake Moss API."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from ._wire import Step, simple_steps

if TYPE_CHECKING:
    from typing_extensions import Self


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

    # What says what the body is: at most one of them may be set. A subclass may have more.
    _CONTENT: ClassVar[tuple[str, ...]] = ("json", "body")

    def __post_init__(self) -> None:
        name = type(self).__name__
        content = [each for each in self._CONTENT if self._has(each)]
        if len(content) > 1:
            raise ValueError(f"{name}: {' and '.join(content)} exclude each other; set one of them")
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
    def _is_default(self) -> bool:
        """Whether the API itself decides: status 200 and no content."""
        return self.status == 200 and not self._has_content

    @property
    def _has_content(self) -> bool:
        return any(self._has(name) for name in self._CONTENT)

    @property
    def _waits_for_release(self) -> bool:
        return self.hang

    @property
    def _resets_on_accept(self) -> bool:
        return False

    def _steps(self, method: str) -> Iterator[Step]:
        """What happens on the wire, up to the end of the connection."""
        return simple_steps(self.delay, self.hang, self.status, self.headers, self._encoded(), method)

    def _encoded(self) -> bytes:
        import json

        return json.dumps(self.json).encode() if self.body is None else self.body

    def _has(self, name: str) -> bool:
        value = getattr(self, name)
        return value is not ... if name == "json" else value is not None and value is not False

    def __repr__(self) -> str:
        """Only what was set; a body, which may contain a secret, as its size or as `<given>`."""
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
        return f"{type(self).__name__}({', '.join(shown)})"
