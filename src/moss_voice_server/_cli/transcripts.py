"""`moss-voice-server transcripts`: print the conversations of past calls."""

from __future__ import annotations

from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from .._escape import escape
from . import _output
from ._arguments import Command, Option, Parser, add_options, duration, nonblank

if TYPE_CHECKING:
    import argparse

    from ..transcripts import SessionReport

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

_ARGUMENTS: dict[str, Option] = {
    "room ROOM": ("only the calls in this room", {"nargs": "?", "type": nonblank}),
    "--since TIME": ("how far back: 12h, 3d (default: 1d)", {"type": duration, "default": duration("1d")}),
    "--json": "one object a line: id, room_name, created_at, messages (role, text, created_at, interrupted), raw",
}


def add(parser: Parser) -> None:
    add_options(parser, _ARGUMENTS)


def run(options: argparse.Namespace) -> int:
    from .._server import MossVoiceServerSync

    since = _ago(options.since)
    with closing(MossVoiceServerSync.lazy_from_env()) as server:  # entering the server would fetch LiveKit credentials
        is_empty = True
        for report in server.session_reports(since, room_name=options.room):
            is_empty = False
            if options.json:
                _output.print_json(report, indent=None)
            else:
                print(_text(report))
    if is_empty and not options.json:
        _output.note(f"no session report since {_output.utc(since)}")
    return 0


def _ago(seconds: float) -> datetime:
    """That long ago; the first `datetime` if it would be before it."""
    try:
        return datetime.now(timezone.utc) - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(tzinfo=timezone.utc)


def _text(report: SessionReport) -> str:
    lines = [f"{escape(report.room_name, 256)}  {_output.utc(report.created_at)}".rstrip()]
    for message in report.messages:
        cut = " (interrupted)" if message.interrupted else ""
        lines.append(f"  {escape(message.role)}{cut}: {escape(message.text, _LONGEST)}")
    return "\n".join(lines) + "\n"


COMMAND = Command("print the conversations of past calls", _DESCRIPTION, _EPILOG, add, run, "[options] [ROOM]")
