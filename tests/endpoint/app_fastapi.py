"""FastAPI: the application of `policy` as routers."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, HTTPException, Request

from moss_voice_server.endpoint import TokenRequest
from moss_voice_server.fastapi import token_router
from tests.endpoint import policy


def _refuse(status: int) -> None:
    raise HTTPException(status)


def _plain(request: Request, token_request: TokenRequest) -> Any:
    return policy.decide(request.headers.get("authorization", ""), token_request, _refuse)


async def _waiting(request: Request, token_request: TokenRequest) -> Any:
    return _plain(request, token_request)


app = FastAPI()
for _path, _server, _options in policy.every_route({"sync": _plain, "async": _waiting}):
    _router = token_router(_server, path=_path, **_options)
    app.include_router(_router)
    app.include_router(_router, prefix="/below")
