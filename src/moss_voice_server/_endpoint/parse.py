"""Parse and validate a token request: its method, headers and body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .. import _validation
from .._json import InvalidJSON, decode
from ..endpoint import TokenRequest
from ..errors import InvalidArgument
from ..grants import AgentDispatch
from .refusal import Refusal, shown

MAX_BODY = 16 * 1024  # bytes
REQUEST_HEADERS = (
    *("content-type", "content-length", "content-encoding", "transfer-encoding", "x-request-id"),
    *("origin", "sec-fetch-site", "access-control-request-method", "access-control-request-headers"),
)
"""Those that the endpoint looks at."""
_MAX_DEPTH = 8
_MAX_AGENTS = 8
_MAX_ATTRIBUTES = 32
_CLIENT_METADATA = 4 * 1024  # bytes: a token travels in a URL, which many proxies cut at 8 KiB
_CLIENT_ATTRIBUTES = 4 * 1024

NOTHING = TokenRequest()


def check_headers(method: str, headers: Mapping[str, str]) -> None:
    """Refuses what can be refused before the body is read.

    Raises:
        Refusal: for another method, another content type or encoding, or a length that is no number or too large.
    """
    if method != "POST":
        # A mere link sends a GET, and caches and logs keep its response.
        raise Refusal(405, "method_not_allowed", f"method {shown(method)}", headers=(("allow", "POST"),))
    # Only this type makes a browser send a CORS preflight first: a form on another site cannot send it.
    content_type = headers.get("content-type", "")
    if content_type != "application/json" and not _is_json(content_type):
        raise Refusal(
            415, "unsupported_media_type", f"type {shown(content_type)}", hint="send Content-Type: application/json"
        )
    encoding = headers.get("content-encoding", "")
    if encoding and encoding.strip().lower() != "identity":
        accepted = (("accept-encoding", "identity"),)  # RFC 9110, section 15.5.16
        raise Refusal(
            415,
            "unsupported_encoding",
            f"encoding {shown(encoding)}",
            hint="send an uncompressed body",
            headers=accepted,
        )
    length = headers.get("content-length", "")
    if length:
        if not (length.isascii() and length.isdigit()):  # isascii: "²" is a digit to Python
            raise Refusal(400, "invalid_length", f"length {shown(length)}")
        if len(length) > 18 or int(length) > MAX_BODY:
            raise too_large()


def too_large() -> Refusal:
    """The body is longer than `MAX_BODY`."""
    return Refusal(413, "body_too_large")


def incomplete() -> Refusal:
    """Less of the body arrived than was announced, or not in time."""
    return Refusal(400, "body_incomplete", hint="check whether a proxy, a middleware or the server consumed the body")


def may_have_body(is_chunked: bool, http_version: str) -> bool:
    """Whether a body may come although no length is announced: in chunks, or over HTTP/2, where nothing else announces it."""
    return is_chunked or http_version.startswith(("2", "3"))


def _is_json(content_type: str) -> bool:
    return (
        re.fullmatch(r"application/json\s*(;\s*charset\s*=\s*\"?utf-8\"?\s*)?", content_type.strip(), re.I) is not None
    )


def parse(body: bytes) -> TokenRequest:
    """The token request in a body; an empty body requests nothing in particular.

    Raises:
        Refusal: 400 for a body that is not a token request, 422 for one with impossible values, 403 for a field that only
            the application may set.
    """
    if body in (b"", b"{}"):
        return NOTHING
    try:
        sent = decode(body, max_depth=_MAX_DEPTH)
    except InvalidJSON as invalid:
        raise Refusal(400, "too_deep" if invalid.reason == "too_deep" else "invalid_json") from None
    if not isinstance(sent, dict):
        raise Refusal(400, "invalid_json")
    try:
        return _token_request(sent)
    except InvalidArgument as invalid:
        raise Refusal(422, "invalid_value", _field(invalid.field)) from None


def _field(name: str) -> str:
    return f"field {shown(name)}"


def _token_request(sent: dict[str, Any]) -> TokenRequest:
    if not _KNOWN.issuperset(sent):
        raise Refusal(400, "unknown_field", _field(min(sent.keys() - _KNOWN)))
    return TokenRequest(
        room_name=_label(sent, "room_name"),
        participant_name=_label(sent, "participant_name"),
        participant_identity=_label(sent, "participant_identity"),
        participant_metadata=_metadata(sent.get("participant_metadata")),
        participant_attributes=_attributes(sent.get("participant_attributes")),
        agents=_agents(sent.get("room_config")),
    )


_KNOWN = {each.name for each in fields(TokenRequest)} - {"agents"} | {"room_config"}


def _text(name: str, value: Any) -> str:
    """A string; `null` and blank ones are ""."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refusal(400, "invalid_field", _field(name))
    return value if value.strip() else ""


