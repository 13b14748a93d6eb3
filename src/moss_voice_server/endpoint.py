"""Endpoint: the vocabulary of the token endpoint: what a client requests (`TokenRequest`), what the app admits (`Admission`).

An app's `authorize` is given the framework's own request and the request, and returns an `Admission` or refuses with `Denied`.
The rules that bring the two together are in `_core.token_endpoint`; helpers for identities and rooms are here.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Union

from ._token.claims import DEFAULT_TTL, lifetime
from ._validation import label
from .errors import InvalidArgument
from .grants import AgentDispatch, ParticipantGrants, ParticipantInfo
from .identity import client_address

Rooms = Union[Collection[str], "re.Pattern[str]", Callable[[str], bool]]
_CLIENT_SETS = frozenset({"name", "metadata", "attributes"})


@dataclass(frozen=True)
class TokenRequest:
    """What a client requests: LiveKit's standard request, already parsed. A request only: nothing in it is proven.

    Blank texts count as absent, because LiveKit's clients send them for fields that nobody filled in. All sizes are within
    limits: 256 bytes for names, 4 KiB for metadata, 4 KiB and 32 keys for attributes.

    Source: livekit.io docs, "Endpoint token generation"; livekit/protocol `livekit_token_source.proto`.
    """

    room_name: str | None = None
    participant_name: str | None = None
    participant_identity: str | None = None
    participant_metadata: str | None = None
    participant_attributes: Mapping[str, str] = field(default_factory=dict)
    agents: tuple[AgentDispatch, ...] = ()
    """The agents asked for in `room_config`."""


class Denied(Exception):
    """A refusal, raised or returned by `authorize`.

    Args:
        status: 401 where the client has to sign in, 403 where that would not help.
        code: a stable machine name that the client is given, of lower-case letters, digits and underscores.

    Raises:
        InvalidArgument: for another status or another kind of code.
    """

    def __init__(self, status: int = 403, code: str = "") -> None:
        if status not in (401, 403):
            raise InvalidArgument("status must be 401 (sign in first) or 403 (not allowed)", field="status")
        self.status = status
        self.code = code or ("unauthenticated" if status == 401 else "forbidden")
        if not isinstance(self.code, str) or not re.fullmatch("[a-z0-9_]{1,64}", self.code):
            raise InvalidArgument("code must be 1 to 64 lower-case letters, digits and underscores", field="code")
        super().__init__(self.status, self.code)


@dataclass(frozen=True, init=False)
class Admission:
    """What the app lets this client have. Everything that is not said here is refused.

    Args:
        participant: who the client is, by the app's own authentication.
        room: the room; `None`: a new one with 128 random bits in its name, for each call.
        allowed_rooms: rooms that the client may name: a collection of names, a compiled pattern that must match the whole name, or a
            function that returns `True` for a name. Others are refused.
        agents: agents that are sent for when the client asks for none, by name or as `AgentDispatch`. Empty: LiveKit's own
            rules, which send for the workers without a name. Naming an agent keeps those out.
        allowed_agents: names of agents that the client may ask for, each once.
        client_may_set: of `"name"`, `"metadata"`, `"attributes"`: what the client may set. Its name and metadata replace the
            app's; its attributes are added to the app's, and those that the app has set are refused.
        ttl: how long the token can be used to join, a `timedelta` or seconds, 1 minute to 24 hours.
        grants: what the participant may do; `None`: publish, subscribe and send data.
        rate_limit_key: what a rate limiter counts by; `None`: the participant's identity. Say it where identities are new for each
            session: the user's id, a guest's address.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """

    participant: ParticipantInfo
    room: str | None = None
    allowed_rooms: Rooms = ()
    agents: tuple[AgentDispatch | str, ...] = ()
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
        allowed_rooms: Rooms = (),
        agents: Collection[AgentDispatch | str] = (),
        allowed_agents: Collection[str] = (),
        client_may_set: Collection[str] = (),
        ttl: timedelta | float = DEFAULT_TTL,
        grants: ParticipantGrants | None = None,
        rate_limit_key: str | None = None,
    ) -> None:
        if not isinstance(participant, ParticipantInfo):
            raise _wrong("participant", "a ParticipantInfo", participant)
        if room is not None:
            label("room", room)
        if allowed_rooms != ():
            _check_rooms(allowed_rooms)
        if agents != ():
            agents = _names("agents", agents, AgentDispatch)
        if allowed_agents != ():
            allowed_agents = _names("allowed_agents", allowed_agents)
        if client_may_set != ():
            client_may_set = _names("client_may_set", client_may_set)
            if not _CLIENT_SETS.issuperset(client_may_set):
                raise InvalidArgument(
                    "client_may_set may hold 'name', 'metadata' and 'attributes'", field="client_may_set"
                )
        if ttl is not DEFAULT_TTL:
            lifetime(ttl)
        if grants is not None and not isinstance(grants, ParticipantGrants):
            raise _wrong("grants", "a ParticipantGrants", grants)
        if rate_limit_key is not None and not isinstance(rate_limit_key, str):
            raise _wrong("rate_limit_key", "a str", rate_limit_key)
        own = self.__dict__
        own["participant"] = participant
        own["room"] = room
        own["allowed_rooms"] = allowed_rooms
        own["agents"] = agents
        own["allowed_agents"] = allowed_agents
        own["client_may_set"] = client_may_set
        own["ttl"] = ttl
        own["grants"] = grants
        own["rate_limit_key"] = rate_limit_key


@dataclass(frozen=True)
class TokenEvent:
    """One token that was made: enough to find it again, nothing to use it with.

    Args:
        identity: whose it is.
        room_hash: 16 hexadecimal digits of the room name's SHA-256: a room's name can be what lets people in.
        agents: the agents that are sent for.
        token_hash: 16 hexadecimal digits of the token's SHA-256.
    """

    identity: str
    room_hash: str
    agents: tuple[str, ...]
    token_hash: str


def _wrong(name: str, wanted: str, value: object) -> InvalidArgument:
    return InvalidArgument(f"{name} must be {wanted}, not {type(value).__name__}", field=name)


def _names(name: str, values: Any, *kinds: type) -> tuple[Any, ...]:
    # A str is a collection too, of its letters: the commonest slip of all.
    if isinstance(values, (str, bytes)) or not isinstance(values, Collection):
        raise _wrong(name, "a tuple of names, such as ('support-agent',)", values)
    for value in values:
        if not isinstance(value, (str, *kinds)):
            raise _wrong(f"{name}[…]", "a name", value)
    return tuple(values)


def _check_rooms(rooms: Any) -> None:
    if isinstance(rooms, re.Pattern):
        if not isinstance(rooms.pattern, str):
            raise _wrong("allowed_rooms", "a pattern over str", rooms)
    elif not callable(rooms):
        _names("allowed_rooms", rooms)


class allow_guests:  # noqa: N801  # reads as the function that it is to its users
    """An `authorize` that lets everybody in, as `guest-` and 128 random bits, each in a new room. LOUD on purpose.

    Anybody on the internet can then spend your agent's minutes: put a rate limit in front (`rate_limiter=`), which counts guests by
    `client_address`, and think of what the agent can be made to do. Takes the arguments of `Admission` but `participant`;
    `room` is refused, as strangers would meet there.

    Raises:
        InvalidArgument: as `Admission` does, when it is made and not at the first request.
    """

    is_nonblocking = True

    def __init__(self, name: str | None = None, **admission: Any) -> None:
        if "room" in admission or "participant" in admission:
            raise InvalidArgument(
                "guests cannot all be put into one room or be one participant: leave room and participant out, or write an "
                "authorize of your own",
                field="room" if "room" in admission else "participant",
            )
        if name is not None:
            label("name", name, blank=True)
        self._name = name
        self._admission = admission
        Admission(ParticipantInfo("guest-0", name), **admission)
        logging.getLogger("moss_voice_server").warning(
            "GUESTS ARE ADMITTED: the token endpoint gives a token to anybody who asks, without authentication"
        )

    def __call__(self, request: Any, token_request: TokenRequest) -> Admission:
        """Lets the next guest in."""
        said = {"rate_limit_key": client_address(request), **self._admission}
        return Admission(ParticipantInfo(f"guest-{os.urandom(16).hex()}", self._name), **said)
