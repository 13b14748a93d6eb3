"""Config: which voice agent's credentials to fetch, and where; validated."""

from __future__ import annotations

import re
from typing import Any

from .._secret import Sealed, Secret
from .._urls import check_url
from .._validation import plain_secret
from ..errors import InvalidArgument

DEFAULT_API_URL = "https://service.usemoss.dev"
_PATH = "/api/voice-agent/get-voice-agent"
# What an HTTP header carries without being cut or changed, and what no HTTP client prints in an error.
_VISIBLE = re.compile(r"[\x21-\x7e]{1,512}")
_MAX_LENGTH = 512  # characters of a voice agent ID; Moss's have 36

VARIABLES = {
    "project_id": "MOSS_PROJECT_ID",
    "project_key": "MOSS_PROJECT_KEY",
    "voice_agent_id": "MOSS_VOICE_AGENT_ID",
    "api_url": "MOSS_PLATFORM_API_URL",
}
"""The environment variable of each argument; `<NAME>_FILE` names a file that contains the value instead."""


class Config(Sealed):
    """Validated arguments of a server. The project ID is hidden too, because users swap it with the key."""

    __slots__ = ("project_id", "project_key", "url")

    def __init__(self, project_id: Secret[str], project_key: Secret[str], url: str) -> None:
        self.project_id = project_id
        self.project_key = project_key
        self.url = url
        """The whole URL of the request, as 0.1.0 sends it."""


def config(
    project_id: Secret[Any], project_key: Secret[Any], voice_agent_id: Secret[Any], api_url: Secret[Any]
) -> Config:
    """Validates the four arguments.

    All are hidden, because each could be the key by mistake.

    Raises:
        InvalidArgument: `field` names the argument; its value is never shown.
    """
    project_id, project_key = plain_secret(project_id), plain_secret(project_key)
    voice_agent_id, api_url = plain_secret(voice_agent_id), plain_secret(api_url)
    _check_header("project_id", project_id)
    _check_header("project_key", project_key)
    _check_agent(voice_agent_id)
    if isinstance(api_url.reveal(), str):
        api_url = Secret(api_url.reveal().rstrip("/"))
    base = check_url(_named("api_url"), api_url, secure=("https",), plain=("http",), field="api_url")
    from urllib.parse import quote  # late, as in `_urls`

    return Config(project_id, project_key, f"{base}{_PATH}?voice_agent_id={quote(voice_agent_id.reveal())}")


def _named(argument: str) -> str:
    return f"{argument} ({VARIABLES[argument]})"


def _check_header(argument: str, value: Secret[Any]) -> None:
    problem, remedy = "", "copy it again from the Moss project's settings"
    if value.reveal() is None or value.reveal() == "":
        problem = "is empty"
    elif not isinstance(value.reveal(), str):
        problem, remedy = f"must be a str, not {type(value.reveal()).__name__}", ""
    elif value.reveal().strip() != value.reveal():
        problem, remedy = "begins or ends with whitespace, often a newline from a file", "remove the whitespace"
    elif not _VISIBLE.fullmatch(value.reveal()):
        problem = "must be 1 to 512 visible ASCII characters"
    if problem:
        raise InvalidArgument(f"{_named(argument)} {problem}", field=argument, remedy=remedy)


def _check_agent(value: Secret[Any]) -> None:
    problem, remedy = "", "copy the voice agent's ID again from Moss"
    if value.reveal() is not None and not isinstance(value.reveal(), str):
        problem, remedy = f"must be a str, not {type(value.reveal()).__name__}", ""
    elif not value.reveal() or not value.reveal().strip():
        problem = "is empty"
    elif len(value.reveal()) > _MAX_LENGTH or not value.reveal().isprintable():
        problem = f"contains a control character or is longer than {_MAX_LENGTH} characters"
    if problem:
        raise InvalidArgument(f"{_named('voice_agent_id')} {problem}", field="voice_agent_id", remedy=remedy)
