"""Source: what a cache can keep, where it gets it, and what a fetch brings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from .._http.model import Failure

if TYPE_CHECKING:
    from ..credentials import RefreshPolicy
    from .runtime import Runtime
    from .wording import Texts


class Cacheable(Protocol):
    """What a cache can keep: LiveKit credentials, or another value that its source may replace."""

    @property
    def fingerprint(self) -> str:
        """Tells values apart in logs, and reveals nothing secret."""
        ...

    def same_as(self, other: Any) -> bool:
        """Whether nothing has changed."""
        ...


Value = TypeVar("Value", bound=Cacheable)


@dataclass(frozen=True)
class Fetched(Generic[Value]):
    """A value from the source."""

    value: Value
    etag: str = ""
    """Its entity tag (RFC 9110, section 8.8.3); "" for none."""
    max_age: float | None = None
    """Seconds until the next refresh, as the source requests; `None`: as the policy says."""


@dataclass(frozen=True)
class NotModified:
    """The cached value is the current one (RFC 9110, section 15.4.5)."""

    max_age: float | None = None


Result = Fetched[Value] | NotModified | Failure


class Source(Protocol[Value]):
    """Where a cache gets its value."""

    texts: Texts
    policy: RefreshPolicy
    runtime: Runtime

    def prepare(self) -> None:
        """Imports what `fetch` needs.

        A cache calls this on the caller's thread: an import on the fetching thread could leave the import lock held in a
        child that is forked meanwhile.
        """

    def fetch(self, attempts: int, budget: float, etag: str) -> Result[Value]:
        """Makes at most `attempts` requests within `budget` seconds; `etag` is that of the cached value, or ""."""
        ...
