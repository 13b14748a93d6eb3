"""Room configuration: what a token says of the room that it opens, and which agents it sends for."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any

from .. import _validation as labels
from ..errors import InvalidArgument
from ..grants import AgentDispatch

_MESSAGE = "livekit.RoomConfiguration"
_RESTART_POLICIES = ("JRP_ON_FAILURE", "JRP_NEVER")


def room_config_json(agent_name: str, agents: Any, room_config: Any) -> str:
    """The claim `roomConfig`, or "" for none: agents in the order `agent_name`, `agents`, the room config's own."""
    config: dict[str, Any] = {} if room_config is None else _config(room_config)
    dispatches = [_dispatch(each) for each in _listed(agent_name, agents)] + config.pop("agents", [])
    if dispatches:
        config["agents"] = dispatches
    elif room_config is None:
        return ""
    return _encoder()(config)


@lru_cache(maxsize=1)
def _encoder() -> Callable[[Any], str]:
    from json import JSONEncoder  # most tokens do without

    return JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _listed(agent_name: str, agents: Any) -> list[AgentDispatch]:
    if isinstance(agents, (str, AgentDispatch)) or not isinstance(agents, Iterable) or isinstance(agents, Mapping):
        raise InvalidArgument(
            f"agents must be a list of names and AgentDispatch values, not {type(agents).__name__}", field="agents"
        )
    named = [AgentDispatch(agent_name)] if agent_name else []
    for index, each in enumerate(agents):
        if isinstance(each, str):
            if not each.strip():
                raise InvalidArgument(
                    f"agents[{index}] is an empty name: leave it out, or write AgentDispatch('') to send for the workers "
                    "that registered without a name",
                    field=f"agents[{index}]",
                )
            named.append(AgentDispatch(labels.label(f"agents[{index}]", each)))
        elif isinstance(each, AgentDispatch):
            named.append(each)
        else:
            raise InvalidArgument(
                f"agents[{index}] must be a name or an AgentDispatch, not {type(each).__name__}",
                field=f"agents[{index}]",
            )
    return named


def _dispatch(agent: AgentDispatch) -> dict[str, Any]:
    wire = {"agentName": agent.agent_name, "metadata": agent.metadata, "deployment": agent.deployment}
    return {key: value for key, value in {**wire, "attributes": dict(agent.attributes)}.items() if value}


def _config(room_config: Any) -> dict[str, Any]:
    """The wire form of a mapping in snake_case or of a `livekit.protocol` message, every field checked."""
    if not isinstance(room_config, Mapping):
        room_config = _from_message(room_config)
    wire: dict[str, Any] = {}
    for key, value in room_config.items():
        name, check = _field(FIELDS, key, "room_config")
        wire[name] = check(f"room_config.{key}", value)
    # Protobuf's JSON leaves out what has its default value; so do we, to keep tokens short.
    return {name: value for name, value in wire.items() if value or name == "egress"}


def _from_message(message: Any) -> dict[str, Any]:
    descriptor = getattr(message, "DESCRIPTOR", None)
    if getattr(descriptor, "full_name", None) != _MESSAGE or isinstance(message, type):
        raise InvalidArgument(
            f"room_config must be a mapping or a {_MESSAGE} message, not {type(message).__name__}", field="room_config"
        )
    # Whoever hands in such a message has protobuf installed; nobody else needs it.
    from google.protobuf.json_format import MessageToDict

    return dict(MessageToDict(message, preserving_proto_field_name=True))


def _field(table: Mapping[str, Any], key: Any, where: str) -> tuple[str, Callable[[str, Any], Any]]:
    check = table.get(key) if isinstance(key, str) else None
    if check is None:
        raise InvalidArgument(
            f"{where} has a field that LiveKit does not know or would silently ignore: it knows {', '.join(table)}",
            field=where,
        )
    return camel(key), check


