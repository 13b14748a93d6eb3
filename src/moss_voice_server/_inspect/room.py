"""Rules about the room configuration: settings of the room, and the agents that LiveKit dispatches to it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from .._escape import escape
from .._token.egress import camel
from .._token.room_config import AGENT_FIELDS, FIELDS
from .._validation import DEPLOYMENT_LIMIT, deployment
from ..errors import InvalidArgument
from .egress import credentials
from .facts import Facts
from .finding import Finding, Rule, apply
from .spelling import ARRAY, FLAG, OBJECT, TEXT, UINT32, mismatch, wrong_type

# livekit/protocol protobufs/livekit_room.proto; the other fields are unsigned integers.
_ROOM_TYPES = {
    **dict.fromkeys(("name", "metadata"), TEXT),
    "syncStreams": FLAG,
    "agents": ARRAY,
    **dict.fromkeys(("egress", "tags"), OBJECT),
}
_AGENT_TYPES = {**dict.fromkeys(("agentName", "metadata", "deployment"), TEXT), "attributes": OBJECT}
_RESTART_POLICIES = (None, "", "JRP_ON_FAILURE", "JRP_NEVER", 0, 1)


def room(facts: Facts) -> Iterator[Finding]:
    config = facts.claims.get("roomConfig")
    if config is not None and not isinstance(config, dict):
        return  # reported as a wrong type
    fields = yield from _read("roomConfig.", config or {}, FIELDS, _ROOM_TYPES)
    yield from apply(_ROOM, {**fields, "roomPreset": facts.claims.get("roomPreset")})
    if facts.joins:
        yield from _agents(fields.get("agents"))


def _read(
    where: str, config: Mapping[str, Any], known: Mapping[str, Any], types: Mapping[str, str]
) -> Generator[Finding, None, dict[str, Any]]:
    """The fields by their names in camelCase. Protobuf's JSON reads camelCase and snake_case, case-sensitively."""
    names = {name: camel(name) for name in known}
    fields: dict[str, Any] = {}
    for name, value in config.items():
        own = names.get(name, name)
        if own not in names.values():
            yield _unknown(where, name, set(names.values()))
        elif own in fields:
            message = f"{where}{own} is present in camelCase and in snake_case; LiveKit answers 401 to the whole token"
            yield Finding("two_spellings", "error", message, "keep one of them")
        else:
            wrong = () if own == "restartPolicy" else tuple(mismatch(where + own, value, types.get(own, UINT32)))
            fields[own] = None if wrong else value
            yield from wrong
    return fields


def _unknown(where: str, name: str, known: set[str]) -> Finding:
    quoted = where + escape(name)
    meant = next((own for own in known if own.lower() == name.replace("_", "").lower()), None)
    if meant:
        message = f"LiveKit silently ignores {quoted}; it reads {meant}"
        return Finding("unknown_name", "error", message, f"write {meant}")
    message = f"LiveKit does not know {quoted} and ignores it; servers before 1.12 answer 401 to the whole token"
    return Finding("unknown_name", "warning", message, "remove it, or correct its name")


def _agents(agents: object) -> Iterator[Finding]:
    if not isinstance(agents, list) or not agents:
        message = "the token names no agent: LiveKit dispatches only unnamed workers, and only when the room is new"
        remedy = "name the agent: Moss's documented worker is named, and joins only rooms whose token names it"
        yield Finding("no_agent", "info", message, remedy)
        return
    message = "LiveKit dispatches the named agents only if this token creates the room, and then no unnamed worker"
    remedy = "create a new room for every session, or dispatch the agent to an existing room with ensure_agent"
    yield Finding("agents_open_rooms", "info", message, remedy)
    seen: set[object] = set()
    for index, agent in enumerate(agents):
        where = f"roomConfig.agents[{index}]"
        if not isinstance(agent, dict):
            yield wrong_type(where, agent, OBJECT)
            continue
        fields = yield from _read(f"{where}.", agent, AGENT_FIELDS, _AGENT_TYPES)
        name = fields.get("agentName")
        yield from apply(_AGENT, {**fields, "is_repeated": name in seen}, where)
        seen.add(name)


def _is_bad_deployment(name: str) -> bool:
    try:
        deployment("deployment", name)
    except InvalidArgument:
        return True
    return False


# fmt: off
_ROOM = (
    Rule("room_preset", "info", lambda fields: bool(fields["roomPreset"]),
         "the join fails with HTTP 500 unless the server's configuration contains the roomPreset",
         "check room.room_configurations of the LiveKit server"),
    Rule("room_config_name", "warning", lambda fields: bool(fields.get("name")),
         "LiveKit ignores roomConfig.name: the room is the one in video.room", "remove it"),
    Rule("egress_credentials", "error", lambda fields: [escape(path) for path in credentials(fields.get("egress"))[:1]],
         "roomConfig.egress.{} contains credentials or a stream URL, which every holder of the token can read",
         "configure egress storage on the LiveKit server, or start the egress from your backend; replace the credentials"),
    Rule("egress", "info", lambda fields: bool(fields.get("egress")), "roomConfig.egress records the room as soon as it opens",
         "remove it, unless participants know about and agree to the recording"),
)
_AGENT = (
    Rule("unnamed_agent", "info", lambda agent: not agent.get("agentName"),
         "{} has no agentName: it stands for the unnamed workers", "set agentName to dispatch a named worker"),
    Rule("bad_deployment", "error", lambda agent: _is_bad_deployment(agent.get("deployment") or ""),
         "{}.deployment is too long, or contains an underscore, a space or a control character: LiveKit silently skips the agent",
         f"use at most {DEPLOYMENT_LIMIT} bytes, with - in place of _"),
    Rule("unknown_restart_policy", "warning", lambda agent: agent.get("restartPolicy") not in _RESTART_POLICIES,
         "LiveKit does not know {}.restartPolicy and ignores it", "use JRP_NEVER, or remove it"),
    Rule("wrong_type", "error",
         lambda agent: not all(isinstance(value, str) for value in (agent.get("attributes") or {}).values()),
         "{}.attributes contains a value that is not a string; LiveKit answers 401 to the whole token",
         "make every value a string"),
    Rule("same_agent_twice", "warning", lambda agent: agent["is_repeated"],
         "{} repeats an agent: LiveKit dispatches it twice", "name each agent once"),
)
# fmt: on
