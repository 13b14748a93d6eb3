"""Grants: who joins, what a token permits, which agents are dispatched, and the details a client needs to connect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, Protocol

from . import _validation
from .errors import InvalidArgument

PUBLISH_SOURCES = ("camera", "microphone", "screen_share", "screen_share_audio")
"""Every track source of LiveKit, in the spelling that its server compares."""


@dataclass(frozen=True, init=False)
class ParticipantInfo:
    """Who joins the room.

    Args:
        identity: unique in the room, 1 to 256 bytes of UTF-8. A second participant with the same identity disconnects the
            first one. So take it from your own authentication, and never from the request. LiveKit logs it: use no
            personal data.
        name: the display name; at most 256 bytes.
        metadata: any text for the other participants and the agent; at most 512 KiB.
        attributes: any texts by name; at most 64 KiB together. LiveKit uses names that start with `lk.` itself.

    Everything is checked when a token is created, with an `InvalidArgument` that names the field.
    Source: livekit.io docs, "Tokens & grants"; limits: livekit-server `pkg/config/config.go`.
    """

    identity: str
    name: str | None = None
    metadata: str | None = None
    attributes: Mapping[str, str] | None = None

    # Written out: the __init__ of a frozen dataclass takes a considerable part of the time of a whole token.
    def __init__(
        self,
        identity: str,
        name: str | None = None,
        metadata: str | None = None,
        attributes: Mapping[str, str] | None = None,
    ) -> None:
        fields = self.__dict__
        fields["identity"] = identity
        fields["name"] = name
        fields["metadata"] = metadata
        fields["attributes"] = attributes


@dataclass(frozen=True)
class ParticipantGrants:
    """What the participant may do in the room. It cannot grant administration, recording or the agent's role.

    Args:
        can_publish: send audio and video.
        can_subscribe: receive the audio and video of others.
        can_publish_data: send data messages; `None` follows `can_publish`, as LiveKit's server does. (`livekit-api`
            grants it even with `can_publish=False`.)
        can_publish_sources: only these of `camera`, `microphone`, `screen_share`, `screen_share_audio`; empty: all. It
            restricts `can_publish` and never overrides `can_publish=False`.
        can_update_own_metadata: change one's own name, metadata and attributes after joining.
        can_subscribe_metrics: receive the metrics that participants report.
        can_manage_agent_session: control the agent's session.
        hidden: be invisible to the others.

    Raises:
        InvalidArgument: a value is not a bool, or a source is unknown to LiveKit.

    Source: livekit/protocol `auth/grants.go`, `VideoGrant`.
    """

    can_publish: bool = True
    can_subscribe: bool = True
    can_publish_data: bool | None = None
    can_publish_sources: tuple[str, ...] = ()
    can_update_own_metadata: bool = False
    can_subscribe_metrics: bool = False
    can_manage_agent_session: bool = False
    hidden: bool = False

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "can_publish_sources":
                object.__setattr__(self, each.name, _sources(value))
            elif value is not None or each.name != "can_publish_data":
                object.__setattr__(self, each.name, _validation.boolean(each.name, value))


def _sources(value: object) -> tuple[str, ...]:
    field_name = "can_publish_sources"
    if isinstance(value, str) or not isinstance(value, (tuple, list, set, frozenset)):
        raise InvalidArgument(
            f"{field_name} must be a tuple of source names, not {type(value).__name__}",
            field=field_name,
            remedy="write ('microphone',)",
        )
    sources = [_validation.plain_str(source) for source in value]
    known = [source for source in sources if source in PUBLISH_SOURCES]
    if len(known) != len(sources):
        raise InvalidArgument(
            f"{field_name} contains a source that LiveKit does not know",
            field=field_name,
            remedy=f"use {', '.join(PUBLISH_SOURCES)}",
        )
    ordered = isinstance(value, (tuple, list))
    return tuple(source for source in (known if ordered else PUBLISH_SOURCES) if source in known and source)


@dataclass(frozen=True)
class AgentDispatch:
    """An agent that LiveKit dispatches when this token creates the room; it is ignored if the room exists.

    Args:
        agent_name: the name that the worker registered; `""` means unnamed workers. Naming any agent stops the automatic
            dispatch of unnamed workers in that room.
        metadata: any text for the agent's job; at most 512 KiB.
        deployment: which deployment of the agent; empty: production. At most 64 bytes, without underscores and spaces.
        attributes: any texts by name for the agent's job; at most 64 KiB together.

    Raises:
        InvalidArgument: LiveKit would reject the value, or skip the dispatch.

    Source: livekit.io docs, "Agent dispatch"; livekit/protocol `livekit_agent_dispatch.proto`.
    """

    agent_name: str
    metadata: str = ""
    deployment: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        checked = {
            "agent_name": _validation.agent("agent_name", self.agent_name),
            "metadata": _validation.text("metadata", self.metadata, limit=_validation.METADATA_LIMIT),
            "deployment": _validation.deployment("deployment", self.deployment),
            "attributes": _validation.attributes("attributes", self.attributes),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)


class RoomConfigMessage(Protocol):
    """The protobuf message `livekit.protocol.room.RoomConfiguration`, without a dependency on protobuf."""

    def SerializeToString(self) -> bytes:  # noqa: N802  # protobuf's name
        """The message in protobuf's binary format."""


