"""Django: the application of `policy` as views, for WSGI (`app`) and ASGI (`asgi_app`) servers."""

# mypy: allow-untyped-calls
# Django ships no types.

from __future__ import annotations

from typing import Any

import django
from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core import asgi, wsgi
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.http import Http404, HttpRequest
from django.urls import include, path, re_path
from django.utils.decorators import sync_and_async_middleware

from moss_voice_server import ParticipantInfo
from moss_voice_server.django import token_view
from moss_voice_server.endpoint import Admission, Denied, TokenRequest
from tests.endpoint import policy
from tests.endpoint.policy_names import LEAK

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
django.setup()


def _refuse(status: int) -> None:
    # Django itself knows no 401.
    raise _REFUSALS.get(status) or Denied(status)


_REFUSALS = {400: SuspiciousOperation(LEAK), 403: PermissionDenied(LEAK), 404: Http404(LEAK)}


AUTHORIZERS = policy.authorizers(lambda request: request.headers.get("Authorization", ""), _refuse)


def _body_in_metadata(request: HttpRequest, token_request: TokenRequest) -> Any:
    return Admission(ParticipantInfo("ada", None, request.body.decode()), room=token_request.room_name)


def _path_in_metadata(request: HttpRequest, token_request: TokenRequest) -> Any:
    match: Any = request.resolver_match
    return Admission(ParticipantInfo("ada", None, f"{[*match.args]} {match.kwargs}"))


def _modes(authorize: Any) -> dict[str, Any]:
    async def waiting(request: HttpRequest, token_request: TokenRequest) -> Any:
        return authorize(request, token_request)

    return {"sync": authorize, "async": waiting}


@sync_and_async_middleware  # type: ignore[untyped-decorator]  # Django ships no types
def reader(get_response: Any) -> Any:
    """A middleware that reads the body before the view, where the path says so."""

    def read(request: HttpRequest) -> Any:
        if request.path.startswith("/body-before"):
            assert request.body
        if request.path.startswith("/body-consumed"):
            request.read(5)
        return get_response(request)

    return markcoroutinefunction(read) if iscoroutinefunction(get_response) else read


_views = [
    path(where.removeprefix("/"), token_view(server, csrf_exempt=True, **options))
    for where, server, options in policy.every_route(AUTHORIZERS)
]
urlpatterns = [*_views, path("below/", include(_views))]
for mode, authorize in _modes(_body_in_metadata).items():
    view = token_view(policy.FIXED, authorize=authorize, csrf_exempt=True)
    urlpatterns += [path(f"{where}/{mode}", view) for where in ("body", "body-before", "body-consumed")]
for mode, authorize in _modes(_path_in_metadata).items():
    view = token_view(policy.FIXED, authorize=authorize, csrf_exempt=True)
    urlpatterns += [path(f"{mode}/<slug:tenant>/named", view, {"plan": "pro"}), re_path(rf"{mode}/(\w+)/unnamed", view)]
for mode, authorize in AUTHORIZERS.items():
    urlpatterns.append(path(f"checked/{mode}", token_view(policy.FIXED, authorize=authorize)))

app = wsgi.get_wsgi_application()
asgi_app = asgi.get_asgi_application()
