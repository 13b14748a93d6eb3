"""What the commands print without rich: messages on standard error, and JSON on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import datetime, timezone

PROGRAM = "moss-voice-server"


def error(text: str) -> None:
    note(f"error: {text}")


def warning(text: str) -> None:
    note(f"warning: {text}")


def note(text: str) -> None:
    """Information that does not belong to the output."""
    if sys.stderr is not None:  # None when the caller has closed it; print would use standard output then
        print(f"{PROGRAM}: {text}", file=sys.stderr)


def print_json(value: object, indent: int | None = 2) -> None:
    """A value of JSON, times and dataclasses of the library."""
    print(json.dumps(value, indent=indent, default=_plain))


def utc(moment: datetime | None) -> str:
    """A time in UTC, as in RFC 3339; "" for none."""
    return "" if moment is None else moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return utc(value)
    return dict(value) if isinstance(value, Mapping) else vars(value)
