"""Flask: the application of `policy` as blueprints."""

from __future__ import annotations

from flask import Flask, abort

from moss_voice_server.flask import token_blueprint
from tests.endpoint import policy

AUTHORIZERS = policy.authorizers(lambda request: request.headers.get("Authorization", ""), abort)
app = Flask(__name__)
for _path, _server, _options in policy.every_route(AUTHORIZERS):
    _name = _path.strip("/").replace("/", "-")
    _blueprint = token_blueprint(_server, path=_path, name=_name, **_options)
    app.register_blueprint(_blueprint)
    app.register_blueprint(_blueprint, url_prefix="/below", name=f"below-{_name}")