def camel(name: str) -> str:
    if name == "ali_oss":
        return "aliOSS"  # the one field whose JSON name is not derived
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _uint32(field: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
        raise InvalidArgument(f"{field} must be a whole number from 0 to 4294967295", field=field)
    return value


def _bool(field: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgument(f"{field} must be True or False, not {type(value).__name__}", field=field)
    return value


def _agents(field: str, value: Any) -> list[dict[str, Any]]:
    if isinstance(value, (str, Mapping)) or not isinstance(value, Iterable):
        raise InvalidArgument(f"{field} must be a list of mappings, not {type(value).__name__}", field=field)
    return [_agent(f"{field}[{index}]", each) for index, each in enumerate(value)]


def _agent(field: str, value: Any) -> dict[str, Any]:
    if isinstance(value, AgentDispatch):
        return _dispatch(value)
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{field} must be a mapping or an AgentDispatch, not {type(value).__name__}", field=field)
    wire: dict[str, Any] = {}
    for key, item in value.items():
        name, check = _field(AGENT_FIELDS, key, field)
        wire[name] = check(f"{field}.{key}", item)
    return {name: item for name, item in wire.items() if item}


def _restart_policy(field: str, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(_RESTART_POLICIES):
        value = _RESTART_POLICIES[value]
    if value not in _RESTART_POLICIES:
        raise InvalidArgument(f"{field} must be one of {', '.join(_RESTART_POLICIES)}", field=field)
    return "" if value == _RESTART_POLICIES[0] else labels.plain(value)


def _texts(field: str, value: Any) -> dict[str, str]:
    return dict(labels.attributes(field, value))


# What an egress may not carry into a token: any holder of the token can read it, and LiveKit means to refuse such tokens.
# livekit/protocol auth/grants.go checks the first four and streams; the rest of the list are the gaps in that check.
_CREDENTIALS = frozenset(
    [
        "secret",
        "credentials",
        "accountkey",
        "sessiontoken",
        "assumeroleexternalid",
        "password",
        "stream",
        "streamoutputs",
        "urls",
        "webhooks",
        "signingkey",
    ]
)


def is_credential(name: str, value: object) -> bool:
    """Whether a field of an egress, however its name is written, holds credentials."""
    return bool(value) and name.replace("_", "").lower() in _CREDENTIALS


_MAX_DEPTH = 10  # LiveKit's deepest egress has seven levels
USER_IN_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*@")


def _egress(field: str, value: Any, depth: int = 0) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{field} must be a mapping, not {type(value).__name__}", field=field)
    wire: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise InvalidArgument(
                f"{field} has a key that is a {type(key).__name__}: every key must be a str", field=field
            )
        labels.text(field, key, limit=labels.LABEL_LIMIT, said=f"{field} key")
        name = camel(key)
        if name in wire:
            raise InvalidArgument(f"{field}.{key} is given in two spellings: keep one", field=f"{field}.{key}")
        if is_credential(key, item):
            raise _credentials(f"{field}.{key}")
        wire[name] = _egress_value(f"{field}.{key}", item, depth + 1)
    return wire


def _egress_value(field: str, value: Any, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise InvalidArgument(f"{field} is nested too deeply: LiveKit knows no such egress", field=field)
    if isinstance(value, Mapping):
        return _egress(field, value, depth)
    if isinstance(value, (list, tuple)):
        return [_egress_value(f"{field}[{index}]", each, depth + 1) for index, each in enumerate(value)]
    if isinstance(value, str):
        if USER_IN_ADDRESS.match(value):
            raise _credentials(field)
        return labels.text(field, value, limit=labels.METADATA_LIMIT)
    if value is None or isinstance(value, bool) or (isinstance(value, float) and abs(value) < float("inf")):
        return value
    if isinstance(value, int) and -(2**63) <= value < 2**64:
        return value
    raise InvalidArgument(
        f"{field} must be plain data that protobuf can carry, not {type(value).__name__}"
        + (" out of its range" if isinstance(value, (int, float)) else ""),
        field=field,
    )


def _credentials(field: str) -> InvalidArgument:
    return InvalidArgument(
        f"{field} would put credentials into a token that the participant can read: configure egress storage on the LiveKit "
        "server, or start the egress from your backend",
        field=field,
    )


_label = partial(labels.label, blank=True)
_metadata = partial(labels.text, limit=labels.METADATA_LIMIT)

# livekit/protocol protobufs/livekit_room.proto, RoomConfiguration, and livekit_agent_dispatch.proto, RoomAgentDispatch.
FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "name": _label,
    "empty_timeout": _uint32,
    "departure_timeout": _uint32,
    "max_participants": _uint32,
    "egress": _egress,
    "min_playout_delay": _uint32,
    "max_playout_delay": _uint32,
    "sync_streams": _bool,
    "agents": _agents,
    "metadata": _metadata,
    "tags": _texts,
}
AGENT_FIELDS: dict[str, Callable[[str, Any], Any]] = {
    "agent_name": labels.agent,
    "metadata": _metadata,
    "restart_policy": _restart_policy,
    "deployment": labels.deployment,
    "attributes": _texts,
}
