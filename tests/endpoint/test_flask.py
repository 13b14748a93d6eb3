"""Flask: its request context, its sessions, its own ways to refuse, and several endpoints in one application."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
from flask import Blueprint, Flask, Request, abort, current_app, g, make_response, redirect, request, session
from werkzeug.exceptions import HTTPException

from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server.endpoint import Admission, TokenRequest, allow_guests
from moss_voice_server.flask import token_blueprint
from moss_voice_server.testing import FakeMoss, MockResponse
from tests.endpoint.calls import PATHS, SERVER
from tests.support.errors import refused
from tests.support.tokens import claims

GUESTS = allow_guests()
AS_SENT: Any = {"json": None, "content_type": "application/json"}


def plain(own: Request, token_request: TokenRequest) -> Admission:
    """Admits the user in the session, found by Flask's globals and without any argument."""
    if "user" not in session:
        abort(401)
    return Admission(ParticipantInfo(session["user"], None, f"{g.started} {current_app.name} {request.path}"))


async def waiting(own: Request, token_request: TokenRequest) -> Admission:
    """The same, async."""
    await asyncio.sleep(0)
    return plain(own, token_request)


def app_with(*blueprints: Blueprint) -> Flask:
    """An application with a session."""
    app = Flask("shop")
    app.secret_key = "made up"
    for blueprint in blueprints:
        app.register_blueprint(blueprint)

    @app.before_request
    def start() -> None:
        g.started = "today"

    return app


def post(app: Flask, path: str = "/voice/token", user: str | None = None, **more: Any) -> Any:
    """The response to a request, of a user who has signed in before."""
    with app.test_client() as client:
        if user:
            with client.session_transaction() as stored:
                stored["user"] = user
        return client.open(path, **({"method": "POST", "json": {}} | more))


@pytest.mark.parametrize("authorize", [plain, waiting])
def test_authorize_is_in_the_requests_context(authorize: Any) -> None:
    """The session, `g`, the application and the request are available in authorize, plain or async, also below variables."""
    app = app_with(token_blueprint(SERVER, authorize=authorize, path="/<kind>/token"))
    app.register_blueprint(app.blueprints["moss_voice_token"], url_prefix="/<int:tenant>", name="tenants")
    for path in ("/voice/token", "/7/voice/token"):
        said = claims(post(app, path, user="ada").json["participant_token"])
        assert ("ada", f"today shop {path}") == (said["sub"], said["metadata"])
    answer = post(app)
    assert (401, "unauthenticated") == (answer.status_code, answer.json["error"])


def test_several_endpoints() -> None:
    """One application can have endpoints of different names, each with its own prefix and rules."""
    app = app_with(
        token_blueprint(SERVER, authorize=plain),
        token_blueprint(SERVER, authorize=allow_guests(), path="/guests", name="guests"),
    )
    app.register_blueprint(token_blueprint(SERVER, authorize=plain, path="/x", name="x"), url_prefix="/api")
    assert [401, 201, 401, 404] == [post(app, path).status_code for path in ("/voice/token", "/guests", "/api/x", "/x")]
    with pytest.raises(ValueError, match="already registered"):
        app_with(token_blueprint(SERVER, authorize=plain), token_blueprint(SERVER, authorize=plain))


@pytest.mark.parametrize(("name", "value"), [*PATHS, *(("name", value) for value in (None, 5, "", "a.b"))])
def test_wrong_path_and_name_are_refused(name: str, value: Any) -> None:
    """A mistake shows when the blueprint is made, and not when it is registered."""
    assert name == refused(token_blueprint, SERVER, authorize=plain, **{name: value})[0]


def test_error_pages_do_not_replace_refusals() -> None:
    """Error handlers for a status are for the application's own pages."""
    app = app_with(token_blueprint(SERVER, authorize=plain))
    app.register_error_handler(401, lambda error: ("<h1>401</h1>", 401))
    app.register_error_handler(HTTPException, lambda error: ("<h1>error</h1>", error.code))
    answer = post(app)
    assert (401, "unauthenticated") == (answer.status_code, answer.json["error"])


