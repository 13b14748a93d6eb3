"""Send one HTTP request of any kind, and get all headers and the body of whatever returns."""

from __future__ import annotations

from collections.abc import Mapping

from .._http.model import Answer, Attempt, Peer, Request
from .._secret import Secret


def request(
    peer: Peer,
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    *,
    timeout: float,
) -> Answer:
    """The response, whatever its status, or why there is none. Redirects are not followed."""
    from .._http.client import send

    made = Request(
        peer,
        method,
        url,
        secret_headers=tuple((name, Secret(value)) for name, value in (headers or {}).items()),
        body=None if body is None else Secret(body),
        kept_headers=None,
        reads_error_body=True,
    )
    return send(Attempt(made, 0.0, timeout))
