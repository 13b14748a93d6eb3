"""Parse: which bodies are token requests, what they contain, and why the others are refused."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from moss_voice_server._endpoint.parse import MAX_BODY, NOTHING, check_headers, parse
from moss_voice_server._endpoint.refusal import Refusal
from moss_voice_server.endpoint import TokenRequest
from moss_voice_server.grants import AgentDispatch


def body(**fields: Any) -> bytes:
    """A request's body."""
    return json.dumps(fields).encode()


def agents(*entries: Any) -> bytes:
    """A body that requests agents."""
    return body(room_config={"agents": list(entries)})


ACCEPTED = {
    # What each of LiveKit's clients sends.
    "JavaScript and React, nothing asked": (b"{}", NOTHING),
    "Swift, Android and Flutter, nothing asked": (b'{"room_config":{}}', NOTHING),
    "no body at all": (b"", NOTHING),
    "JavaScript, empty texts kept": (
        b'{"room_name":"","participant_name":"","participant_identity":"","participant_metadata":""}', NOTHING
    ),
    "JavaScript, everything": (
        b'{"room_name":"r","participant_name":"n","participant_identity":"i","participant_metadata":"m",'
        b'"participant_attributes":{"a":"b"},'
        b'"room_config":{"agents":[{"agent_name":"helper","metadata":"{}","deployment":"beta"}]}}',
        TokenRequest("r", "n", "i", "m", {"a": "b"}, (AgentDispatch("helper", "{}", "beta"),)),
    ),
    "C++, an agent that is set but empty": (b'{"room_config":{"agents":[{}]}}', NOTHING),
    "protobuf's JSON, every default written out": (
        b'{"room_name":null,"participant_attributes":{},"room_config":{"name":"","emptyTimeout":0,"maxParticipants":0,'
        b'"egress":null,"minPlayoutDelay":0,"syncStreams":false,"agents":[],"metadata":"","tags":{}}}',
        NOTHING,
    ),
    "protobuf's JSON in camelCase": (agents({"agentName": "helper"}), TokenRequest(agents=(AgentDispatch("helper"),))),
    "a newer client's fields in the room config": (
        body(room_config={"brand_new": {"x": [1]}, "agents": [{"agent_name": "helper", "brandNew": 1, "attributes": {"a": 1}}]}),
        TokenRequest(agents=(AgentDispatch("helper"),)),
    ),
    # And what the standard allows besides.
    "whitespace around": (b' \n{ "room_name" : "r" }\t', TokenRequest("r")),
    "null agents": (b'{"room_config":{"agents":null}}', NOTHING),
    "null fields": (b'{"room_name":null,"participant_attributes":null,"room_config":null}', NOTHING),
    "blank texts are absent": (b'{"room_name":" \\t\\n","participant_metadata":"\\u2003"}', NOTHING),
    "outer space is kept": (b'{"room_name":" r "}', TokenRequest(" r ")),
    "control characters in metadata": (b'{"participant_metadata":"a\\u0000\\nb"}', TokenRequest(participant_metadata="a\0\nb")),
    "a pair of surrogates": (b'{"room_name":"\\ud83c\\udfa4"}', TokenRequest("🎤")),
    "256 bytes": (body(room_name="é" * 128), TokenRequest("é" * 128)),
    "4 KiB of metadata": (body(participant_metadata="m" * 4096), TokenRequest(participant_metadata="m" * 4096)),
    **{
        name: (body(participant_attributes=attributes), TokenRequest(participant_attributes=attributes))
        for name, attributes in {
            "32 attributes": {f"a{i}": "" for i in range(32)},
            "4 KiB of attributes": {"a" * 96: "v" * 4000},
            "attributes that look like LiveKit's": {"lk": "1", "my.lk.z": "3"},
        }.items()
    },
    "eight agents": (
        agents(*({"agent_name": f"a{i}"} for i in range(8))), TokenRequest(agents=tuple(AgentDispatch(f"a{i}") for i in range(8)))
    ),
    "blank agents are ignored": (agents({}, {"agent_name": " "}, {"agent_name": None}, {"metadata": ""}), NOTHING),
    "an agent without a name, with metadata": (agents({"metadata": "m"}), TokenRequest(agents=(AgentDispatch("", "m"),))),
    "eight levels, and a text of brackets": (b'{"room_config":{"new":[[[[[["[[[{{{"]]]]]]}}', NOTHING),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(sent: bytes, expected: TokenRequest) -> None:
    """What clients send, and what else the standard allows, is understood exactly as it was sent."""
    assert expected == parse(sent)


TOO_MANY = [{"agent_name": f"a{i}"} for i in range(9)]
# By status and code. `tests/test_json.py` has the table of what is not JSON, `tests/test_validation.py` that of texts.
REFUSED: dict[tuple[int, str], dict[str, bytes]] = {
    (400, "invalid_json"): {
        "whitespace": b" ",
        "a list": b"[]",
        "null": b"null",
        "a form": b"room_name=r",
        "a number of 5,000 digits": b'{"room_config":{"new":' + b"1" * 5000 + b"}}",
        "closing brackets first": b"]" * 100 + b"[" * 20,
    },
    (400, "too_deep"): {
        "nine levels": b'{"room_config":{"new":[[[[[[[]]]]]]]}}',
        "10,000 levels, never closed": b"[" * 10_000,
    },
    (400, "unknown_field"): {
        "an unknown field": body(room="r"),
        "an unknown null": body(can_publish=None),
        "camelCase at the top": body(roomName="r"),
    },
    (400, "invalid_field"): {
        "a number as a name": body(participant_name=7),
        "a list as a room": body(room_name=["r"]),
        "true as an identity": body(participant_identity=True),
        "an object as metadata": body(participant_metadata={}),
        "attributes as a list": body(participant_attributes=[]),
        "a number as an attribute": body(participant_attributes={"a": 1}),
        "room config as a list": body(room_config=[{}]),
        "agents as an empty object": body(room_config={"agents": {}}),
        "agents as false": body(room_config={"agents": False}),
        "an agent as a text": agents("helper"),
        "an agent's name as a number": agents({"agent_name": 1}),
        "an agent's metadata as an object": agents({"agent_name": "a", "metadata": {}}),
        "both spellings of a field": body(room_config={"syncStreams": False, "sync_streams": False}),
        "both spellings of an agent's name": agents({"agent_name": "a", "agentName": "b"}),
    },
    (422, "invalid_value"): {
        "a room of 258 bytes in 129 letters": body(room_name="é" * 129),
        "a room with NUL": body(room_name="a\0"),
        "a name with a newline": body(participant_name="a\nb"),
        "metadata with a lone surrogate": b'{"participant_metadata":"\\udfff"}',
        "an attribute's value with a lone surrogate": b'{"participant_attributes":{"a":"\\udead"}}',
        "4,097 bytes of metadata": body(participant_metadata="m" * 4097),
        "33 attributes": body(participant_attributes={f"a{i}": "" for i in range(33)}),
        "4,097 bytes of attributes": body(participant_attributes={"a" * 97: "v" * 4000}),
        "an agent's name with a newline": agents({"agent_name": "a\n"}),
        "4,097 bytes of an agent's metadata": agents({"agent_name": "a", "metadata": "m" * 4097}),
        "a deployment that LiveKit would skip": agents({"agent_name": "a", "deployment": "x_y"}),
    },
    (422, "too_many_agents"): {"nine agents": agents(*TOO_MANY), "nine blank agents": agents(*({},) * 9)},
    (422, "duplicate_agent"): {"an agent twice": agents({"agent_name": "a"}, {"agent_name": "a", "deployment": "x"})},
    (403, "attribute_not_allowed"): {
        "LiveKit's attribute": body(participant_attributes={"lk.agent.state": "x"}),
        "with a Kelvin sign": body(participant_attributes={"l\u212a.x": ""}),
    },
    (403, "room_config_not_allowed"): {
        name: body(room_config={name: value})
        for name, value in {
            "egress": {"room": {"file_outputs": []}}, "max_participants": 2, "maxParticipants": 2, "empty_timeout": 1,
            "departureTimeout": 1, "minPlayoutDelay": 1, "max_playout_delay": 1, "sync_streams": True, "metadata": "m",
            "name": "r", "tags": {"a": "b"},
        }.items()
    },
}  # fmt: skip


def outcome(sent: bytes) -> TokenRequest | tuple[int, str]:
    """The token request in a body, or the status and the code of the refusal."""
    try:
        return parse(sent)
    except Refusal as refusal:
        return refusal.status, refusal.code


@pytest.mark.parametrize(
    ("sent", "why"), [pytest.param(sent, why, id=name) for why, rows in REFUSED.items() for name, sent in rows.items()]
)
def test_refused(sent: bytes, why: tuple[int, str]) -> None:
    """What is not a token request, or an impossible one, is refused with a status and a stable code."""
    assert why == outcome(sent)


SLOW = {
    "an open text of escaped quotes": b"[" * 9 + b'"' + b'\\"' * (4 * MAX_BODY),
    "quotes": b"[" * 9 + b'"' * (8 * MAX_BODY),
    "brackets": b"[" * (8 * MAX_BODY),
    "keys": b"{" + b",".join(b'"%d":[]' % number for number in range(MAX_BODY)) + b"}",
    "capitals": b'{"room_config":{"' + b"A" * (8 * MAX_BODY) + b'":1}}',
    "a number": b'{"room_config":{"new":' + b"1" * (8 * MAX_BODY) + b"}}",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_effort_grows_no_faster_than_the_body(sent: bytes) -> None:
    """A body of eight times the allowed size is parsed in a moment: quadratic effort would take a minute."""
    before = time.thread_time()
    outcome(sent)
    assert time.thread_time() - before < 10


# Before the body is read.

JSON = "application/json"
OTHER_TYPES = [
    "", "text/plain", "application/x-www-form-urlencoded", "text/plain; application/json", "application/json, text/plain",
    "application/json; charset=latin-1", "application/json\xa0; x", "application/json; charset=utf-8; x=y",
    "application/json;", "application/jsonp", "application/vnd.api+json", "*/*",
]  # fmt: skip
PRECHECKED: list[tuple[tuple[str, ...], tuple[int, str] | None]] = [
    *((("POST", JSON, length), None) for length in ("2", "", "16384", "000002")),
    *((("POST", each, "2"), None) for each in ('Application/JSON;charset="UTF-8"', " application/json ")),
    *(((method, JSON, "2"), (405, "method_not_allowed")) for method in ("GET", "HEAD", "OPTIONS", "post", "")),
    *((("POST", content_type, "2"), (415, "unsupported_media_type")) for content_type in OTHER_TYPES),
    *((("POST", JSON, length), (413, "body_too_large")) for length in ("16385", "9" * 18, "9" * 5000)),
    *((("POST", JSON, length), (400, "invalid_length")) for length in ("x", "-1", "1_0", "1.0", "²", "٣", "2,2", " ")),
    *((("POST", JSON, "2", encoding), (415, "unsupported_encoding")) for encoding in ("gzip", "br, identity")),
    (("POST", JSON, "2", "identity"), None),
]


def prechecked(method: str, content_type: str, length: str, encoding: str = "") -> tuple[int, str] | None:
    """Status and code of a refusal before the body."""
    headers = {"content-type": content_type, "content-length": length, "content-encoding": encoding}
    try:
        check_headers(method, headers)
    except Refusal as refusal:
        return refusal.status, refusal.code
    return None


@pytest.mark.parametrize(("headers", "why"), PRECHECKED, ids=lambda value: str(value)[:60])
def test_precheck(headers: tuple[str, ...], why: tuple[int, str] | None) -> None:
    """A POST of JSON that is short enough passes; everything else is refused before a byte of it is read."""
    assert why == prechecked(*headers)
