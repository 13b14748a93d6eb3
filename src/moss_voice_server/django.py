"""Django: the token endpoint as a view, sync or async."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from ._endpoint.decide import Reply
from ._endpoint.handler import Endpoint, Server, is_nonblocking, run, run_async, status_of
from ._endpoint.parse import INCOMPLETE, TOO_LARGE, Misread
from .endpoint import TokenEvent
from .wsgi import headers_of, read_body

try:
    from asgiref.sync import sync_to_async
    from django.core.exceptions import BadRequest, PermissionDenied, RequestDataTooBig, SuspiciousOperation
    from django.http import Http404, HttpRequest, HttpResponse
    from django.http.request import UnreadablePostError
except ImportError:
    raise ImportError('Django is not installed: pip install "moss-voice-server[django]"') from None

__all__ = ["token_view"]


def token_view(
    server: Server | Callable[[HttpRequest], Server],
    *,
    authorize: Callable[..., Any],
    allow_origins: Any = (),
    rate_limiter: Callable[[str], Any] | None = None,
    on_token: Callable[[TokenEvent], object] | None = None,
    csrf_exempt: bool = False,
) -> Callable[[HttpRequest], HttpResponse | Awaitable[HttpResponse]]:
    """A view with the token endpoint: an async view where `authorize` is async, else a sync one. Both work under WSGI and ASGI.

    Args:
        server: a server of either class, or a function from the request to one. One that was only constructed is fetched in
            the background at the first request, which is answered with 503: call `refresh()` when the application starts.
        authorize: called with Django's request and the `TokenRequest`; returns an `endpoint.Admission`, or refuses: `raise
            Denied(401)` or Django's `PermissionDenied`.
        origins: exact origins whose pages may ask from elsewhere, such as `["https://app.example"]`; empty: CORS is off.
        limiter: called with the admission's `rate_limit_key`, or else its identity; returns the seconds to wait, or 0 or `None`
            to go on.
        on_token: called with a `TokenEvent` for each token.
        csrf_exempt: `True` says that `authorize` looks at a header that only the app's own script can send, and
            never at a cookie; only then is Django's CSRF check switched off for this view.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """
    endpoint = Endpoint(
        server, authorize, allow_origins=allow_origins, rate_limiter=rate_limiter, on_token=on_token, refusal=_refusal
    )
    view = _async_view(endpoint) if is_nonblocking(authorize) else _sync_view(endpoint)
    if csrf_exempt:
        view.__dict__["csrf_exempt"] = True  # what Django's decorator of this name sets
    return view


def _async_view(endpoint: Endpoint) -> Callable[[HttpRequest], Any]:
    async def token(request: HttpRequest) -> HttpResponse:
        return _response(await run_async(_course(endpoint, request), lambda call: sync_to_async(call)()))

    return token


def _sync_view(endpoint: Endpoint) -> Callable[[HttpRequest], Any]:
    def token(request: HttpRequest) -> HttpResponse:
        return _response(run(_course(endpoint, request)))

    return token


def _course(endpoint: Endpoint, request: HttpRequest) -> Any:
    return endpoint.course(request, request.method or "", headers_of(request.META), partial(_read, request))


def _read(request: Any, limit: int) -> bytes | Misread:
    environ = getattr(request, "environ", None)
    has_length = bool(request.META.get("CONTENT_LENGTH"))
    if environ is not None and not has_length:
        # Under WSGI Django takes a body without a length, one in chunks, for no body at all.
        return read_body(environ, limit)
    try:
        # Django keeps `body`: a middleware may have read it before, and authorize may want to. Without a length it could be huge.
        body: bytes = request.body if has_length else request.read(limit + 1)
    except RequestDataTooBig:  # longer than the application's own limit
        return TOO_LARGE
    except UnreadablePostError:
        return INCOMPLETE
    if has_length and len(body) < int(request.META["CONTENT_LENGTH"]):
        return INCOMPLETE
    return body if len(body) <= limit else TOO_LARGE


def _response(reply: Reply) -> HttpResponse:
    make: Any = HttpResponse  # Django has no types of its own
    made = make(reply.body, status=reply.status, headers=dict(reply.headers))
    if reply.status == 204:
        del made["content-type"]  # Django adds one, and there is nothing that it could be the type of
    response: HttpResponse = made
    return response


def _refusal(failure: Exception) -> int | None:
    for kind, status in _REFUSALS:
        if isinstance(failure, kind):
            return status
    return status_of(failure)  # what the REST framework raises


# As Django itself would answer them.
_REFUSALS = ((PermissionDenied, 403), (Http404, 404), (BadRequest, 400), (SuspiciousOperation, 400))
