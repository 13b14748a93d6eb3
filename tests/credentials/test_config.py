"""Config: validated arguments; an error names the argument and its variable, never the value."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import pytest

from moss_voice_server._credentials.config import DEFAULT_API_URL, VARIABLES, config
from moss_voice_server._secret import Secret
from moss_voice_server.errors import InvalidArgument

GOOD: dict[str, Any] = {
    "project_id": "project-1",
    "project_key": "key-1",
    "voice_agent_id": "agent-1",
    "api_url": "https://moss.example",
}


def made(**changes: Any) -> tuple[str, str, str]:
    """The config, revealed."""
    found = config(**{name: Secret(value) for name, value in {**GOOD, **changes}.items()})
    return found.project_id.reveal(), found.project_key.reveal(), found.url


def refused(check: Callable[..., object], *args: Any, **keywords: Any) -> tuple[str, str]:
    """The field and the text of the error that a check raises, whose frames hold no value."""
    with pytest.raises(InvalidArgument) as caught:
        check(*args, **keywords)
    error = caught.value
    assert (None, None) == (error.__cause__, error.__context__)
    return error.field, str(error)


def test_arguments_become_one_request() -> None:
    """The four arguments become a project, a key and the URL of the voice agent's credentials; the default is 0.1.0's."""
    url = "https://moss.example/api/voice-agent/get-voice-agent?voice_agent_id=agent-1"

    assert ("project-1", "key-1", url) == made()
    assert "https://service.usemoss.dev" == DEFAULT_API_URL


QUOTED = {
    "va_1": "va_1",
    "a b/c": "a%20b/c",
    "a+b": "a%2Bb",
    "ü&x=1#?%": "%C3%BC%26x%3D1%23%3F%25",
    "日本": "%E6%97%A5%E6%9C%AC",
    "~._-": "~._-",
    "'\"<>[]{}|\\^`": "%27%22%3C%3E%5B%5D%7B%7D%7C%5C%5E%60",
    "a,b;c:d@e!$*()": "a%2Cb%3Bc%3Ad%40e%21%24%2A%28%29",
}


def test_voice_agent_id_is_quoted_as_in_0_1_0() -> None:
    """Any ID is quoted in the URL exactly as 0.1.0 quotes it (recorded from its own requests)."""
    for agent, quoted in {**QUOTED, "x" * 512: "x" * 512}.items():
        assert quoted == made(voice_agent_id=agent)[2].partition("?voice_agent_id=")[2]


def test_api_url_may_have_a_path() -> None:
    """A path in `api_url` is kept; slashes at its end are ignored."""
    for base, expected in [
        ("https://moss.example/", "https://moss.example"),
        ("https://moss.example///", "https://moss.example"),
        ("https://moss.example/base/", "https://moss.example/base"),
        ("HTTPS://Moss.Example:8443/Base/%20x", "https://moss.example:8443/Base/%20x"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
    ]:
        assert f"{expected}/api/voice-agent/get-voice-agent?voice_agent_id=agent-1" == made(api_url=base)[2]


def test_visible_ascii_is_accepted() -> None:
    """Project ID and key are 1 to 512 visible ASCII characters: any of them."""
    for value in ["x", "".join(map(chr, range(0x21, 0x7F))), "x" * 512]:
        for field in ["project_id", "project_key"]:
            assert value == made(**{field: value})[field == "project_key"]


DAMAGED: list[tuple[Any, str]] = [
    ("", "is empty"),
    (None, "is empty"),
    (5, "must be a str, not int"),
    (b"hunter2", "must be a str, not bytes"),
    ("hunter2\n", "begins or ends with whitespace"),
    ("hunter2\u00a0", "begins or ends with whitespace"),
    ("\r\n", "begins or ends with whitespace"),
    ("hun\0ter2", "must be 1 to 512 visible ASCII characters"),
    ("hünter2", "must be 1 to 512 visible ASCII characters"),
    ("hunter2\x7f", "must be 1 to 512 visible ASCII characters"),
    ("\ufeffhunter2", "must be 1 to 512 visible ASCII characters"),
    ("hunter2" * 74, "must be 1 to 512 visible ASCII characters"),
]


def test_damaged_project_id_or_key_is_refused() -> None:
    """What a header cannot carry whole is refused by its name, its variable and a remedy, without its value."""
    for value, reason in DAMAGED:
        for field in ["project_id", "project_key"]:
            name, text = refused(made, **{field: value})

            assert (field, True) == (name, text.startswith(f"{field} ({VARIABLES[field]}) {reason}"))
            assert (False, True) == ("unter2" in text, ":" in text or "must be a str" in text)


def test_bad_voice_agent_id_is_refused() -> None:
    """An empty id, another type, control characters and absurd length are refused by name."""
    for value in ["", " ", None, 5, "a\nb", "a\x85", "\ud800", "\u2028a", "x" * 513]:
        name, text = refused(made, voice_agent_id=value)

        assert ("voice_agent_id", True) == (name, text.startswith("voice_agent_id (MOSS_VOICE_AGENT_ID) "))


def test_bad_api_url_is_refused() -> None:
    """Text that is not a URL, or a URL that would send the key in plain text, is refused by name and not repeated."""
    for value in ["", 5, "moss.example", "http://moss.example", "https://u:hunter2@moss.example", "/"]:
        name, text = refused(made, api_url=value)

        assert ("api_url", True) == (name, text.startswith("api_url (MOSS_PLATFORM_API_URL) "))
        assert "hunter2" not in text


def test_config_shows_nothing() -> None:
    """Neither ID nor key: users swap them."""
    found = config(Secret("hunter1"), Secret("hunter2"), Secret("agent-1"), Secret("https://moss.example"))
    assert "hunter" not in f"{found} {found!r}"


class Values(str, enum.Enum):
    """Strings whose `str()` is another text."""

    PROJECT = "project-1"
    KEY = "key-1"
    AGENT = "agent-1"
    API = "https://moss.example/"


def test_enumeration_counts_by_its_value() -> None:
    """A member of an enumeration of texts is its value."""
    found = made(project_id=Values.PROJECT, project_key=Values.KEY, voice_agent_id=Values.AGENT, api_url=Values.API)

    assert made() == found
