"""Models: rooms, participants, dispatches and events as LiveKit reports them; public through `rooms` and `webhooks`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ..errors import MossVoiceError

DispatchStatus = Literal["pending", "running", "ended", "failed"]
"""The state of a dispatch; see `Dispatch.status`."""


@dataclass(frozen=True)
class Room:
    """A room that exists now.

    Attributes:
        name: its name.
        sid: LiveKit's ID of this instance of the room; a new room of the same name has another one.
        created_at: when it was created, in UTC; `None` if LiveKit does not say.
        participants: how many participants are in it, agents included.
        publishers: how many of them publish tracks.
        metadata: the room's metadata.

    Source: livekit/protocol `livekit_models.proto`, `Room`.
    """

    name: str
    sid: str = ""
    created_at: datetime | None = None
    participants: int = 0
    publishers: int = 0
    metadata: str = ""


@dataclass(frozen=True)
class Participant:
    """A participant in a room.

    Attributes:
        identity: unique in the room.
        name: the display name; may be empty.
        kind: `standard`, `agent`, `sip`, `ingress`, `egress` or another kind of LiveKit's, in lower case.
        state: `joining`, `joined`, `active` or `disconnected`.
        joined_at: when the participant joined, in UTC; `None` if LiveKit does not say.
        metadata: the participant's metadata.
        attributes: the participant's attributes.
        agent_name: the name that an agent's worker registered; empty for others, and for unnamed workers.

    Source: livekit/protocol `livekit_models.proto`, `ParticipantInfo`.
    """

    identity: str
    name: str = ""
    kind: str = "standard"
    state: str = ""
    joined_at: datetime | None = None
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)
    agent_name: str = ""


@dataclass(frozen=True)
class Dispatch:
    """The dispatch of an agent to a room.

    Attributes:
        id: LiveKit's ID of the dispatch.
        room: the room's name.
        agent_name: the agent's name.
        created_at: when it was created, in UTC; `None` if LiveKit does not say.
        status: `pending`: no worker has accepted the job yet. `running`: a worker runs the agent. `ended`, `failed`: the
            agent's job is over.
        agent_identity: the agent's identity in the room; empty while the dispatch is pending.
        metadata: the text for the agent's job.
        attributes: the attributes for the agent's job.

    Source: livekit/protocol `livekit_agent_dispatch.proto`, `AgentDispatch`.
    """

    id: str
    room: str
    agent_name: str
    created_at: datetime | None = None
    status: DispatchStatus = "pending"
    agent_identity: str = ""
    metadata: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class EndedRooms:
    """What `end_older_than` did. Iterating over it gives the names of the ended rooms.

    Attributes:
        ended: the names of the rooms that were ended.
        failed: the rooms that were not ended, with the error of each.
    """

    ended: tuple[str, ...] = ()
    failed: Mapping[str, MossVoiceError] = field(default_factory=dict, hash=False)

    def __iter__(self) -> Iterator[str]:
        return iter(self.ended)

    def __len__(self) -> int:
        return len(self.ended)

    def __contains__(self, name: object) -> bool:
        return name in self.ended


@dataclass(frozen=True)
class WebhookEvent:
    """An event of LiveKit's.

    Attributes:
        id: unique for each event. LiveKit may send an event more than once: ignore an ID that you have seen.
        event: `room_started`, `room_finished`, `participant_joined`, `participant_left`, `track_published`, … LiveKit adds
            new ones: ignore what you do not know.
        created_at: when it happened, in UTC; `None` if LiveKit does not say.
        room: the room, if the event has one. Events of tracks may have its name and sid only.
        participant: the participant, if the event has one.
        raw: the whole event as LiveKit sent it (camelCase), without the room's `turnPassword`.

    Source: livekit.io docs, "Webhooks"; livekit/protocol `livekit_webhook.proto`.
    """

    id: str
    event: str
    created_at: datetime | None = None
    room: Room | None = None
    participant: Participant | None = None
    raw: Mapping[str, object] = field(default_factory=dict, repr=False, hash=False)
