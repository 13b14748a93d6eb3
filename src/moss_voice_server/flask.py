"""Flask: the token endpoint as a blueprint."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from ._endpoint.calls import call_now, run
from ._endpoint.handler import TokenEndpoint
from ._endpoint.parse import incomplete, too_large
from ._endpoint.refusal import status_of
from ._endpoint.responses import Response as EndpointResponse
from ._endpoint.wsgi import incoming, read_body
from ._urls import check_path
from ._validation import plain_str
from .endpoint import Authorize, EndpointOptions, Server
from .errors import InvalidArgument

try:
    from flask import Blueprint, Request, Response, current_app, request
    from flask.blueprints import BlueprintSetupState
    from werkzeug.exceptions import HTTPException, RequestEntityTooLarge
except ImportError:
    raise ImportError('Flask is not installed: pip install "moss-voice-server[flask]"') from None

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["token_blueprint"]


def token_blueprint(
    server: Server | Callable[[Request], Server],
    *,
    authorize: Authorize[Request],
    path: str = "/voice/token",
    name: str = "moss_voice_token",
    **options: Unpack[EndpointOptions],
) -> Blueprint:
    """A blueprint with the token endpoint.

    The application's error handlers answer exceptions of `authorize`, as in any other view. The endpoint itself answers
    `abort(401)` and Werkzeug's other exceptions with a 4xx status.

    Args:
        server: a server of either class, or a function from the request to one. One that was only constructed fetches at
            the first request, which waits for it.
        authorize: called with Flask's request and the `TokenRequest`, in the request's context; see `endpoint.Authorize`.
        path: the URL path of the endpoint.
        name: the blueprint's name; each further endpoint of an application needs another one.
        options: see `endpoint.EndpointOptions`.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """
    endpoint = TokenEndpoint(server, authorize, refusal_status=_refusal_status, knows=_flask_knows, **options)
    path = check_path(path)
    plain_name = plain_str(name)
    if not plain_name or "." in plain_name:
        raise InvalidArgument(
            "name is not the name of a blueprint",
            field="name",
            remedy="use one such as 'moss_voice_token', without a dot",
        )
    blueprint = Blueprint(plain_name, __name__)

    def token(
        **_view_args: object,
    ) -> Response:  # those of a prefix such as /<tenant>; authorize finds them in the request
        # The request itself and not Flask's proxy: an async authorize may run on another thread.
        current = request._get_current_object()  # type: ignore[attr-defined]  # werkzeug's LocalProxy has it
        received = incoming(current.environ, current, partial(_read, current))
        return _response(run(endpoint.handle(received, call_now)))

    def internal_error(_failure: Exception) -> Response:
        # Flask has heard of the exception that left the view: its signal, its log and its teardown functions.
        return _response(endpoint.internal_error(request.headers.get("origin", "")))

    def add(state: BlueprintSetupState) -> None:
        state.add_url_rule(path, "token", token, methods=["POST"], provide_automatic_options=False)
        endpoint_name = f"{state.name_prefix}.{state.name}.token".lstrip(".")
        for rule in state.app.url_map.iter_rules(endpoint_name):
            rule.methods = _EveryMethod(rule.methods or ())

    blueprint.record(add)
    blueprint.register_error_handler(500, internal_error)
    return blueprint


class _EveryMethod(set[str]):
    """The methods of the rule, for those who list routes; but the endpoint answers every method itself, as elsewhere."""

    def __contains__(self, method: object) -> bool:
        return True


def _response(response: EndpointResponse) -> Response:
    made = Response(response.body, response.status, list(response.headers))
    if response.status == 204:
        made.headers.pop("content-type", None)  # Flask adds one, but there is no content
    return made


def _refusal_status(failure: Exception) -> int | None:
    return None if _has_error_handler(failure) else status_of(failure)


def _flask_knows(failure: Exception, _request: Any) -> bool:
    """Whether Flask or the application answers an exception itself: redirects, responses of their own, error handlers."""
    return isinstance(failure, HTTPException) or _has_error_handler(failure)


def _has_error_handler(failure: Exception) -> bool:
    """Whether the application has registered a handler for this kind of exception, other than for Werkzeug's own ones."""
    kinds = [kind for kind in type(failure).__mro__ if kind.__module__ != "werkzeug.exceptions"]
    if isinstance(failure, HTTPException):
        kinds = [kind for kind in kinds if issubclass(kind, HTTPException)]
    spec = current_app.error_handler_spec
    scopes = (*request.blueprints, None)
    return any(kind in handlers for scope in scopes for handlers in spec[scope].values() for kind in kinds)


def _read(current: Request, limit: int) -> bytes:
    kept: bytes | None = getattr(current, "_cached_data", None)  # where Werkzeug keeps a body that a hook has read
    if current.content_length is None:
        if not kept:  # Werkzeug reads a body in chunks as an empty one where the server does not say where it ends
            kept = current._cached_data = read_body(current.environ, limit)
        if len(kept) > limit:
            raise too_large()
        return kept
    try:
        # Werkzeug keeps it, for hooks before and for authorize. The announced length has been checked already.
        body = current.get_data()
    except RequestEntityTooLarge:  # longer than the application's own limit
        raise too_large() from None
    except (HTTPException, OSError):
        raise incomplete() from None
    if len(body) < current.content_length:
        raise incomplete()
    return body
