"""The token endpoint's vocabulary: what a client requests (`TokenRequest`) and what the app allows (`Admission`).

An app's `authorize` gets the framework's own request and the token request. It returns an `Admission`, or denies with
`Denied`. Helpers for identities and rooms are in `moss_voice_server.identity`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol, TypedDict, TypeVar

from ._admission import Admission, AllowedRooms
from ._guests import AdmissionOptions, allow_guests
from ._server import MossVoiceServer, MossVoiceServerSync
from ._validation import plain_str
from .errors import InvalidArgument
from .grants import AgentDispatch

__all__ = [
    "Admission",
    "AdmissionOptions",
    "AllowedRooms",
    "Authorize",
    "Decision",
    "Denied",
    "EndpointOptions",
    "OnToken",
    "RateLimit",
    "RequestT_contra",
    "ResponseKeys",
    "Server",
    "TokenEvent",
    "TokenRequest",
    "allow_guests",
]

Server = MossVoiceServer | MossVoiceServerSync
"""A server of either class."""
ResponseKeys = Literal["snake", "camel", "both"]
"""How a token response spells its keys; see `EndpointOptions`."""


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
        name = plain_str(code or ("unauthenticated" if status == 401 else "forbidden"))
        if name is None or not re.fullmatch("[a-z0-9_]{1,64}", name):
            raise InvalidArgument(
                "code is not a machine name",
                field="code",
                remedy="use 1 to 64 lower-case letters, digits and underscores",
            )
        self.code = name
        challenge = plain_str(scheme)
        if challenge is None or not re.fullmatch(r"[A-Za-z][!-~]{0,63}( [ -~]{1,1000})?", challenge):
            raise InvalidArgument(
                "scheme is not an authentication challenge",
                field="scheme",
                remedy="write one such as 'Basic realm=\"voice\"'",
            )
        self.scheme = challenge
        super().__init__(self.status, self.code)


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

    Called with the admission's `rate_limit_key`, or else its identity, it returns the seconds to wait; `None`, 0 or less: go
    on. On an event loop a plain one runs on a thread, unless it has an attribute `is_nonblocking = True`.
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
