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
from moss_voice_server.errors import InvalidArgument

GOOD = {
    "voice_agent_url": "wss://example.livekit.cloud",
    "voice_agent_api_key": "APIexample",
    "voice_agent_api_secret": "a-secret-for-tests-that-is-long-enough",
    "voice_agent_name": "example-agent",
}
CLAIMS = b'{"sub":"user-42"}'


def parsed(content: Any) -> Credentials | ParseError:
    """The result of a JSON response."""
    return parse(Secret(json.dumps(content).encode()))


def usable(content: Any) -> Credentials:
    """The credentials in a valid response."""
    found = parsed(content)
    assert isinstance(found, Credentials)
    return found


# What is taken.


def test_response_becomes_credentials() -> None:
    """Address, agent name and a signer for key and secret are what is cached."""
    found = usable(GOOD)

    assert ("wss://example.livekit.cloud", "example-agent") == (found.url, found.agent_name)
    assert {"sub": "user-42"} == jwt.decode(
        found.signer.sign(CLAIMS), GOOD["voice_agent_api_secret"], algorithms=["HS256"]
    )
    assert '{"iss":"APIexample","nbf":' == found.signer.head


def test_unknown_fields_are_ignored() -> None:
    """Other fields of any type are ignored."""
    extra: Any
    for extra in [{"id": 5}, {"a": [{"b": None}], "": 1.5e300}, {"é": "\ud800"}, {"big": 10**4000}]:
        assert usable({**extra, **GOOD}).same_as(usable(GOOD))


TAKEN: list[tuple[str, str]] = [
    ("voice_agent_url", "https://host.example"),
    ("voice_agent_url", "ws://localhost:7880"),
    ("voice_agent_url", "http://[::1]:7880"),
    ("voice_agent_url", "wss://host.example/path"),
    ("voice_agent_api_key", "x"),
    ("voice_agent_api_key", "devkey!\"'\\"),
    ("voice_agent_api_key", "x" * 512),
    ("voice_agent_api_secret", "secret"),
    ("voice_agent_api_secret", "x"),
    ("voice_agent_api_secret", "inner space and é"),
    ("voice_agent_api_secret", "x" * 10_000),
    ("voice_agent_name", "x"),
    ("voice_agent_name", "an agent 🎤"),
]


def test_any_good_value_is_accepted() -> None:
    """Values that LiveKit accepts are accepted; a short secret too, as in 0.1.0."""
    for field, value in TAKEN:
        assert not usable(GOOD).same_as(usable({**GOOD, field: value}))


def test_address_is_in_normal_form() -> None:
    """Scheme and host come in lower case."""
    assert (
        "wss://example.livekit.cloud/Path"
        == usable({**GOOD, "voice_agent_url": "WSS://Example.LiveKit.Cloud/Path"}).url
    )


def test_credentials_are_the_same_when_all_four_are() -> None:
    """Credentials are the same only when all four fields are, the secret included, whose value is not kept."""
    for field in FIELDS:
        assert usable(GOOD).same_as(usable(dict(GOOD)))
        assert not usable(GOOD).same_as(usable({**GOOD, field: f"{GOOD[field]}x"}))


# What is not. `tests/test_json.py` has the table of invalid JSON, `tests/test_validation.py` that of values.

BAD: list[tuple[str, str, str]] = [
    ("voice_agent_url", "", "is empty"),
    ("voice_agent_url", "hunter2", "is not a URL"),
    ("voice_agent_url", "ws://hunter2.example", "must begin with wss://"),
    ("voice_agent_url", "wss://user:hunter2@host.example", "contains a user name"),
    ("voice_agent_api_key", "", "must be 1 to 512 visible ASCII characters"),
    ("voice_agent_api_key", "x" * 513, "must be 1 to 512 visible ASCII characters"),
    ("voice_agent_api_key", "hunter2\n", "begins or ends with whitespace"),
    ("voice_agent_api_secret", "", "is empty"),
    ("voice_agent_api_secret", "\u00a0hunter2", "begins or ends with whitespace"),
    ("voice_agent_api_secret", "hunter2\ud800", "contains a lone surrogate"),
    ("voice_agent_name", "", "is empty"),
    ("voice_agent_name", "\t", "begins or ends with whitespace"),
    ("voice_agent_name", "hunter2\udfff", "contains a lone surrogate"),
]
WHOLE = json.dumps(GOOD).encode()
KINDS: list[tuple[Any, str]] = [
    ([GOOD], "array"),
    ("hunter2", "string"),
    (5, "number"),
    (False, "boolean"),
    (None, "null"),
]
# A body or its content, the beginning of the message, and whether another fetch would bring the same.
REFUSED: list[tuple[Any, str, bool]] = [
    *((body, "it is not JSON", False) for body in (b"", b"<title>hunter2</title>", WHOLE[:-1], b'{"a": "hunter2\xff"}')),
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
    for opening in ["[", '{"a":']:
        found = parse(Secret((opening * 20_000).encode()))

        # Python 3.13 follows further than its predecessors, and finds the end missing.
        assert found in (ParseError("it is nested too deeply", True), ParseError("it is not JSON", False))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=8,
)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=80) | JSON.map(lambda content: json.dumps(content).encode()))
def test_any_bytes_have_a_result(body: bytes) -> None:
    """Whatever arrives, there is a result and never an exception."""
    found = parse(Secret(body))

    assert isinstance(found, (Credentials, ParseError))


# From arguments.


def passed(*values: Any) -> Credentials:
    """Credentials from four values."""
    url, api_key, api_secret, agent_name = map(Secret, values)
    return validated(url, api_key, api_secret, agent_name)


def test_credentials_from_arguments() -> None:
    """Four values make the same credentials; the agent's name may be empty."""
    assert passed(*GOOD.values()).same_as(usable(GOOD))

    nameless = passed("ws://127.0.0.1:7880", "devkey", "secret", "")
    assert ("", True) == (nameless.agent_name, nameless.signer.weak)


def test_bad_argument_is_named() -> None:
    """The error names the argument, and does not show the value."""
    for place in range(4):
        for value in [None, 5, b"hunter2", ["hunter2"], " hunter2", "hunter2\ud800"]:
            values: list[Any] = list(GOOD.values())
            values[place] = value
            with pytest.raises(InvalidArgument) as caught:
                passed(*values)

            assert ARGUMENTS[place] == caught.value.field
            assert caught.value.message.startswith(f"{ARGUMENTS[place]} ")
            assert "hunter2" not in str(caught.value)


def test_credentials_show_nothing() -> None:
    """Credentials show neither their secret nor their key in any text."""
    found = usable(GOOD)
    shown = f"{found} {found!r} {found.signer} {json.dumps(found, default=str)}"

    assert [False, False] == [GOOD[name] in shown for name in ("voice_agent_api_key", "voice_agent_api_secret")]
