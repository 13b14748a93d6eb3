"""OpenAPI: the token endpoint's request and responses, described."""

from __future__ import annotations

from typing import Any, Literal

from ..grants import ConnectionDetails


def _object(properties: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, **more}


def _strings(*names: str, kind: Any = "string") -> dict[str, Any]:
    return {name: {"type": kind} for name in names}


def _described(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


_OPTIONAL = ["string", "null"]
_AGENT = _object(_strings("agent_name", "metadata", "deployment", kind=_OPTIONAL))
_AGENTS = {"type": ["array", "null"], "maxItems": 8, "items": _AGENT}
_TOKEN_REQUEST = _object(
    {
        **_strings("room_name", "participant_name", "participant_identity", "participant_metadata", kind=_OPTIONAL),
        "participant_attributes": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        "room_config": {"type": ["object", "null"], "properties": {"agents": _AGENTS}},
    },
    title="TokenRequest",
    additionalProperties=False,
)
_ERROR = _object(_strings("error", "message"), title="TokenError", required=["error", "message"])
_ERRORS = {
    400: "The body is not a token request.",
    401: "Authentication required.",
    403: "Something in the request is not allowed.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "A value in the request is not valid.",
    429: "Too many requests.",
    500: "Internal server error.",
    503: "Tokens are temporarily unavailable.",
}


def described(keys: Literal["snake", "camel", "both"]) -> dict[str, Any]:
    """What FastAPI's `add_api_route` takes as the description of a route; `keys` is the option `response_keys`."""
    names = list(ConnectionDetails("", "", "").as_dict(keys))
    token = _object(_strings(*names), title="Token", required=names)
    return {
        "status_code": 201,
        "summary": "Token for a voice session",
        "description": "LiveKit's token endpoint: every field is optional, and what is not allowed is refused.",
        "responses": {
            201: _described("A token and the URL of the LiveKit server that accepts it.", token),
            **{status: _described(text, _ERROR) for status, text in _ERRORS.items()},
        },
        "openapi_extra": {
            "requestBody": {"required": True, "content": {"application/json": {"schema": _TOKEN_REQUEST}}}
        },
    }
