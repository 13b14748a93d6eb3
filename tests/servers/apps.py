"""One token endpoint in every framework, for every server: bearer tokens, two rooms to name, static credentials."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server.endpoint import Admission, Denied, TokenRequest

PATH = "/voice/token"
ROOMS = ("lobby", "hall")
server = MossVoiceServer.from_livekit("wss://livekit.example", "APIexample", "a-secret-for-tests-that-is-long-enough")


def admission(authorization: str | None, token_request: TokenRequest) -> Admission:
    """The policy: `Bearer ada` is Ada, who may name two rooms and her own name."""
    if authorization != "Bearer ada":
        raise Denied(401)
    return Admission(ParticipantInfo("ada"), allowed_rooms=ROOMS, client_may_set=("name",))


def _wsgi_authorize(environ: dict[str, Any], token_request: TokenRequest) -> Admission:
    return admission(environ.get("HTTP_AUTHORIZATION"), token_request)


def _wsgi() -> Any:
    from moss_voice_server.wsgi import token_app

    endpoint: Any = token_app(server, authorize=_wsgi_authorize)
    return endpoint


def _flask() -> Any:
    from flask import Flask, request

    from moss_voice_server.flask import token_blueprint

    app = Flask(__name__)

    def authorize(_request: Any, token_request: TokenRequest) -> Admission:
        return admission(request.headers.get("Authorization"), token_request)

    app.register_blueprint(token_blueprint(server, authorize=authorize, path=PATH))
    return app


def _asgi() -> Any:
    from moss_voice_server.asgi import token_app

    async def authorize(scope: Any, token_request: TokenRequest) -> Admission:
        headers = dict(scope["headers"])
        return admission(headers.get(b"authorization", b"").decode("latin-1"), token_request)

    return token_app(server, authorize=authorize)


def _fastapi() -> Any:
    from fastapi import FastAPI, Request

    from moss_voice_server.fastapi import token_router

    def authorize(request: Any, token_request: TokenRequest) -> Admission:
        return admission(request.headers.get("authorization"), token_request)

    # FastAPI resolves parameters by annotation, and this function's names are local.
    authorize.__annotations__ = {"request": Request, "token_request": TokenRequest}
    app = FastAPI()
    app.include_router(token_router(server, authorize=authorize, path=PATH))
    return app


def _django(name: str) -> Any:
    import django
    from django.conf import settings as django_settings
    from django.urls import path

    from moss_voice_server.django import token_view

    def authorize(request: Any, token_request: TokenRequest) -> Admission:
        return admission(request.headers.get("Authorization"), token_request)

    urls = ModuleType("tests_servers_urls")
    urls.__dict__["urlpatterns"] = [
        path(PATH.removeprefix("/"), token_view(server, authorize=authorize, csrf_exempt=True))
    ]
    sys.modules[urls.__name__] = urls
    settings: Any = django_settings
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="made up, and longer than fifty characters so that Django is content",
        ROOT_URLCONF=urls.__name__,
        WSGI_APPLICATION="tests.servers.app.app",
        LOGGING_CONFIG=None,
        USE_TZ=True,
    )
    setup: Any = django.setup
    setup()
    if name == "django":
        from django.core import wsgi

        wsgi_application: Any = wsgi.get_wsgi_application
        return wsgi_application()
    from django.core import asgi

    asgi_application: Any = asgi.get_asgi_application
    return asgi_application()


def application(name: str) -> Any:
    """The application of this name; only its framework is imported."""
    return {"wsgi": _wsgi, "flask": _flask, "asgi": _asgi, "fastapi": _fastapi}.get(name, lambda: _django(name))()
