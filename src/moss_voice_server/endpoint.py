"""The token endpoint's vocabulary: what a client requests (`TokenRequest`) and what the app allows (`Admission`).

An app's `authorize` gets the framework's own request and the token request. It returns an `Admission`, or refuses with
`Denied`. Helpers for identities and rooms are in `moss_voice_server.identity`.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, TypeVar, Union

from . import _admission
from ._random import new_guest
from ._server import MossVoiceServer, MossVoiceServerSync
from ._token.claims import DEFAULT_TTL, lifetime
from ._validation import label, plain_str
from .errors import InvalidArgument
from .grants import AgentDispatch, ParticipantGrants, ParticipantInfo
from .identity import client_address

if TYPE_CHECKING:
    from typing_extensions import Unpack

Server = MossVoiceServer | MossVoiceServerSync
"""A server of either class."""
AllowedRooms = Union[Collection[str], "re.Pattern[str]", Callable[[str], bool]]
"""Room names, a compiled pattern that matches a whole name, or a function that returns `True` for an allowed name."""
ResponseKeys = Literal["snake", "camel", "both"]
"""How a token response spells its keys; see `EndpointOptions`."""

_CLIENT_MAY_SET = ("name", "metadata", "attributes", "agent_metadata", "agent_deployment")


@dataclass(frozen=True)
class TokenRequest:
    """What a client requests, parsed from LiveKit's standard form. Nothing in it is verified.

    Blank strings count as absent, because LiveKit's clients send them for fields that were not filled in. All sizes are within
    limits: 256 bytes for names, 4 KiB for metadata, 4 KiB and 32 keys for attributes.

    Source: livekit.io docs, "Endpoint token generation"; livekit/protocol `livekit_token_source.proto`.
    """

    room_name: str | None = None
    participant_name: str | None = None
    participant_identity: str | None = None
    participant_metadata: str | None = None
    participant_attributes: Mapping[str, str] = field(default_factory=dict)
    agents: tuple[AgentDispatch, ...] = ()
    """The agents requested in `room_config`."""


class Denied(Exception):
    """A refusal, raised or returned by `authorize`.

    Args:
        status: 401 if the client must authenticate first, 403 if that would not help.
        code: a stable machine name for the client, 1 to 64 lower-case letters, digits and underscores.
        scheme: the challenge of a 401 (RFC 9110, section 11.6.1), such as `Basic realm="voice"`.

    Raises:
        InvalidArgument: names the argument that is wrong.
    """

    def __init__(self, status: int = 403, code: str = "", scheme: str = "Bearer") -> None:
        if status not in (401, 403):
            raise InvalidArgument(
                "status is neither 401 nor 403",
                field="status",
                remedy="use 401 (not authenticated) or 403 (not allowed)",
            )
        self.status = status
        plain = plain_str(code or ("unauthenticated" if status == 401 else "forbidden"))
        if plain is None or not re.fullmatch("[a-z0-9_]{1,64}", plain):
            raise InvalidArgument(
                "code is not a machine name",
                field="code",
                remedy="use 1 to 64 lower-case letters, digits and underscores",
            )
        self.code = plain
        challenge = plain_str(scheme)
        if challenge is None or not re.fullmatch(r"[A-Za-z][!-~]{0,63}( [ -~]{1,1000})?", challenge):
            raise InvalidArgument(
                "scheme is not an authentication challenge",
                field="scheme",
                remedy="write one such as 'Basic realm=\"voice\"'",
            )
        self.scheme = challenge
        super().__init__(self.status, self.code)


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
        if not isinstance(participant, ParticipantInfo):
            raise _admission.wrong_type("participant", "a ParticipantInfo", participant)
        if room is not None:
            room = label("room", room)
        if room_prefix != "":
            room_prefix = _admission.room_prefix(room, room_prefix)
        if allowed_rooms != ():
            _admission.check_rooms(allowed_rooms)
        if agents is not None and agents != ():
            agents = _admission.names("agents", agents, AgentDispatch)
        if allowed_agents != ():
            allowed_agents = _admission.names("allowed_agents", allowed_agents)
        if client_may_set != ():
            client_may_set = _admission.names("client_may_set", client_may_set)
            if not set(_CLIENT_MAY_SET).issuperset(client_may_set):
                raise InvalidArgument(
                    "client_may_set contains an unknown name",
                    field="client_may_set",
                    remedy=f"choose from {', '.join(_CLIENT_MAY_SET)}",
                )
        if ttl is not DEFAULT_TTL:
            lifetime(ttl)
        if grants is not None and not isinstance(grants, ParticipantGrants):
            raise _admission.wrong_type("grants", "a ParticipantGrants", grants)
        if rate_limit_key is not None:
            rate_limit_key = _admission.limit_key(rate_limit_key)
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


@dataclass(frozen=True)
class TokenEvent:
    """One token request whose body was read, and its outcome. It contains no token and no room name.

    Args:
        outcome: "issued", "denied", "rate_limited", "invalid", "unavailable" or "error".
        code: the `error` of the response body; empty for an issued token.
        identity: the admitted participant's; empty if the request was refused before that.
        room_hash: 16 hexadecimal digits of the room name's SHA-256, because a room name may be confidential; empty without
            a token.
        agents: names of the dispatched agents.
        token_hash: 16 hexadecimal digits of the token's SHA-256; empty without a token.
        fingerprint: of the LiveKit key that signed it, as in `CredentialsStatus`; `None` without a token.
        seconds: from the start of the request to its outcome.
    """

    outcome: Literal["issued", "denied", "rate_limited", "invalid", "unavailable", "error"]
    code: str = ""
    identity: str = ""
    room_hash: str = ""
    agents: tuple[str, ...] = ()
    token_hash: str = ""
    fingerprint: str | None = None
    seconds: float = 0.0


RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
Decision = Admission | Denied
"""What `authorize` returns."""


class Authorize(Protocol[RequestT_contra]):
    """Decides about a token request: a plain or an async function.

    Called with the framework's own request and the `TokenRequest`, it returns an `Admission`, or returns or raises `Denied`. On
    an event loop a plain one runs on a thread, unless it has an attribute `is_nonblocking = True`.
    """

    def __call__(self, request: RequestT_contra, token_request: TokenRequest, /) -> Decision | Awaitable[Decision]:
        """The decision."""


class RateLimit(Protocol):
    """Limits how often tokens are created: a plain or an async function, such as `rate_limit.RateLimiter`.

    Called with the admission's `rate_limit_key`, or else its identity, it returns the seconds to wait; 0 or `None`: go on. On
    an event loop a plain one runs on a thread, unless it has an attribute `is_nonblocking = True`.
    """

    def __call__(self, key: str, /) -> float | Awaitable[float | None] | None:
        """The seconds to wait."""


class OnToken(Protocol):
    """Receives a `TokenEvent` for every token request whose body was read: a plain or an async function.

    Its failure is logged and does not change the response. On an event loop a plain one runs on a thread, unless it has an
    attribute `is_nonblocking = True`.
    """

    def __call__(self, event: TokenEvent, /) -> object:
        """Takes the event."""


class EndpointOptions(TypedDict, total=False):
    """The options that the token endpoint has in every framework.

    Args:
        allow_origins: exact origins whose pages may use the endpoint, such as `["https://app.example"]`; empty: CORS is off.
        rate_limiter: limits how often tokens are created.
        on_token: called with a `TokenEvent` for every request whose body was read.
        response_keys: `"snake"`, LiveKit's standard: `server_url, participant_token`; `"camel"`: `serverUrl, participantToken,
            roomName, participantName`; or `"both"`.
    """

    allow_origins: Iterable[str]
    rate_limiter: RateLimit | None
    on_token: OnToken | None
    response_keys: ResponseKeys


class AdmissionOptions(TypedDict, total=False):
    """The arguments of `Admission` that `allow_guests` takes."""

    room_prefix: str
    allowed_rooms: AllowedRooms
    agents: Collection[AgentDispatch | str] | None
    allowed_agents: Collection[str]
    client_may_set: Collection[str]
    ttl: timedelta | float
    grants: ParticipantGrants | None
    rate_limit_key: str | None


def allow_guests(
    name: str | None = None, **admission: Unpack[AdmissionOptions]
) -> Callable[[object, TokenRequest], Admission]:
    """An `authorize` that admits everyone, as `guest-` and 128 random bits, each in a new room. It logs a WARNING.

    Everyone on the internet can then use your agent's minutes. Set a `rate_limiter`, which counts guests by
    `client_address`, and consider what the agent can be made to do.

    Args:
        name: the display name of every guest.
        admission: the arguments of `Admission`, except `participant` and `room`.

    Raises:
        InvalidArgument: as `Admission`, at once and not at the first request.
    """
    for refused in ("room", "participant"):
        if refused in admission:
            raise InvalidArgument(
                f"guests cannot share one {refused}",
                field=refused,
                remedy=f"omit {refused}, or write your own authorize",
            )
    if name is not None:
        name = label("name", name, blank=True)
    Admission(ParticipantInfo("guest-0", name), **admission)
    logging.getLogger("moss_voice_server").warning(
        "GUESTS ARE ADMITTED: the token endpoint issues tokens to everyone, without authentication"
    )
    return _Guests(name, dict(admission))


class _Guests:
    """What `allow_guests` returns."""

    is_nonblocking = True

    def __init__(self, name: str | None, admission: dict[str, Any]) -> None:
        self._name = name
        self._admission = admission

    def __call__(self, request: object, token_request: TokenRequest, /) -> Admission:
        """Admits the next guest."""
        options = {"rate_limit_key": client_address(request), **self._admission}
        return Admission(ParticipantInfo(new_guest(), self._name), **options)
