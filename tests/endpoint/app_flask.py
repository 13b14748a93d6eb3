"""Flask: the application of `policy` as blueprints."""

from __future__ import annotations

from typing import Any

from flask import Flask, Request, abort

from moss_voice_server.endpoint import TokenRequest
from moss_voice_server.flask import token_blueprint
from tests.endpoint import policy


def plain(request: Request, token_request: TokenRequest) -> Any:
    """A plain authorize."""
    return policy.decide(request.headers.get("Authorization", ""), token_request, abort)


async def waiting(request: Request, token_request: TokenRequest) -> Any:
    """An async authorize."""
    return policy.decide(request.headers.get("Authorization", ""), token_request, abort)


flask = Flask(__name__)
for _path, _server, _options in policy.every_route({"sync": plain, "async": waiting}):
    _name = _path.strip("/").replace("/", "-")
    _blueprint = token_blueprint(_server, path=_path, name=_name, **_options)
    flask.register_blueprint(_blueprint)
    flask.register_blueprint(_blueprint, url_prefix="/below", name=f"below-{_name}")

app = policy.wsgi(flask)
