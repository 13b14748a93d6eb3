"""FastAPI: the token endpoint as a router; `authorize` is a dependency, with its own sub-dependencies and security."""

# No `from __future__ import annotations` here: FastAPI reads the annotations of the functions below.

import inspect
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, get_args, get_type_hints

import anyio.to_thread

from ._endpoint.decide import Reply
from ._endpoint.handler import Endpoint, Server, run_async, status_of
from ._endpoint.parse import Misread
from .asgi import fetch_first, headers_of, read_body
from .endpoint import TokenEvent, TokenRequest, allow_guests
from .errors import InvalidArgument

try:
    from fastapi import APIRouter, Depends, FastAPI, Request, Response
    from fastapi.exceptions import RequestValidationError
    from fastapi.routing import APIRoute
    from starlette.types import Receive, Scope, Send
except ImportError:
    raise ImportError('FastAPI is not installed: pip install "moss-voice-server[fastapi]"') from None

__all__ = ["token_router"]

_REQUESTED = "moss_voice_server.request"
_ADMISSION = "moss_voice_server.admission"


def token_router(
    server: Server | Callable[[Request], Server],
    *,
    authorize: Callable[..., Any],
    path: str = "/voice/token",
    allow_origins: Any = (),
    rate_limiter: Callable[[str], Any] | None = None,
    on_token: Callable[[TokenEvent], object] | None = None,
) -> APIRouter:
    """A router with the token endpoint, for `app.include_router(...)`.

    Args:
        server: a server of either class, or a function from the request to one, such as
            `lambda request: request.app.state.voice_server`. One that was only constructed is fetched when the application
            starts; a failure then does not stop the start, the endpoint answers 503 until Moss does.
        authorize: a dependency like any other, sync or async; a parameter annotated `TokenRequest` gets the client's request.
            It returns an `endpoint.Admission`, or refuses: `raise Denied(401)` or FastAPI's `HTTPException` with 401 or 403.
        path: where the endpoint is, below the prefix that `include_router` may add.
        origins: exact origins whose pages may ask from elsewhere, such as `["https://app.example"]`; empty: CORS is off.
        limiter: called with the admission's `rate_limit_key`, or else its identity; returns the seconds to wait, or 0 or `None`
            to go on.
        on_token: called with a `TokenEvent` for each token.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """
    endpoint = Endpoint(
        server, authorize, allow_origins=allow_origins, rate_limiter=rate_limiter, on_token=on_token, refusal=_refusal
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await fetch_first(endpoint)
        yield

    async def token(request: Request, admission: Annotated[Any, Depends(_dependency(authorize))]) -> None:
        request.scope[_ADMISSION] = admission

    router = APIRouter(lifespan=lifespan)
    router.add_api_route(
        path,
        token,
        methods=["POST"],
        status_code=201,
        response_model=None,
        summary="Token for a voice session",
        description="LiveKit's token endpoint: all fields are requests, and those that are not allowed are refused.",
        responses=_RESPONSES,
        openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": _REQUEST}}}},
        route_class_override=_route_class(endpoint),
    )
    if getattr(router.routes[-1], "body_field", None) is not None:
        raise InvalidArgument(
            "authorize, or something that it depends on, reads the body, which is the request's: let authorize have a parameter "
            "request: TokenRequest, and hand on what others need of it",
            field="authorize",
        )
    # Every other method as well, so that it is answered as in every other framework.
    others: Any = _OtherMethods(endpoint)  # an ASGI application, which Starlette takes as well
    router.add_route(path, others, methods=[], include_in_schema=False)
    return router


def _route_class(endpoint: Endpoint) -> type[APIRoute]:
    class TokenRoute(APIRoute):
        """Puts the endpoint's course around FastAPI's own handling, which solves the dependencies."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            solve = super().get_route_handler()

            async def handle(request: Request) -> Response:
                left: Response | None = None

                async def admit(request: Request, token_request: TokenRequest) -> Any:
                    nonlocal left
                    request.scope[_REQUESTED] = token_request
                    left = await solve(request)
                    admission = request.scope[_ADMISSION]
                    return await admission if inspect.isawaitable(admission) else admission

                course = endpoint.course(
                    request, request.method, headers_of(request.scope), partial(_read, request), authorize=admit
                )
                response = _response(await run_async(course, anyio.to_thread.run_sync))
                if left is not None:  # what dependencies have said: cookies above all, and tasks for later
                    ours = {name for name, _ in response.raw_headers}
                    response.raw_headers += [header for header in left.raw_headers if header[0] not in ours]
                    response.background = left.background
                return response

            return handle

    return TokenRoute


class _OtherMethods:
    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        course = self._endpoint.course(request, request.method, headers_of(scope), partial(_read, request))
        await _response(await run_async(course, anyio.to_thread.run_sync))(scope, receive, send)


async def _read(request: Request, limit: int) -> bytes | Misread:
    body = await read_body(request.receive, limit)
    if isinstance(body, bytes):
        request._body = body  # where Starlette keeps it, for dependencies that want to see it as well
    return body


def _response(reply: Reply) -> Response:
    response = Response(reply.body, reply.status)
    response.raw_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    return response


def _refusal(failure: Exception) -> int | None:
    # A dependency's own parameter, such as a header, is missing or wrong.
    return 422 if isinstance(failure, RequestValidationError) else status_of(failure)


def _dependency(authorize: Callable[..., Any]) -> Callable[..., Any]:
    """The same dependency, with the parameter that is annotated `TokenRequest` filled from the request's request."""
    if isinstance(authorize, allow_guests):

        async def guests(request: Request) -> Any:
            return authorize(request, request.scope[_REQUESTED])

        return guests
    given: Collection[str] = ()
    call: Any = authorize
    while isinstance(call, partial):
        # What the application has given already is no parameter any more: a client could say it in the query.
        given = {*given, *call.keywords}
        call = call.func
    if not inspect.isroutine(call):
        call = call.__call__
    hints = get_type_hints(call, include_extras=True)
    signature = inspect.signature(authorize)
    for name in ("request", "token_request"):
        # What the other frameworks' authorize is called with. Here both would be looked for in the query, and nobody let in.
        parameter = signature.parameters.get(name)
        if parameter and parameter.default is parameter.empty and name not in hints and name not in given:
            raise InvalidArgument(
                f"authorize's parameter {name} has no annotation: write request: Request and request: TokenRequest, as FastAPI "
                "goes by types",
                field="authorize",
            )
    parameters = [
        parameter.replace(
            annotation=Annotated[TokenRequest, Depends(_token_request)]
            if _is_token_request(hints.get(name))
            else hints.get(name, parameter.annotation)
        )
        for name, parameter in signature.parameters.items()
        if name not in given
    ]

    kind = _AsyncDependency if inspect.iscoroutinefunction(call) else _Dependency
    return kind(authorize, signature.replace(parameters=parameters))


class _Dependency:
    """Calls authorize, and equals it: so `app.dependency_overrides[authorize]` is found. FastAPI runs it on a thread."""

    def __init__(self, authorize: Callable[..., Any], signature: inspect.Signature) -> None:
        self.authorize = authorize
        self.__signature__ = signature
        try:
            self._hash = hash(authorize)
        except TypeError:  # then it cannot be a key of the overrides
            self._hash = id(authorize)

    def __call__(self, **arguments: Any) -> Any:
        return self.authorize(**arguments)

    def __eq__(self, other: object) -> bool:
        return self.authorize == (other.authorize if isinstance(other, _Dependency) else other)

    def __hash__(self) -> int:
        return self._hash


class _AsyncDependency(_Dependency):
    """The same; FastAPI awaits it."""

    async def __call__(self, **arguments: Any) -> Any:
        return await self.authorize(**arguments)


def _is_token_request(hint: Any) -> bool:
    """Whether it is `TokenRequest`, also `| None` or in `Annotated`: FastAPI itself would read the body into it, unchecked."""
    return hint is TokenRequest or TokenRequest in get_args(hint)


async def _token_request(request: Request) -> TokenRequest:
    token_request: TokenRequest = request.scope[_REQUESTED]
    return token_request


def _texts(*names: str) -> dict[str, Any]:
    return {name: {"type": "string"} for name in names}


def _optional_strings(*names: str) -> dict[str, Any]:
    return {name: {"type": ["string", "null"]} for name in names}


_REQUEST: dict[str, Any] = {
    "title": "TokenRequest",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **_optional_strings("room_name", "participant_name", "participant_identity", "participant_metadata"),
        "participant_attributes": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        "room_config": {
            "type": ["object", "null"],
            "properties": {
                "agents": {
                    "type": ["array", "null"],
                    "maxItems": 8,
                    "items": {
                        "type": "object",
                        "properties": _optional_strings("agent_name", "metadata", "deployment"),
                    },
                }
            },
        },
    },
}


def _described(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_ERROR: dict[str, Any] = {
    "title": "TokenError",
    "type": "object",
    "required": ["error", "message"],
    "properties": _texts("error", "message"),
}
_TOKEN: dict[str, Any] = {
    "title": "Token",
    "type": "object",
    "required": ["server_url", "participant_token"],
    "properties": _texts("server_url", "participant_token"),
}
_RESPONSES: dict[int | str, dict[str, Any]] = {
    201: _described("The token, and the LiveKit server that takes it.", _TOKEN),
    400: _described("The body is not a token request.", _ERROR),
    401: _described("Sign in first.", _ERROR),
    403: _described("Something in the request is not allowed.", _ERROR),
    413: _described("The body is too large.", _ERROR),
    415: _described("The body is not JSON.", _ERROR),
    422: _described("A value in the request is impossible.", _ERROR),
    429: _described("Too many requests.", _ERROR),
    500: _described("Something went wrong on the server.", _ERROR),
    503: _described("Tokens cannot be made at the moment.", _ERROR),
}
