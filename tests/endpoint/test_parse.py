"""Parse: which bodies are token requests, what they contain, and why the others are refused."""

from __future__ import annotations

import json
import string
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moss_voice_server._endpoint.parse import MAX_BODY, NOTHING, check_headers, parse
from moss_voice_server._endpoint.refusal import Refusal
from moss_voice_server.endpoint import TokenRequest
from moss_voice_server.grants import AgentDispatch

QUICK = settings(deadline=None, max_examples=80)


def body(**fields: Any) -> bytes:
    """A request's body."""
    return json.dumps(fields).encode()


def agents(*entries: Any) -> bytes:
    """A body that requests agents."""
    return body(room_config={"agents": list(entries)})


# What each of LiveKit's clients sends.

CLIENTS = {
    "JavaScript and React, nothing asked": (b"{}", NOTHING),
    "Swift, Android and Flutter, nothing asked": (b'{"room_config":{}}', NOTHING),
    "no body at all": (b"", NOTHING),
    "JavaScript, an agent": (
        b'{"room_config":{"agents":[{"agent_name":"helper","metadata":"{}","deployment":"beta"}]}}',
        TokenRequest(agents=(AgentDispatch("helper", "{}", "beta"),)),
    ),
    "JavaScript, empty texts kept": (
        b'{"room_name":"","participant_name":"","participant_identity":"","participant_metadata":""}',
        NOTHING,
    ),
    "JavaScript, everything": (
        b'{"room_name":"r","participant_name":"n","participant_identity":"i","participant_metadata":"m",'
        b'"participant_attributes":{"a":"b"},"room_config":{"agents":[{"agent_name":"helper"}]}}',
        TokenRequest("r", "n", "i", "m", {"a": "b"}, (AgentDispatch("helper"),)),
    ),
    "C++, an agent that is set but empty": (b'{"room_config":{"agents":[{}]}}', NOTHING),
    "protobuf's JSON, every default written out": (
        b'{"room_name":null,"participant_attributes":{},"room_config":{"name":"","emptyTimeout":0,"maxParticipants":0,'
        b'"egress":null,"minPlayoutDelay":0,"syncStreams":false,"agents":[],"metadata":"","tags":{}}}',
        NOTHING,
    ),
    "protobuf's JSON in camelCase": (
        body(room_config={"agents": [{"agentName": "helper", "metadata": "m"}]}),
        TokenRequest(agents=(AgentDispatch("helper", "m"),)),
    ),
    "a newer client's fields in the room config": (
        body(room_config={"brand_new": {"x": [1]}, "agents": [{"agent_name": "helper", "brandNew": 1, "attributes": {"a": 1}}]}),
        TokenRequest(agents=(AgentDispatch("helper"),)),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "expected"), CLIENTS.values(), ids=CLIENTS.keys())
def test_requests_of_the_clients(sent: bytes, expected: TokenRequest) -> None:
    """The requests of each of LiveKit's clients are accepted as they are."""
    assert expected == parse(sent)


