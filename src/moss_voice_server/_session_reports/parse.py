"""Parse: from a page of Moss's JSON to session reports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from .models import Message, SessionReport
from .pages import Query


def selected(page: list[dict[str, Any]], wanted: Query, seen: set[str]) -> Iterator[SessionReport]:
    """The reports of a page that were requested and have not been seen: pages move while reports are stored."""
    for fields in page:
        found = report(fields)
        if found.id and found.id in seen:
            continue
        seen.add(found.id)
        in_time = found.created_at is None or wanted.since <= found.created_at < wanted.until
        if in_time and wanted.room_name in (None, found.room_name):
            yield found


def report(fields: dict[str, Any]) -> SessionReport:
    """A session report, read leniently: what is missing or of another type gets a default."""
    history = _dict(_dict(fields, "report"), "chat_history")
    items = history.get("items")
    return SessionReport(
        id=str(fields.get("id") or ""),
        room_name=_str(fields, "room_name"),
        created_at=_moment(fields.get("created_at")),
        messages=tuple(
            Message(_str(item, "role"), _text(item.get("content")), _moment(item.get("created_at")), _true(item))
            for item in (items if isinstance(items, list) else [])
            if isinstance(item, dict) and item.get("type", "message") == "message"
        ),
        raw=fields,
    )


def _text(content: Any) -> str:
    """A string, or a list of strings and other parts, such as images."""
    parts = content if isinstance(content, list) else [content]
    return "\n".join(part for part in parts if isinstance(part, str))


def _true(item: dict[str, Any]) -> bool:
    return item.get("interrupted") is True


def _str(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _dict(fields: dict[str, Any], name: str) -> dict[str, Any]:
    value = fields.get(name)
    return value if isinstance(value, dict) else {}


_ISO = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(\.\d+)?\s*(Z|[+-]\d\d:?\d\d)?", re.IGNORECASE)


def _moment(value: Any) -> datetime | None:
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
