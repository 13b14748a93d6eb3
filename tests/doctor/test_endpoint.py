"""Token endpoints with one fault each: the doctor finds it, and finds nothing in one without faults."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.endpoint import Admission, Denied
from moss_voice_server.testing import LiveKitServer, MockResponse, RecordedRequest
from moss_voice_server.wsgi import token_app
from tests.doctor.broken_endpoint import LOGIN, ORIGIN, BrokenEndpoint
from tests.doctor.helpers import Expected, assert_found, examined, fails, livekit_environ, options, warns
from tests.doctor.servers import Answer, reply, site
from tests.livekit.server_api import signed
from tests.livekit.signalling import join
from tests.support import loopback
from tests.support.sockets import closed_port

pytestmark = pytest.mark.livekit

HEADERS = {"authorization": LOGIN}


def checked(answer: Answer, server: LiveKitServer | None = None, path: str = "/voice/token", **changes: Any) -> Any:
    """All checks of an endpoint that answers so, with the LiveKit server's credentials or without any."""
    environ = livekit_environ(server.url, server.api_key, server.api_secret) if server else {}
    with site(answer) as port:
        asked = {"headers": HEADERS, "origin": ORIGIN, **changes}
        return examined(
            options(environ, endpoint=f"http://127.0.0.1:{port}{path}", **asked), LOGIN.split()[1], "hush-hush"
        )


def broken(server: LiveKitServer, **faults: Any) -> BrokenEndpoint:
    """An endpoint with these faults and no others."""
    return BrokenEndpoint(server.url, server.api_key, server.api_secret, **faults)


def always(status: int, body: str = "", **headers: str) -> Answer:
    """An endpoint that answers everything so."""
    return lambda _: reply(status, body, headers)


