"""One token endpoint in every framework, below `/<framework>`, as every server can load it.

`TEST_APPLICATION` says which: `wsgi` and `asgi` are all frameworks of that kind in one process, `flask` and `django` only one.
"""

# mypy: allow-untyped-calls
# Django ships no types.

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import Any

from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server.endpoint import Admission, Denied, TokenRequest

server = MossVoiceServer.from_livekit("wss://livekit.example", "APIexample", "a-secret-for-tests-that-is-long-enough")


def admission(authorization: str | None, token_request: TokenRequest) -> Admission:
    """The policy: `Bearer ada` is Ada, who may name one room."""
    if authorization != "Bearer ada":
        raise Denied(401)
    return Admission(ParticipantInfo("ada"), allowed_rooms=("lobby",))


def _wsgi() -> Any:
    from moss_voice_server.wsgi import token_app

    return token_app(server, authorize=lambda environ, asked: admission(environ.get("HTTP_AUTHORIZATION"), asked))


def _flask() -> Any:
    from flask import Flask

    from moss_voice_server.flask import token_blueprint

    app = Flask(__name__)
    app.register_blueprint(token_blueprint(server, authorize=_by_header, path="/flask"))
    return app


def _asgi() -> Any:
    from moss_voice_server.asgi import token_app

    async def authorize(scope: Any, token_request: TokenRequest) -> Admission:
        return admission(dict(scope["headers"]).get(b"authorization", b"").decode("latin-1"), token_request)

    return token_app(server, authorize=authorize)


def _fastapi() -> Any:
    from fastapi import FastAPI, Request

    from moss_voice_server.fastapi import token_router

    def authorize(request: Any, token_request: TokenRequest) -> Admission:
        return _by_header(request, token_request)

    # FastAPI resolves parameters by annotation, and this function's names are local.
    authorize.__annotations__ = {"request": Request, "token_request": TokenRequest}
    app = FastAPI()
    app.include_router(token_router(server, authorize=authorize, path="/fastapi"))
    return app


def _django(kind: str) -> Any:
    import django
    from django.conf import settings
    from django.core import asgi, wsgi
    from django.urls import path

    from moss_voice_server.django import token_view

    urls: Any = ModuleType("tests_servers_urls")
    urls.urlpatterns = [path("django", token_view(server, authorize=_by_header, csrf_exempt=True))]
    sys.modules[urls.__name__] = urls
    settings.configure(
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="made up, and longer than fifty characters so that Django is content",
        ROOT_URLCONF=urls.__name__,
        WSGI_APPLICATION="tests.servers.app.app",
        LOGGING_CONFIG=None,
        USE_TZ=True,
    )
    django.setup()
    return wsgi.get_wsgi_application() if kind == "wsgi" else asgi.get_asgi_application()


def _by_header(request: Any, token_request: TokenRequest) -> Admission:
    return admission(request.headers.get("Authorization"), token_request)


def _all_wsgi() -> Any:
    apps = {"wsgi": _wsgi(), "flask": _flask(), "django": _django("wsgi")}
    return lambda environ, start_response: apps[environ["PATH_INFO"][1:]](environ, start_response)


def _all_asgi() -> Any:
    apps = {"asgi": _asgi(), "fastapi": _fastapi(), "django": _django("asgi")}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        name = scope["path"][1:] if scope["type"] == "http" else "asgi"
        await apps[name](scope, receive, send)

    return app


_MAKERS = {"wsgi": _all_wsgi, "asgi": _all_asgi, "flask": _flask, "django": lambda: _django("wsgi")}
app = _MAKERS[os.environ["TEST_APPLICATION"]]()
