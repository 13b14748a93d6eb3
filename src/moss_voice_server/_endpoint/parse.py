"""Request: from the body of a token request to a `TokenRequest`, or to the reason why it is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from .. import _validation as labels
from ..endpoint import TokenRequest
from ..errors import InvalidArgument
from ..grants import AgentDispatch

MAX_BODY = 16 * 1024  # bytes
_MAX_DEPTH = 8
_MAX_AGENTS = 8
_MAX_ATTRIBUTES = 32
_CLIENT_METADATA = 4 * 1024  # bytes: a token travels in a URL, which many proxies cut at 8 KiB
_CLIENT_ATTRIBUTES = 4 * 1024

NOTHING = TokenRequest()


class Misread(NamedTuple):
    """Why a body is no token request: `status` 400 (not understood) or 422 (understood, but impossible), or 403."""

    status: int
    code: str


TOO_LARGE = Misread(413, "body_too_large")
INCOMPLETE = Misread(400, "body_incomplete")


def parse(body: bytes) -> TokenRequest | Misread:
    """The request in a body; an empty body requests nothing."""
    if body in (b"", b"{}"):
        return NOTHING
    if _depth(body) > _MAX_DEPTH:
        return Misread(400, "too_deep")
    try:
        fields = _decode(body.decode())
    except (ValueError, RecursionError):
        return Misread(400, "invalid_json")
    if not isinstance(fields, dict):
        return Misread(400, "invalid_json")
    try:
        return _token_request(fields)
    except _Bad as bad:
        return Misread(bad.status, bad.code)
    except InvalidArgument:
        return Misread(422, "invalid_value")


class _Bad(Exception):
    def __init__(self, status: int, code: str) -> None:
        self.status = status
        self.code = code


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        # Two parsers in a row may each take another one of the two.
        raise ValueError
    return fields


def _no_constant(_name: str) -> NoReturn:
    raise ValueError


_decode = json.JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant).decode
# An open string reaches to the end, so that the match never fails: with a failure for each quote, effort would be squared.
_STRING = re.compile(rb'"(?:[^"\\]|\\.?)*(?:"|\Z)', re.DOTALL)


def _depth(body: bytes) -> int:
    """How deeply the body is nested, without recursion."""
    if body.count(b"{") + body.count(b"[") <= _MAX_DEPTH:
        return 0
    depth = deepest = 0
    for byte in _STRING.sub(b"", body):
        if byte in b"{[":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"}]":
            depth -= 1
    return deepest


def _token_request(fields: dict[str, Any]) -> TokenRequest:
    if not _KNOWN.issuperset(fields):
        raise _Bad(400, "unknown_field")
    return TokenRequest(
        room_name=_label(fields, "room_name"),
        participant_name=_label(fields, "participant_name"),
        participant_identity=_label(fields, "participant_identity"),
        participant_metadata=_metadata(fields.get("participant_metadata")),
        participant_attributes=_attributes(fields.get("participant_attributes")),
        agents=_agents(fields.get("room_config")),
    )


_KNOWN = frozenset(
    [
        "room_name",
        "participant_name",
        "participant_identity",
        "participant_metadata",
        "participant_attributes",
        "room_config",
    ]
)


def _text(value: Any) -> str:
    """A text; `null` and blank ones are ""."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _Bad(400, "invalid_field")
    return value if value.strip() else ""


def _label(fields: Mapping[str, Any], name: str) -> str | None:
    value = _text(fields.get(name))
    return labels.label(name, value) if value else None


def _metadata(value: Any) -> str | None:
    value = _text(value)
    return labels.text("participant_metadata", value, limit=_CLIENT_METADATA) if value else None


def _attributes(value: Any) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise _Bad(400, "invalid_field")
    if len(value) > _MAX_ATTRIBUTES:
        raise _Bad(422, "invalid_value")
    if any(key.lower().startswith("lk.") for key in value):
        # LiveKit's clients believe these, for example who the agent is (docs.livekit.io, "Agent state").
        raise _Bad(403, "attribute_not_allowed")
    labels.attributes("participant_attributes", value, limit=_CLIENT_ATTRIBUTES)
    return value


# What only the app may say of a room. Any other field of the room configuration is not read at all.
_APP_ONLY = frozenset(
    [
        "name",
        "empty_timeout",
        "departure_timeout",
        "max_participants",
        "egress",
        "min_playout_delay",
        "max_playout_delay",
        "sync_streams",
        "metadata",
        "tags",
    ]
)


def _agents(config: Any) -> tuple[AgentDispatch, ...]:
    if config is None or config == {}:
        return ()
    config = _named(config)
    # Some clients' encoders write every field's default: a field that says nothing asks for nothing.
    if any(config[name] for name in _APP_ONLY.intersection(config)):
        raise _Bad(403, "room_config_not_allowed")
    agents = config.get("agents")
    if agents is None:
        return ()
    if not isinstance(agents, list):
        raise _Bad(400, "invalid_field")
    if len(agents) > _MAX_AGENTS:
        raise _Bad(422, "too_many_agents")
    wished = tuple(agent for agent in map(_agent, agents) if agent is not None)
    if len({agent.agent_name for agent in wished}) != len(wished):
        raise _Bad(422, "duplicate_agent")
    return wished


def _agent(value: Any) -> AgentDispatch | None:
    entry = _named(value)
    name, metadata, deployment = (_text(entry.get(key)) for key in ("agent_name", "metadata", "deployment"))
    if not (name or metadata or deployment):
        return None
    labels.text("agent metadata", metadata, limit=_CLIENT_METADATA)
    return AgentDispatch(labels.label("agent_name", name, blank=True), metadata, deployment)


def _named(value: Any) -> dict[str, Any]:
    """An object's fields in snake_case: LiveKit's JSON allows for camelCase as well, but not for both at once."""
    if not isinstance(value, dict):
        raise _Bad(400, "invalid_field")
    fields = {re.sub("[A-Z]", lambda capital: "_" + capital[0].lower(), key): item for key, item in value.items()}
    if len(fields) != len(value):
        raise _Bad(400, "invalid_field")
    return fields
