"""`moss-voice-server rooms`: list, show and end calls, and bring the agent into one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from .._duration import format_duration
from .._escape import escape
from ..errors import MossVoiceError, RoomNotFound
from . import _credential_options, _server_options, _stderr
from ._arguments import duration, nonblank

if TYPE_CHECKING:
    import argparse

    from ..rooms import EndedRooms, Rooms
    from ._arguments import Parser

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


def add(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command, its actions and their options."""
    parser = commands.add_parser(
        "rooms",
        help="list, show and end calls",
        usage="%(prog)s ACTION [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", dest="action", required=True, prog=parser.prog)

    action = _action(actions, "list", "", "list the rooms that exist now", _list)
    action.add_argument("--prefix", metavar="TEXT", default="", help="only rooms whose names begin with this")

    action = _action(actions, "show", " ROOM", "show a room and its participants", _show)
    action.add_argument("room", metavar="ROOM", type=nonblank, help="the room's name")

    action = _action(actions, "end", " ROOM ...", "disconnect everyone and delete the rooms", _end)
    action.add_argument("rooms", metavar="ROOM", type=nonblank, nargs="+", help="the rooms' names")
    action.add_argument("--yes", action="store_true", help="do not ask for confirmation")

    action = _action(
        actions, "end-older-than", " TIME --prefix TEXT", "end the rooms that are older than TIME", _end_older_than
    )
    action.add_argument("age", metavar="TIME", type=duration, help="such as 30m, 2h or 1d")
    action.add_argument(
        "--prefix", metavar="TEXT", type=nonblank, required=True, help="only rooms whose names begin with this"
    )
    action.add_argument("--dry-run", action="store_true", help="end nothing, and print the rooms that would be ended")
    action.add_argument("--yes", action="store_true", help="do not ask for confirmation")

    action = _action(actions, "ensure-agent", " ROOM", "dispatch the agent to a room, exactly once", _ensure_agent)
    action.add_argument(
        "room", metavar="ROOM", type=nonblank, help="the room's name; it is created if it does not exist"
    )
    action.add_argument("--agent", metavar="NAME", type=nonblank, help="the agent's name (default: from Moss)")
    action.add_argument("--metadata", metavar="TEXT", default="", help="any text, for the agent's job")
    action.add_argument("--wait", metavar="TIME", type=duration, help="wait until the agent has joined, for this long")


def _action(actions: Any, name: str, arguments: str, about: str, run: Callable[[argparse.Namespace], int]) -> Parser:
    parser: Parser = actions.add_parser(
        name, help=about, usage=f"%(prog)s [options]{arguments}", description=f"{about[0].upper()}{about[1:]}."
    )
    parser.set_defaults(run=run)
    parser.add_argument("--json", action="store_true", help="print an object")
    _credential_options.add_options(parser, "Instead of the Moss API's.")
    return parser


def _list(options: argparse.Namespace) -> int:
    with _server_options.server(options) as server:
        rooms = [room for room in server.rooms.list() if room.name.startswith(options.prefix)]
    if options.json:
        _print_json({"rooms": [_fields(room) for room in rooms]})
    elif not rooms:
        _stderr.note("no rooms found")
    else:
        _print_table(
            ("Room", "Age", "Participants", "Publishing"),
            [(room.name, _age(room.created_at), str(room.participants), str(room.publishers)) for room in rooms],
        )
    return 0


def _show(options: argparse.Namespace) -> int:
    with _server_options.server(options) as server:
        participants = server.rooms.participants(options.room)
        found = server.rooms.list([options.room])
    if not found:
        raise RoomNotFound("no room with this name exists", remedy="check the name, or list the rooms that exist")
    if options.json:
        _print_json({"room": _fields(found[0]), "participants": [_fields(each) for each in participants]})
    else:
        _stderr.note(f"room {escape(found[0].name)}, created {_age(found[0].created_at)} ago")
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
    with _server_options.server(options) as server:
        for room in dict.fromkeys(options.rooms):
            try:
                server.rooms.end(room)
                ended.append(room)
            except MossVoiceError as error:
                failed[room] = error
    return _report(options, ended, failed)


def _end_older_than(options: argparse.Namespace) -> int:
    with _server_options.server(options) as server:
        if options.dry_run:
            return _report(options, server.rooms.end_older_than(options.age, options.prefix, dry_run=True), {})
        if _asks(options) and not _is_confirmed(options, _matching(server.rooms, options)):
            return 1
        done: EndedRooms = server.rooms.end_older_than(options.age, options.prefix)
    return _report(options, done, done.failed)


def _matching(rooms: Rooms, options: argparse.Namespace) -> list[str]:
    return list(rooms.end_older_than(options.age, options.prefix, dry_run=True))


def _ensure_agent(options: argparse.Namespace) -> int:
    with _server_options.server(options) as server:
        dispatch = server.rooms.ensure_agent(options.room, options.agent, metadata=options.metadata, wait=options.wait)
    if options.json:
        _print_json(_fields(dispatch))
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
    _stderr.note("no room was ended")
    return False


def _report(options: argparse.Namespace, ended: Iterable[str], failed: Any) -> int:
    if options.json:
        _print_json({"ended": list(ended), "failed": {room: str(error) for room, error in failed.items()}})
    else:
        for room in ended:
            print(escape(room, 256))
        for room, error in failed.items():
            _stderr.error(f"room {escape(room)} was not ended: {error}")
    return 1 if failed else 0


def _age(moment: datetime | None) -> str:
    if moment is None:
        return ""
    return format_duration(max(0, round((datetime.now(timezone.utc) - moment).total_seconds())))


def _fields(value: Any) -> dict[str, Any]:
    """A dataclass as JSON has it; times in UTC."""
    from dataclasses import fields

    found = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: _plain(each) for name, each in found.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return dict(value) if hasattr(value, "items") else value


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def _print_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from ._report import Report

    Report().table(headers, [[escape(cell, 256) for cell in row] for row in rows])
