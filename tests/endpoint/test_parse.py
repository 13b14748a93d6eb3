"""Request: which bodies are token requests, what they request, and why the others are none."""

from __future__ import annotations

import json
import string
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from moss_voice_server._endpoint.parse import MAX_BODY, NOTHING, parse, precheck
from moss_voice_server._endpoint.refusal import Refusal
from moss_voice_server.endpoint import TokenRequest
from moss_voice_server.grants import AgentDispatch

QUICK = settings(deadline=None, max_examples=80)
CODES = {
    (400, "invalid_json"),
    (400, "too_deep"),
    (400, "unknown_field"),
    (400, "invalid_field"),
    (422, "invalid_value"),
    (422, "too_many_agents"),
    (422, "duplicate_agent"),
    (403, "attribute_not_allowed"),
    (403, "room_config_not_allowed"),
}


def body(**fields: Any) -> bytes:
    """A request's body."""
    return json.dumps(fields).encode()


def agents(*entries: Any) -> bytes:
    """A body that asks for agents."""
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
        body(
            room_name=None,
            participant_attributes={},
            room_config={
                "name": "",
                "emptyTimeout": 0,
                "departureTimeout": 0,
                "maxParticipants": 0,
                "egress": None,
                "minPlayoutDelay": 0,
                "maxPlayoutDelay": 0,
                "syncStreams": False,
                "agents": [],
                "metadata": "",
                "tags": {},
            },
        ),
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
    """Each of LiveKit's clients is understood as it writes."""
    assert expected == parse(sent)


ACCEPTED = {
    "white space around": (b' \n{ "room_name" : "r" }\t', TokenRequest("r")),
    "null room config": (b'{"room_config":null}', NOTHING),
    "null agents": (b'{"room_config":{"agents":null}}', NOTHING),
    "null fields": (b'{"room_name":null,"participant_attributes":null}', NOTHING),
    "texts of white space are absent": (b'{"room_name":" \\t\\n","participant_metadata":"\\u2003"}', NOTHING),
    "outer space is kept": (b'{"room_name":" r "}', TokenRequest(" r ")),
    "an attribute may be empty": (b'{"participant_attributes":{"a":""}}', TokenRequest(participant_attributes={"a": ""})),
    "metadata may hold control characters": (
        b'{"participant_metadata":"a\\u0000\\nb"}',
        TokenRequest(participant_metadata="a\0\nb"),
    ),
    "escaped and plain letters are the same": (b'{"room_name":"\\u00e9"}', TokenRequest("é")),
    "a pair of surrogates is one character": (b'{"room_name":"\\ud83c\\udfa4"}', TokenRequest("🎤")),
    "plain UTF-8": ('{"room_name":"🎤"}'.encode(), TokenRequest("🎤")),
    "256 bytes": (body(room_name="é" * 128), TokenRequest("é" * 128)),
    "4 KiB of metadata": (body(participant_metadata="m" * 4096), TokenRequest(participant_metadata="m" * 4096)),
    "32 attributes": (
        body(participant_attributes={f"a{i}": "" for i in range(32)}),
        TokenRequest(participant_attributes={f"a{i}": "" for i in range(32)}),
    ),
    "4 KiB of attributes": (
        body(participant_attributes={"a" * 96: "v" * 4000}),
        TokenRequest(participant_attributes={"a" * 96: "v" * 4000}),
    ),
    "an attribute that only looks like LiveKit's": (
        body(participant_attributes={"lk": "1", "lkx.y": "2", "my.lk.z": "3"}),
        TokenRequest(participant_attributes={"lk": "1", "lkx.y": "2", "my.lk.z": "3"}),
    ),
    "eight agents": (
        agents(*({"agent_name": f"a{i}"} for i in range(8))),
        TokenRequest(agents=tuple(AgentDispatch(f"a{i}") for i in range(8))),
    ),
    "blank agents are nobody": (agents({}, {"agent_name": " "}, {"agent_name": None}, {"metadata": ""}), NOTHING),
    "an agent without a name, with metadata": (agents({"metadata": "m"}), TokenRequest(agents=(AgentDispatch("", "m"),))),
    "brackets in a text are no depth": (body(room_name="[{" * 50), TokenRequest("[{" * 50)),
    "a quote and brackets in a text": (body(room_name='"' + "[" * 50 + "\\"), TokenRequest('"' + "[" * 50 + "\\")),
    "eight levels": (b'{"room_config":{"new":[[[[[[]]]]]]}}', NOTHING),
    "many brackets, side by side": (b'{"room_config":{"new":[[],[],[],[],[],[],[],[],[]]}}', NOTHING),
    "an endless number in a field that is not read": (b'{"room_config":{"new":1e999999}}', NOTHING),
}  # fmt: skip


