"""What `rooms.end` and `rooms.end_older_than` do, for both classes, against the fake LiveKit server API."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from moss_voice_server.testing import FakeLiveKit, FrozenClock
from tests.rooms.plain import PlainRooms, Server, rooms_of
from tests.support.fault_response import FaultResponse

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=timezone.utc).timestamp()


def test_end(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """People are removed, which revokes their tokens on Cloud, agents are not, and the room is deleted; again is success."""
    livekit.join("room", "user-42")
    livekit.join("room", "user-43")
    livekit.join("room", "agent-1", kind="agent")

    assert rooms.end("room") is None
    assert () == livekit.rooms
    assert ("ListParticipants", "RemoveParticipant", "RemoveParticipant", "DeleteRoom") == livekit.calls
    assert rooms.end("room") is None


def test_end_after_a_failed_removal(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """The deletion disconnects everyone, so a failed removal does not stop it."""
    livekit.join("room", "user-42")
    livekit.queue(FaultResponse(), 400)

    rooms.end("room")
    assert () == livekit.rooms


def test_end_older_than(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """Only rooms with the prefix that are older are ended; the result iterates over their names."""
    now = datetime.now(timezone.utc).timestamp()
    for name, age in (("support-old", 3600), ("support-new", 60), ("other-old", 3600)):
        livekit.add_room(name, created_at=now - age)

    would = rooms.end_older_than(timedelta(minutes=30), "support-", dry_run=True)
    assert ["support-old"] == list(would)
    assert 3 == len(livekit.rooms)

    done = rooms.end_older_than(1800, "support-")
    assert (["support-old"], {}, 1, True) == (list(done), dict(done.failed), len(done), "support-old" in done)
    assert ["support-new", "other-old"] == list(livekit.rooms)


def test_end_older_than_with_a_failure(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """A room that cannot be ended is reported and does not stop the others."""
    for number in range(3):
        livekit.add_room(f"room-{number}", created_at=NOW)
    # The list, then for the first room: its participants, and the deletion.
    livekit.queue(FaultResponse(), FaultResponse(), 403)

    # No API token can contain this name.
    livekit.add_room("room-\n", created_at=NOW)

    result = rooms.end_older_than(0, "room-")

    assert ("room-1", "room-2") == result.ended
    codes = {name: error.code for name, error in result.failed.items()}
    assert {"room-0": "livekit_rejected", "room-\n": "invalid_argument"} == codes


def test_end_older_than_lists_again(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """A hundred and twenty rooms, of which a list shows a part only: all are ended."""
    for number in range(120):
        livekit.add_room(f"room-{number:03}", created_at=NOW)
    part = {"rooms": [{"name": f"room-{number:03}", "creation_time": str(int(NOW))} for number in range(100)]}
    livekit.queue(FaultResponse(json=part))

    assert 120 == len(set(rooms.end_older_than(0, "room-")))
    assert () == livekit.rooms


def test_end_older_than_when_livekit_fails(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """LiveKit fails when the rooms are listed again: those that were ended are returned all the same."""
    livekit.add_room("room", created_at=NOW)
    livekit.queue(FaultResponse(), FaultResponse(), FaultResponse(), 400)

    assert ("room",) == rooms.end_older_than(0, "room").ended
    assert ("ListRooms", "ListRooms") == (livekit.calls[0], livekit.calls[-1])


def test_end_older_than_leaves_rooms_that_are_opened_meanwhile(kind: type[Server]) -> None:
    """An age of 0 ends what is there at the start, however fast new rooms are opened."""
    with FrozenClock(NOW) as clock, FakeLiveKit(clock=lambda: clock.time) as livekit:
        livekit.add_room("room-1")
        later = {"rooms": [{"name": "room-2", "creation_time": str(int(NOW) + 60)}]}
        livekit.queue(FaultResponse(), FaultResponse(), FaultResponse(), FaultResponse(json=later))

        assert ("room-1",) == rooms_of(kind, livekit).end_older_than(0, "room-").ended
