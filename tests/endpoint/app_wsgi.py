"""WSGI: the application of `policy` in plain WSGI, under Werkzeug's routing."""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import NotFound, abort
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from moss_voice_server.wsgi import token_app
from tests.endpoint import policy

AUTHORIZERS = policy.authorizers(lambda environ: environ.get("HTTP_AUTHORIZATION", ""), abort)
_mounts: dict[str, Any] = {
    path: token_app(server, **options) for path, server, options in policy.every_route(AUTHORIZERS)
}
_mounts |= {"/below" + path: app for path, app in _mounts.items()}
app = DispatcherMiddleware(NotFound(), _mounts)