def _label(sent: Mapping[str, Any], name: str) -> str | None:
    value = _text(name, sent.get(name))
    return _validation.label(name, value) if value else None


def _metadata(value: Any) -> str | None:
    value = _text("participant_metadata", value)
    return _validation.text("participant_metadata", value, limit=_CLIENT_METADATA) if value else None


def _attributes(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise Refusal(400, "invalid_field", _field("participant_attributes"))
    if len(value) > _MAX_ATTRIBUTES:
        raise Refusal(422, "invalid_value", _field("participant_attributes"))
    reserved = next((key for key in value if key.lower().startswith("lk.")), None)
    if reserved is not None:
        # LiveKit's clients trust these, for example who the agent is (docs.livekit.io, "Agent state").
        raise Refusal(403, "attribute_not_allowed", f"attribute {shown(reserved)}", hint="lk. is LiveKit's own prefix")
    _validation.attributes("participant_attributes", value, limit=_CLIENT_ATTRIBUTES)
    return value


# What only the application may set for a room. Any other unknown field of the room configuration is ignored.
_APP_ONLY = {"name", "metadata", "tags", "egress", "max_participants", "empty_timeout", "departure_timeout"}
_APP_ONLY |= {"min_playout_delay", "max_playout_delay", "sync_streams"}


def _agents(config: Any) -> tuple[AgentDispatch, ...]:
    if config is None or config == {}:
        return ()
    config = _snake_case("room_config", config)
    # Some clients' encoders write every field's default value, which requests nothing.
    reserved = next((name for name in _APP_ONLY.intersection(config) if config[name]), None)
    if reserved is not None:
        raise Refusal(403, "room_config_not_allowed", _field(f"room_config.{reserved}"))
    agents = config.get("agents")
    if agents is None:
        return ()
    if not isinstance(agents, list):
        raise Refusal(400, "invalid_field", _field("room_config.agents"))
    if len(agents) > _MAX_AGENTS:
        raise Refusal(422, "too_many_agents")
    requested = tuple(agent for agent in map(_agent, agents) if agent is not None)
    if len({agent.agent_name for agent in requested}) != len(requested):
        raise Refusal(422, "duplicate_agent")
    return requested


def _agent(value: Any) -> AgentDispatch | None:
    entry = _snake_case("room_config.agents", value)
    name, metadata, deployment = (
        _text(f"room_config.agents.{key}", entry.get(key)) for key in ("agent_name", "metadata", "deployment")
    )
    if not (name or metadata or deployment):
        return None
    _validation.text("room_config.agents.metadata", metadata, limit=_CLIENT_METADATA)
    return AgentDispatch(_validation.label("agent_name", name, blank=True), metadata, deployment)


def _snake_case(name: str, value: Any) -> dict[str, Any]:
    """An object's fields in snake_case: LiveKit's JSON allows camelCase as well, but not both for one field."""
    if not isinstance(value, dict):
        raise Refusal(400, "invalid_field", _field(name))
    found = {re.sub("[A-Z]", lambda capital: "_" + capital[0].lower(), key): item for key, item in value.items()}
    if len(found) != len(value):
        raise Refusal(400, "invalid_field", _field(name))
    return found
