"""FastAPI: the token endpoint as a router; `authorize` is a dependency, with its own sub-dependencies and security."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of the functions below.

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any

from ._endpoint.asgi import call_on_loop, encoded, fetch_first, incoming, resolved
from ._endpoint.dependency import dependency
from ._endpoint.handler import Incoming, TokenEndpoint
from ._endpoint.openapi import described
from ._endpoint.parse import MAX_BODY, parse
from ._endpoint.refusal import Refusal, status_of
from ._endpoint.responses import Response as EndpointResponse
from ._endpoint.responses import refusal_response
from ._functions import is_nonblocking
from ._guests import Guests
from ._urls import check_path
from .endpoint import Denied, EndpointOptions, Server, TokenRequest
from .errors import CredentialsError, InvalidArgument

try:
    from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.routing import APIRoute
    from starlette.exceptions import HTTPException as StarletteHTTPException
    from starlette.routing import Match
    from starlette.types import Message, Receive, Scope, Send
except ImportError:
    raise ImportError('FastAPI is not installed: pip install "moss-voice-server[fastapi]"') from None

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["token_router"]

_INCOMING = "moss_voice_server.incoming"
_TOKEN_REQUEST = "moss_voice_server.token_request"  # noqa: S105  # a key of the scope
_DEPENDENCY_HEADERS = "moss_voice_server.dependency_headers"


def token_router(
    server: Server | Callable[[Request], Server],
    *,
    authorize: Callable[..., object],
    path: str = "/voice/token",
    **options: "Unpack[EndpointOptions]",
) -> APIRouter:
    """A router with the token endpoint, for `app.include_router(...)`.

    An exception of `authorize`, or of something that it depends on, reaches dependencies with `yield` as in any other route.
    The application's exception handlers answer it. The endpoint itself answers an `HTTPException` with a 4xx status.

    Args:
        server: a server of either class, or a function from the request to one, such as
            `lambda request: request.app.state.voice_server`. One that was only constructed fetches when the application
            starts. In a mounted application, it fetches at the first request. After a failure the endpoint responds with 503.
        authorize: a dependency like any other; a parameter annotated `TokenRequest` gets the client's request. It returns an
            `endpoint.Admission`, or denies: `raise Denied(401)` or FastAPI's `HTTPException` with a 4xx status.
        path: the URL path of the endpoint, below the prefix that `include_router` may add.
        options: see `endpoint.EndpointOptions`.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """
    path = check_path(path)
    endpoint = TokenEndpoint(server, authorize, refusal_status=_refusal_status, generators=True, **options)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await fetch_first(endpoint)
        yield

    async def token(
        request: Request, response: Response, admission: Annotated[Any, Depends(_dependency(authorize))]
    ) -> Response:
        received: Incoming = request.scope[_INCOMING]
        received.request = request
        request.scope[_DEPENDENCY_HEADERS] = response.raw_headers  # a dependency may set cookies
        decision = await resolved(admission)
        issued = await endpoint.issue(received, request.scope[_TOKEN_REQUEST], decision, call_on_loop)
        return _response(issued, response.raw_headers)

    router = APIRouter(lifespan=lifespan)
    route = type("TokenRoute", (_TokenRoute,), {"token_endpoint": endpoint})
    docs = described(options.get("response_keys", "snake"))
    router.add_api_route(path, token, methods=["POST"], response_model=None, route_class_override=route, **docs)
    if getattr(router.routes[-1], "body_field", None) is not None:
        raise InvalidArgument(
            "authorize or one of its dependencies declares a request body",
            field="authorize",
            remedy="use a parameter token_request: TokenRequest instead",
        )
    return router


class _TokenRoute(APIRoute):
    """Reads the token request before FastAPI solves the dependencies, and answers the exceptions that leave the route."""

    token_endpoint: TokenEndpoint

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Every method, so that each is answered as in every other framework."""
        match, child_scope = super().matches(scope)
        return (Match.FULL if match is Match.PARTIAL else match), child_scope

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, top to bottom; `authorize` and `issue` are called by FastAPI in the middle."""
        endpoint = self.token_endpoint
        received = incoming(scope, receive, Request(scope, receive))
        sender = _Sender(send, encoded(endpoint.cors.headers(received.headers.get("origin", ""))))
        try:
            response = endpoint.precheck(received)
            if response is None:
                received.body = await received.read(MAX_BODY)
                scope[_INCOMING], scope[_TOKEN_REQUEST] = received, parse(received.body)
        except Refusal as refusal:
            response = await endpoint.refuse(received, refusal, call_on_loop)
        if response is not None:
            await _response(response)(scope, receive, sender)
            return
        scope["starlette.exception_handlers"] = (self._handlers(scope), {})
        try:
            await super().handle(scope, _replay(received.body, receive), sender)
            await endpoint.report_if_silent(received, call_on_loop)  # a handler of the application has answered
        except Exception as failure:
            if not sender.started:
                await self._crash(scope, receive, sender, failure)
            raise

    async def _crash(self, scope: Scope, receive: Receive, send: Send, failure: Exception) -> None:
        """Responds to an exception without a handler; it is raised on, for the server's log and for error trackers."""
        handlers: Any = getattr(scope.get("app"), "exception_handlers", {})
        try:
            response = await self.token_endpoint.refuse(scope[_INCOMING], failure, call_on_loop)
        except Exception:  # noqa: BLE001  # the same one
            if Exception in handlers or 500 in handlers:
                return
            response = refusal_response(Refusal(500, "internal_error"))
        await _response(response)(scope, receive, send)

    def _handlers(self, scope: Scope) -> dict[Any, Any]:
        """The exception handlers of the application, with the endpoint's own for refusals."""
        handlers, by_status = scope.get("starlette.exception_handlers", ({}, {}))

        async def refuse(request: Request, failure: Exception) -> Response:
            response = await self.token_endpoint.refuse(request.scope[_INCOMING], failure, call_on_loop)
            return _response(response, request.scope.get(_DEPENDENCY_HEADERS, ()))

        async def http_exception(request: Request, failure: StarletteHTTPException) -> Any:
            handler = by_status.get(failure.status_code) or handlers.get(StarletteHTTPException)
            if handler is None or status_of(failure) is not None:
                return await refuse(request, failure)
            return await call_on_loop(handler, is_nonblocking(handler), request, failure)

        own = dict.fromkeys((Refusal, Denied, CredentialsError, RequestValidationError), refuse)
        return {**handlers, **own, StarletteHTTPException: http_exception, HTTPException: http_exception}