TEXT = '"' + "[{" * 50 + "\\"
ATTRIBUTES = {f"a{i}": "" for i in range(32)}
ACCEPTED = {
    "whitespace around": (b' \n{ "room_name" : "r" }\t', TokenRequest("r")),
    "null room config": (b'{"room_config":null}', NOTHING),
    "null agents": (b'{"room_config":{"agents":null}}', NOTHING),
    "null fields": (b'{"room_name":null,"participant_attributes":null}', NOTHING),
    "blank texts are absent": (b'{"room_name":" \\t\\n","participant_metadata":"\\u2003"}', NOTHING),
    "outer space is kept": (b'{"room_name":" r "}', TokenRequest(" r ")),
    "control characters in metadata": (b'{"participant_metadata":"a\\u0000\\nb"}', TokenRequest(participant_metadata="a\0\nb")),
    "a pair of surrogates": (b'{"room_name":"\\ud83c\\udfa4"}', TokenRequest("🎤")),
    "256 bytes": (body(room_name="é" * 128), TokenRequest("é" * 128)),
    "4 KiB of metadata": (body(participant_metadata="m" * 4096), TokenRequest(participant_metadata="m" * 4096)),
    "32 attributes": (body(participant_attributes=ATTRIBUTES), TokenRequest(participant_attributes=ATTRIBUTES)),
    "4 KiB of attributes": (
        body(participant_attributes={"a" * 96: "v" * 4000}), TokenRequest(participant_attributes={"a" * 96: "v" * 4000})
    ),
    "attributes that look like LiveKit's": (
        body(participant_attributes={"lk": "1", "my.lk.z": "3"}), TokenRequest(participant_attributes={"lk": "1", "my.lk.z": "3"})
    ),
    "eight agents": (
        agents(*({"agent_name": f"a{i}"} for i in range(8))), TokenRequest(agents=tuple(AgentDispatch(f"a{i}") for i in range(8)))
    ),
    "blank agents are ignored": (agents({}, {"agent_name": " "}, {"agent_name": None}, {"metadata": ""}), NOTHING),
    "an agent without a name, with metadata": (agents({"metadata": "m"}), TokenRequest(agents=(AgentDispatch("", "m"),))),
    "a quote and brackets in a text": (body(room_name=TEXT), TokenRequest(TEXT)),
    "eight levels": (b'{"room_config":{"new":[[[[[[]]]]]]}}', NOTHING),
    "many brackets, side by side": (b'{"room_config":{"new":[[],[],[],[],[],[],[],[],[]]}}', NOTHING),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "expected"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(sent: bytes, expected: TokenRequest) -> None:
    """What the standard allows is understood exactly as it was sent."""
    assert expected == parse(sent)


TOO_MANY = [{"agent_name": f"a{i}"} for i in range(9)]
# By status and code. `tests/test_json.py` has the table of what is not JSON, `tests/test_validation.py` that of texts.
REFUSED: dict[tuple[int, str], dict[str, bytes]] = {
    (400, "invalid_json"): {
        "whitespace": b" ",
        "half an object": b'{"room_name":"r"',
        "an object and a NUL": b"{}\0",
        "a list": b"[]",
        "a text": b'"room"',
        "null": b"null",
        "a form": b"room_name=r",
        "a comma too many": b'{"room_name":"r",}',
        "byte order mark": b'\xef\xbb\xbf{"room_name":"r"}',
        "UTF-16": '{"room_name":"r"}'.encode("utf-16"),
        "an overlong slash": b'{"room_name":"\xc0\xaf"}',
        "a surrogate in UTF-8": b'{"room_name":"\xed\xa0\x80"}',
        "NaN": b'{"room_config":{"new":NaN}}',
        "a number beyond a float": b'{"room_config":{"new":1e999999}}',
        "a number of 5,000 digits": b'{"room_config":{"new":' + b"1" * 5000 + b"}}",
        "a field twice, once escaped": b'{"room_name":"a","room\\u005fname":"b"}',
        "a field twice, deep inside": b'{"room_config":{"new":{"a":1,"a":1}}}',
        "closing brackets first": b"]" * 100 + b"[" * 20,
    },
    (400, "too_deep"): {
        "nine levels": b'{"room_config":{"new":[[[[[[[]]]]]]]}}',
        "10,000 levels of lists": b"[" * 10_000 + b"]" * 10_000,
        "10,000 levels, never closed": b"[" * 10_000,
        "10,000 levels of objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    },
    (400, "unknown_field"): {
        "an unknown field": body(room="r"),
        "an unknown null": body(can_publish=None),
        "camelCase at the top": body(roomName="r"),
        "a token": body(participant_token="x"),
        "a surrogate as a field": b'{"\\ud800":1}',
        "__proto__": b'{"__proto__":{"room_name":"r"}}',
    },
    (400, "invalid_field"): {
        "a number as a name": body(participant_name=7),
        "a list as a room": body(room_name=["r"]),
        "true as an identity": body(participant_identity=True),
        "an object as metadata": body(participant_metadata={}),
        "attributes as a list": body(participant_attributes=[]),
        "attributes as a text": body(participant_attributes=""),
        "a number as an attribute": body(participant_attributes={"a": 1}),
        "null as an attribute": body(participant_attributes={"a": None}),
        "room config as a list": body(room_config=[{}]),
        "room config as a text": body(room_config="{}"),
        "agents as an empty object": body(room_config={"agents": {}}),
        "agents as an empty text": body(room_config={"agents": ""}),
        "agents as false": body(room_config={"agents": False}),
        "an agent as a text": agents("helper"),
        "an agent as null": agents(None),
        "an agent's name as a number": agents({"agent_name": 1}),
        "an agent's metadata as an object": agents({"agent_name": "a", "metadata": {}}),
        "both spellings of a field": body(room_config={"syncStreams": False, "sync_streams": False}),
        "both spellings of an agent's name": agents({"agent_name": "a", "agentName": "b"}),
    },
    (422, "invalid_value"): {
        "a room of 258 bytes in 129 letters": body(room_name="é" * 129),
        "a room with NUL": body(room_name="a\0"),
        "a name with a newline": body(participant_name="a\nb"),
        "an identity with a lone surrogate": b'{"participant_identity":"a\\ud800"}',
        "metadata with a lone surrogate": b'{"participant_metadata":"\\udfff"}',
        "an attribute's key with a lone surrogate": b'{"participant_attributes":{"\\ud800":""}}',
        "an attribute's value with a lone surrogate": b'{"participant_attributes":{"a":"\\udead"}}',
        "4,097 bytes of metadata": body(participant_metadata="m" * 4097),
        "33 attributes": body(participant_attributes={f"a{i}": "" for i in range(33)}),
        "4,097 bytes of attributes": body(participant_attributes={"a" * 97: "v" * 4000}),
        "an agent's name with a newline": agents({"agent_name": "a\n"}),
        "an agent's name of 257 bytes": agents({"agent_name": "a" * 257}),
        "4,097 bytes of an agent's metadata": agents({"agent_name": "a", "metadata": "m" * 4097}),
        "a deployment that LiveKit would skip": agents({"agent_name": "a", "deployment": "x_y"}),
    },
    (422, "too_many_agents"): {"nine agents": agents(*TOO_MANY), "nine blank agents": agents(*({},) * 9)},
    (422, "duplicate_agent"): {
        "an agent twice": agents({"agent_name": "a"}, {"agent_name": "a"}),
        "in two deployments": agents({"agent_name": "a"}, {"agent_name": "a", "deployment": "x"}),
    },
    (403, "attribute_not_allowed"): {
        "LiveKit's attribute": body(participant_attributes={"lk.agent.state": "x"}),
        "in capitals": body(participant_attributes={"LK.x": ""}),
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


# Over all inputs; `test_fuzz.py` sends any bytes at all to a whole application.

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
KEYS = TEXTS.filter(lambda key: not key.lower().startswith("lk."))
DEPLOYMENTS = st.text(string.ascii_letters + string.digits + "-", max_size=20)
TOKEN_REQUESTS = st.builds(
    TokenRequest,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.none() | TEXTS,
    st.dictionaries(KEYS, st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=4),
    st.lists(
        st.builds(AgentDispatch, TEXTS, st.just("") | TEXTS, DEPLOYMENTS), max_size=4, unique_by=lambda a: a.agent_name
    ).map(tuple),
)


def written(token_request: TokenRequest, camel: bool, ascii_only: bool) -> bytes:
    """A token request as a client would write it."""
    name = "agentName" if camel else "agent_name"
    entries = [{name: a.agent_name, "metadata": a.metadata, "deployment": a.deployment} for a in token_request.agents]
    fields = {
        "room_name": token_request.room_name,
        "participant_name": token_request.participant_name,
        "participant_identity": token_request.participant_identity,
        "participant_metadata": token_request.participant_metadata,
        "participant_attributes": token_request.participant_attributes,
        "room_config": {"agents": entries},
    }
    return json.dumps(fields, ensure_ascii=ascii_only).encode()


@QUICK
@given(TOKEN_REQUESTS, st.booleans(), st.booleans())
def test_a_token_request_comes_through_unchanged(token_request: TokenRequest, camel: bool, ascii_only: bool) -> None:
    """What a client writes within the limits arrives, in either spelling and either escaping."""
    assert token_request == parse(written(token_request, camel, ascii_only))


def levels(value: Any) -> int:
    """How deeply a value is nested."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(levels, inner), default=0)


NESTED = st.recursive(
    st.text('[]{}"\\', max_size=8),
    lambda inner: st.lists(inner, min_size=1, max_size=2) | st.dictionaries(st.text('[{"\\', max_size=3), inner, max_size=2),
    max_leaves=40,
)  # fmt: skip


@QUICK
@given(NESTED)
@example([[[[[["]" * 20 + '"', [1]]]]]]])
def test_depth_is_what_a_parser_would_reach(value: Any) -> None:
    """Up to eight levels are parsed, texts do not count, and the ninth is refused."""
    found = outcome(json.dumps({"room_config": {"new": value}}).encode())
    assert ((400, "too_deep") if levels(value) > 6 else NOTHING) == found


@QUICK
@given(st.sampled_from(["{}", "[]"]), st.integers(0, 20), st.integers(0, 20))
def test_unbalanced_brackets_are_never_read(pair: str, opened: int, closed: int) -> None:
    """Brackets alone are a request only as `{}`."""
    sent = (pair[0] * opened + pair[1] * closed).encode()
    expected = sent in (b"", b"{}")
    assert expected == isinstance(outcome(sent), TokenRequest)


SLOW = {
    "an open text of escaped quotes": b"[" * 9 + b'"' + b'\\"' * (4 * MAX_BODY),
    "quotes": b"[" * 9 + b'"' * (8 * MAX_BODY),
    "brackets": b"[" * (8 * MAX_BODY),
    "brackets in texts": b"[" * 9 + b'"[",' * (2 * MAX_BODY),
    "keys": b"{" + b",".join(b'"%d":[]' % number for number in range(MAX_BODY)) + b"}",
    "capitals": b'{"room_config":{"' + b"A" * (8 * MAX_BODY) + b'":1}}',
    "space": b" " * (8 * MAX_BODY),
    "a number": b'{"room_config":{"new":' + b"1" * (8 * MAX_BODY) + b"}}",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW.keys())
def test_effort_grows_no_faster_than_the_body(sent: bytes) -> None:
    """A body of eight times the allowed size is parsed in a moment: quadratic effort would take a minute."""
    before = time.thread_time()
    outcome(sent)
    assert time.thread_time() - before < 10


# Before the body is read.

JSON = "application/json"
OTHER_TYPES = [
    "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=application/json",
    "text/plain; application/json", "application/json, text/plain", "application/json; charset=latin-1",
    "application/json\xa0; x", "application/json; charset=utf-8; x=y", "application/json;", "application/jsonp",
    "application/vnd.api+json", "json", "*/*",
]  # fmt: skip
LARGE_LENGTHS = ["16385", "1073741824", "9" * 18, "9" * 5000]
OTHER_LENGTHS = ["x", "-1", "+2", "1_0", "0x10", "1.0", "²", "٣", "2,2", "2, 2", " "]
OTHER_METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "post", ""]
PRECHECKED: list[tuple[tuple[str, ...], tuple[int, str] | None]] = [
    *((("POST", JSON, length), None) for length in ("2", "", "0", "16384", "000002")),
    (("POST", "application/json; charset=utf-8", "2"), None),
    (("POST", 'Application/JSON;charset="UTF-8"', "2"), None),
    (("POST", " application/json ", "2"), None),
    *(((method, JSON, "2"), (405, "method_not_allowed")) for method in OTHER_METHODS),
    *((("POST", content_type, "2"), (415, "unsupported_media_type")) for content_type in OTHER_TYPES),
    *((("POST", JSON, length), (413, "body_too_large")) for length in LARGE_LENGTHS),
    *((("POST", JSON, length), (400, "invalid_length")) for length in OTHER_LENGTHS),
    (("POST", JSON, "2", "gzip"), (415, "unsupported_encoding")),
    (("POST", JSON, "2", "br, identity"), (415, "unsupported_encoding")),
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


@QUICK
@given(st.text(max_size=20), st.text(max_size=40), st.text(max_size=20))
def test_no_header_breaks_the_precheck(method: str, content_type: str, length: str) -> None:
    """Whatever the headers hold, the request passes or is refused."""
    found = prechecked(method, content_type, length)
    assert found is None or found[0] in (400, 405, 413, 415)
