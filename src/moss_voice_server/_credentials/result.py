"""Results of a refresh, as values: exceptions would collect the frames of every thread that raises them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

Value_co = TypeVar("Value_co", covariant=True)


class ErrorType(Protocol):
    """An error class that takes `retry_after`."""

    def __call__(self, message: str, *, remedy: str, retry_after: float | None) -> Exception:
        """Creates the error."""
        ...

    @property
    def __name__(self) -> str: ...


@dataclass(frozen=True)
class Fetched(Generic[Value_co]):
    """A new value."""

    value: Value_co
    etag: str = ""
    """Its entity tag (RFC 9110, section 8.8.3); "" for none."""
    max_age: float | None = None
    """Seconds until the next refresh, as the source asks for; `None`: as the policy says."""


class NotModified(NamedTuple):
    """The cached value is the current one (RFC 9110, section 15.4.5)."""

    max_age: float | None = None


class Failure(NamedTuple):
    """Why there is no new value."""

    error_type: ErrorType
    message: str
    remedy: str = ""
    retry_after: float | None = None
    """Seconds that the source asks callers to wait."""
    is_rejection: bool = False
    """Whether the source rejected the request, so that repeating it is no help."""

    def error(self, retry_after: float | None = None) -> Exception:
        """A new exception for one caller."""
        return self.error_type(self.message, remedy=self.remedy, retry_after=retry_after)


Result = Fetched[Value_co] | NotModified | Failure
