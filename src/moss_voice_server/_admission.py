"""Admission: what the app allows a client; its own arguments are checked here, the participant when the token is created."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Union

from ._functions import check_plain
from ._token.claims import DEFAULT_TTL, lifetime
from ._validation import LABEL_LIMIT, agent, label, plain_str
from .errors import InvalidArgument
from .grants import AgentDispatch, ParticipantGrants, ParticipantInfo

AllowedRooms = Union[Collection[str], "re.Pattern[str]", Callable[[str], bool]]
"""Room names, a compiled pattern that matches a whole name, or a function that returns `True` for an allowed name."""

_CLIENT_MAY_SET = ("name", "metadata", "attributes", "agent_metadata", "agent_deployment")


@dataclass(frozen=True, init=False)
class Admission:
    """What the app allows this client. Everything else is refused.

    Args:
        participant: who the client is, according to the app's own authentication.
        room: the room; `None`: a new one with 128 random bits in its name, for each request.
        room_prefix: how the name of a new room begins: `"support-"` gives `support-<random>`; `""` gives `room-<random>`.
            Not allowed together with `room`.
        allowed_rooms: rooms that the client may name instead: names, a compiled pattern that matches a whole name, or a plain
            function that returns `True` for an allowed name.
        agents: the agents to dispatch, by name or as `AgentDispatch`. `None`: the server's voice agent, under the name it has
            at that moment, if it has one. `()`: automatic dispatch, which starts the unnamed workers.
        allowed_agents: names of agents that the client may request instead of those, each once.
        client_may_set: of `"name"`, `"metadata"`, `"attributes"`, `"agent_metadata"` and `"agent_deployment"`: what the client
            may set. A name or metadata replaces the app's; attributes are added, and a key that the app has set is refused. An
            agent's metadata and deployment are those of the agents that the client requests; an `AgentDispatch` of the app
            keeps its own.
        ttl: how long the token can be used to join, a `timedelta` or seconds, 1 minute to 24 hours.
        grants: what the participant may do; `None`: publish, subscribe and send data.
        rate_limit_key: what a rate limiter counts by; `None`: the participant's identity. Set it where identities are new for
            each session: to the user's id, or a guest's network address.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """

    participant: ParticipantInfo
    room: str | None = None
    room_prefix: str = ""
    allowed_rooms: AllowedRooms = ()
    agents: tuple[AgentDispatch | str, ...] | None = None
    allowed_agents: Collection[str] = ()
    client_may_set: Collection[str] = ()
    ttl: timedelta | float = DEFAULT_TTL
    grants: ParticipantGrants | None = None
    rate_limit_key: str | None = None

    # Written out, as in ParticipantInfo: one is made for every request.
    def __init__(
        self,
        participant: ParticipantInfo,
        room: str | None = None,
        room_prefix: str = "",
        allowed_rooms: AllowedRooms = (),
        agents: Collection[AgentDispatch | str] | None = None,
        allowed_agents: Collection[str] = (),
        client_may_set: Collection[str] = (),
        ttl: timedelta | float = DEFAULT_TTL,
        grants: ParticipantGrants | None = None,
        rate_limit_key: str | None = None,
    ) -> None:
        own = self.__dict__
        own["participant"] = participant
        own["room"] = room
        own["room_prefix"] = room_prefix
        own["allowed_rooms"] = allowed_rooms
        own["agents"] = agents
        own["allowed_agents"] = allowed_agents
        own["client_may_set"] = client_may_set
        own["ttl"] = ttl
        own["grants"] = grants
        own["rate_limit_key"] = rate_limit_key
        rest = (room, room_prefix, allowed_rooms, agents, allowed_agents, client_may_set, ttl, grants, rate_limit_key)
        if rest != _DEFAULTS or not isinstance(participant, ParticipantInfo):
            _check(own)


def _check(own: dict[str, Any]) -> None:
    for name, (default, check) in _CHECKS.items():
        if own[name] != default:
            own[name] = check(own[name])
    if own["room"] is not None and own["room_prefix"]:
        raise InvalidArgument(
            "room_prefix is for new rooms, but room is given", field="room_prefix", remedy="pass only one of the two"
        )


def wrong_type(field: str, kind: str, value: object, remedy: str = "") -> InvalidArgument:
    """The error for an argument that is not of the right `kind`."""
    return InvalidArgument(f"{field} must be {kind}, not {type(value).__name__}", field=field, remedy=remedy)


def _instance(name: str, kind: type, value: object) -> object:
    if not isinstance(value, kind):
        raise wrong_type(name, f"a {kind.__name__}", value)
    return value


def _names(name: str, values: Any, *kinds: type) -> tuple[Any, ...]:
    """A collection of names, as a tuple; `kinds` are allowed besides str."""
    # A str is a collection of its letters: the most common mistake.
    if isinstance(values, (str, bytes)) or not isinstance(values, Collection):
        raise wrong_type(name, "a tuple of names", values, "write it as ('one', 'two')")
    for index, value in enumerate(values):
        if not isinstance(value, (str, *kinds)):
            raise wrong_type(f"{name}[{index}]", "a name", value)
    return tuple(values)


def _agents(name: str, check: Callable[[str, object], str], agents: Any, *kinds: type) -> tuple[Any, ...]:
    return tuple(
        check(f"{name}[{index}]", each) if isinstance(each, str) else each
        for index, each in enumerate(_names(name, agents, *kinds))
    )


def _allowed_rooms(rooms: Any) -> Any:
    if isinstance(rooms, re.Pattern):
        if not isinstance(rooms.pattern, str):
            raise wrong_type("allowed_rooms", "a pattern over str", rooms.pattern)
    elif callable(rooms):
        check_plain("allowed_rooms", rooms)
    else:
        _names("allowed_rooms", rooms)
    return rooms


def _client_may_set(values: Any) -> tuple[str, ...]:
    names = _names("client_may_set", values)
    if not set(_CLIENT_MAY_SET).issuperset(names):
        raise InvalidArgument(
            "client_may_set contains an unknown name",
            field="client_may_set",
            remedy=f"choose from {', '.join(_CLIENT_MAY_SET)}",
        )
    return names


def _ttl(ttl: Any) -> Any:
    lifetime(ttl)
    return ttl


def _rate_limit_key(value: Any) -> str:
    plain = plain_str(value)
    if plain is None:
        raise wrong_type("rate_limit_key", "a str", value)
    return plain


# By argument: the default, which needs no check, and the check of any other value.
_CHECKS: dict[str, tuple[object, Callable[[Any], Any]]] = {
    "participant": (..., partial(_instance, "participant", ParticipantInfo)),
    "room": (None, partial(label, "room")),
    "room_prefix": ("", partial(label, "room_prefix", limit=LABEL_LIMIT - 32)),
    "allowed_rooms": ((), _allowed_rooms),
    "agents": (None, lambda agents: _agents("agents", label, agents, AgentDispatch)),
    "allowed_agents": ((), partial(_agents, "allowed_agents", agent)),
    "client_may_set": ((), _client_may_set),
    "ttl": (DEFAULT_TTL, _ttl),
    "grants": (None, partial(_instance, "grants", ParticipantGrants)),
    "rate_limit_key": (None, _rate_limit_key),
}
_DEFAULTS = tuple(default for default, _ in _CHECKS.values())[1:]
