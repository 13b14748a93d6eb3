"""ASGI: the token endpoint as an ASGI application, for Starlette, Litestar, Quart or a server alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ._endpoint.asgi import Receive, Scope, Send, call_on_loop, encoded, fetch_first, incoming
from ._endpoint.handler import TokenEndpoint
from .endpoint import Authorize, EndpointOptions, Server

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["token_app"]


def token_app(
    server: Server | Callable[[Scope], Server], *, authorize: Authorize[Scope], **options: Unpack[EndpointOptions]
) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """An ASGI application that responds on every path.

    Args:
        server: a server of either class, or a function from the scope to one. One that was only constructed
            fetches when the application starts. In a mounted application, it fetches at the first request.
        authorize: called with the scope and the `TokenRequest`; see `endpoint.Authorize`.
        options: see `endpoint.EndpointOptions`.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """
    return _App(TokenEndpoint(server, authorize, knows=_starlette_knows, **options))


class _App:
    def __init__(self, endpoint: TokenEndpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = incoming(scope, receive)
            failure = None
            try:
                response = await self._endpoint.handle(request, call_on_loop)
            except Exception as raised:
                if request.body is None or _starlette_knows(raised, scope):
                    raise
                failure = raised
                response = self._endpoint.internal_error(request.headers.get("origin", ""))
            # A new list: a middleware may add to it.
            headers = [*encoded(response.headers)]
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            await send({"type": "http.response.body", "body": response.body})
            if failure is not None:
                raise failure  # for the server's log and for error trackers, as Starlette itself does
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await fetch_first(self._endpoint)
                await send({"type": "lifespan.startup.complete"})
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return


def _starlette_knows(failure: Exception, scope: Any) -> bool:
    """Whether the Starlette application around this one has a handler for an exception, or answers it itself."""
    handlers: Any = scope.get("starlette.exception_handlers")
    return handlers is not None and any(kind in handlers[0] for kind in type(failure).__mro__)
