"""Requests: which HTTP requests are understood, and that every framework says the same to the others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.endpoint.frameworks import AllFrameworks, Target
from tests.endpoint.wire import Request, bearer
from tests.support import tokens

ADA = bearer("ada")
HEADERS = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "pragma": "no-cache",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
CLAIMS = {
    "iss": "APIexample",
    "exp": 900,
    "sub": "ada",
    "name": "Ada",
    "video": {"roomJoin": True, "canPublish": True, "canSubscribe": True, "canPublishData": True, "room": "room-new"},
    "roomConfig": {"agents": [{"agentName": "helper"}]},
}


def test_a_token(all_frameworks: AllFrameworks) -> None:
    """An empty request of somebody who is signed in gets a token for a new room, which nobody may keep."""
    said = all_frameworks(Request(ADA))
    assert (201, HEADERS, CLAIMS) == (said.status, said.headers, said.claims)


def test_a_token_below_a_prefix(all_frameworks: AllFrameworks) -> None:
    """An endpoint answers on whatever path the framework mounts it at."""

    def mounted(target: Target) -> bool:
        # Starlette's Mount itself redirects from the path without a slash.
        return target.program.name != "asgi-uvicorn"

    assert CLAIMS == all_frameworks(Request(ADA), below="/below", where=mounted).claims
    assert 405 == all_frameworks(Request(ADA, method="GET"), below="/below", where=mounted).status
    assert CLAIMS == all_frameworks(Request(ADA), "token/", below="/below", where=lambda t: not mounted(t)).claims


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS", "TRACE"])
def test_only_post(all_frameworks: AllFrameworks, method: str) -> None:
    """Every other method is told so by us and not by the framework, and mints nothing; HEAD gets no body."""
    said = all_frameworks(Request(ADA, method=method))
    body = b'{"error":"method_not_allowed","message":"Use the POST method."}'
    assert (405, HEADERS | {"allow": "POST"}, b"" if method == "HEAD" else body) == (
        said.status,
        said.headers,
        said.body,
    )


REFUSED: dict[str, tuple[Request, tuple[int, str]]] = {
    "a form": (
        Request(ADA | {"content-type": "application/x-www-form-urlencoded"}, b"room_name=r"),
        (415, "unsupported_media_type"),
    ),
    "one byte too many": (Request(ADA, b" " * 16385), (413, "body_too_large")),
    "one byte too many, in chunks": (Request(ADA, b" " * 16385, chunked=True), (413, "body_too_large")),
    "an empty body in chunks": (Request(ADA, b"", chunked=True), (400, "body_incomplete")),
    "compressed": (Request(ADA | {"content-encoding": "gzip"}), (415, "unsupported_encoding")),
    "no JSON, in chunks": (Request(ADA, b"room_name", chunked=True), (400, "invalid_json")),
    "no JSON": (Request(ADA, b"room_name=r"), (400, "invalid_json")),
    "invalid UTF-8": (Request(ADA, b'{"room_name":"\xff"}'), (400, "invalid_json")),
    "8,000 levels": (Request(ADA, b"[" * 8000 + b"]" * 8000), (400, "too_deep")),
    "an unknown field": (Request(ADA, json={"room": "r"}), (400, "unknown_field")),
    "a number as a name": (Request(ADA, json={"participant_name": 7}), (400, "invalid_field")),
    "a name of 257 bytes": (Request(ADA, json={"participant_name": "n" * 257}), (422, "invalid_value")),
    "an attribute of LiveKit's": (Request(ADA, json={"participant_attributes": {"lk.x": ""}}), (403, "attribute_not_allowed")),
    "room_config in a list": (Request(ADA, json={"room_config": [{}]}), (400, "invalid_field")),
    "egress": (Request(ADA, json={"room_config": {"egress": {"room": {}}}}), (403, "room_config_not_allowed")),
    "nine agents": (
        Request(ADA, json={"room_config": {"agents": [{"agent_name": f"a{i}"} for i in range(9)]}}),
        (422, "too_many_agents"),
    ),
    "an agent twice": (
        Request(ADA, json={"room_config": {"agents": [{"agent_name": "a"}, {"agentName": "a"}]}}),
        (422, "duplicate_agent"),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_before_authorize_is_called(
    all_frameworks: AllFrameworks, request_: Request, why: tuple[int, str]
) -> None:
    """What is not a token request gets the same refusal in every framework, with or without a login, and `no-store`."""
    said = all_frameworks(request_)
    assert why == (said.status, json.loads(said.body)["error"])
    assert (HEADERS, {"error", "message"}) == (said.headers, set(json.loads(said.body)))
    stranger = all_frameworks(request_._replace(headers=dict(request_.headers) | {"authorization": None}))
    assert said == stranger


SAME: dict[str, Request] = {
    "no body, no length": Request(ADA | {"content-length": None}, b""),
    "an empty body": Request(ADA, b""),
    "in chunks": Request(ADA, b"{}", chunked=True),
    "the longest body": Request(ADA, b"{" + b" " * 16382 + b"}"),
    "the longest body in chunks": Request(ADA, b"{" + b" " * 16382 + b"}", chunked=True),
    "with a charset": Request(ADA | {"content-type": "Application/JSON; charset=UTF-8"}),
    "the JavaScript client's blanks": Request(ADA, b'{"room_name":"","participant_name":" ","participant_metadata":""}'),
    "the admitted identity and name": Request(ADA, b'{"participant_identity":"ada","participant_name":"Ada"}'),
    "a cookie and a query": Request(ADA | {"cookie": "a=b", "accept": "text/html"}),
}  # fmt: skip


@pytest.mark.parametrize("request_", SAME.values(), ids=SAME.keys())
def test_nothing_asked(all_frameworks: AllFrameworks, request_: Request) -> None:
    """Each way to ask for nothing gets the token that the app gives to everybody."""
    assert CLAIMS == all_frameworks(request_).claims


def test_what_authorize_is_told(all_frameworks: AllFrameworks) -> None:
    """The request reaches authorize whole, from a body with a length or in chunks, in ASCII or UTF-8."""
    token_request = {
        "room_name": "Küche 🎤",
        "participant_name": "Ada",
        "participant_identity": "ada",
        "participant_attributes": {"é": "\n"},
        "room_config": {"agents": [{"agent_name": "helper", "metadata": "m", "deployment": "beta", "new": 1}, {}]},
    }
    told = ["Küche 🎤", "Ada", "ada", None, {"é": "\n"}, [["helper", "m", "beta"]]]
    ways: list[dict[str, Any]] = [
        {"json": token_request},
        {"body": json.dumps(token_request, ensure_ascii=False).encode()},
        {"json": token_request, "chunked": True},
    ]
    for way in ways:
        claims = all_frameworks(Request(bearer("seen"), **way)).claims
        assert told == json.loads(claims["metadata"])
        assert ("Küche 🎤", "Ada", {"é": "\n"}) == (claims["video"]["room"], claims["name"], claims["attributes"])
        agents = [{"agentName": "helper", "metadata": "m", "deployment": "beta"}]
        assert {"agents": agents} == claims["roomConfig"]


def test_each_call_is_a_new_room(all_frameworks: AllFrameworks) -> None:
    """No two requests share a room, in any program: React's hook requests a new token after each disconnect."""
    targets = all_frameworks.targets * 3
    rooms = [target.ask("token", Request(ADA)).claims["video"]["room"] for target in targets]
    assert len(targets) == len(set(rooms))
    assert all(len(bytes.fromhex(room.removeprefix("room-"))) == 16 for room in rooms)  # 128 bits


def test_context_variables_reach_authorize(all_frameworks: AllFrameworks) -> None:
    """What a tracing library set around the framework is seen by authorize, on a thread, on a loop and elsewhere."""
    assert "somebody" == all_frameworks(Request(bearer("context", x_who="somebody"))).claims["metadata"]


SNAKE = ("server_url", "participant_token")
CAMEL = ("serverUrl", "participantToken", "roomName", "participantName")


@pytest.mark.parametrize(("route", "keys"), [("token", SNAKE), ("camel", CAMEL), ("both", SNAKE + CAMEL)])
def test_response_keys(all_frameworks: AllFrameworks, route: str, keys: tuple[str, ...]) -> None:
    """A response has LiveKit's keys, or those that Moss's interfaces read, or both; a refusal has none of them."""
    for target in all_frameworks.targets:
        answer = target.ask(route, Request(ADA))
        assert list(keys) == list(answer.json)
        if "roomName" in keys:
            claims = tokens.claims(answer.json["participantToken"])
            assert (claims["video"]["room"], "Ada") == (answer.json["roomName"], answer.json["participantName"])
        assert ["error", "message"] == list(target.ask(route, Request()).json)
