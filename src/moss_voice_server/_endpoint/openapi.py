"""OpenAPI: the token endpoint's request and responses, described."""

from __future__ import annotations

from typing import Any


def _strings(*names: str) -> dict[str, Any]:
    return {name: {"type": "string"} for name in names}


def _optional_strings(*names: str) -> dict[str, Any]:
    return {name: {"type": ["string", "null"]} for name in names}


TOKEN_REQUEST: dict[str, Any] = {
    "title": "TokenRequest",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        **_optional_strings("room_name", "participant_name", "participant_identity", "participant_metadata"),
        "participant_attributes": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        "room_config": {
            "type": ["object", "null"],
            "properties": {
                "agents": {
                    "type": ["array", "null"],
                    "maxItems": 8,
                    "items": {
                        "type": "object",
                        "properties": _optional_strings("agent_name", "metadata", "deployment"),
                    },
                }
            },
        },
    },
}


def _described(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_ERROR: dict[str, Any] = {
    "title": "TokenError",
    "type": "object",
    "required": ["error", "message"],
    "properties": _strings("error", "message"),
}
_KEYS = {
    "snake": ("server_url", "participant_token"),
    "camel": ("serverUrl", "participantToken", "roomName", "participantName"),
}
_KEYS["both"] = _KEYS["snake"] + _KEYS["camel"]


def responses(keys: str) -> dict[int | str, dict[str, Any]]:
    """Every response of the endpoint, by status; `keys` is the option `response_keys`."""
    token: dict[str, Any] = {
        "title": "Token",
        "type": "object",
        "required": list(_KEYS[keys]),
        "properties": _strings(*_KEYS[keys]),
    }
    return {201: _described("A token and the URL of the LiveKit server that accepts it.", token), **_ERRORS}


_ERRORS: dict[int | str, dict[str, Any]] = {
    400: _described("The body is not a token request.", _ERROR),
    401: _described("Authentication required.", _ERROR),
    403: _described("Something in the request is not allowed.", _ERROR),
    413: _described("The body is too large.", _ERROR),
    415: _described("The body is not JSON.", _ERROR),
    422: _described("A value in the request is not valid.", _ERROR),
    429: _described("Too many requests.", _ERROR),
    500: _described("Internal server error.", _ERROR),
    503: _described("Tokens are temporarily unavailable.", _ERROR),
}
