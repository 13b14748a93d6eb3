"""`moss-voice-server rooms`: list, show and end calls, and bring the agent into one."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from .._duration import format_duration
from .._escape import escape
from ..errors import MossVoiceError, RoomNotFound
from . import _credential_options, _output
from ._arguments import Command, Option, Parser, add_options, duration, nonblank

if TYPE_CHECKING:
    import argparse

    from ..rooms import EndedRooms

_DESCRIPTION = """\
List, show and end the calls of a LiveKit project, and bring the agent into one.

The credentials come from the same variables as those of `token`. Ending rooms
asks for confirmation on a terminal, unless --yes is given. The agent does not
count as a participant of a room.
"""
_EPILOG = """\
examples:
  moss-voice-server rooms list --json
  moss-voice-server rooms show support-42
  moss-voice-server rooms end support-42 support-43
  moss-voice-server rooms end-older-than 30m --prefix support- --dry-run
  moss-voice-server rooms ensure-agent support-42 --wait 10s

exit status: 0 done, 1 LiveKit or the Moss API failed, 2 wrong
usage
"""


_ROOM: dict[str, Option] = {"room ROOM": ("the room's name", {"type": nonblank})}
_ROOMS: dict[str, Option] = {
    "rooms ROOM": ("the rooms' names", {"type": nonblank, "nargs": "+"}),
    "--yes": "do not ask for confirmation",
}
_PREFIX: dict[str, Option] = {"--prefix TEXT": ("only rooms whose names begin with this", {"default": ""})}
_AGE: dict[str, Option] = {
    "age TIME": ("such as 30m, 2h or 1d", {"type": duration}),
    "--prefix TEXT": ("only rooms whose names begin with this", {"type": nonblank, "required": True}),
    "--dry-run": "end nothing, and print the rooms that would be ended",
    "--yes": "do not ask for confirmation",
}
_AGENT: dict[str, Option] = {
    "room ROOM": ("the room's name; it is created if it does not exist", {"type": nonblank}),
    "--agent NAME": ("the agent's name (default: from Moss)", {"type": nonblank}),
    "--metadata TEXT": ("any text, for the agent's job", {"default": ""}),
    "--wait TIME": ("wait until the agent has joined, for this long", {"type": duration}),
}


def add(parser: Parser) -> None:
    """Add a parser for each action, with the credential options and `--json`."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True, prog=parser.prog)
    for name, arguments, about, run, options in (
        ("list", "", "list the rooms that exist now", _list, _PREFIX),
        ("show", " ROOM", "show a room and its participants", _show, _ROOM),
        ("end", " ROOM ...", "disconnect everyone and delete the rooms", _end, _ROOMS),
        ("end-older-than", " TIME --prefix TEXT", "end the rooms that are older than TIME", _end_older_than, _AGE),
        ("ensure-agent", " ROOM", "dispatch the agent to a room, exactly once", _ensure_agent, _AGENT),
    ):
        usage, description = f"%(prog)s [options]{arguments}", f"{about[0].upper()}{about[1:]}."
        action = actions.add_parser(name, help=about, usage=usage, description=description)
        action.set_defaults(run=run)
        add_options(action, {"--json": "print an object"})
        _credential_options.add(action, "Instead of the Moss API's.")
        add_options(action, options)


def _list(options: argparse.Namespace) -> int:
    with _credential_options.server(options) as server:
        rooms = [room for room in server.rooms.list() if room.name.startswith(options.prefix)]
    if options.json:
        _output.print_json({"rooms": rooms})
    elif not rooms:
        _output.note("no rooms found")
    else:
        _print_table(
            ("Room", "Age", "Participants", "Publishing"),
            [(room.name, _age(room.created_at), str(room.participants), str(room.publishers)) for room in rooms],
        )
    return 0


def _show(options: argparse.Namespace) -> int:
    with _credential_options.server(options) as server:
        participants = server.rooms.participants(options.room)
        found = server.rooms.list([options.room])
    if not found:
        raise RoomNotFound("no room with this name exists", remedy="check the name, or list the rooms that exist")
    if options.json:
        _output.print_json({"room": found[0], "participants": participants})
    else:
        _output.note(f"room {escape(found[0].name)}, created {_age(found[0].created_at)} ago")
        _print_table(
            ("Identity", "Name", "Kind", "State", "Agent", "Joined"),
            [
                (each.identity, each.name, each.kind, each.state, each.agent_name, _age(each.joined_at))
                for each in participants
            ],
        )
    return 0


def _end(options: argparse.Namespace) -> int:
    if not _is_confirmed(options, options.rooms):
        return 1
    ended: list[str] = []
    failed: dict[str, MossVoiceError] = {}
    with _credential_options.server(options) as server:
        for room in dict.fromkeys(options.rooms):
            try:
                server.rooms.end(room)
                ended.append(room)
            except MossVoiceError as error:
                failed[room] = error
    return _report(options, ended, failed)


def _end_older_than(options: argparse.Namespace) -> int:
    with _credential_options.server(options) as server:
        if options.dry_run:
            return _report(options, server.rooms.end_older_than(options.age, options.prefix, dry_run=True), {})
        if _asks(options):
            matching = server.rooms.end_older_than(options.age, options.prefix, dry_run=True)
            if not _is_confirmed(options, list(matching)):
                return 1
        done: EndedRooms = server.rooms.end_older_than(options.age, options.prefix)
    return _report(options, done, done.failed)


def _ensure_agent(options: argparse.Namespace) -> int:
    with _credential_options.server(options) as server:
        dispatch = server.rooms.ensure_agent(options.room, options.agent, metadata=options.metadata, wait=options.wait)
    if options.json:
        _output.print_json(dispatch)
    else:
        _print_table(
            ("Room", "Agent", "Status", "Dispatch"),
            [(dispatch.room, dispatch.agent_name, dispatch.status, dispatch.id)],
        )
    return 0


def _asks(options: argparse.Namespace) -> bool:
    """Whether a person can confirm."""
    return not options.yes and sys.stdin is not None and sys.stdin.isatty()


def _is_confirmed(options: argparse.Namespace, rooms: Sequence[str]) -> bool:
    if not rooms or not _asks(options):
        return True
    named = ", ".join(escape(room) for room in rooms[:5]) + (", ..." if len(rooms) > 5 else "")
    print(
        f"End {len(rooms)} room{'s' if len(rooms) > 1 else ''} ({named})? [y/N] ", end="", file=sys.stderr, flush=True
    )
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    _output.note("no room was ended")
    return False


def _report(options: argparse.Namespace, ended: Iterable[str], failed: Mapping[str, MossVoiceError]) -> int:
    if options.json:
        _output.print_json({"ended": list(ended), "failed": {room: str(error) for room, error in failed.items()}})
    else:
        for room in ended:
            print(escape(room, 256))
        for room, error in failed.items():
            _output.error(f"room {escape(room)} was not ended: {error}")
    return 1 if failed else 0


def _age(moment: datetime | None) -> str:
    if moment is None:
        return ""
    return format_duration(max(0, round((datetime.now(timezone.utc) - moment).total_seconds())))


def _print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from ._screen import Screen

    Screen().table(headers, [[escape(cell, 256) for cell in row] for row in rows])


COMMAND = Command("list, show and end calls", _DESCRIPTION, _EPILOG, add, None, "ACTION [options]")
