"""Endpoint: the vocabulary of the token endpoint: what a client wishes (`TokenRequest`), what the app admits (`Admission`).

An app's `authorize` is given the framework's own request and the wish, and returns an `Admission` or refuses with `Denied`.
The rules that bring the two together are in `_core.token_endpoint`; helpers for identities and rooms are here.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Union

from ._core.claims import DEFAULT_TTL, lifetime
from ._core.labels import label
from .errors import InvalidArgument
from .grants import AgentDispatch, ParticipantGrants, ParticipantInfo

Rooms = Union[Collection[str], "re.Pattern[str]", Callable[[str], bool]]
_CLIENT_SETS = frozenset({"name", "metadata", "attributes"})


@dataclass(frozen=True)
class TokenRequest:
    """What a client wishes: LiveKit's standard request, already parsed. A wish only: nothing in it is proven.

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
        rooms: rooms that the client may name: a collection of names, a compiled pattern that must match the whole name, or a
            function that returns `True` for a name. Others are refused.
        dispatch: agents that are sent for when the client asks for none, by name or as `AgentDispatch`. Empty: LiveKit's own
            rules, which send for the workers without a name. Naming an agent keeps those out.
        agents: names of agents that the client may ask for, each once.
        client_sets: of `"name"`, `"metadata"`, `"attributes"`: what the client may set. Its name and metadata replace the
            app's; its attributes are added to the app's, and those that the app has set are refused.
        ttl: how long the token can be used to join, a `timedelta` or seconds, 1 minute to 24 hours.
        grants: what the participant may do; `None`: publish, subscribe and send data.
        limit_key: what a rate limiter counts by; `None`: the participant's identity. Say it where identities are new for each
            session: the user's id, a guest's address.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """

    participant: ParticipantInfo
    room: str | None = None
    rooms: Rooms = ()
    dispatch: tuple[AgentDispatch | str, ...] = ()
    agents: Collection[str] = ()
    client_sets: Collection[str] = ()
    ttl: timedelta | float = DEFAULT_TTL
    grants: ParticipantGrants | None = None
    limit_key: str | None = None

    # Written out, as in ParticipantInfo: one is made for every request.
    def __init__(
        self,
        participant: ParticipantInfo,
        room: str | None = None,
        rooms: Rooms = (),
        dispatch: Collection[AgentDispatch | str] = (),
        agents: Collection[str] = (),
        client_sets: Collection[str] = (),
        ttl: timedelta | float = DEFAULT_TTL,
        grants: ParticipantGrants | None = None,
        limit_key: str | None = None,
    ) -> None:
        if not isinstance(participant, ParticipantInfo):
            raise _wrong("participant", "a ParticipantInfo", participant)
        if room is not None:
            label("room", room)
        if rooms != ():
            _check_rooms(rooms)
        if dispatch != ():
            dispatch = _names("dispatch", dispatch, AgentDispatch)
        if agents != ():
            agents = _names("agents", agents)
        if client_sets != ():
            client_sets = _names("client_sets", client_sets)
            if not _CLIENT_SETS.issuperset(client_sets):
                raise InvalidArgument("client_sets may hold 'name', 'metadata' and 'attributes'", field="client_sets")
        if ttl is not DEFAULT_TTL:
            lifetime(ttl)
        if grants is not None and not isinstance(grants, ParticipantGrants):
            raise _wrong("grants", "a ParticipantGrants", grants)
        if limit_key is not None and not isinstance(limit_key, str):
            raise _wrong("limit_key", "a str", limit_key)
        own = self.__dict__
        own["participant"] = participant
        own["room"] = room
        own["rooms"] = rooms
        own["dispatch"] = dispatch
        own["agents"] = agents
        own["client_sets"] = client_sets
        own["ttl"] = ttl
        own["grants"] = grants
        own["limit_key"] = limit_key


@dataclass(frozen=True)
class MintEvent:
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
            raise _wrong("rooms", "a pattern over str", rooms)
    elif not callable(rooms):
        _names("rooms", rooms)


class admit_guests:  # noqa: N801  # reads as the function that it is to its users
    """An `authorize` that lets everybody in, as `guest-` and 128 random bits, each in a new room. LOUD on purpose.

    Anybody on the internet can then spend your agent's minutes: put a rate limit in front (`limiter=`), which counts guests by
    `client_address`, and think of what the agent can be made to do. Takes the arguments of `Admission` but `participant`;
    `room` is refused, as strangers would meet there.

    Raises:
        InvalidArgument: as `Admission` does, when it is made and not at the first request.
    """

    never_blocks = True

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

    def __call__(self, request: Any, wish: TokenRequest) -> Admission:
        """Lets the next guest in."""
        said = {"limit_key": client_address(request), **self._admission}
        return Admission(ParticipantInfo(f"guest-{os.urandom(16).hex()}", self._name), **said)


def client_address(request: Any) -> str:
    """The network address that a request came from, whichever framework's request it is; for `Admission.limit_key`.

    Behind a proxy it is the proxy's, unless the server is told whom to believe (uvicorn's `--forwarded-allow-ips`, Werkzeug's
    `ProxyFix`). IPv6 addresses are cut to their first 64 bits, which one customer usually has whole. Where there is none, as on
    a Unix socket, it is "unknown", the same for all.
    """
    fields = request if isinstance(request, Mapping) else getattr(request, "META", {})
    client = request.get("client") if isinstance(request, Mapping) else getattr(request, "client", None)
    address = (client and client[0]) or fields.get("REMOTE_ADDR") or getattr(request, "remote_addr", None) or "unknown"
    address = str(address)
    if ":" not in address:
        return address
    from ipaddress import IPv6Address, ip_address, ip_network

    # Some proxies add the port, which is another one for each connection: 192.0.2.7:50000, [2001:db8::1]:50000.
    for text in (address, address.rpartition(":")[0].strip("[]")):
        try:
            known = ip_address(text)
        except ValueError:
            continue
        if isinstance(known, IPv6Address) and known.ipv4_mapped is None:
            return str(ip_network((known.packed, 64), strict=False))
        # On a socket for both kinds, IPv4 looks like ::ffff:192.0.2.7: cut like the others, all of them would be one.
        return str(getattr(known, "ipv4_mapped", None) or known)
    return address


def session_identity(user_id: str, key: bytes) -> str:
    """An identity that is new for each session and tells nobody who the user is, but can be matched to the user.

    LiveKit throws out the first of two participants with one identity, so a user with two tabs needs two; and it logs
    identities, so they should not be names or addresses.

    Args:
        user_id: your own id of the user.
        key: at least 16 bytes that only your backend knows; the same for all its processes.

    Raises:
        InvalidArgument: `key` is shorter or no bytes; `user_id` is empty, over 4096 bytes, or holds control characters.
    """
    return f"u-{_tag(user_id, key)}-{os.urandom(8).hex()}"


def is_session_of(identity: str, user_id: str, key: bytes) -> bool:
    """Whether `session_identity` made this identity for this user.

    Args:
        identity: what a participant is called, by anybody: another text is simply not of this user.
        user_id: your own id of the user.
        key: the one that `session_identity` was given.

    Raises:
        InvalidArgument: as `session_identity` does.
    """
    tag = _tag(user_id, key)
    made = re.fullmatch("u-([0-9a-f]{32})-[0-9a-f]{16}", identity)
    return made is not None and hmac.compare_digest(made[1], tag)


def _tag(user_id: str, key: bytes) -> str:
    if not isinstance(key, bytes) or len(key) < 16:
        raise InvalidArgument("key must be at least 16 bytes, for example from secrets.token_bytes(32)", field="key")
    return hmac.new(key, label("user_id", user_id, limit=4096).encode(), hashlib.sha256).hexdigest()[:32]


def identity_from_sub(sub: str, issuer: str = "") -> str:
    """A valid identity for an OpenID Connect subject: the same for the same `sub` and issuer, whatever characters they hold.

    A `sub` is unique for its issuer only (OpenID Connect Core, section 2): name the issuer where you take more than one.

    Args:
        sub: the claim of that name, of a token that you have verified.
        issuer: the token's `iss`; empty where you take one issuer only.

    Raises:
        InvalidArgument: `sub` is empty, or one of the two is no text, over 4096 bytes, or holds control characters.
    """
    whole = f"{label('issuer', issuer, blank=True, limit=4096)}\n{label('sub', sub, limit=4096)}"
    return f"sub-{hashlib.sha256(whole.encode()).hexdigest()[:40]}"


class TenantRooms:
    """The rooms of one tenant: names with the tenant's prefix, which no other tenant's rooms can have.

    Give it as `rooms=`: it is a function that says whether a room is the tenant's. `new()` makes a name for `room=`.

    Args:
        tenant: your own id of the tenant; letters, digits, dots and hyphens, at most 64.

    Raises:
        InvalidArgument: for another kind of tenant id.
    """

    def __init__(self, tenant: str) -> None:
        if not isinstance(tenant, str) or not re.fullmatch(r"[A-Za-z0-9.-]{1,64}", tenant):
            raise InvalidArgument("tenant must be 1 to 64 letters, digits, dots and hyphens", field="tenant")
        # The separator is no character that a tenant's id may hold: "a" must not own the rooms of "a-b".
        self.prefix = f"{tenant}~"

    def __call__(self, room: str) -> bool:
        """Whether the room is the tenant's."""
        return room.startswith(self.prefix) and len(room) > len(self.prefix)

    def new(self) -> str:
        """A new room of the tenant, with 128 random bits."""
        return f"{self.prefix}{os.urandom(16).hex()}"
