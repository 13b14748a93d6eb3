"""WSGI: the token endpoint as a WSGI application, for any WSGI framework or a server of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any

from ._endpoint.decide import Reply
from ._endpoint.handler import Endpoint, Server, run
from ._endpoint.parse import INCOMPLETE, TOO_LARGE, Misread
from .endpoint import TokenEvent

__all__ = ["token_app"]

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def token_app(
    server: Server | Callable[[Environ], Server],
    *,
    authorize: Callable[..., Any],
    allow_origins: Any = (),
    rate_limiter: Callable[[str], Any] | None = None,
    on_token: Callable[[TokenEvent], object] | None = None,
) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    """A WSGI application that answers on whatever path it is mounted at.

    Args:
        server: a server of either class, or a function from the environ to one. One that was only constructed is fetched in
            the background at the first request, which is answered with 503: call `refresh()` when the application starts.
        authorize: called with the environ and the `TokenRequest`, sync or async; returns an `endpoint.Admission`, or raises
            or returns `endpoint.Denied`.
        origins: exact origins whose pages may ask from elsewhere, such as `["https://app.example"]`; empty: CORS is off.
        limiter: called with the admission's `rate_limit_key`, or else its identity; returns the seconds to wait, or 0 or `None`
            to go on.
        on_token: called with a `TokenEvent` for each token.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """
    endpoint = Endpoint(server, authorize, allow_origins=allow_origins, rate_limiter=rate_limiter, on_token=on_token)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        reply = answer(endpoint, environ, environ)
        start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", list(reply.headers))
        return [reply.body]

    return app


def answer(
    endpoint: Endpoint, request: Any, environ: Environ, read: Callable[[int], bytes | Misread] | None = None
) -> Reply:
    """The endpoint's answer to a WSGI request; `request` is what `authorize` is given, `read` a framework's own reading."""
    read = read or partial(read_body, environ)
    return run(endpoint.course(request, environ["REQUEST_METHOD"], headers_of(environ), read))


def headers_of(environ: Environ) -> dict[str, str]:
    """A WSGI request's headers, names in lower case."""
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    headers["content-type"] = environ.get("CONTENT_TYPE", "")
    headers["content-length"] = environ.get("CONTENT_LENGTH", "")
    return headers


def read_body(environ: Environ, limit: int) -> bytes | Misread:
    """The whole body, or a `Misread` when it is longer than `limit` or breaks off."""
    length = environ.get("CONTENT_LENGTH")
    if (
        not length
        and not environ.get("wsgi.input_terminated")
        and "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "")
    ):
        return b""  # without a length, a server that does not say that the input ends would wait for ever
    wanted = int(length) if length else limit + 1
    body = b""
    while len(body) < wanted:
        try:
            chunk = environ["wsgi.input"].read(wanted - len(body))
        except Exception:  # noqa: BLE001  # servers have their own for chunks that are none
            return INCOMPLETE
        if not chunk:
            break
        body += chunk
    if len(body) > limit:
        return TOO_LARGE
    return INCOMPLETE if length and len(body) < wanted else body
