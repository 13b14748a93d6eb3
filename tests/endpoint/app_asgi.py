"""ASGI: the application of `policy` in plain ASGI, under Starlette's routing."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Mount, Route

from moss_voice_server.asgi import token_app
from moss_voice_server.endpoint import TokenRequest
from tests.endpoint import policy


def _authorization(scope: MutableMapping[str, Any]) -> str:
    return str(dict(scope["headers"]).get(b"authorization", b"").decode())


def _refuse(status: int) -> None:
    raise HTTPException(status)


def plain(scope: MutableMapping[str, Any], token_request: TokenRequest) -> Any:
    """A plain authorize."""
    return policy.decide(_authorization(scope), token_request, _refuse)


async def waiting(scope: MutableMapping[str, Any], token_request: TokenRequest) -> Any:
    """An async authorize."""
    return policy.decide(_authorization(scope), token_request, _refuse)


def _routes() -> list[BaseRoute]:
    made: list[BaseRoute] = []
    for path, server, options in policy.every_route({"sync": plain, "async": waiting}):
        app = token_app(server, **options)
        made += [Route(path, app), Mount("/below" + path, app)]
    return made


app = policy.asgi(Starlette(routes=_routes()))
