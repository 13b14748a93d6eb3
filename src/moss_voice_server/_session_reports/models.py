"""Models: a call's session report and its messages; public through `transcripts`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Message:
    """One turn of a conversation.

    Attributes:
        role: who spoke: `user`, `assistant`, or another role of LiveKit's.
        text: what was said; the parts of a message that has several are joined by newlines.
        created_at: when, in UTC; `None` if the report does not say.
        interrupted: whether the speaker was interrupted.

    Source: livekit-agents `llm/chat_context.py`, `ChatMessage`.
    """

    role: str
    text: str
    created_at: datetime | None = None
    interrupted: bool = False


@dataclass(frozen=True)
class SessionReport:
    """Moss's record of one call.

    Attributes:
        id: Moss's ID of the report.
        room_name: the room of the call.
        created_at: when the report was stored, in UTC; `None` if Moss does not say.
        messages: the conversation, in order.
        raw: the whole report as Moss sent it: function calls and everything else that is not a message is here.
    """

    id: str
    room_name: str
    created_at: datetime | None = None
    messages: tuple[Message, ...] = ()
    raw: Mapping[str, object] = field(default_factory=dict, repr=False, hash=False)
