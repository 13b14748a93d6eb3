"""Operations: list rooms and participants, remove a participant, end rooms."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from .. import _validation
from .._http.flow import Steps
from .._http.model import Failure
from ..errors import InvalidArgument, MossVoiceError, RoomNotFound
from ..grants import ApiGrants
from . import parse
from .call import BUDGET, Access, Call, Reply, call, room_call, succeed
from .models import EndedRooms, Participant, Room

_RESERVED = 4.0  # seconds of an operation's budget that stay for deleting the room itself


def list_rooms(access: Access, names: Iterable[str] | None, end: float | None = None) -> Steps[tuple[Room, ...]]:
    if names is not None and (isinstance(names, str) or not isinstance(names, Iterable)):
        wrong = f"names must be an iterable of room names, not {type(names).__name__}"
        raise InvalidArgument(wrong, field="names", remedy="pass a list")
    chosen = None if names is None else [_validation.label(f"names[{index}]", name) for index, name in enumerate(names)]
    if chosen == []:
        return ()
    wanted = Call("RoomService", "ListRooms", {"names": chosen} if chosen else {}, ApiGrants(room_list=True))
    response = yield from succeed(access, wanted, access.timing.mono() + BUDGET if end is None else end)
    return tuple(parse.room(fields) for fields in parse.items(response.fields, "rooms"))


def list_participants(access: Access, room: str) -> Steps[tuple[Participant, ...]]:
    """The participants in a room. LiveKit returns none for a room that does not exist, so that is looked up."""
    room, end = _validation.label("room", room), access.timing.mono() + BUDGET
    response = yield from succeed(access, room_call("RoomService", "ListParticipants", room), end)
    found = tuple(parse.participant(fields) for fields in parse.items(response.fields, "participants"))
    if not found and not (yield from list_rooms(access, [room], end)):
        raise RoomNotFound("no room with this name exists", remedy="check the name, or list the rooms that exist")
    return found


def remove(access: Access, room: str, identity: str) -> Steps[None]:
    room, identity = _validation.label("room", room), _validation.label("identity", identity)
    result = yield from call(access, _removal(room, identity), access.timing.mono() + BUDGET)
    _raise_unless_gone(result)


def _removal(room: str, identity: str) -> Call:
    # Without `revoke_token_ts`, LiveKit Cloud revokes every token from before now and the next minute.
    return room_call("RoomService", "RemoveParticipant", room, identity=identity)


def end_room(access: Access, room: str) -> Steps[None]:
    """Removes everyone but agents, which revokes their tokens on LiveKit Cloud, and deletes the room.

    An agent learns from the deletion that the call is over.
    """
    room = _validation.label("room", room)
    end = access.timing.mono() + BUDGET
    listed = yield from call(access, room_call("RoomService", "ListParticipants", room), end - _RESERVED)
    found = [] if isinstance(listed, Failure) else parse.items(listed.fields, "participants")
    for each in map(parse.participant, found):
        if each.kind != "agent" and access.timing.mono() < end - _RESERVED:
            # Best effort: the deletion disconnects the rest.
            yield from call(access, _removal(room, each.identity), end - _RESERVED)
    wanted = Call("RoomService", "DeleteRoom", {"room": room}, ApiGrants(room_create=True))
    _raise_unless_gone((yield from call(access, wanted, end)))


def _raise_unless_gone(result: Reply | Failure) -> None:
    if isinstance(result, Failure) and result.error_type is not RoomNotFound:
        raise result.error()


def end_older_than(access: Access, age: timedelta | float, prefix: str, *, dry_run: bool) -> Steps[EndedRooms]:
    """Ends the rooms with this prefix that are older; lists again until there are no others."""
    # Fixed here: while rooms are ended, others get old enough, and with an age of 0 there would always be new ones.
    limit = access.timing.wall() - _age(age)
    if not isinstance(prefix, str):
        raise InvalidArgument(f"prefix must be a str, not {type(prefix).__name__}", field="prefix")
    if not prefix:
        raise InvalidArgument(
            "prefix is empty, and would end every room of the LiveKit project",
            field="prefix",
            remedy="name a prefix; to end all rooms, end each that list() returns",
        )
    ended: dict[str, None] = {}
    failed: dict[str, MossVoiceError] = {}
    listed = yield from list_rooms(access, None)
    while True:
        due = [room.name for room in listed if _is_older(room, limit) and room.name.startswith(prefix)]
        names = [name for name in due if name not in failed and name not in ended]
        if dry_run or not names:
            return EndedRooms((*ended, *names), failed)
        for name in names:
            try:
                yield from end_room(access, name)
            except MossVoiceError as error:
                failed[name] = error.with_traceback(None)
            else:
                ended[name] = None
        try:
            listed = yield from list_rooms(access, None)
        except MossVoiceError:  # what was ended is reported; the next run ends the rest
            return EndedRooms(tuple(ended), failed)


def _is_older(room: Room, limit: float) -> bool:
    return room.created_at is not None and room.created_at.timestamp() <= limit


def _age(age: object) -> float:
    seconds = _validation.seconds(age, timedelta.max.total_seconds())
    if seconds is None:
        raise InvalidArgument(
            "age must be a timedelta or a number of seconds, finite and not negative",
            field="age",
            remedy="write timedelta(minutes=30)",
        )
    return seconds
