"""Room: what a token says of the room that it opens, and of the agents that come with it."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from .._token.room_config import AGENT_FIELDS, FIELDS, camel
from .._validation import DEPLOYMENT_LIMIT
from .egress import credentials
from .finding import Finding, error, info, kind, shown, warning
from .participant import size

_TEXT, _WHOLE, _FLAG, _LIST, _OBJECT = "a string", "a whole number of 32 bits", "true or false", "an array", "an object"
# livekit/protocol protobufs/livekit_room.proto; what is not named here is a whole number.
_ROOM_TYPES = {
    **dict.fromkeys(("name", "metadata"), _TEXT),
    "syncStreams": _FLAG,
    "agents": _LIST,
    **dict.fromkeys(("egress", "tags"), _OBJECT),
}
_AGENT_TYPES = {**dict.fromkeys(("agentName", "metadata", "deployment"), _TEXT), "attributes": _OBJECT}
_RESTART_POLICIES = ("JRP_ON_FAILURE", "JRP_NEVER", 0, 1)
_DEPLOYMENT = re.compile("[^\x00-\x20\x7f_]*")
_NEW_ROOM = "give every session a room of its own, with a new name"


def room(claims: Mapping[str, Any], joins: bool) -> Iterator[Finding]:
    """What is wrong with `roomConfig` and `roomPreset`."""
    if claims.get("roomPreset"):
        yield info(
            "room_preset",
            "roomPreset must be known to the server's configuration: the join fails with HTTP 500 where it is not",
            "check room.room_configurations of the LiveKit server",
        )
    config = claims.get("roomConfig")
    if config is not None and not isinstance(config, dict):
        return  # a wrong type, which is said already
    fields = yield from _read("roomConfig.", config or {}, FIELDS, _ROOM_TYPES)
    if fields.get("name"):
        yield warning(
            "room_config_name",
            "LiveKit ignores roomConfig.name: the room is the one in video.room",
            "leave it out",
        )
    yield from _egress(fields.get("egress"))
    if joins:
        yield from _agents(fields.get("agents"))


def _read(
    where: str, config: Mapping[str, Any], known: Mapping[str, Any], types: Mapping[str, str]
) -> Generator[Finding, None, dict[str, Any]]:
    """The fields by their names in camelCase, as protobuf's JSON reads them: camelCase or snake_case, letter by letter."""
    names = {name: camel(name) for name in known}
    fields: dict[str, Any] = {}
    for name, value in config.items():
        own = names.get(name, name)
        if own not in names.values():
            yield _unknown(where, name, set(names.values()))
        elif own in fields:
            yield error(
                "two_spellings",
                f"{where}{shown(own)} is there in camelCase and in snake_case; LiveKit answers 401 to the whole token",
                "keep one of them",
            )
        else:
            fields[own] = value
            expected = types.get(own, _WHOLE)
            if own != "restartPolicy" and value is not None and not _is(value, expected):
                yield error(
                    "wrong_type",
                    f"{where}{own} is {_found(value)}, not {expected}; LiveKit answers 401 to the whole token",
                    f"make it {expected}",
                )
                fields[own] = None
    return fields


def _unknown(where: str, name: str, known: set[str]) -> Finding:
    meant = next((own for own in known if own.lower() == name.replace("_", "").lower()), None)
    if meant:
        return error(
            "unknown_name", f"LiveKit silently ignores {where}{shown(name)}: it reads {meant}", f"write {meant}"
        )
    return warning(
        "unknown_name",
        f"LiveKit knows no {where}{shown(name)}: it is ignored, and servers before 1.12 answer 401 to the whole token",
        "leave it out, or correct it",
    )


def _is(value: object, expected: str) -> bool:
    if expected == _WHOLE:
        return _whole(value)
    return isinstance(value, {_TEXT: str, _FLAG: bool, _LIST: list, _OBJECT: dict}[expected])


def _whole(value: object) -> bool:
    """Protobuf's JSON takes 300, "300" and 300.0."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    if isinstance(value, str):
        return re.fullmatch("[0-9]{1,10}", value) is not None and int(value) < 2**32
    return 0 <= value < 2**32 and value == int(value)


def _found(value: object) -> str:
    return "a number out of range" if kind(value) == "a number" else kind(value)


def _egress(egress: object) -> Iterator[Finding]:
    if not egress:
        return
    found = credentials(egress)
    if found:
        yield error(
            "egress_credentials",
            f"roomConfig.egress.{shown(found[0])} holds credentials, or an address to stream to: everybody who holds the token "
            "can read it, and LiveKit means to refuse such tokens",
            "configure egress storage on the LiveKit server, or start the egress from your backend; replace the credentials",
        )
    yield info(
        "egress",
        "roomConfig.egress records the room as soon as it opens",
        "leave it out, unless the recording is meant and told to those who join",
    )


def _agents(agents: object) -> Iterator[Finding]:
    if not isinstance(agents, list) or not agents:
        yield info(
            "no_agent",
            "the token names no agent: LiveKit sends the workers that registered without a name, if there are any, and only "
            "when the room is new",
            "for a worker with a name, name it: agent_name=..., or dispatch=(...,) in the token endpoint",
        )
        return
    yield info(
        "agents_open_rooms",
        "the agents are read only when this token opens the room, and the workers without a name are kept out; in a room "
        "that exists already nobody is sent for",
        _NEW_ROOM,
    )
    seen: set[Any] = set()
    for index, agent in enumerate(agents):
        where = f"roomConfig.agents[{index}]"
        if not isinstance(agent, dict):
            yield error(
                "wrong_type",
                f"{where} is {kind(agent)}, not an object; LiveKit answers 401 to the whole token",
                'write {"agentName": "..."}',
            )
            continue
        fields = yield from _read(f"{where}.", agent, AGENT_FIELDS, _AGENT_TYPES)
        yield from _agent(where, fields)
        if fields.get("agentName") in seen:
            yield warning("same_agent_twice", f"{where} is named before: it is sent for twice", "name each agent once")
        seen.add(fields.get("agentName"))


def _agent(where: str, agent: Mapping[str, Any]) -> Iterator[Finding]:
    if not agent.get("agentName"):
        yield info(
            "unnamed_agent",
            f"{where} has no agentName: it stands for the workers that registered without a name",
            "name the agent, if another one is meant",
        )
    deployment = agent.get("deployment") or ""
    if size(deployment) > DEPLOYMENT_LIMIT or not _DEPLOYMENT.fullmatch(deployment):
        yield error(
            "bad_deployment",
            f"{where}.deployment is too long, or holds an underscore, a space or a control character: LiveKit silently skips "
            "the agent",
            f"use at most {DEPLOYMENT_LIMIT} bytes, with - in place of _",
        )
    if agent.get("restartPolicy") not in (None, "", *_RESTART_POLICIES):
        yield warning(
            "unknown_restart_policy",
            f"{where}.restartPolicy is unknown to LiveKit and ignored",
            "use JRP_NEVER, or leave it out",
        )
    attributes = agent.get("attributes") or {}
    if not all(isinstance(value, str) for value in attributes.values()):
        yield error(
            "wrong_type",
            f"{where}.attributes holds what is no string; LiveKit answers 401 to the whole token",
            "make every value a string",
        )
