"""RecordedRequest: one request that reached a fake, with its Headers in any case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

_PRIVATE = ("x-project-key", "authorization", "cookie")


class Headers(Mapping[str, str]):
    """Request headers by name, in any case; a header that came twice is joined by a comma (RFC 9110 5.3)."""

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._values: dict[str, str] = {}
        for name, value in pairs:
            known = self._values.get(name.lower())
            self._values[name.lower()] = value if known is None else f"{known}, {value}"

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        shown = {name: "***" if name in _PRIVATE else value for name, value in self._values.items()}
        return f"Headers({shown})"


@dataclass(frozen=True)
class RecordedRequest:
    """What a client asked, and when.

    method: such as "GET".
    path: as sent, query included.
    headers: see `Headers`.
    time: seconds by the fake's clock (`time.monotonic` by default): for intervals, not for dates.
    body: the body, empty for most requests.
    """

    method: str
    path: str
    headers: Headers = field(default_factory=Headers)
    time: float = 0.0
    body: bytes = field(default=b"", repr=False)
