"""WSGI: the token endpoint as a WSGI application, for any WSGI framework or a server alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ._endpoint.calls import call_now, run
from ._endpoint.handler import TokenEndpoint
from ._endpoint.responses import Response
from ._endpoint.wsgi import Environ, incoming
from .endpoint import Authorize, EndpointOptions, Server

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["token_app"]

StartResponse = Callable[[str, list[tuple[str, str]]], Any]


def token_app(
    server: Server | Callable[[Environ], Server], *, authorize: Authorize[Environ], **options: Unpack[EndpointOptions]
) -> Callable[[Environ, StartResponse], Iterable[bytes]]:
    """A WSGI application that responds on every path.

    Args:
        server: a server of either class, or a function from the environ to one. One that was only constructed fetches at
            the first request, which waits for it.
        authorize: called with the environ and the `TokenRequest`; see `endpoint.Authorize`.
        options: see `endpoint.EndpointOptions`.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """
    endpoint = TokenEndpoint(server, authorize, knows=_werkzeug_knows, **options)

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request = incoming(environ)
        try:
            response: Response = run(endpoint.handle(request, call_now))
        except Exception as failure:  # noqa: BLE001  # logged already; WSGI servers would close the connection
            if _werkzeug_knows(failure, environ):
                own: Any = failure  # a WSGI application itself
                answer: Iterable[bytes] = own(environ, start_response)
                return answer
            response = endpoint.internal_error(request.headers.get("origin", ""))
        start_response(f"{response.status} {HTTPStatus(response.status).phrase}", list(response.headers))
        return [response.body]

    return app


def _werkzeug_knows(failure: Exception, environ: Any) -> bool:
    """Whether an exception is one of Werkzeug's, such as a redirect, which brings its own response."""
    exceptions: Any = sys.modules.get("werkzeug.exceptions")
    return exceptions is not None and isinstance(failure, exceptions.HTTPException)
