"""WSGI: the application of `policy` in plain WSGI, under Werkzeug's routing."""

from __future__ import annotations

from typing import Any

from werkzeug.exceptions import NotFound, abort
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from moss_voice_server.endpoint import TokenRequest
from moss_voice_server.wsgi import token_app
from tests.endpoint import policy


def plain(environ: dict[str, Any], token_request: TokenRequest) -> Any:
    """A plain authorize."""
    return policy.decide(environ.get("HTTP_AUTHORIZATION", ""), token_request, abort)


async def waiting(environ: dict[str, Any], token_request: TokenRequest) -> Any:
    """An async authorize."""
    return policy.decide(environ.get("HTTP_AUTHORIZATION", ""), token_request, abort)


_mounts: dict[str, Any] = {
    path: token_app(server, **options)
    for path, server, options in policy.every_route({"sync": plain, "async": waiting})
}
_mounts |= {"/below" + path: app for path, app in _mounts.items()}
app = policy.wsgi(DispatcherMiddleware(NotFound(), _mounts))