def claims(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """What an endpoint with odd tokens does to their claims; what begins with `video_` goes into the grant."""

    def change(made: dict[str, Any]) -> dict[str, Any]:
        video = {name.removeprefix("video_"): value for name, value in changes.items() if name.startswith("video_")}
        rest = {name: value for name, value in changes.items() if not name.startswith("video_")}
        return {**made, **rest, "video": {**made["video"], **video}}

    return change


FAULTS: dict[str, tuple[dict[str, Any], Expected]] = {
    "status 200": ({"status": 200}, warns("endpoint.status", "HTTP 200.*201")),
    "another login": ({"login": "Bearer another-user"}, fails("endpoint.status", "HTTP 401.*headers")),
    "camelCase only": ({"keys": ("serverUrl", "participantToken")}, warns("endpoint.keys", 'response_keys="both"')),
    "a field called token": ({"keys": ("server_url", "token")}, fails("endpoint.keys", "server_url and token;")),
    "no URL": ({"keys": ("address", "participant_token")}, fails("endpoint.keys", "lacks server_url")),
    "content type": ({"content_type": "text/plain"}, warns("endpoint.keys", "Content-Type: application/json")),
    "cacheable": ({"cache": ""}, warns("endpoint.no_store", "Cache-Control: no-store")),
    "GET": ({"answers_get": True}, fails("endpoint.method", "405")),
    "empty room_config": ({"refuses_empty_config": True}, fails("endpoint.room_config", "HTTP 500.*Swift")),
    "one token only": ({"limit": 1}, fails("endpoint.room_config", "HTTP 429.*three tokens")),
    "own agent refused": (
        {"refuses_own_agent": True},
        warns("endpoint.own_agent", r"clerk.*HTTP 403.*allowed_agents=\(.clerk.,\)"),
    ),
    "one room for all": ({"room": "lobby"}, fails("endpoint.fresh_room", "same room.*128 random bits")),
    "no login": ({"login": ""}, fails("endpoint.login", "anyone.*401")),
    "any identity": ({"reads": ("identity",)}, fails("endpoint.identity", "impersonate")),
    "any room": ({"reads": ("room",)}, fails("endpoint.room", "any room")),
    "any egress": ({"reads": ("egress",)}, fails("endpoint.egress", "nothing but agents from room_config")),
    "any agent": ({"reads": ("agents",)}, fails("endpoint.agents", "any agent")),
    "any metadata": ({"allows_metadata": True}, fails("endpoint.agent_metadata", "clerk.*client_may_set")),
    "no origin": ({"allow_origins": ()}, fails("endpoint.cors", 'allow_origins=."https://app.example"')),
    "another origin": (
        {"allow_origins": ("https://other.example",)},
        fails("endpoint.cors", 'allow_origins=."https://app.example"'),
    ),
    "every origin, repeated": ({"allow_origins": None}, fails("endpoint.cors", "list the origins")),
    "every origin": ({"allow_origins": ("*",)}, warns("endpoint.cors", "list the origins")),
    "a header is missing": ({"allow_headers": "content-type"}, fails("endpoint.cors", "the header authorization")),
    "an asterisk for Authorization": ({"allow_headers": "*"}, fails("endpoint.cors", r"the header authorization.*\*")),
    "errors without CORS": ({"cors_on_errors": False}, fails("endpoint.cors", "HTTP 401.*errors")),
    "CORS twice": ({"doubled_cors": True}, fails("endpoint.cors", "two Access-Control-Allow-Origin headers")),
    "no exp": (
        {"claims": lambda made: {name: value for name, value in made.items() if name != "exp"}},
        fails("endpoint.token", "no exp"),
    ),
    "a number for an attribute": (
        {"claims": claims(attributes={"level": 3})},
        fails("endpoint.token", "attributes.level is a number"),
    ),
    "roomCreate": ({"claims": claims(video_roomCreate=True)}, warns("endpoint.token", "roomCreate")),
    "no room": ({"claims": claims(video_room="")}, fails("endpoint.fresh_room", ".")),
    "another secret": ({"secret": "another-secret" * 3}, fails("endpoint.token", "secret of its API key")),
    "another key": ({"key": "APIother"}, fails("endpoint.accepted", "HTTP 401.*credentials")),
    "LiveKit is down": ({"url": "ws://127.0.0.1:9"}, fails("endpoint.accepted", "server_url")),
    "an unencrypted URL": ({"url": "ws://livekit.example"}, fails("endpoint.keys", "server_url .*wss")),
}


@pytest.mark.parametrize(("faults", "expected"), FAULTS.values(), ids=FAULTS.keys())
def test_fault_is_found(faults: dict[str, Any], expected: Expected, livekit_server: LiveKitServer) -> None:
    """Its check finds the fault, and no earlier check finds anything."""
    own = {"url": livekit_server.url, "key": livekit_server.api_key, "secret": livekit_server.api_secret}
    assert_found(checked(BrokenEndpoint(**{**own, **faults}), livekit_server), expected)


UNREADABLE = '{"server_url": "wss://127.0.0.1:9", "participant_token": "hush-hush"}'
ANSWERS: dict[str, tuple[Answer, Expected]] = {
    "a token that cannot be read": (always(201, UNREADABLE), fails("endpoint.token", "not a JSON Web Token")),
    "nothing there": (always(404), fails("endpoint.status", "HTTP 404.*/voice/token")),
    "GET only": (always(405), fails("endpoint.status", "HTTP 405.*POST")),
    "no JSON": (always(415), fails("endpoint.status", "HTTP 415.*application/json")),
    "required fields": (always(422), fails("endpoint.status", "HTTP 422.*optional")),
    "a redirect": (always(307, location="/voice/token/"), fails("endpoint.status", "HTTP 307.*slash")),
    "a page": (always(200, "<html>", **{"content-type": "text/html"}), fails("endpoint.keys", "HTML")),
    "a list": (always(201, "[]"), fails("endpoint.keys", "JSON object")),
    "another object": (always(201, "{}"), fails("endpoint.keys", "lacks participant_token")),
    "a token that is a number": (
        always(201, '{"server_url": "wss://h.example", "participant_token": 5}'),
        fails("endpoint.keys", "lacks participant_token"),
    ),
    "a failure": (always(500, "Traceback: hush-hush"), fails("endpoint.status", "HTTP 500.*log")),
    "a proxy": (always(502), fails("endpoint.status", "HTTP 502.*proxy")),
    "too many": (always(429), fails("endpoint.status", "HTTP 429.*three")),
    "a teapot": (always(418), fails("endpoint.status", "HTTP 418 -> .*log")),
}


def test_other_endpoints() -> None:
    """What answers without a token is named by what it answers, and no credentials are needed for it. Without a readable
    token the authorization checks are skipped."""
    for answer, expected in ANSWERS.values():
        checks = checked(answer)

        before = [name for name, check in checks.items() if check.status == "warn"]
        assert_found({name: check for name, check in checks.items() if name not in before}, expected)
        assert "only the token endpoint" in checks["environment"].detail
        for name in ("fresh_room", "identity", "room", "egress", "agents"):
            assert ("skip", "the endpoint issued no token") == checks[f"endpoint.{name}"][1:3]


def test_requested_fields_may_be_ignored(livekit_server: LiveKitServer) -> None:
    """A request that is ignored is as good as one that is refused, though the standard requires the latter."""

    def deaf(request: RecordedRequest) -> MockResponse:
        return broken(livekit_server)(replace(request, body=b"{}"))

    checks = checked(deaf, livekit_server)
    for name in ("identity", "room", "egress", "agents"):
        assert ("ok", True) == (checks[f"endpoint.{name}"].status, ": ignored" in checks[f"endpoint.{name}"].detail)


def test_limit_on_the_way_is_no_fault(livekit_server: LiveKitServer) -> None:
    """An endpoint that has enough of us after some tokens is not blamed for it."""
    checks = checked(broken(livekit_server, limit=4, reads=("identity",)), livekit_server)

    assert "skip" == checks["endpoint.identity"].status
    assert [] == [check for check in checks.values() if check.status == "fail"]


VARIANTS: dict[str, tuple[dict[str, Any], dict[str, Any], Expected]] = {
    "guests": ({"login": ""}, {"headers": {}}, warns("endpoint.login", "guests")),
    "a login, no headers": ({}, {"headers": {}}, fails("endpoint.status", "authentication.*--header @FILE")),
    "a request breaks it": ({"breaks_on": "participant_identity"}, {}, warns("endpoint.identity", "HTTP 500.*403")),
    "both spellings": ({"also_camel": True}, {}, Expected("endpoint.keys", "ok", "camelCase")),
    "no origin": ({}, {"origin": ""}, Expected("endpoint.cors", "skip", "--origin")),
}


@pytest.mark.parametrize(("faults", "asked", "expected"), VARIANTS.values(), ids=VARIANTS.keys())
def test_variant(faults: Any, asked: Any, expected: Expected, livekit_server: LiveKitServer) -> None:
    """What the options and the endpoint are together decides."""
    checks = checked(broken(livekit_server, **faults), livekit_server, **asked)

    assert_found(checks, expected)
    if expected.check == "endpoint.status":
        assert "the endpoint issued no token" == checks["endpoint.identity"].detail


def test_agent_of_the_token(livekit_server: LiveKitServer) -> None:
    """The token must name the agent that is to join, and no agent where an unnamed worker is expected."""
    named, unnamed = broken(livekit_server), broken(livekit_server, agent="")

    def dispatch(endpoint: BrokenEndpoint, agent_name: str | None) -> str:
        return checked(endpoint, livekit_server, agent_name=agent_name)["endpoint.dispatch"].status

    assert ["ok", "fail", "skip", "fail"] == [dispatch(named, name) for name in ("clerk", "boss", None, "")]
    assert ["fail", "skip", "ok"] == [dispatch(unnamed, name) for name in ("clerk", None, "")]


def test_room_that_exists_is_named(livekit_server: LiveKitServer, room: str) -> None:
    """An endpoint that sends people into a room that exists: LiveKit reads no agents there."""
    token = signed(livekit_server, {"sub": "user-43", "video": {"roomJoin": True, "room": room}})
    with join(livekit_server.url, token):
        checks = checked(broken(livekit_server, room=room), livekit_server)

    assert_found(checks, fails("endpoint.fresh_room", "exists already.*ensure_agent"))


def test_our_endpoint(livekit_server: LiveKitServer) -> None:
    """This package's endpoint passes all checks; its query, which may contain a key, is not shown."""

    def authorize(environ: dict[str, Any], _token_request: object) -> Admission:
        if environ.get("HTTP_AUTHORIZATION") != LOGIN:
            raise Denied(401)
        return Admission(ParticipantInfo("user-42"))

    server = livekit_server
    voice = MossVoiceServerSync.from_livekit(server.url, server.api_key, server.api_secret, "clerk")
    with loopback.wsgi(token_app(voice, authorize=authorize, allow_origins=[ORIGIN])) as url:
        asked = {"endpoint": f"{url}/voice/token?tenant=1", "headers": HEADERS, "origin": ORIGIN, "agent_name": "clerk"}
        checks = examined(options(livekit_environ(server.url, server.api_key, server.api_secret), **asked))

    assert [] == [check for check in checks.values() if check.status in ("warn", "fail")]
    assert "refused (HTTP 403)" in checks["endpoint.identity"].detail
    assert "tenant" not in str(checks)


def test_slow_endpoint_is_given_up() -> None:
    """An endpoint that hangs costs one timeout; one that is not there is refused."""
    started = time.monotonic()
    assert_found(
        checked(lambda _: MockResponse(hang=True), timeout=0.3), fails("endpoint.status", "timed out after 0.3 s")
    )
    assert time.monotonic() - started < 10
    gone = examined(options({}, endpoint=f"http://127.0.0.1:{closed_port()}/voice/token"))
    assert_found(gone, fails("endpoint.status", "refused.*--endpoint"))
