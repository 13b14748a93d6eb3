"""Room configuration: the claim `roomConfig`: settings of the room that a token creates, and the agents it dispatches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import lru_cache, partial
from itertools import islice
from typing import Any

from .. import _validation
from .._escape import escape
from ..errors import InvalidArgument
from ..grants import AgentDispatch
from .egress import Check, camel, egress, one_of

_MESSAGE = "livekit.RoomConfiguration"
_RESTART_POLICIES = ("JRP_ON_FAILURE", "JRP_NEVER")
_MAX_AGENTS = 1000  # more do not fit into a token; an endless iterator ends here


def room_config_json(agent_name: str, agents: object, room_config: object) -> str:
    """The claim, or "" for none; agents in the order `agent_name`, `agents`, the room configuration's own."""
    config: dict[str, Any] = {} if room_config is None else _config(room_config)
    dispatches = ([{"agentName": agent_name}] if agent_name else []) + _listed(agents) + config.pop("agents", [])
    if dispatches:
        config["agents"] = dispatches
    elif room_config is None:
        return ""
    return _encoder()(config)


@lru_cache(maxsize=1)
def _encoder() -> Callable[[object], str]:
    from json import JSONEncoder  # most tokens do without

    return JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _sequence(field: str, value: object, of: str) -> list[object]:
    """The items, bounded."""
    if isinstance(value, (str, bytes, AgentDispatch, Mapping)) or not isinstance(value, Iterable):
        raise InvalidArgument(f"{field} must be a list of {of}, not {type(value).__name__}", field=field)
    items = list(islice(value, _MAX_AGENTS + 1))
    if len(items) > _MAX_AGENTS:
        raise InvalidArgument(f"{field} has more than {_MAX_AGENTS} items", field=field, remedy="dispatch fewer agents")
    return items


def _listed(agents: object) -> list[dict[str, object]]:
    dispatches = []
    for index, each in enumerate(_sequence("agents", agents, "names and AgentDispatch values")):
        field = f"agents[{index}]"
        name = _validation.plain_str(each)
        if isinstance(each, AgentDispatch):
            dispatches.append(_dispatch(field, each))
        elif name is None:
            raise InvalidArgument(f"{field} must be a name or an AgentDispatch, not {type(each).__name__}", field=field)
        elif not name.strip():
            raise InvalidArgument(
                f"{field} is an empty name",
                field=field,
                remedy="remove it, or write AgentDispatch('') for unnamed workers",
            )
        else:
            dispatches.append({"agentName": _validation.label(field, name)})
    return dispatches


def _dispatch(field: str, agent: AgentDispatch) -> dict[str, object]:
    """The wire form, checked again: attributes may have changed since, and a subclass may have skipped the check."""
    return _agent(field, {each.name: getattr(agent, each.name) for each in fields(AgentDispatch)})


def _config(room_config: object) -> dict[str, object]:
    """The wire form of a mapping in snake_case or of a protobuf message, every field checked."""
    if not isinstance(room_config, Mapping):
        room_config = _from_message(room_config)
    wire = _fields(FIELDS, "room_config", room_config)
    # Protobuf's JSON omits defaults, and so do we, for short tokens.
    return {name: value for name, value in wire.items() if value or name == "egress"}


def _from_message(message: Any) -> dict[str, object]:
    descriptor = getattr(message, "DESCRIPTOR", None)
    if getattr(descriptor, "full_name", None) != _MESSAGE or isinstance(message, type):
        raise InvalidArgument(
            f"room_config must be a mapping or a {_MESSAGE} message, not {type(message).__name__}", field="room_config"
        )
    # A caller who passes such a message has protobuf installed; no one else needs it.
    from google.protobuf.json_format import MessageToDict

    return dict(MessageToDict(message, preserving_proto_field_name=True))


def _fields(table: Mapping[str, Check], where: str, values: Mapping[Any, object]) -> dict[str, object]:
    wire: dict[str, object] = {}
    for key, value in values.items():
        name = _validation.plain_str(key)
        if name is None:
            raise InvalidArgument(f"{where} must have str keys, not {type(key).__name__}", field=where)
        check = table.get(name)
        if check is None:
            path = f"{where}.{escape(name)}"
            raise InvalidArgument(
                f"{path} is a field that LiveKit does not know or would ignore",
                field=path,
                remedy="use a field of LiveKit's protobuf message, in snake_case",
            )
        if camel(name) in wire:
            raise InvalidArgument(f"{where}.{name} is set twice", field=f"{where}.{name}", remedy="remove one of them")
        wire[camel(name)] = check(f"{where}.{name}", value)
    return wire


def _agents(field: str, value: object) -> list[dict[str, object]]:
    return [_agent(f"{field}[{index}]", each) for index, each in enumerate(_sequence(field, value, "mappings"))]


def _agent(field: str, value: object) -> dict[str, object]:
    if isinstance(value, AgentDispatch):
        return _dispatch(field, value)
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{field} must be a mapping or an AgentDispatch, not {type(value).__name__}", field=field)
    return {name: item for name, item in _fields(AGENT_FIELDS, field, value).items() if item}


def _restart_policy(field: str, value: object) -> str:
    """LiveKit's name for the policy; the default is omitted."""
    name = one_of(_RESTART_POLICIES, field, value)
    return "" if name == _RESTART_POLICIES[0] else name


_label = partial(_validation.label, blank=True)
_metadata = partial(_validation.text, limit=_validation.METADATA_LIMIT)

# livekit/protocol protobufs/livekit_room.proto, RoomConfiguration, and livekit_agent_dispatch.proto, RoomAgentDispatch.
FIELDS: dict[str, Check] = {
    "name": _label,
    "empty_timeout": _validation.integer,
    "departure_timeout": _validation.integer,
    "max_participants": _validation.integer,
    "egress": egress,
    "min_playout_delay": _validation.integer,
    "max_playout_delay": _validation.integer,
    "sync_streams": _validation.boolean,
    "agents": _agents,
    "metadata": _metadata,
    "tags": _validation.attributes,
}
AGENT_FIELDS: dict[str, Check] = {
    "agent_name": _validation.agent,
    "metadata": _metadata,
    "restart_policy": _restart_policy,
    "deployment": _validation.deployment,
    "attributes": _validation.attributes,
    "thread_id": _label,
}
