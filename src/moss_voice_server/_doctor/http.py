"""HTTP: one request to any server, with all headers and the body of whatever it returns."""

from __future__ import annotations

from .._http.model import Answer, Attempt, Peer, Request
from .._secret import Secret


def ask(method: str, url: str, headers: Secret[dict[str, str]], body: bytes | None = None, *, timeout: float) -> Answer:
    """Sends the request once. The headers are wrapped, because they may hold a token."""
    from .._http.client import send

    request = Request(
        Peer("the server", "its URL"),
        method,
        url,
        secret_headers=tuple((name, Secret(value)) for name, value in headers.reveal().items()),
        body=None if body is None else Secret(body),
        kept_headers=None,
        reads_error_body=True,
    )
    return send(Attempt(request, 0.0, timeout))
