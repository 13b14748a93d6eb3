"""Model: a request, an attempt to send it, and what comes back: a response or a transport error."""

from __future__ import annotations

from typing import Any, NamedTuple

from .._secret import Secret
from ..errors import MossVoiceError

SMALL_BODY = 64 * 1024  # bytes; credentials and LiveKit's responses have less than a few thousand
LARGE_BODY = 8 * 1024 * 1024  # bytes; for lists of session reports
KEPT_HEADERS = frozenset({"cache-control", "content-encoding", "date", "etag", "location", "retry-after"})


class Peer(NamedTuple):
    """The server that a request goes to, as error texts call it."""

    name: str
    """Such as `the Moss API`."""
    setting: str
    """The argument or variable that holds its URL, such as `MOSS_PLATFORM_API_URL`."""


class Request(NamedTuple):
    """A request. The secret headers and the body stay wrapped until they are sent."""

    peer: Peer
    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    secret_headers: tuple[tuple[str, Secret[str]], ...] = ()
    body: Secret[bytes] | None = None
    max_body: int = SMALL_BODY
    """How many bytes of the response's body are read; a longer one is cut off there."""
    kept_headers: frozenset[str] | None = KEPT_HEADERS
    """The response headers to keep, in lower case, besides Content-Encoding; `None`: all of them."""
    reads_error_body: bool = False
    """Whether the body of a response outside of 200 to 299 is read."""

    @property
    def is_plain(self) -> bool:
        """Whether it is sent without TLS; allowed for loopback hosts only."""
        return self.url[:5].lower() == "http:"


class Attempt(NamedTuple):
    """Wait `delay` seconds, then send; fail `timeout` seconds later, whatever the server does."""

    request: Request
    delay: float
    timeout: float


class Response(NamedTuple):
    """A response. Header names are in lower case."""

    status: int
    headers: dict[str, str]
    body: Secret[bytes]
    is_truncated: bool = False
    """The body is longer than `Request.max_body`."""

    @property
    def is_success(self) -> bool:
        """Whether the status is 200 to 299."""
        return 200 <= self.status < 300

    @property
    def is_compressed(self) -> bool:
        """The body was not read because it is compressed, although no compression was requested."""
        return self.headers.get("content-encoding", "identity").lower() != "identity"


class TransportError(NamedTuple):
    """Why there is no response. A value, so that no frame of the HTTP client travels with it."""

    message: str
    """What went wrong, such as `connection refused`."""
    remedy: str = ""
    retry: bool = False
    """Whether another attempt may succeed."""


Answer = Response | TransportError


class Failure(NamedTuple):
    """Why a request has no result. A value, because an exception would collect the frames of every thread that raises it."""

    error_type: type[MossVoiceError]
    message: str
    remedy: str = ""
    retry_after: float | None = None
    """Seconds that the server asks callers to wait."""
    is_rejection: bool = False
    """Whether the server rejected the request's credentials, so that repeating it is no help."""

    def error(self, retry_after: float | None = None) -> MossVoiceError:
        """A new exception for one caller; `retry_after` replaces the failure's own."""
        delay = self.retry_after if retry_after is None else retry_after
        options: dict[str, Any] = {} if delay is None else {"retry_after": delay}
        return self.error_type(self.message, remedy=self.remedy, **options)
