"""Flask: its request context, its sessions, its own ways to refuse, and several endpoints in one application."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import pytest
from flask import (
    Blueprint,
    Flask,
    Request,
    abort,
    current_app,
    g,
    got_request_exception,
    make_response,
    redirect,
    request,
    session,
)
from werkzeug.exceptions import HTTPException

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.endpoint import Admission, TokenRequest, allow_guests
from moss_voice_server.flask import token_blueprint
from moss_voice_server.testing import FakeMoss
from tests.support.tokens import API_KEY, API_SECRET, URL, claims

SERVER = MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET)


def who() -> Admission:
    """Whoever is in the session, found by Flask's own names and without any argument."""
    if "user" not in session:
        abort(401)
    return Admission(ParticipantInfo(session["user"], None, f"{g.started} {current_app.name} {request.path}"))


def plain(own: Request, token_request: TokenRequest) -> Admission:
    """A plain authorize."""
    return who()


async def waiting(own: Request, token_request: TokenRequest) -> Admission:
    """An async authorize."""
    await asyncio.sleep(0)
    return who()


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
    """A request of somebody who has signed in before."""
    with app.test_client() as client:
        if user:
            with client.session_transaction() as stored:
                stored["user"] = user
        return client.open(path, **({"method": "POST", "json": {}} | more))


@pytest.mark.parametrize("authorize", [plain, waiting])
def test_authorize_is_in_the_requests_context(authorize: Any) -> None:
    """The session, `g`, the application and the request are at hand in authorize, be it plain or async."""
    app = app_with(token_blueprint(SERVER, authorize=authorize))
    answer = post(app, user="ada")
    assert 201 == answer.status_code
    said = claims(answer.json["participant_token"])
    assert ("ada", "today shop /voice/token") == (said["sub"], said["metadata"])
    refused = post(app)
    assert (401, "unauthenticated") == (refused.status_code, refused.json["error"])


def test_several_endpoints() -> None:
    """Endpoints of different names live in one application, each below a prefix of its own and with rules of its own."""
    app = app_with(
        token_blueprint(SERVER, authorize=plain),
        token_blueprint(SERVER, authorize=allow_guests(), path="/guests", name="guests"),
    )
    app.register_blueprint(token_blueprint(SERVER, authorize=plain, path="/x", name="x"), url_prefix="/api")
    assert [401, 201, 401, 404] == [post(app, path).status_code for path in ("/voice/token", "/guests", "/api/x", "/x")]
    with pytest.raises(ValueError, match="already registered"):
        app_with(token_blueprint(SERVER, authorize=plain), token_blueprint(SERVER, authorize=plain))


def test_error_pages_of_the_app_do_not_replace_refusals() -> None:
    """Error pages for a status are for the application's own pages."""
    app = app_with(token_blueprint(SERVER, authorize=plain))
    app.register_error_handler(401, lambda error: ("<h1>401</h1>", 401))
    app.register_error_handler(HTTPException, lambda error: ("<h1>error</h1>", error.code))
    answer = post(app)
    assert (401, "unauthenticated") == (answer.status_code, answer.json["error"])


class SignedOut(Exception):
    """An exception of the application's own, or of one of its libraries."""


def test_exceptions_that_the_app_knows() -> None:
    """An exception that the application has a handler for is answered by that handler, as in any other view."""

    def authorize(own: Request, token_request: TokenRequest) -> Admission:
        raise SignedOut

    app = app_with(token_blueprint(SERVER, authorize=authorize))
    app.register_error_handler(SignedOut, lambda error: ({"error": "signed_out"}, 401))
    answer = post(app)
    assert (401, {"error": "signed_out"}) == (answer.status_code, answer.json)


@pytest.mark.parametrize(
    ("refuse", "status", "header"),
    [
        (lambda: abort(make_response(("mine", 403))), 403, ""),
        (lambda: abort(503), 503, ""),
        (lambda: abort(redirect("/login")), 302, "Location"),
        (lambda: abort(429, retry_after=7), 429, "Retry-After"),
    ],
    ids=["a response", "503", "a redirect", "429"],
)
def test_werkzeugs_words(refuse: Callable[[], Any], status: int, header: str) -> None:
    """What Flask itself answers for an exception is answered so, and headers that the client needs are kept."""
    app = app_with(token_blueprint(SERVER, authorize=lambda own, token_request: refuse()))
    answer = post(app)
    assert status == answer.status_code
    assert not header or answer.headers[header]


def crash(own: Request, token_request: TokenRequest) -> Any:
    """An authorize with a mistake."""
    return 1 / 0


def test_a_crash_leaves_the_view() -> None:
    """Flask's signal, its log and its teardown functions hear of an exception; the client gets the endpoint's response."""
    heard: list[str] = []
    app = app_with(token_blueprint(SERVER, authorize=crash))
    app.teardown_request(lambda error: heard.append(f"teardown {type(error).__name__}"))
    got_request_exception.connect(
        lambda sender, exception, **more: heard.append(f"signal {exception}"), app, weak=False
    )
    answer = post(app)
    assert (500, "internal_error") == (answer.status_code, answer.json["error"])
    assert ["signal division by zero", "teardown ZeroDivisionError"] == heard[
        :2
    ]  # then the test client tears down its own


def test_a_rule_like_flasks_own() -> None:
    """Who lists the routes finds a set of methods, as in every rule of Flask's."""
    app = app_with(token_blueprint(SERVER, authorize=plain))
    (rule,) = (rule for rule in app.url_map.iter_rules() if rule.rule == "/voice/token")
    assert isinstance(rule.methods, set)
    assert ["POST"] == sorted(rule.methods)
    assert app.view_functions[rule.endpoint].__name__


