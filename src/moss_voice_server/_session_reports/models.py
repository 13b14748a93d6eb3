"""Models: a call's session report and its messages, and how both are read from Moss's JSON; public through `transcripts`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .._livekit_api.parse import items, mapping, text


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


def report(fields: dict[str, Any]) -> SessionReport:
    """A session report, read leniently: what is missing or of another type gets a default."""
    history = items(mapping(mapping(fields, "report"), "chat_history"), "items")
    return SessionReport(
        id=str(fields.get("id") or ""),
        room_name=text(fields, "room_name"),
        created_at=_moment(fields.get("created_at")),
        messages=tuple(_message(item) for item in history if item.get("type", "message") == "message"),
        raw=fields,
    )


def _message(item: dict[str, Any]) -> Message:
    """The content is a string, or a list of strings and other parts, such as images."""
    content = item.get("content")
    parts = content if isinstance(content, list) else [content]
    joined = "\n".join(part for part in parts if isinstance(part, str))
    return Message(text(item, "role"), joined, _moment(item.get("created_at")), item.get("interrupted") is True)


_ISO = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(\.\d+)?\s*(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE)


def _moment(value: object) -> datetime | None:
    """Seconds since 1970, or RFC 3339 with any number of decimals; UTC where no zone is given."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, timezone.utc)
        match = _ISO.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            return None
        zone = (match[3] or "Z").upper().replace(":", "")
        offset = "+00:00" if zone == "Z" else f"{zone[:3]}:{zone[3:]}"
        fraction = f".{(match[2] or '.0')[1:7]:0<6}"
        return datetime.fromisoformat(match[1].upper().replace(" ", "T") + fraction + offset).astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
