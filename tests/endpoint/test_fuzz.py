"""Fuzz: any bytes are sent to a whole ASGI application, and every response is one of ours."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moss_voice_server import ParticipantInfo
from moss_voice_server.asgi import token_app
from moss_voice_server.endpoint import Admission, TokenRequest
from tests.endpoint.calls import SERVER, Message, asgi_ask, chunk
from tests.support import tokens
from tests.support.token_requests import some
from tests.support.wire import Answer, Request

pytestmark = pytest.mark.once

MARK = "zxqv"  # in everything that is sent, and in none of our texts
QUICK = settings(deadline=None, max_examples=80)
CODES = {
    (400, "invalid_json"), (400, "too_deep"), (400, "unknown_field"), (400, "invalid_field"), (422, "invalid_value"),
    (422, "too_many_agents"), (422, "duplicate_agent"), (403, "attribute_not_allowed"), (403, "room_config_not_allowed"),
    (403, "identity_not_allowed"), (403, "origin_not_allowed"), (405, "method_not_allowed"), (413, "body_too_large"),
    (415, "unsupported_media_type"), (415, "unsupported_encoding"), (400, "body_incomplete"), (400, "invalid_length"),
}  # fmt: skip
OWN = ["authorization", "cookie", "x-anything", "forwarded", "x-forwarded-for", "transfer-encoding", "expect"]
READ = ["content-type", "content-length", "origin", "sec-fetch-site"]
READ += ["access-control-request-method", "access-control-request-headers"]


async def authorize(scope: Any, token_request: TokenRequest) -> Admission:
    """Allows everything that can be allowed."""
    return Admission(
        ParticipantInfo("ada", "Ada", "m", {"plan": "pro"}),
        allowed_rooms=lambda room: True,
        allowed_agents=[agent.agent_name for agent in token_request.agents],
        client_may_set=("name", "metadata", "attributes", "agent_metadata", "agent_deployment"),
    )


APPS = {
    "off": token_app(SERVER, authorize=authorize),
    "on": token_app(SERVER, authorize=authorize, allow_origins=["https://app.example"]),
}


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """One loop for all examples."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


def checked(answer: Answer) -> None:
    """What must hold of any response."""
    assert "no-store" == answer.header("cache-control")
    assert "nosniff" == answer.header("x-content-type-options")
    if answer.status == 201:
        assert ["server_url", "participant_token"] == list(answer.json)
        claims = tokens.claims(answer.json["participant_token"])
        assert ("ada", "pro") == (claims["sub"], claims["attributes"]["plan"])
        assert {"roomJoin", "room", "canPublish", "canSubscribe", "canPublishData"} == set(claims["video"])
        assert claims["video"]["room"].strip()
        assert {"iss", "nbf", "exp", "sub", "name", "metadata", "attributes", "video", "roomConfig"} >= set(claims)
        assert {"agents"} >= set(claims.get("roomConfig", {}))
    elif answer.body:
        assert MARK not in repr(answer.body)
        assert {"error", "message"} == set(answer.json)
        assert (answer.status, answer.json["error"]) in CODES
    else:
        assert answer.status in (204, 405)


TEXT = st.text(st.characters(exclude_categories=[]), max_size=12).map(lambda text: MARK + text)
LATIN = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=20).map(lambda text: MARK + text)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.just(""),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
AGENT = some(**dict.fromkeys(("agent_name", "agentName", "metadata", "deployment", "attributes", "new"), VALUES))
CONFIG = some(
    agents=st.lists(AGENT | VALUES, max_size=9) | VALUES,
    **dict.fromkeys(("egress", "name", "maxParticipants", "empty_timeout", "tags", "metadata", "new"), VALUES),
)
NAMES = ("room_name", "participant_name", "participant_identity", "participant_metadata")
TOKEN_REQUEST = some(
    **dict.fromkeys(NAMES, TEXT | VALUES),
    participant_attributes=st.dictionaries(TEXT, TEXT, max_size=40) | VALUES,
    room_config=CONFIG | VALUES,
)
BODY = st.one_of(
    TOKEN_REQUEST.map(lambda token_request: json.dumps(token_request).encode()),
    st.dictionaries(TEXT, VALUES, max_size=3).map(lambda token_request: json.dumps(token_request).encode()),
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=200).map(lambda data: MARK.encode() + data),
    st.integers(0, 20_000).map(lambda size: b'{"room_name":"' + MARK.encode() + b"[" * size),
)


@QUICK
@given(BODY, st.lists(st.integers(0, 20_000), max_size=4), st.sampled_from(sorted(APPS)))
@example(b'{"room_name":"zxqv\\ud83d"}', [], "off")
@example(b'{"room_config":{"agents":[{"agent_name":"zxqv"}]}}', [3, 4], "on")
def test_any_body(loop: asyncio.AbstractEventLoop, body: bytes, cuts: list[int], app: str) -> None:
    """Whatever is sent as JSON, in any parts: a token, or a refusal that repeats nothing of it; never a 500."""
    ends = sorted({min(cut, len(body)) for cut in cuts} | {len(body)})
    parts = [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    messages: list[Message] = [chunk(part, more=True) for part in parts]
    messages[-1]["more_body"] = False
    checked(loop.run_until_complete(asgi_ask(APPS[app], receive=messages)))


@QUICK
@given(
    st.dictionaries(st.sampled_from(READ + OWN), LATIN | LATIN.map(lambda text: text.removeprefix(MARK)), max_size=6),
    st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "QUERY"]),
    st.sampled_from(sorted(APPS)),
)
@example({"content-length": "\xb2"}, "POST", "off")
@example({"origin": "https://app.example", "access-control-request-method": "\xff"}, "OPTIONS", "on")
def test_any_header(loop: asyncio.AbstractEventLoop, headers: dict[str, str], method: str, app: str) -> None:
    """Whatever the headers and the method: one of our responses, and no header of it repeats what was sent."""
    answer = loop.run_until_complete(asgi_ask(APPS[app], Request(headers, method=method)))
    checked(answer)
    if headers.get("origin") != "https://app.example":
        assert MARK not in repr(answer.headers)