@pytest.mark.parametrize("authorize", [plain, waiting])
def test_variables_in_the_path(authorize: Callable[..., Any]) -> None:
    """As in any other view, a prefix may have variables; authorize finds them in the request."""
    app = app_with()
    app.register_blueprint(
        token_blueprint(SERVER, authorize=authorize, path="/<kind>/token"), url_prefix="/<int:tenant>"
    )
    assert (
        "today shop /7/voice/token" == claims(post(app, "/7/voice/token", "ada").json["participant_token"])["metadata"]
    )


@pytest.mark.parametrize("method", ["PROPFIND", "BREW"])
@pytest.mark.parametrize("prefix", ["", "/api"])
def test_methods_that_hardly_anybody_knows(method: str, prefix: str) -> None:
    """Every method is answered by us, as in every other framework, and not by a page of Flask's that a cache may keep."""
    app = app_with()
    app.register_blueprint(token_blueprint(SERVER, authorize=allow_guests()), url_prefix=prefix)
    answer = post(app, f"{prefix}/voice/token", method=method)
    assert (405, b'{"error":"method_not_allowed","message":"Use the POST method."}') == (
        answer.status_code,
        answer.data,
    )
    assert ("POST", "no-store") == (answer.headers["Allow"], answer.headers["Cache-Control"])


def test_the_session_is_kept() -> None:
    """What authorize puts into the session is saved with the answer, which still nobody may keep."""

    def authorize(own: Request, token_request: TokenRequest) -> Admission:
        session["calls"] = session.get("calls", 0) + 1
        return Admission(ParticipantInfo("ada"))

    answer = post(app_with(token_blueprint(SERVER, authorize=authorize)))
    assert "session=" in answer.headers["Set-Cookie"]
    assert "no-store" == answer.headers["Cache-Control"]


@pytest.mark.parametrize("reader", ["before", "authorize", "both"])
def test_others_may_read_the_body(reader: str) -> None:
    """A hook that reads the body before us leaves it to us, and we leave it to authorize: some sign what they send."""
    seen: list[bytes] = []

    def authorize(own: Request, token_request: TokenRequest) -> Admission:
        if reader != "before":
            seen.append(own.get_data())
        return Admission(ParticipantInfo("ada"), room=token_request.room_name)

    app = app_with(token_blueprint(SERVER, authorize=authorize))

    @app.before_request
    def look() -> None:
        if reader != "authorize":
            seen.append(request.get_data())

    answer = post(app, json={"room_name": "r"})
    assert 201 == answer.status_code
    assert "r" == claims(answer.json["participant_token"])["video"]["room"]
    assert {b'{"room_name": "r"}'} == set(seen)


@pytest.mark.parametrize("read", ["get_data", "get_json", "stream"])
def test_a_hook_before_that_sees_no_chunks(read: str) -> None:
    """Werkzeug reads a body in chunks as an empty one where the server does not say where it ends: that is no request."""
    app = app_with(token_blueprint(SERVER, authorize=allow_guests()))

    @app.before_request
    def look() -> None:
        if read == "stream":
            request.stream.read()
        else:
            getattr(request, read)(**({"silent": True} if read == "get_json" else {}))

    environ = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
    answer = post(app, json=None, data=b"{}", content_type="application/json", environ_overrides=environ)
    assert (411, "length_required") == (answer.status_code, answer.json["error"])


class Reset(io.BytesIO):
    """A connection that is reset while it is read; gunicorn lets the error through."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file's."""
        raise ConnectionResetError

    def readinto(self, buffer: Any, /) -> int:
        """As a file's."""
        raise ConnectionResetError


def test_a_connection_that_is_reset() -> None:
    """A client that goes away is no error of the application's, and none in its log."""
    app = app_with(token_blueprint(SERVER, authorize=allow_guests()))
    answer = post(app, json=None, input_stream=Reset(b"{}"), content_type="application/json")
    assert (400, "body_incomplete") == (answer.status_code, answer.json["error"])


def test_the_apps_own_limit() -> None:
    """An application whose limit is lower than ours is obeyed."""
    app = app_with(token_blueprint(SERVER, authorize=allow_guests()))
    app.config["MAX_CONTENT_LENGTH"] = 100
    assert [201, 413] == [
        post(app, data=b"{" + b" " * size + b"}", json=None, content_type="application/json").status_code
        for size in (98, 99)
    ]


def test_a_server_found_for_each_request() -> None:
    """A function is given Flask's request and finds the server, for example by host."""
    other = MossVoiceServerSync.from_livekit("wss://other.example", API_KEY, API_SECRET)
    app = app_with(token_blueprint(lambda own: other if own.host == "other" else SERVER, authorize=allow_guests()))
    answers = [post(app, base_url=f"http://{host}").json["server_url"] for host in ("shop", "other")]
    assert [URL, "wss://other.example"] == answers


@pytest.mark.parametrize("server_class", [MossVoiceServer, MossVoiceServerSync])
def test_first_request_waits_for_the_credentials(server_class: Any) -> None:
    """A server that was only constructed is fetched at the first request, once."""
    with FakeMoss() as moss:
        app = app_with(token_blueprint(server_class(**moss.arguments), authorize=allow_guests()))
        assert [0, 201, 201, 1] == [moss.count, post(app).status_code, post(app).status_code, moss.count]
