"""Flask: the token endpoint as a blueprint."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ._endpoint.handler import Endpoint, Server
from ._endpoint.parse import INCOMPLETE, TOO_LARGE, Misread
from .endpoint import TokenEvent
from .wsgi import answer, read_body

try:
    from flask import Blueprint, Request, Response, request
    from flask.blueprints import BlueprintSetupState
    from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
except ImportError:
    raise ImportError('Flask is not installed: pip install "moss-voice-server[flask]"') from None

__all__ = ["token_blueprint"]


def token_blueprint(
    server: Server | Callable[[Request], Server],
    *,
    authorize: Callable[..., Any],
    path: str = "/voice/token",
    name: str = "moss_voice_token",
    allow_origins: Any = (),
    rate_limiter: Callable[[str], Any] | None = None,
    on_token: Callable[[TokenEvent], object] | None = None,
) -> Blueprint:
    """A blueprint with the token endpoint.

    Args:
        server: a server of either class, or a function from the request to one. One that was only constructed is fetched in
            the background at the first request, which is answered with 503: call `refresh()` when the application starts.
        authorize: called with Flask's request and the `TokenRequest`, in the request's context; returns an
            `endpoint.Admission`, or refuses: `raise Denied(401)` or `abort(401)`.
        path: where the endpoint is.
        name: the blueprint's name; another one for each further endpoint of an application.
        origins: exact origins whose pages may ask from elsewhere, such as `["https://app.example"]`; empty: CORS is off.
        limiter: called with the admission's `rate_limit_key`, or else its identity; returns the seconds to wait, or 0 or `None`
            to go on.
        on_token: called with a `TokenEvent` for each token.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """
    endpoint = Endpoint(server, authorize, allow_origins=allow_origins, rate_limiter=rate_limiter, on_token=on_token)
    blueprint = Blueprint(name, __name__)

    def token() -> Response:
        # The request itself and not Flask's stand-in: an async authorize may run on another thread.
        current = request._get_current_object()  # type: ignore[attr-defined]  # werkzeug's LocalProxy has it
        reply = answer(endpoint, current, current.environ, partial(_read, current))
        response = Response(reply.body, reply.status, list(reply.headers))
        if reply.status == 204:
            response.headers.pop(
                "content-type", None
            )  # Flask adds one, and there is nothing that it could be the type of
        return response

    def add(state: BlueprintSetupState) -> None:
        state.add_url_rule(path, "token", token, methods=["POST"], provide_automatic_options=False)
        endpoint_name = f"{state.name_prefix}.{state.name}.token".lstrip(".")
        for rule in state.app.url_map.iter_rules(endpoint_name):
            # Every method: Flask itself answers those that are not listed, and differently from the other frameworks.
            rule.methods = None

    blueprint.record(add)
    return blueprint


def _read(request: Request, limit: int) -> bytes | Misread:
    if request.content_length is None:
        return read_body(request.environ, limit)
    try:
        # Flask keeps it: a hook may have read it before, and authorize may want to. Its length has been looked at already.
        body = request.get_data()
    except RequestEntityTooLarge:  # longer than the application's own limit
        return TOO_LARGE
    except (HTTPException, OSError):
        return INCOMPLETE
    return body if len(body) >= request.content_length else INCOMPLETE
