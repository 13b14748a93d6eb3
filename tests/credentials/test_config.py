"""Config: validated arguments; an error names the argument and its variable, never the value.

`tests/compat` compares URL and headers with those of 0.1.0.
"""

from __future__ import annotations

import enum
from typing import Any

import pytest

from moss_voice_server._credentials.config import VARIABLES, config
from moss_voice_server._secret import Secret
from tests.support.errors import caught

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


def test_visible_ascii_is_accepted() -> None:
    """Project ID and key are 1 to 512 visible ASCII characters: any of them. A voice agent's ID has at most 512."""
    for value in ["x", "".join(map(chr, range(0x21, 0x7F))), "x" * 512]:
        for field in ["project_id", "project_key"]:
            assert value == made(**{field: value})[field == "project_key"]
    assert made(voice_agent_id="x" * 512)[2].endswith("x" * 512)


EMPTY, ASCII, SPACE = "is empty", "must be 1 to 512 visible ASCII characters", "begins or ends with whitespace"
CHARACTERS = "contains a control character or is longer than 512 characters"
HEADERS: list[tuple[Any, str]] = [
    *((value, EMPTY) for value in ("", None)),
    *((value, SPACE) for value in ("hunter2\n", "hunter2\u00a0", "\r\n")),
    *((value, ASCII) for value in ("hun\0ter2", "hünter2", "hunter2\x7f", "\ufeffhunter2", "hun ter2", "hunter2" * 74)),
    (b"hunter2", "must be a str, not bytes"),
]
DAMAGED: list[tuple[str, Any, str]] = [
    *((field, *row) for field in ("project_id", "project_key") for row in HEADERS),
    *(("voice_agent_id", value, EMPTY) for value in ("", " ", None)),
    *(("voice_agent_id", value, CHARACTERS) for value in ("a\nb", "a\x85", "\ud800", "\u2028a", "hunter2" * 74)),
    ("voice_agent_id", 5, "must be a str, not int"),
    *(("api_url", value, "") for value in ("", 5, "moss.example", "http://moss.example", "https://u:hunter2@h", "/")),
]


@pytest.mark.parametrize(("field", "value", "reason"), DAMAGED)
def test_damaged_argument_is_refused(field: str, value: Any, reason: str) -> None:
    """By its name, its variable and a remedy, without its value, which no frame holds either."""
    error: Any = caught(lambda: made(**{field: value}))

    assert (field, None, None) == (error.field, error.__cause__, error.__context__)
    assert error.message.startswith(f"{field} ({VARIABLES[field]}) {reason}")
    assert bool(error.remedy) is (field == "api_url" or "must be a str" not in reason)
    assert "unter2" not in str(error)


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