@pytest.mark.parametrize(
    ("response", "status"), [(lambda: make_response(("mine", 403)), 403), (lambda: redirect("/"), 302)]
)
def test_responses_that_exceptions_carry(response: Callable[[], Any], status: int) -> None:
    """Flask sends them as they are."""
    answer = post(app_with(token_blueprint(SERVER, authorize=lambda own, token_request: abort(response()))))
    assert (status, b"error" in answer.data) == (answer.status_code, False)


def test_rule_is_like_flasks_own() -> None:
    """Tools that list the routes find a set of methods, as in every rule of Flask's."""
    app = app_with(token_blueprint(SERVER, authorize=plain))
    (rule,) = (rule for rule in app.url_map.iter_rules() if rule.rule == "/voice/token")
    assert isinstance(rule.methods, set)
    assert ["POST"] == sorted(rule.methods)
    assert app.view_functions[rule.endpoint].__name__


@pytest.mark.parametrize(("method", "prefix"), [("PROPFIND", ""), ("BREW", "/api")])
def test_unknown_methods(method: str, prefix: str) -> None:
    """Every method is answered by the endpoint, and not by a page of Flask's that a cache may store."""
    app = app_with()
    app.register_blueprint(token_blueprint(SERVER, authorize=GUESTS), url_prefix=prefix)
    answer = post(app, f"{prefix}/voice/token", method=method)
    assert (405, "method_not_allowed") == (answer.status_code, answer.json["error"])
    assert ("POST", "no-store") == (answer.headers["Allow"], answer.headers["Cache-Control"])


@pytest.mark.parametrize("reader", ["before", "authorize", "both"])
def test_others_may_read_the_body(reader: str) -> None:
    """A hook can read the body before the endpoint, and authorize after it: some clients sign what they send."""
    seen: list[bytes] = []

    def authorize(own: Request, token_request: TokenRequest) -> Admission:
        if reader != "before":
            seen.append(own.get_data())
        return Admission(ParticipantInfo("ada"), room=token_request.room_name)

    app = app_with(token_blueprint(SERVER, authorize=authorize))
    if reader != "authorize":
        app.before_request(lambda: seen.append(request.get_data()))
    answer = post(app, json={"room_name": "r"})
    assert "r" == claims(answer.json["participant_token"])["video"]["room"]
    assert {b'{"room_name": "r"}'} == set(seen)


@pytest.mark.parametrize("read", ["get_data", "stream"])
def test_a_hook_before_that_sees_no_chunks(read: str) -> None:
    """Werkzeug reads a body in chunks as an empty one where the server does not say where it ends: that is no request."""
    app = app_with(token_blueprint(SERVER, authorize=GUESTS))

    @app.before_request
    def look() -> None:
        if read == "stream":
            request.stream.read()
        else:
            request.get_data()

    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    answer = post(app, data=b"{}", environ_overrides=environ, **AS_SENT)
    assert (411, "length_required") == (answer.status_code, answer.json["error"])


class _Reset(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise ConnectionResetError

    readinto = read  # type: ignore[assignment]  # the same


def test_connection_that_is_reset() -> None:
    """A client that closes its connection is not an error of the application."""
    answer = post(app_with(token_blueprint(SERVER, authorize=GUESTS)), input_stream=_Reset(b"{}"), **AS_SENT)
    assert (400, "body_incomplete") == (answer.status_code, answer.json["error"])


def test_limit_of_the_application() -> None:
    """It applies where it is lower than ours."""
    app = app_with(token_blueprint(SERVER, authorize=GUESTS))
    app.config["MAX_CONTENT_LENGTH"] = 100
    sizes = [post(app, data=b"{" + b" " * size + b"}", **AS_SENT).status_code for size in (98, 99)]
    assert [201, 413] == sizes


def test_a_request_during_the_first_fetch_waits_as_well() -> None:
    """It shares the fetch, and is not refused."""
    with FakeMoss() as moss, ThreadPoolExecutor(2) as pool:
        moss.queue(MockResponse(hang=True))
        app = app_with(token_blueprint(MossVoiceServer(**moss.arguments), authorize=GUESTS))
        first = pool.submit(post, app)
        moss.wait_for(1)
        second = pool.submit(post, app)
        wait([second], 0.3)  # it is refused at once, or waits
        moss.release()
        assert [201, 201, 1] == [first.result().status_code, second.result().status_code, moss.count]
