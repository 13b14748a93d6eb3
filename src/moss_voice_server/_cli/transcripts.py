"""`moss-voice-server transcripts`: print the conversations of past calls."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from .._escape import escape
from . import _stderr
from ._arguments import duration, nonblank

if TYPE_CHECKING:
    import argparse

    from ..transcripts import Message, SessionReport
    from ._arguments import Parser

_DESCRIPTION = """\
Print the transcripts of past calls, from the session reports that Moss stores.

The project comes from the environment: MOSS_PROJECT_ID, MOSS_PROJECT_KEY,
MOSS_VOICE_AGENT_ID and, optionally, MOSS_PLATFORM_API_URL.
"""
_EPILOG = """\
examples:
  moss-voice-server transcripts
  moss-voice-server transcripts support-42 --since 3d
  moss-voice-server transcripts --since 7d --json > reports.jsonl

exit status: 0 done, 1 the Moss API failed, 2 wrong usage
"""
_LONGEST = 100_000  # characters of a message


def add(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "transcripts",
        help="print the conversations of past calls",
        usage="%(prog)s [options] [ROOM]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.set_defaults(run=run)
    parser.add_argument("room", metavar="ROOM", nargs="?", type=nonblank, help="only the calls in this room")
    parser.add_argument(
        "--since",
        metavar="TIME",
        type=duration,
        default=duration("1d"),
        help="how far back: 12h, 3d (default: 1d)",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="one object a line: id, room_name, created_at, messages (role, text, created_at, interrupted), raw",
    )


def run(options: argparse.Namespace) -> int:
    """Read the reports and print each as soon as it is there."""
    from .._server import MossVoiceServerSync

    since = _ago(options.since)
    with closing(MossVoiceServerSync.lazy_from_env()) as server:  # entering the server would fetch LiveKit credentials
        is_empty = True
        for report in server.session_reports(since, room_name=options.room):
            is_empty = False
            print(json.dumps(_fields(report)) if options.json else _text(report))
    if is_empty and not options.json:
        _stderr.note(f"no session report since {_time(since)}")
    return 0


def _ago(seconds: float) -> datetime:
    """That long ago; the first `datetime` if it would be before it."""
    try:
        return datetime.now(timezone.utc) - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(tzinfo=timezone.utc)


def _fields(report: SessionReport) -> dict[str, object]:
    return {
        "id": report.id,
        "room_name": report.room_name,
        "created_at": _time(report.created_at),
        "messages": [_message_fields(message) for message in report.messages],
        "raw": dict(report.raw),
    }


def _message_fields(message: Message) -> dict[str, object]:
    return {
        "role": message.role,
        "text": message.text,
        "created_at": _time(message.created_at),
        "interrupted": message.interrupted,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _text(report: SessionReport) -> str:
    lines = [f"{escape(report.room_name, 256)}  {_time(report.created_at) or ''}".rstrip()]
    for message in report.messages:
        cut = " (interrupted)" if message.interrupted else ""
        lines.append(f"  {escape(message.role)}{cut}: {escape(message.text, _LONGEST)}")
    return "\n".join(lines) + "\n"
