"""Django: the token endpoint as a view, sync or async."""

# mypy: allow-untyped-calls
# Django ships no types.

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from ._endpoint.asgi import call_on_loop_with
from ._endpoint.calls import call_now, run
from ._endpoint.handler import Incoming, TokenEndpoint
from ._endpoint.parse import incomplete, may_have_body, too_large
from ._endpoint.refusal import status_of
from ._endpoint.responses import Response
from ._endpoint.wsgi import incoming, read_body
from ._functions import is_nonblocking
from ._validation import boolean
from .endpoint import Authorize, EndpointOptions, Server

try:
    from asgiref.sync import sync_to_async
    from django.conf import settings
    from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
    from django.core.signals import got_request_exception
    from django.db import connections
    from django.http import Http404, HttpRequest, HttpResponse
    from django.http.request import RawPostDataException, UnreadablePostError
    from django.utils.module_loading import import_string
except ImportError:
    raise ImportError('Django is not installed: pip install "moss-voice-server[django]"') from None

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["token_view"]


def token_view(
    server: Server | Callable[[HttpRequest], Server],
    *,
    authorize: Authorize[HttpRequest],
    csrf_exempt: bool = False,
    **options: Unpack[EndpointOptions],
) -> Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]]:
    """A view with the token endpoint: an async view where `authorize` is async, else a sync one. Both work under WSGI and ASGI.

    Under `ATOMIC_REQUESTS` the transaction is rolled back unless a token is issued. An unknown exception of `authorize` reaches
    the `process_exception` methods of middlewares, if there are any, and the signal `got_request_exception`.

    Args:
        server: a server of either class, or a function from the request to one. One that was only constructed fetches at
            the first request, which waits for it.
        authorize: called with Django's request and the `TokenRequest`; see `endpoint.Authorize`. Django's `PermissionDenied` is
            a refusal as well.
        csrf_exempt: `True` disables Django's CSRF check for this view. Only where `authorize` never looks at a cookie, but at
            a header that only the app's own script can send.
        options: see `endpoint.EndpointOptions`.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """
    endpoint = TokenEndpoint(server, authorize, refusal_status=_refusal_status, **options)
    view = _async_view(endpoint) if is_nonblocking(authorize) else _sync_view(endpoint)
    if boolean("csrf_exempt", csrf_exempt):
        view.__dict__["csrf_exempt"] = True  # what Django's decorator of this name sets
    return view


def _async_view(endpoint: TokenEndpoint) -> Callable[[HttpRequest], Any]:
    async def token(request: HttpRequest, *_args: object, **_kwargs: object) -> HttpResponse:
        try:
            return _response(await endpoint.handle(_incoming(request), _call_on_loop))
        except Exception as failure:  # noqa: BLE001  # logged already
            return _crash(endpoint, request, failure)

    return token


def _sync_view(endpoint: TokenEndpoint) -> Callable[[HttpRequest], Any]:
    def token(request: HttpRequest, *_args: object, **_kwargs: object) -> HttpResponse:
        try:
            response = _response(run(endpoint.handle(_incoming(request), call_now)))
        except Exception as failure:  # noqa: BLE001  # logged already
            response = _crash(endpoint, request, failure)
        if response.status_code >= 400:
            _roll_back()
        return response

    return token


async def _in_thread(function: Callable[[], Any]) -> Any:
    return await sync_to_async(function)()


_call_on_loop = call_on_loop_with(_in_thread)


def _incoming(request: HttpRequest) -> Incoming:
    return incoming(request.META | {"REQUEST_METHOD": request.method or ""}, request, partial(_read, request))


def _crash(endpoint: TokenEndpoint, request: HttpRequest, failure: Exception) -> HttpResponse:
    """The response to an exception that is not a refusal, with all that Django does for one that leaves a view."""
    is_wrapped = not isinstance(request, HttpRequest)  # by a view of the REST framework, which has exception handlers
    if is_wrapped or settings.DEBUG_PROPAGATE_EXCEPTIONS or _middleware_hears_exceptions(tuple(settings.MIDDLEWARE)):
        raise failure
    got_request_exception.send(sender=None, request=request)
    return _response(endpoint.internal_error(request.headers.get("origin", "")))


@lru_cache(maxsize=8)
def _middleware_hears_exceptions(middleware: tuple[str, ...]) -> bool:
    return any(hasattr(import_string(path), "process_exception") for path in middleware)


def _roll_back() -> None:
    """Rolls back what `ATOMIC_REQUESTS` would commit, as for an exception that leaves a view."""
    for connection in connections.all(initialized_only=True):
        if connection.settings_dict["ATOMIC_REQUESTS"] and connection.in_atomic_block:
            connection.set_rollback(True)


def _read(request: Any, limit: int) -> bytes:
    environ = getattr(request, "environ", None)
    length = request.META.get("CONTENT_LENGTH")
    version = getattr(request, "scope", {}).get("http_version") or (request.META.get("SERVER_PROTOCOL") or "")[5:]
    may_come = may_have_body(bool(request.META.get("HTTP_TRANSFER_ENCODING")), version)
    if environ is not None and not length and not getattr(request, "_body", b""):
        # Under WSGI Django reads a body without a length, one in chunks, as an empty body.
        request._body = read_body(environ, limit)  # where Django keeps it
    try:
        if (length or may_come) and getattr(request, "_read_started", False) and not hasattr(request, "_body"):
            raise RawPostDataException  # a middleware has read the request as a file
        # Django keeps `body` for middlewares before and for authorize. Without a length it could be huge.
        body: bytes = request.body if length or hasattr(request, "_body") else request.read(limit + 1)
    except RequestDataTooBig:  # longer than the application's own limit
        raise too_large() from None
    except (UnreadablePostError, RawPostDataException):
        raise incomplete() from None
    if len(body) > limit:
        raise too_large()
    if len(body) < int(length or may_come):
        raise incomplete()
    return body


def _response(response: Response) -> HttpResponse:
    made = HttpResponse(response.body, status=response.status, headers=dict(response.headers))
    if response.status == 204:
        del made["content-type"]  # Django adds one, but there is no content
    return made


def _refusal_status(failure: Exception) -> int | None:
    for kind, status in _REFUSALS:
        if isinstance(failure, kind):
            return status
    return status_of(failure)  # what the REST framework raises


# As Django itself would answer them.
_REFUSALS = ((PermissionDenied, 403), (Http404, 404), (BadRequest, 400), (SuspiciousOperation, 400))
