"""Response: from the body of the Moss API's response to credentials; errors name the field and never its value."""

from __future__ import annotations

from typing import Any, NamedTuple

from .._json import InvalidJSON, decode
from .._secret import Secret
from ..errors import InvalidArgument
from .model import Credentials, validated

FIELDS = ("voice_agent_url", "voice_agent_api_key", "voice_agent_api_secret", "voice_agent_name")


class ParseError(NamedTuple):
    """Why a response cannot be used. A value, because an exception's frames would hold the body."""

    message: str
    is_complete: bool
    """Whether the body arrived as it was sent, so that another request would bring the same."""


_JSON_ERRORS = {
    "syntax": ("it is not JSON", False),
    "duplicate_name": ("it repeats a field", True),
    "number": ("it contains a number that is not JSON", True),
    "too_deep": ("it is nested too deeply", True),
}


def parse(body: Secret[bytes]) -> Credentials | ParseError:
    """The credentials in a response's body."""
    try:
        fields = Secret(decode(body.reveal()))
    except InvalidJSON as error:
        return ParseError(*_JSON_ERRORS[error.reason])
    if not isinstance(fields.reveal(), dict):
        return ParseError(f"it is a JSON {_kind(fields)}, not an object", is_complete=True)
    missing = [name for name in FIELDS if name not in fields.reveal()]
    if missing:
        return ParseError(f"the field {', '.join(missing)} is missing", is_complete=True)
    wrong = [name for name in FIELDS if not isinstance(fields.reveal()[name], str)]
    if wrong:
        return ParseError(f"the field {', '.join(wrong)} is not a string", is_complete=True)
    url, api_key, api_secret, agent_name = (Secret(fields.reveal()[name]) for name in FIELDS)
    try:
        credentials = validated(url, api_key, api_secret, agent_name, FIELDS)
    except InvalidArgument as error:
        return ParseError(f"the field {error.message}", is_complete=True)
    if not credentials.agent_name:
        return ParseError("the field voice_agent_name is empty", is_complete=True)
    return credentials


def _kind(value: Secret[Any]) -> str:
    kinds = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value.reveal()), "number")
