"""Token endpoints with one flaw each: the doctor names it, and finds nothing in one that has none."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server._doctor import Check, Plan
from moss_voice_server.endpoint import Admission, Denied
from moss_voice_server.testing import LiveKitServer
from moss_voice_server.wsgi import token_app
from tests.doctor.bench import Named, assert_named, examined, fails, livekit_environ, plan, warns
from tests.doctor.flawed import LOG_IN, ORIGIN, Flawed
from tests.doctor.sites import Answer, Reply, Request, site
from tests.livekit.server_api import signed
from tests.livekit.signalling import join

pytestmark = pytest.mark.livekit

HEADERS = {"authorization": LOG_IN}


def looked_at(answer: Answer, server: LiveKitServer | None = None, path: str = "/voice/token", **changes: Any) -> Any:
    """All checks of an endpoint that answers so, with the LiveKit server's credentials or without any."""
    environ = livekit_environ(server.url, server.api_key, server.api_secret) if server else {}
    with site(answer) as port:
        asked = {"headers": HEADERS, "origin": ORIGIN, **changes}
        return examined(
            plan(environ, endpoint=f"http://127.0.0.1:{port}{path}", **asked), LOG_IN.split()[1], "hush-hush"
        )


def flawed(server: LiveKitServer, **flaws: Any) -> Flawed:
    """An endpoint with these flaws and no others."""
    return Flawed(server.url, server.api_key, server.api_secret, **flaws)


def always(status: int, body: str = "", **headers: str) -> Answer:
    """An endpoint that answers everything so."""
    return lambda _: Reply(status, body, headers)


