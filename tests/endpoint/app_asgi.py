"""ASGI: the application of `policy` in plain ASGI, under Starlette's routing."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount, Route

from moss_voice_server.asgi import token_app
from tests.endpoint import policy


def _refuse(status: int) -> None:
    raise HTTPException(status)


AUTHORIZERS = policy.authorizers(lambda scope: dict(scope["headers"]).get(b"authorization", b"").decode(), _refuse)
routes: list[BaseRoute] = []
for _path, _server, _options in policy.every_route(AUTHORIZERS):
    _endpoint = token_app(_server, **_options)
    routes += [Route(_path, _endpoint), Mount("/below" + _path, _endpoint)]
app = Starlette(routes=routes)
