"""Django: the application of `policy` as views, for WSGI (`app`) and ASGI (`asgi_app`) servers."""

from __future__ import annotations

import inspect
from typing import Any

import django
from django.conf import settings as django_settings
from django.core import asgi, wsgi
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest
from django.urls import include as django_include
from django.urls import path, re_path
from django.utils.decorators import sync_and_async_middleware

from moss_voice_server import ParticipantInfo
from moss_voice_server.django import token_view
from moss_voice_server.endpoint import Admission, Denied, TokenRequest
from tests.endpoint import policy
from tests.endpoint.policy_names import LEAK

# Django has no types of its own.
settings: Any = django_settings
sync_and_async: Any = sync_and_async_middleware
setup: Any = django.setup
include: Any = django_include
wsgi_application: Any = wsgi.get_wsgi_application
asgi_application: Any = asgi.get_asgi_application

settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="made up, and longer than fifty characters so that Django is content",
    ROOT_URLCONF=__name__,
    LOGGING_CONFIG=None,
    USE_TZ=True,
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        f"{__name__}.reader",
    ],
)
setup()


def _refuse(status: int) -> None:
    # Django itself knows no 401.
    raise _REFUSALS.get(status) or Denied(status)


_REFUSALS = {400: SuspiciousOperation(LEAK), 403: PermissionDenied(LEAK), 404: Http404(LEAK)}


def plain(request: HttpRequest, token_request: TokenRequest) -> Any:
    """A plain authorize."""
    return policy.decide(request.headers.get("Authorization", ""), token_request, _refuse)


async def waiting(request: HttpRequest, token_request: TokenRequest) -> Any:
    """An async authorize."""
    return policy.decide(request.headers.get("Authorization", ""), token_request, _refuse)


def sees(request: HttpRequest, token_request: TokenRequest) -> Any:
    """An authorize that looks at the body itself, as where requests are signed."""
    return Admission(ParticipantInfo("ada", None, request.body.decode()), room=token_request.room_name)


async def sees_async(request: HttpRequest, token_request: TokenRequest) -> Any:
    """The same, async."""
    return sees(request, token_request)


def matched(request: HttpRequest, token_request: TokenRequest) -> Any:
    """An authorize that looks at the variables in the path."""
    match: Any = request.resolver_match
    return Admission(ParticipantInfo("ada", None, f"{[*match.args]} {match.kwargs}"))


async def matched_async(request: HttpRequest, token_request: TokenRequest) -> Any:
    """The same, async."""
    return matched(request, token_request)


def _look(request: HttpRequest) -> None:
    if request.path.startswith("/body-before"):
        assert request.body
    if request.path.startswith("/body-consumed"):
        request.read(5)  # type: ignore[no-untyped-call]  # Django ships no types


def _reader(get_response: Any) -> Any:
    """A middleware that looks at the body before everybody else, where the path says so."""

    async def for_async(request: HttpRequest) -> Any:
        _look(request)
        return await get_response(request)

    def for_sync(request: HttpRequest) -> Any:
        _look(request)
        return get_response(request)

    return for_async if inspect.iscoroutinefunction(get_response) else for_sync


reader = sync_and_async(_reader)


_views = [
    path(where.removeprefix("/"), token_view(server, csrf_exempt=True, **options))
    for where, server, options in policy.every_route({"sync": plain, "async": waiting})
]
urlpatterns = [
    *_views,
    path("below/", include(_views)),
    *(
        path(f"{where}/{mode}", token_view(policy.FIXED, authorize=authorize, csrf_exempt=True))
        for where in ("body", "body-before", "body-consumed")
        for mode, authorize in (("sync", sees), ("async", sees_async))
    ),
    *(
        make(f"{mode}/{where}", token_view(policy.FIXED, authorize=authorize, csrf_exempt=True), more)
        for mode, authorize in (("sync", matched), ("async", matched_async))
        for make, where, more in ((path, "<slug:tenant>/named", {"plan": "pro"}), (re_path, r"(\w+)/unnamed", None))
    ),
    path("checked", token_view(policy.FIXED, authorize=plain)),
    path("checked-async", token_view(policy.FIXED, authorize=waiting)),
]

app = policy.wsgi(wsgi_application())
asgi_app = policy.asgi(asgi_application())