def claims(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What an endpoint with odd tokens does to their claims; what begins with `video_` goes into the grant."""

    def change(made: dict[str, Any]) -> dict[str, Any]:
        video = {name.removeprefix("video_"): value for name, value in changes.items() if name.startswith("video_")}
        rest = {name: value for name, value in changes.items() if not name.startswith("video_")}
        return {**made, **rest, "video": {**made["video"], **video}}

    return change


FLAWS: dict[str, tuple[dict[str, Any], Named]] = {
    "it says 200": ({"status": 200}, warns("endpoint.status", "HTTP 200, where the standard says 201", "answer 201")),
    "it wants another log-in": (
        {"log_in": "Bearer somebody-else"},
        fails("endpoint.status", "HTTP 401: it does not accept the given headers", "still valid"),
    ),
    "its fields are in camelCase": (
        {"keys": ("serverUrl", "participantToken")},
        fails("endpoint.keys", "serverUrl and participantToken; .* Swift and Unity", "snake_case"),
    ),
    "its token is called token": (
        {"keys": ("server_url", "token")},
        fails("endpoint.keys", "server_url and token;", "snake_case"),
    ),
    "it leaves the address out": (
        {"keys": ("address", "participant_token")},
        fails("endpoint.keys", "lacks server_url", "answer server_url and participant_token"),
    ),
    "it says that it is text": (
        {"content_type": "text/plain"},
        warns("endpoint.keys", "content type is not application/json", "Content-Type: application/json"),
    ),
    "it may be cached": (
        {"cache": ""},
        warns("endpoint.no_store", "lacks Cache-Control: no-store", "set Cache-Control: no-store"),
    ),
    "a link fetches a token": (
        {"answers_get": True},
        fails("endpoint.method", "GET brings a token as well", "405 to everything but POST"),
    ),
    "an empty room_config upsets it": (
        {"refuses_empty_config": True},
        fails("endpoint.room_config", r"is refused \(HTTP 500\); .*Swift, Android and Flutter", "for none"),
    ),
    "it gives one token only": (
        {"limit": 1},
        fails("endpoint.room_config", "HTTP 429", "at least three tokens a session"),
    ),
    "everybody gets the same room": (
        {"room": "lobby"},
        fails("endpoint.fresh_room", "two requests got the same room", "128 random bits"),
    ),
    "it lets anybody in": (
        {"log_in": ""},
        fails("endpoint.log_in", "without the given headers it gives a token as well", "refuse with 401"),
    ),
    "it trusts the identity": (
        {"reads": ("identity",)},
        fails("endpoint.identity", "anybody can be anybody", "from your own log-in"),
    ),
    "it trusts the room": (
        {"reads": ("room",)},
        fails("endpoint.room", "anybody can listen to any conversation", "what this user may enter"),
    ),
    "it trusts the recording": (
        {"reads": ("egress",)},
        fails("endpoint.egress", "anybody can record rooms", "nothing but agents from room_config"),
    ),
    "it trusts the agents": (
        {"reads": ("agents",)},
        fails("endpoint.agents", "anybody can run agents at your expense", "agents that this user may have"),
    ),
    "it knows no origin": (
        {"allow_origins": ()},
        fails("endpoint.cors", "does not let https://app.example in", 'allow_origins=."https://app.example"'),
    ),
    "it knows another origin": (
        {"allow_origins": ("https://other.example",)},
        fails("endpoint.cors", "does not let https://app.example in", "letter by letter"),
    ),
    "it repeats every origin": (
        {"allow_origins": None},
        fails("endpoint.cors", "lets every origin in, by repeating it", "list the origins"),
    ),
    "it lets every origin in": (
        {"allow_origins": ("*",)},
        warns("endpoint.cors", "every other site too", "list the origins"),
    ),
    "it forgets the header of the log-in": (
        {"allow_headers": "content-type"},
        fails("endpoint.cors", "does not allow the header authorization", "Access-Control-Allow-Headers"),
    ),
    "it thinks that a star stands for that": (
        {"allow_headers": "*"},
        fails("endpoint.cors", "does not allow the header authorization", r"\* does not stand for"),
    ),
    "its errors cannot be read": (
        {"cors_on_errors": False},
        fails("endpoint.cors", r"an error \(HTTP 401\) lacks Access-Control-Allow-Origin", "errors too"),
    ),
    "a proxy adds the origin again": (
        {"doubled_cors": True},
        fails("endpoint.cors", "two Access-Control-Allow-Origin headers", "in one place only"),
    ),
    "its tokens never end": (
        {"claims": lambda made: {name: value for name, value in made.items() if name != "exp"}},
        fails("endpoint.token", "has no exp", "give it an end"),
    ),
    "its tokens hold a number": (
        {"claims": claims(attributes={"level": 3})},
        fails("endpoint.token", "attributes.level is a number", "make it a string"),
    ),
    "its tokens may delete rooms": (
        {"claims": claims(video_roomCreate=True)},
        warns("endpoint.token", "DELETE any room", "leave it out"),
    ),
    "its tokens name no room": (
        {"claims": claims(video_room="")},
        fails("endpoint.fresh_room", "the same room|no room", ".+"),
    ),
    "its secret is another one": (
        {"secret": "another-secret" * 3},
        fails("endpoint.token", "not signed with the secret of its API key", "the same key and secret"),
    ),
    "its key is another one": (
        {"key": "APIother"},
        fails("endpoint.accepted", "does not accept the token .HTTP 401.", "two LiveKit projects"),
    ),
    "its LiveKit is not there": (
        {"url": "ws://127.0.0.1:9"},
        fails("endpoint.accepted", "named in server_url, does not answer", "the address that the endpoint hands out"),
    ),
    "its LiveKit's address is plain": (
        {"url": "ws://livekit.example"},
        fails("endpoint.keys", "server_url must begin with wss", "wss://host.example"),
    ),
}


@pytest.mark.parametrize(("flaws", "expected"), FLAWS.values(), ids=FLAWS.keys())
def test_flaw_is_named(flaws: dict[str, Any], expected: Named, livekit_server: LiveKitServer) -> None:
    """Every flaw of an endpoint is named by its check, which is the first that finds anything."""
    own = {"url": livekit_server.url, "key": livekit_server.api_key, "secret": livekit_server.api_secret}
    assert_named(looked_at(Flawed(**{**own, **flaws}), livekit_server), expected)


ANSWERS: dict[str, tuple[Answer, Named]] = {
    "nothing there": (always(404), fails("endpoint.status", "nothing at that path", "/voice/token")),
    "GET only": (always(405), fails("endpoint.status", "does not take POST", "take POST")),
    "no JSON": (always(415), fails("endpoint.status", "does not take JSON", "application/json")),
    "wants fields": (always(422), fails("endpoint.status", "insists on fields", "every field optional")),
    "a redirect": (
        always(307, location="/voice/token/"),
        fails("endpoint.status", "a redirect, on which clients lose the POST", "a slash too many"),
    ),
    "a page": (
        always(200, "<html>", **{"content-type": "text/html"}),
        fails("endpoint.keys", "the answer is an HTML page", "server_url and participant_token"),
    ),
    "a list": (always(201, "[]"), fails("endpoint.keys", "no JSON object", "a JSON object")),
    "another object": (always(201, "{}"), fails("endpoint.keys", "lacks participant_token", "both strings")),
    "a token that is a number": (
        always(201, '{"server_url": "wss://h.example", "participant_token": 5}'),
        fails("endpoint.keys", "lacks participant_token", "both strings"),
    ),
    "a failure": (always(500, "Traceback: hush-hush"), fails("endpoint.status", "application fails", "its log")),
    "a proxy": (always(502), fails("endpoint.status", "a proxy answers", "start the application")),
    "out of order": (always(503), fails("endpoint.status", "cannot make tokens now", "application's log")),
    "too many": (always(429), fails("endpoint.status", "too many requests", "at least three")),
    "a teapot": (always(418), fails("endpoint.status", "HTTP 418$", "application's log")),
}


@pytest.mark.parametrize(("answer", "expected"), ANSWERS.values(), ids=ANSWERS.keys())
def test_what_is_no_token_endpoint_is_named(answer: Answer, expected: Named) -> None:
    """What answers without a token is named by what it answers, and no credentials are needed for it."""
    checks = looked_at(answer)

    before = [name for name, check in checks.items() if check.status == "warn"]
    assert_named({name: check for name, check in checks.items() if name not in before}, expected)
    assert "only the token endpoint is looked at" in checks["environment"].detail


def test_endpoint_without_flaws_is_well(livekit_server: LiveKitServer) -> None:
    """One that does everything right has nothing to hear."""
    checks = looked_at(flawed(livekit_server), livekit_server, path="/voice/token?tenant=1")

    assert [] == [check for check in checks.values() if check.status in ("warn", "fail")]
    assert "tenant" not in str(checks)


def test_wishes_may_be_ignored(livekit_server: LiveKitServer) -> None:
    """A request that is ignored is as good as one that is refused, though the standard asks for the latter."""

    def deaf(request: Request) -> Reply:
        return flawed(livekit_server)(request._replace(body=b"{}"))

    checks = looked_at(deaf, livekit_server)
    for name in ("identity", "room", "egress", "agents"):
        assert ("ok", True) == (checks[f"endpoint.{name}"].status, "is ignored" in checks[f"endpoint.{name}"].detail)


def test_wishes_must_not_break_it(livekit_server: LiveKitServer) -> None:
    """A request that makes the endpoint fail is told."""

    def weak(request: Request) -> Reply:
        return Reply(500) if b"participant_identity" in request.body else flawed(livekit_server)(request)

    assert_named(
        looked_at(weak, livekit_server),
        Named("endpoint.identity", "warn", "makes it fail .HTTP 500.", "refuse such a request"),
    )


def test_limit_on_the_way_is_no_fault(livekit_server: LiveKitServer) -> None:
    """An endpoint that has enough of us after some tokens is not blamed for it."""
    checks = looked_at(flawed(livekit_server, limit=3, reads=("identity",)), livekit_server)

    assert "skip" == checks["endpoint.identity"].status
    assert [] == [check for check in checks.values() if check.status == "fail"]


def test_nobody_has_to_log_in_for_guests(livekit_server: LiveKitServer) -> None:
    """Without headers to give, an endpoint that lets anybody in is worth a word, no more."""
    checks = looked_at(flawed(livekit_server, log_in=""), livekit_server, headers={})

    assert_named(checks, Named("endpoint.log_in", "warn", "to whoever asks", "fine for guests only"))


def test_without_headers_the_log_in_is_asked_for(livekit_server: LiveKitServer) -> None:
    """An endpoint with a log-in, and nothing given for it: the way to give it is told, and the rest is left out."""
    checks = looked_at(flawed(livekit_server), livekit_server, headers={})

    assert_named(checks, Named("endpoint.status", "fail", "wants to know who asks", "--header @file"))
    assert "the endpoint gave no token to look at" == checks["endpoint.identity"].detail


def test_without_an_origin_cors_is_left_out(livekit_server: LiveKitServer) -> None:
    """Whether a page may ask can be told for a page only."""
    check = looked_at(flawed(livekit_server), livekit_server, origin="")["endpoint.cors"]

    assert ("skip", True) == (check.status, "--origin" in check.remedy)


def test_room_that_exists_is_named(livekit_server: LiveKitServer, room: str) -> None:
    """An endpoint that sends people into a room that exists: LiveKit reads no agents there."""
    token = signed(livekit_server, {"sub": "somebody", "video": {"roomJoin": True, "room": room}})
    with join(livekit_server.url, token):
        checks = looked_at(flawed(livekit_server, room=room), livekit_server)

    assert_named(checks, Named("endpoint.fresh_room", "fail", "exists already: LiveKit reads no agents", "a new one"))


def test_nobody_listens() -> None:
    """No endpoint at all."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        checks = examined(plan({}, endpoint=f"http://127.0.0.1:{taken.getsockname()[1]}/voice/token"))

    assert_named(checks, Named("endpoint.status", "fail", "nobody listens there", "check host and port in --endpoint"))


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def served(app: Any) -> Iterator[int]:
    """A WSGI application on a loopback port."""
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(10)


def test_our_own_endpoint_is_well(livekit_server: LiveKitServer) -> None:
    """This package's endpoint passes everything that the doctor asks."""

    def authorize(environ: dict[str, Any], _token_request: object) -> Admission:
        if environ.get("HTTP_AUTHORIZATION") != LOG_IN:
            raise Denied(401)
        return Admission(ParticipantInfo("user-42"))

    server = livekit_server
    voice = MossVoiceServerSync.from_livekit(server.url, server.api_key, server.api_secret)
    with served(token_app(voice, authorize=authorize, allow_origins=[ORIGIN])) as port:
        asked: Plan = plan(
            livekit_environ(server.url, server.api_key, server.api_secret),
            endpoint=f"http://127.0.0.1:{port}/voice/token",
            headers=HEADERS,
            origin=ORIGIN,
        )
        checks: dict[str, Check] = examined(asked)

    assert [] == [check for check in checks.values() if check.status in ("warn", "fail")]
    assert "refused (HTTP 403)" in checks["endpoint.identity"].detail


def test_token_that_cannot_be_read() -> None:
    """In a token that cannot be read nobody sees whom the endpoint trusts: nothing is claimed of it."""
    checks = looked_at(always(201, '{"server_url": "wss://127.0.0.1:9", "participant_token": "hush-hush"}'))

    assert ("fail", True) == (
        checks["endpoint.token"].status,
        "not a JSON Web Token" in checks["endpoint.token"].detail,
    )
    for name in ("endpoint.fresh_room", "endpoint.identity", "endpoint.room", "endpoint.egress", "endpoint.agents"):
        assert ("skip", "the endpoint gave no token to look at") == checks[name][1:3]


def test_slow_endpoint_is_given_up() -> None:
    """An endpoint that hangs costs one time-out."""
    started = time.monotonic()
    released = threading.Event()

    def hangs(_: Request) -> Reply:
        released.wait(30)
        return Reply(500)

    try:
        checks = looked_at(hangs, timeout=0.3)
    finally:
        released.set()
    assert_named(checks, Named("endpoint.status", "fail", "no whole answer within 0.3 s", "health and log"))
    assert time.monotonic() - started < 10