@pytest.mark.parametrize(("sent", "expected"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(sent: bytes, expected: TokenRequest) -> None:
    """What the standard allows is understood exactly as it was sent."""
    assert expected == parse(sent)


REFUSED = {
    # not JSON, or not one object
    "white space": (b" ", (400, "invalid_json")),
    "half an object": (b'{"room_name":"r"', (400, "invalid_json")),
    "two objects": (b"{}{}", (400, "invalid_json")),
    "an object and a NUL": (b"{}\0", (400, "invalid_json")),
    "a list": (b"[]", (400, "invalid_json")),
    "a text": (b'"room"', (400, "invalid_json")),
    "null": (b"null", (400, "invalid_json")),
    "a form": (b"room_name=r", (400, "invalid_json")),
    "a comment": (b"{/**/}", (400, "invalid_json")),
    "single quotes": (b"{'room_name':'r'}", (400, "invalid_json")),
    "a comma too many": (b'{"room_name":"r",}', (400, "invalid_json")),
    "a raw line break in a text": (b'{"room_name":"a\nb"}', (400, "invalid_json")),
    "byte order mark": (b'\xef\xbb\xbf{"room_name":"r"}', (400, "invalid_json")),
    "UTF-16": ('{"room_name":"r"}'.encode("utf-16"), (400, "invalid_json")),
    "Latin-1": ('{"room_name":"é"}'.encode("latin-1"), (400, "invalid_json")),
    "an overlong slash": (b'{"room_name":"\xc0\xaf"}', (400, "invalid_json")),
    "a surrogate in UTF-8": (b'{"room_name":"\xed\xa0\x80"}', (400, "invalid_json")),
    "NaN": (b'{"room_config":{"new":NaN}}', (400, "invalid_json")),
    "Infinity": (b'{"room_config":{"new":-Infinity}}', (400, "invalid_json")),
    "a number of 5,000 digits": (b'{"room_config":{"new":' + b"1" * 5000 + b"}}", (400, "invalid_json")),
    "a field twice": (b'{"room_name":"a","room_name":"b"}', (400, "invalid_json")),
    "a field twice, once escaped": (b'{"room_name":"a","room\\u005fname":"b"}', (400, "invalid_json")),
    "a field twice, deep inside": (b'{"room_config":{"new":{"a":1,"a":1}}}', (400, "invalid_json")),
    # too deep
    "nine levels": (b'{"room_config":{"new":[[[[[[[]]]]]]]}}', (400, "too_deep")),
    "10,000 levels of lists": (b"[" * 10_000 + b"]" * 10_000, (400, "too_deep")),
    "10,000 levels, never closed": (b"[" * 10_000, (400, "too_deep")),
    "10,000 levels of objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, (400, "too_deep")),
    "closing brackets first": (b"]" * 100 + b"[" * 20, (400, "invalid_json")),
    # fields
    "an unknown field": (body(room="r"), (400, "unknown_field")),
    "an unknown field that says nothing": (body(can_publish=None), (400, "unknown_field")),
    "camelCase at the top": (body(roomName="r"), (400, "unknown_field")),
    "a token of the client's own": (body(participant_token="x"), (400, "unknown_field")),
    "a surrogate as a field": (b'{"\\ud800":1}', (400, "unknown_field")),
    "__proto__": (b'{"__proto__":{"room_name":"r"}}', (400, "unknown_field")),
    "a number as a name": (body(participant_name=7), (400, "invalid_field")),
    "a list as a room": (body(room_name=["r"]), (400, "invalid_field")),
    "true as an identity": (body(participant_identity=True), (400, "invalid_field")),
    "an object as metadata": (body(participant_metadata={}), (400, "invalid_field")),
    "attributes as a list": (body(participant_attributes=[]), (400, "invalid_field")),
    "attributes as a text": (body(participant_attributes=""), (400, "invalid_field")),
    "a number as an attribute": (body(participant_attributes={"a": 1}), (400, "invalid_field")),
    "null as an attribute": (body(participant_attributes={"a": None}), (400, "invalid_field")),
    # values
    "a room of 257 bytes": (body(room_name="r" * 257), (422, "invalid_value")),
    "a room of 258 bytes in 129 letters": (body(room_name="é" * 129), (422, "invalid_value")),
    "a room with NUL": (body(room_name="a\0"), (422, "invalid_value")),
    "a name with a line break": (body(participant_name="a\nb"), (422, "invalid_value")),
    "an identity with a lone surrogate": (b'{"participant_identity":"a\\ud800"}', (422, "invalid_value")),
    "metadata with a lone surrogate": (b'{"participant_metadata":"\\udfff"}', (422, "invalid_value")),
    "an attribute's key with a lone surrogate": (b'{"participant_attributes":{"\\ud800":""}}', (422, "invalid_value")),
    "an attribute's value with a lone surrogate": (b'{"participant_attributes":{"a":"\\udead"}}', (422, "invalid_value")),
    "4,097 bytes of metadata": (body(participant_metadata="m" * 4097), (422, "invalid_value")),
    "33 attributes": (body(participant_attributes={f"a{i}": "" for i in range(33)}), (422, "invalid_value")),
    "4,097 bytes of attributes": (body(participant_attributes={"a" * 97: "v" * 4000}), (422, "invalid_value")),
    "LiveKit's own attribute": (body(participant_attributes={"lk.agent.state": "x"}), (403, "attribute_not_allowed")),
    "LiveKit's own attribute in capitals": (body(participant_attributes={"LK.x": ""}), (403, "attribute_not_allowed")),
    "LiveKit's own attribute with a Kelvin sign": (
        body(participant_attributes={"l\u212a.x": ""}),
        (403, "attribute_not_allowed"),
    ),
    # the room configuration
    "room config as a list": (body(room_config=[{}]), (400, "invalid_field")),
    "room config as a text": (body(room_config="{}"), (400, "invalid_field")),
    "agents as an object": (body(room_config={"agents": {"agent_name": "a"}}), (400, "invalid_field")),
    "agents as an empty object": (body(room_config={"agents": {}}), (400, "invalid_field")),
    "agents as an empty text": (body(room_config={"agents": ""}), (400, "invalid_field")),
    "agents as false": (body(room_config={"agents": False}), (400, "invalid_field")),
    "an agent as a text": (agents("helper"), (400, "invalid_field")),
    "an agent as null": (agents(None), (400, "invalid_field")),
    "an agent's name as a number": (agents({"agent_name": 1}), (400, "invalid_field")),
    "an agent's metadata as an object": (agents({"agent_name": "a", "metadata": {}}), (400, "invalid_field")),
    "both spellings of a field": (body(room_config={"syncStreams": False, "sync_streams": False}), (400, "invalid_field")),
    "both spellings of an agent's name": (agents({"agent_name": "a", "agentName": "b"}), (400, "invalid_field")),
    "an agent's name with a line break": (agents({"agent_name": "a\n"}), (422, "invalid_value")),
    "an agent's name of 257 bytes": (agents({"agent_name": "a" * 257}), (422, "invalid_value")),
    "4,097 bytes of an agent's metadata": (agents({"agent_name": "a", "metadata": "m" * 4097}), (422, "invalid_value")),
    "a deployment that LiveKit would skip": (agents({"agent_name": "a", "deployment": "x_y"}), (422, "invalid_value")),
    "nine agents": (agents(*({"agent_name": f"a{i}"} for i in range(9))), (422, "too_many_agents")),
    "nine times nobody": (agents(*({},) * 9), (422, "too_many_agents")),
    "an agent twice": (agents({"agent_name": "a"}, {"agent_name": "a"}), (422, "duplicate_agent")),
    "an agent twice, in two deployments": (
        agents({"agent_name": "a"}, {"agent_name": "a", "deployment": "x"}),
        (422, "duplicate_agent"),
    ),
    **{
        f"room config with {name}": (body(room_config={name: value}), (403, "room_config_not_allowed"))
        for name, value in {
            "egress": {"room": {"file_outputs": []}},
            "max_participants": 2,
            "maxParticipants": 2,
            "empty_timeout": 1,
            "departureTimeout": 1,
            "minPlayoutDelay": 1,
            "max_playout_delay": 1,
            "sync_streams": True,
            "metadata": "m",
            "name": "r",
            "tags": {"a": "b"},
        }.items()
    },
}  # fmt: skip


def outcome(sent: bytes) -> TokenRequest | tuple[int, str]:
    """What a body is parsed to, or the status and the code of the refusal."""
    try:
        return parse(sent)
    except Refusal as refusal:
        return refusal.status, refusal.code


@pytest.mark.parametrize(("sent", "why"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(sent: bytes, why: tuple[int, str]) -> None:
    """What is no token request, or an impossible one, is refused with a status and a stable code."""
    assert why == outcome(sent)


# Over all inputs.

BODIES = st.one_of(
    st.binary(max_size=300),
    st.text('[]{}"\\:,x \n', max_size=200).map(str.encode),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
        max_leaves=15,
    ).map(lambda value: json.dumps(value).encode()),
)
ANYTHING = st.one_of(
    st.none(),
    st.text(st.characters(exclude_categories=[]), max_size=8),
    st.integers(),
    st.floats(),
    st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
)
AGENTS = st.lists(
    st.dictionaries(st.sampled_from(["agent_name", "agentName", "metadata", "deployment", "new"]), ANYTHING, max_size=4)
    | ANYTHING,
    max_size=10,
)
CONFIGS = st.dictionaries(
    st.sampled_from(["agents", "egress", "maxParticipants", "max_participants", "tags", "metadata", "name", "new"]),
    ANYTHING | AGENTS,
    max_size=4,
)
NEARLY = st.dictionaries(
    st.sampled_from(
        [
            "room_name",
            "participant_name",
            "participant_identity",
            "participant_metadata",
            "participant_attributes",
            "room_config",
        ]
    ),
    ANYTHING | CONFIGS,
    max_size=6,
).map(lambda value: json.dumps(value).encode())


@QUICK
@given(BODIES | NEARLY)
def test_every_body_is_a_token_request_or_has_a_known_code(sent: bytes) -> None:
    """No body raises, and a refusal says no more than one of the fixed codes."""
    found = outcome(sent)
    assert isinstance(found, TokenRequest) or found in CODES


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
    """A request as a client would write it."""
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
    """What a client writes within the limits is what the app is told, in either spelling and either escaping."""
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
    """Up to eight levels are read, texts do not count, and the ninth is refused."""
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
    "an open text of backslashes": b"[" * 9 + b'"' + b"\\" * (8 * MAX_BODY + 1),
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
    """A body eight times the allowed size is dealt with in a moment: with squared effort it would take a minute."""
    before = time.thread_time()
    outcome(sent)
    assert time.thread_time() - before < 10


# Before the body is read.

PRECHECKED: dict[str, tuple[tuple[str, str, str], tuple[int, str] | None]] = {
    "a POST of JSON": (("POST", "application/json", "2"), None),
    "without a length": (("POST", "application/json", ""), None),
    "of nothing": (("POST", "application/json", "0"), None),
    "the longest": (("POST", "application/json", "16384"), None),
    "leading zeros": (("POST", "application/json", "000002"), None),
    "in UTF-8": (("POST", "application/json; charset=utf-8", "2"), None),
    "in quoted UTF-8": (("POST", 'Application/JSON;charset="UTF-8"', "2"), None),
    "space around": (("POST", " application/json ", "2"), None),
    **{
        method: ((method, "application/json", "2"), (405, "method_not_allowed"))
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "post", "")
    },
    **{
        content_type or "no type": (("POST", content_type, "2"), (415, "unsupported_media_type"))
        for content_type in (
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=application/json",
            "text/plain; application/json",
            "text/plain, application/json",
            "application/json, text/plain",
            "application/json; charset=latin-1",
            "application/json\xa0; x",
            "application/json; charset=utf-8; x=y",
            "application/json;",
            "application/jsonp",
            "application/json5",
            "application/vnd.api+json",
            "application/ld+json",
            "json",
            "*/*",
        )
    },
    **{
        f"a length of {length!r}"[:40]: (("POST", "application/json", length), (413, "body_too_large"))
        for length in ("16385", "1073741824", "9" * 18, "9" * 5000, "-1", "+1", "1_0", "0x10", "1.0", "²", "٣", "2, 2")
    },
}


@pytest.mark.parametrize(("asked", "why"), PRECHECKED.values(), ids=PRECHECKED.keys())
def test_precheck(asked: tuple[str, str, str], why: tuple[int, str] | None) -> None:
    """A POST of JSON that is short enough goes on; everything else is refused before a byte of it is read."""
    assert why == prechecked(*asked)


def prechecked(method: str, content_type: str, length: str, encoding: str = "") -> tuple[int, str] | None:
    """Status and code of a refusal before the body."""
    headers = {"content-type": content_type, "content-length": length, "content-encoding": encoding}
    try:
        precheck(method, headers)
    except Refusal as refusal:
        return refusal.status, refusal.code
    return None


@pytest.mark.parametrize(("encoding", "status"), [("gzip", 415), ("br, identity", 415), ("identity", None), ("", None)])
def test_a_compressed_body_is_refused_by_its_header(encoding: str, status: int | None) -> None:
    """A body in another encoding is not read as JSON."""
    refused = prechecked("POST", "application/json", "2", encoding)
    assert status == (refused and refused[0])


@QUICK
@given(st.text(max_size=20), st.text(max_size=40), st.text(max_size=20))
def test_no_header_breaks_the_precheck(method: str, content_type: str, length: str) -> None:
    """Whatever the headers hold, the request goes on or is refused."""
    found = prechecked(method, content_type, length)
    assert found is None or found[0] in (405, 413, 415)