class _Sender:
    """Sends the response with the CORS headers, also one of the application's own handlers."""

    def __init__(self, send: Send, headers: tuple[tuple[bytes, bytes], ...]) -> None:
        self._send = send
        self._headers = headers
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            message["headers"] = [*message.get("headers", ()), *self._headers]
        await self._send(message)


def _replay(body: bytes | None, receive: Receive) -> Receive:
    """Delivers the body once more, for dependencies that read it themselves."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


def _response(response: EndpointResponse, more: Collection[tuple[bytes, bytes]] = ()) -> Response:
    made = Response(response.body, response.status)
    ours = encoded(response.headers)
    names = {name for name, _ in ours}
    made.raw_headers = [*ours, *(header for header in more if header[0] not in names)]
    return made


def _refusal_status(failure: Exception) -> int | None:
    # A parameter of a dependency, such as a header, is missing or wrong.
    return 422 if isinstance(failure, RequestValidationError) else status_of(failure)


def _dependency(authorize: Callable[..., Any]) -> Callable[..., Any]:
    if not isinstance(authorize, Guests):
        return dependency(authorize, Annotated[TokenRequest, Depends(_token_request)])

    async def guests(request: Request) -> Any:
        return authorize(request, request.scope[_TOKEN_REQUEST])

    return guests


async def _token_request(request: Request) -> TokenRequest:
    token_request: TokenRequest = request.scope[_TOKEN_REQUEST]
    return token_request
