"""Results of a refresh, as values: exceptions would collect the frames of every thread that raises them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from .model import Credentials


class ErrorType(Protocol):
    """An error class that takes `retry_after`."""

    def __call__(self, message: str, *, remedy: str, retry_after: float | None) -> Exception:
        """Creates the error."""
        ...

    @property
    def __name__(self) -> str: ...


class Fetched(NamedTuple):
    """New credentials."""

    credentials: Credentials
    etag: str = ""
    """Its entity tag (RFC 9110, section 8.8.3); "" for none."""
    max_age: float | None = None
    """Seconds until the next refresh, as the Moss API requests; `None`: as the policy says."""


class NotModified(NamedTuple):
    """The cached credentials are the current ones (RFC 9110, section 15.4.5)."""

    max_age: float | None = None


class Failure(NamedTuple):
    """Why there are no new credentials."""

    error_type: ErrorType
    message: str
    remedy: str = ""
    retry_after: float | None = None
    """Seconds that the Moss API asks callers to wait."""
    is_rejection: bool = False
    """Whether the Moss API rejected the request, so that repeating it is no help."""

    def error(self, retry_after: float | None = None) -> Exception:
        """A new exception for one caller."""
        return self.error_type(self.message, remedy=self.remedy, retry_after=retry_after)


Result = Fetched | NotModified | Failure