RoomConfig = Mapping[str, object] | RoomConfigMessage
"""LiveKit's room configuration: a mapping with the field names in snake_case, or the protobuf message."""


@dataclass(frozen=True)
class ApiGrants:
    """What an API token permits on LiveKit's server API. An API token never leaves the backend.

    Args:
        room: the room that `room_admin` applies to.
        room_admin: manage participants and dispatches of `room`. Requires `room`.
        room_create: create and delete rooms.
        room_list: list rooms.
        room_record: record rooms (egress).
        ingress_admin: manage ingress.
        sip_admin: manage SIP trunks and dispatch rules.
        sip_call: place SIP calls.

    Raises:
        InvalidArgument: a value is not a bool, `room` is not a valid room name, or `room_admin` has no `room`.

    Source: livekit/protocol `auth/grants.go`, `VideoGrant` and `SIPGrant`.
    """

    room: str | None = None
    room_admin: bool = False
    room_create: bool = False
    room_list: bool = False
    room_record: bool = False
    ingress_admin: bool = False
    sip_admin: bool = False
    sip_call: bool = False

    def __post_init__(self) -> None:
        if self.room is not None:
            object.__setattr__(self, "room", _validation.label("room", self.room))
        for each in fields(self)[1:]:
            object.__setattr__(self, each.name, _validation.boolean(each.name, getattr(self, each.name)))
        if self.room_admin and self.room is None:
            raise InvalidArgument("room_admin requires a room", field="room", remedy="set room to the room's name")


@dataclass(frozen=True, init=False)
class ConnectionDetails:
    """What a client needs to join: the LiveKit URL and a token that was signed with the credentials of that URL.

    Attributes:
        server_url: the LiveKit URL.
        participant_token: the join token; `repr` does not show it.
        room_name: the room of the token.
        participant_name: the participant's display name; empty if it has none.
    """

    server_url: str
    participant_token: str = field(repr=False)
    room_name: str
    participant_name: str = ""

    # Written out, as in ParticipantInfo: one is made for every request.
    def __init__(self, server_url: str, participant_token: str, room_name: str, participant_name: str = "") -> None:
        fields = self.__dict__
        fields["server_url"] = server_url
        fields["participant_token"] = participant_token
        fields["room_name"] = room_name
        fields["participant_name"] = participant_name

    def as_dict(self, keys: Literal["snake", "camel", "both"] = "snake") -> dict[str, str]:
        """The JSON object to return to the client.

        Args:
            keys: `snake`: `server_url` and `participant_token`, LiveKit's standard. `camel`: `serverUrl`,
                `participantToken`, `roomName` and `participantName`, as LiveKit's starter apps read them. `both`: all six.

        Raises:
            InvalidArgument: `keys` has another value.

        Source: livekit.io docs, "Endpoint token generation"; livekit-examples/agent-starter-react.
        """
        snake = {"server_url": self.server_url, "participant_token": self.participant_token}
        camel = {
            "serverUrl": self.server_url,
            "participantToken": self.participant_token,
            "roomName": self.room_name,
            "participantName": self.participant_name,
        }
        if keys == "snake":
            return snake
        if keys == "camel":
            return camel
        if keys == "both":
            return snake | camel
        raise InvalidArgument("keys is unknown", field="keys", remedy='use "snake", "camel" or "both"')
