"""Settings: whom to ask for which voice agent's credentials; from arguments or from an environment handed in."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from typing import Any, NamedTuple

from .._secret import Secret
from .._urls import address
from ..errors import InvalidArgument

DEFAULT_API_URL = "https://service.usemoss.dev"
_PATH = "/api/voice-agent/get-voice-agent"
# What an HTTP header can carry without being cut or changed, and no HTTP client prints in an error.
_VISIBLE = re.compile(r"[\x21-\x7e]{1,512}")

VARIABLES = {
    "project_id": "MOSS_PROJECT_ID",
    "project_key": "MOSS_PROJECT_KEY",
    "voice_agent_id": "MOSS_VOICE_AGENT_ID",
    "api_url": "MOSS_PLATFORM_API_URL",
}
"""The environment variable of each setting; `<NAME>_FILE` names a file that holds the value instead."""


class Settings(NamedTuple):
    """Checked settings."""

    project_id: str
    project_key: Secret[str]
    url: str
    """The whole address of the credentials, as 0.1.0 asks for it."""


def settings(project_id: Any, project_key: Secret[Any], voice_agent_id: Any, api_url: Any) -> Settings:
    """Checks the four settings; an `api_url` that could hold a password comes wrapped.

    Raises:
        InvalidArgument: `field` names the setting; its value is never shown.
    """
    for field, value in (("project_id", Secret(project_id)), ("project_key", project_key)):
        problem = _visible_problem(value)
        if problem:
            raise InvalidArgument(f"{field} ({VARIABLES[field]}) {problem}", field=field)
    if voice_agent_id is not None and not isinstance(voice_agent_id, str):
        raise InvalidArgument(
            f"voice_agent_id (MOSS_VOICE_AGENT_ID) must be a str, not {type(voice_agent_id).__name__}",
            field="voice_agent_id",
        )
    if not voice_agent_id or not voice_agent_id.strip():
        raise InvalidArgument(
            "voice_agent_id (MOSS_VOICE_AGENT_ID) is empty: copy the voice agent's id from Moss", field="voice_agent_id"
        )
    if len(voice_agent_id) > 512 or not voice_agent_id.isprintable():
        raise InvalidArgument(
            "voice_agent_id (MOSS_VOICE_AGENT_ID) holds a control character or is longer than 512 characters: copy it again "
            "from Moss",
            field="voice_agent_id",
        )
    base, problem = _address(api_url)
    if problem:
        raise InvalidArgument(f"api_url (MOSS_PLATFORM_API_URL) {problem}", field="api_url")
    from urllib.parse import quote  # not at the top, as in `urls`

    return Settings(project_id, project_key, f"{base}{_PATH}?voice_agent_id={quote(voice_agent_id)}")


def _address(api_url: Any) -> tuple[str, str]:
    plain = api_url.reveal() if isinstance(api_url, Secret) else api_url
    return address(plain.rstrip("/") if isinstance(plain, str) else plain, secure=("https",), plain=("http",))


def _visible_problem(value: Secret[Any]) -> str:
    if value.reveal() is None or value.reveal() == "":
        return "is empty: copy it from the Moss project's settings"
    if not isinstance(value.reveal(), str):
        return f"must be a str, not {type(value.reveal()).__name__}"
    if value.reveal().strip() != value.reveal():
        return "begins or ends with white space, often a line end from a file: strip it"
    if not _VISIBLE.fullmatch(value.reveal()):
        return "must be 1 to 512 visible ASCII characters: copy it again, the value seems damaged"
    return ""


def from_environment(
    environ: Secret[Mapping[str, str]], read: Callable[[str], str], given: Container[str] = ()
) -> dict[str, Any]:
    """The settings that an environment names, by argument, the key still wrapped; what is not set and has a default is left out.

    `read` returns a file's text; arguments that are `given` already are not looked for. Errors are built where no frame holds
    the environment or a value.

    Raises:
        InvalidArgument: `field` is the variable that is missing, set twice or names an unreadable file.
    """
    found: dict[str, Any] = {}
    for argument, name in VARIABLES.items():
        if argument in given:
            continue
        value, problem = variable(environ, name, read)
        if problem:
            raise InvalidArgument(problem, field=name)
        if value is not None:
            found[argument] = value if argument == "project_key" else value.reveal()
        elif argument != "api_url":
            raise InvalidArgument(
                f"{name} is not set: set it, or {name}_FILE to a file that holds the value", field=name
            )
    return found


def variable(
    environ: Secret[Mapping[str, str]], name: str, read: Callable[[str], str]
) -> tuple[Secret[str] | None, str]:
    """The value of a variable or of the file that `<NAME>_FILE` names, or what is wrong with it; both empty: not set."""
    value = Secret(environ.reveal().get(name) or "")
    path = environ.reveal().get(f"{name}_FILE")
    if not path:
        return (value if value.reveal() else None), ""
    if value.reveal():
        return None, f"both {name} and {name}_FILE are set: keep one of them"
    try:
        # Files that people write end with a line end, and some editors begin them with a byte order mark: neither is part
        # of the value.
        content = Secret(read(path).removeprefix("\ufeff").rstrip("\r\n"))
    except (OSError, ValueError) as error:
        return (
            None,
            f"{name}_FILE names a file that cannot be read ({type(error).__name__}): check its path, mode and encoding",
        )
    if not content.reveal():
        return None, f"{name}_FILE names an empty file: write the value into it"
    return content, ""
