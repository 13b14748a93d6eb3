"""Response: the Moss API's JSON becomes credentials, or an error that names the field and shows no value."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_voice_server._credentials.fetch import FIELDS, ParseError, parse
from moss_voice_server._credentials.model import ARGUMENTS, Credentials, validated
from moss_voice_server._secret import Secret
from tests.support.errors import refused

GOOD = {
    "voice_agent_url": "wss://example.livekit.cloud",
    "voice_agent_api_key": "APIexample",
    "voice_agent_api_secret": "a-secret-for-tests-that-is-long-enough",
    "voice_agent_name": "example-agent",
}
URL, API_KEY, API_SECRET, NAME = GOOD


def parsed(content: Any) -> Credentials | ParseError:
    """The result of a JSON response."""
    return parse(Secret(json.dumps(content).encode()))


def usable(**changes: Any) -> Credentials:
    """The credentials in a valid response."""
    found = parsed({**GOOD, **changes})
    assert isinstance(found, Credentials)
    return found


def passed(*values: Any) -> Credentials:
    """Credentials from four values."""
    url, api_key, api_secret, agent_name = map(Secret, values)
    return validated(url, api_key, api_secret, agent_name)


def test_response_becomes_credentials() -> None:
    """URL, agent name and a signer for key and secret are what is cached, and no text shows them."""
    found = usable(voice_agent_url="WSS://Example.LiveKit.Cloud/Path")

    assert ("wss://example.livekit.cloud/Path", GOOD[NAME]) == (found.url, found.agent_name)
    assert {"sub": "u"} == jwt.decode(found.signer.sign(b'{"sub":"u"}'), GOOD[API_SECRET], algorithms=["HS256"])
    assert '{"iss":"APIexample","nbf":' == found.signer.head
    shown = f"{found} {found!r} {found.signer} {json.dumps(found, default=str)}"
    assert [False, False] == [GOOD[name] in shown for name in (API_KEY, API_SECRET)]


def test_unknown_fields_are_ignored() -> None:
    """Other fields of any type are ignored."""
    extra: Any
    for extra in [{"id": 5}, {"a": [{"b": None}], "": 1.5e300}, {"é": "\ud800"}, {"big": 10**4000}]:
        assert usable(**extra).same_as(usable())


TAKEN: dict[str, list[str]] = {
    URL: ["https://host.example", "ws://localhost:7880", "http://[::1]:7880", "wss://host.example/path"],
    API_KEY: ["x", "devkey!\"'\\", "x" * 512],
    API_SECRET: ["secret", "x", "inner space and é", "x" * 10_000],
    NAME: ["x", "an agent 🎤"],
}


def test_any_good_value_is_accepted() -> None:
    """Values that LiveKit accepts are, a short secret as in 0.1.0; each makes other credentials, though no secret is kept."""
    assert usable().same_as(usable())
    assert usable().same_as(passed(*GOOD.values()))
    for field, values in TAKEN.items():
        for value in (*values, f"{GOOD[field]}x"):
            assert not usable().same_as(usable(**{field: value}))
    nameless = passed("ws://127.0.0.1:7880", "devkey", "secret", "")
    assert ("", True) == (nameless.agent_name, nameless.signer.weak)


# `tests/test_json.py` has the table of invalid JSON, `tests/test_urls.py` that of URLs.
VISIBLE, SPACE = "must be 1 to 512 visible ASCII characters", "begins or ends with whitespace"
SURROGATE = "contains a lone surrogate"
BAD: list[tuple[str, str, str]] = [
    (URL, "hunter2", "is not a URL"),
    (URL, "ws://hunter2.example", "must begin with wss://"),
    *((API_KEY, value, VISIBLE) for value in ("", "x" * 513)),
    *((name, value, SPACE) for name in (API_KEY, API_SECRET, NAME) for value in ("hunter2\n", "\u00a0hunter2", "\t")),
    *((name, "hunter2\ud800", SURROGATE) for name in (API_KEY, API_SECRET, NAME)),
    *((name, "", "is empty") for name in (URL, API_SECRET, NAME)),
]
KINDS: list[tuple[Any, str]] = [
    ([GOOD], "array"),
    ("hunter2", "string"),
    (5, "number"),
    (False, "boolean"),
    (None, "null"),
]
# A body or its content, the beginning of the message, and whether another fetch would bring the same.
REFUSED: list[tuple[Any, str, bool]] = [
    *((body, "it is not JSON", False) for body in (b"", b"<title>hunter2</title>", b'{"a": "hunter2\xff"}')),
    (b'{"voice_agent_url": "hunter2", "voice_agent_url": "wss://h"}', "it repeats a field", True),
    (b'{"a": NaN}', "it contains a number that is not JSON", True),
    *((content, f"it is a JSON {kind}, not an object", True) for content, kind in KINDS),
    ({}, f"the field {', '.join(FIELDS)} is missing", True),
    *(({**GOOD, field: ...}, f"the field {field} is missing", True) for field in FIELDS),
    *(({**GOOD, field: value}, f"the field {field} is not a string", True) for field in FIELDS for value in (None, ["hunter2"])),
    *(({**GOOD, field: value}, f"the field {field} {reason}", True) for field, value, reason in BAD),
]  # fmt: skip


@pytest.mark.parametrize(("content", "message", "is_complete"), REFUSED)
def test_refused(content: Any, message: str, is_complete: bool) -> None:
    """The error names the fields and the reason, and shows no value."""
    if isinstance(content, dict):
        content = {name: value for name, value in content.items() if value is not ...}
    found = parse(Secret(content)) if isinstance(content, bytes) else parsed(content)

    assert isinstance(found, ParseError)
    assert found.message.startswith(message)
    assert is_complete is found.is_complete
    assert [] == [part for part in ("hunter2", "x" * 99) if part in found.message]


def test_absurd_nesting_is_an_error() -> None:
    """Nesting that the interpreter cannot follow is an error, and no crash."""
    # Python 3.13 follows further than its predecessors, and finds the end missing.
    found = parse(Secret(b"[" * 20_000))
    assert found in (ParseError("it is nested too deeply", True), ParseError("it is not JSON", False))


VALUES = st.none() | st.integers() | st.floats() | st.text(max_size=9) | st.lists(st.text(max_size=5), max_size=2)


@settings(deadline=None, max_examples=100)
@given(
    st.binary(max_size=80)
    | st.dictionaries(st.sampled_from(FIELDS), VALUES).map(lambda each: json.dumps(each).encode())
)
def test_any_bytes_have_a_result(body: bytes) -> None:
    """Whatever arrives, there is a result and never an exception."""
    assert isinstance(parse(Secret(body)), (Credentials, ParseError))


@pytest.mark.parametrize("place", range(4), ids=ARGUMENTS)
def test_bad_argument_is_named(place: int) -> None:
    """The error names the argument, and does not show the value."""
    value: Any
    for value in (None, 5, b"hunter2", " hunter2", "hunter2\ud800"):
        values: list[Any] = list(GOOD.values())
        values[place] = value
        field, text = refused(passed, *values)
        assert (ARGUMENTS[place], True) == (field, text.startswith(f"{ARGUMENTS[place]} "))
        assert "hunter2" not in text
