"""What each call of `server.rooms` does, for both classes, against the fake LiveKit server API."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from moss_voice_server.errors import AgentNotDispatched, CredentialsNotLoaded, InvalidArgument, RoomNotFound
from moss_voice_server.testing import FakeLiveKit, FrozenClock, decode_token
from tests.rooms.plain import AGENT, PlainRooms, Server, rooms_of
from tests.support.errors import refused
from tests.support.fault_response import FaultResponse

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=timezone.utc).timestamp()


def test_list(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """Rooms come with their name, times and counts; names narrow the list."""
    livekit.add_room("support-1", created_at=NOW, metadata="vip")
    livekit.join("support-1", "user-42")
    livekit.add_room("support-2")

    first, second = rooms.list()

    found = (first.name, first.created_at, first.participants, first.metadata)
    assert ("support-1", datetime.fromtimestamp(NOW, timezone.utc), 1, "vip") == found
    assert [second] == list(rooms.list(names=["support-2", "support-3"]))
    assert () == rooms.list(names=[])
    assert 2 == len(livekit.requests)  # an empty list of names needs no request; to LiveKit it would mean all rooms


def test_participants(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """Participants come with kind, state and attributes; an agent with its name."""
    livekit.join("room", "user-42", name="Ada", attributes={"plan": "pro"})
    rooms.ensure_agent("room")

    ada, agent = rooms.participants("room")

    found = (ada.identity, ada.name, ada.kind, ada.state, ada.attributes, ada.agent_name)
    assert ("user-42", "Ada", "standard", "active", {"plan": "pro"}, "") == found
    assert ("agent", AGENT) == (agent.kind, agent.agent_name)


def test_participants_of_an_empty_room_and_of_none(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """LiveKit lists no participants for a room that does not exist: an error here, unlike an empty room."""
    livekit.add_room("room")

    assert () == rooms.participants("room")
    with pytest.raises(RoomNotFound):
        rooms.participants("gone")


def test_remove(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """A participant is removed; once more, and from a room that does not exist, is success."""
    livekit.join("room", "user-42")
    livekit.join("room", "user-43")

    for room in ("room", "room", "gone"):
        assert rooms.remove(room, "user-42") is None
    assert ("user-43",) == livekit.participants("room")


HUGE = 10**400


@pytest.mark.parametrize("value", [HUGE, str(HUGE), "1e400", 1e300, -1, [], {}, None, True])
def test_numbers_of_any_size(livekit: FakeLiveKit, rooms: PlainRooms, value: Any) -> None:
    """A number that LiveKit's 64 bits cannot hold, or none at all, raises nothing: not in any field that is one."""
    state = {"created_at": value, "deleted_at": "0", "jobs": [{"state": {"started_at": value}}, None]}
    fields = {
        "rooms": [{"name": "room", "creation_time": value, "creation_time_ms": value, "num_participants": value}],
        "participants": [{"identity": "user-42", "joined_at": value, "joined_at_ms": value}],
        "agent_dispatches": [{"id": "AD_1", "agent_name": AGENT, "state": state}],
    }
    livekit.set_default(FaultResponse(json=fields))

    assert [("room", True)] == [(each.name, each.participants in (-1, 0, 1)) for each in rooms.list()]
    assert ["user-42"] == [each.identity for each in rooms.participants("room")]
    assert "AD_1" == rooms.ensure_agent("room").id


def test_dispatch_without_an_id(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """It can be neither deleted nor returned, so it does not count."""
    dispatches = [{"id": 5, "agent_name": AGENT}, {"agent_name": AGENT}]
    livekit.set_default(FaultResponse(json={"agent_dispatches": dispatches}))
    with pytest.raises(AgentNotDispatched):
        rooms.ensure_agent("room")


def test_ensure_agent(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """A new room gets the server's voice agent and no other; what is there already is returned."""
    made = rooms.ensure_agent("new", metadata='{"user": 42}', attributes={"plan": "pro"})
    found = (made.agent_name, made.room, made.metadata, made.attributes)
    assert (AGENT, "new", '{"user": 42}', {"plan": "pro"}) == found
    assert (AGENT,) == livekit.dispatches("new")

    assert made.id == rooms.ensure_agent("new").id
    livekit.join("old", "user-42")
    rooms.ensure_agent("old")
    rooms.ensure_agent("old", "other-agent")
    assert ["", AGENT, "other-agent"] == list(livekit.dispatches("old"))


def test_ensure_agent_waits(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """With `wait` the result names the agent's identity in the room."""
    for wait in (10, timedelta(seconds=10)):
        made = rooms.ensure_agent("room", wait=wait)

        assert ("running", (made.agent_identity,)) == (made.status, livekit.participants("room"))


def test_server_without_an_agent_name(livekit: FakeLiveKit, kind: type[Server]) -> None:
    """There is no agent to dispatch; the remedy names both ways to name one."""
    with pytest.raises(InvalidArgument) as caught:
        rooms_of(kind, livekit, "").ensure_agent("room")
    assert ("agent", True, ()) == (caught.value.field, "agent_name=" in caught.value.remedy, livekit.requests)


def test_no_worker(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """Without a worker the wait ends with the reason, and what to start."""
    with pytest.raises(AgentNotDispatched, match="no worker accepted the job") as caught:
        rooms.ensure_agent("room", "absent", wait=0.3)
    assert "agent_name='absent'" in caught.value.remedy


@pytest.mark.parametrize(
    ("status", "reason"),
    [("JS_FAILED", "failed"), ("JS_SUCCESS", "ended before it joined"), ("JS_RUNNING", "accepted")],
)
def test_job_without_an_agent(livekit: FakeLiveKit, rooms: PlainRooms, status: str, reason: str) -> None:
    """A job that failed or ended is reported at once; one that runs, at the end of the wait."""
    job = {"state": {"status": status, "started_at": str(int(NOW * 1e9))}}
    dispatch = {"id": "AD_1", "agent_name": "late", "room": "room", "state": {"jobs": [], "created_at": "1"}}
    over = {**dispatch, "state": {"jobs": [job], "created_at": "1"}}
    # CreateRoom, ListDispatch, ListParticipants, ListDispatch, …
    livekit.add_room("room")
    livekit.queue(FaultResponse(), FaultResponse(json={"agent_dispatches": [dispatch]}))
    livekit.set_default(FaultResponse(json={"agent_dispatches": [over], "participants": []}))

    with pytest.raises(AgentNotDispatched, match=reason):
        rooms.ensure_agent("room", "late", wait=0.5 if status == "JS_RUNNING" else 60)


def test_agent_that_has_left_is_dispatched_again(kind: type[Server]) -> None:
    """LiveKit goes on listing the job of an agent that has crashed: after 20 seconds, who is in the room counts."""
    with FrozenClock(NOW) as clock, FakeLiveKit(agents=[AGENT], clock=lambda: clock.time) as livekit:
        rooms = rooms_of(kind, livekit)
        livekit.join("room", "user-42")
        first = rooms.ensure_agent("room", wait=10)

        clock.advance(19)
        livekit.leave("room", first.agent_identity)
        assert first.id == rooms.ensure_agent("room").id
        clock.advance(2)
        second = rooms.ensure_agent("room", wait=10)

        assert first.id != second.id
        assert ("user-42", second.agent_identity) == livekit.participants("room")
        clock.advance(3600)
        assert second.id == rooms.ensure_agent("room").id


def test_dispatch_that_no_worker_accepted_is_replaced(kind: type[Server]) -> None:
    """LiveKit offers a job once: a worker that registers later needs a new dispatch, and the old one is deleted."""
    with FrozenClock(NOW) as clock, FakeLiveKit(clock=lambda: clock.time) as livekit:
        rooms = rooms_of(kind, livekit)
        first = rooms.ensure_agent("room")
        clock.advance(21)
        second = rooms.ensure_agent("room")

        assert first.id != second.id
        assert (AGENT,) == livekit.dispatches("room")


def test_lost_response(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """The dispatch exists although the response broke off: it is returned."""
    livekit.join("room", "user-42")
    livekit.queue(FaultResponse(), FaultResponse(), FaultResponse(truncate=5))

    assert AGENT == rooms.ensure_agent("room").agent_name
    assert 1 == livekit.calls.count("CreateDispatch")
    assert ("", AGENT) == livekit.dispatches("room")


BAD_ARGUMENTS: list[tuple[str, dict[str, Any], str]] = [
    *(("list", {"names": names}, "names") for names in ("room", 5)),
    ("list", {"names": [""]}, "names[0]"),
    ("list", {"names": ["room", 5]}, "names[1]"),
    ("participants", {"room": ""}, "room"),
    ("remove", {"room": "room", "identity": " "}, "identity"),
    ("end", {"room": "a\nb"}, "room"),
    ("ensure_agent", {"room": "x" * 257}, "room"),
    *(("ensure_agent", {"room": "room", "agent": agent}, "agent") for agent in ("", 3)),
    ("ensure_agent", {"room": "room", "metadata": {}}, "metadata"),
    ("ensure_agent", {"room": "room", "attributes": {"a": 1}}, "attributes['a']"),
    ("ensure_agent", {"room": "room", "attributes": []}, "attributes"),
    *(
        ("ensure_agent", {"room": "room", "wait": wait}, "wait")
        for wait in (-1, float("nan"), True, timedelta(days=1, seconds=1))
    ),
    *(("end_older_than", {"age": age, "prefix": "a"}, "age") for age in (-1, "30m", 10**400)),
    *(("end_older_than", {"age": 1, "prefix": prefix}, "prefix") for prefix in ("", None)),
]


def test_bad_arguments(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """What LiveKit would refuse or misread is refused before anything is sent."""
    for method, arguments, field in BAD_ARGUMENTS:
        assert field == refused(getattr(rooms, method), **arguments)[0]
    assert () == livekit.requests


def test_before_the_first_fetch(kind: type[Server]) -> None:
    """A server without credentials raises CredentialsNotLoaded."""
    with pytest.raises(CredentialsNotLoaded):
        PlainRooms(kind("project", "key", "agent")).list()


def test_tokens_have_just_the_grants_they_need(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """Each call has a new token, for one minute, with one grant."""
    livekit.join("room", "user-42")
    rooms.ensure_agent("room", wait=10)
    rooms.list()
    rooms.end("room")

    seen: dict[str, Any] = {}
    for request in livekit.requests:
        claims = decode_token(request.headers["Authorization"].removeprefix("Bearer "))
        assert 60 == claims["exp"] - claims["nbf"]
        video = {name: value for name, value in claims["video"].items() if not name.startswith("can")}
        seen[request.path.rpartition("/")[2]] = video
    admin = {"roomAdmin": True, "room": "room"}
    assert {
        "CreateRoom": {"roomCreate": True},
        "DeleteRoom": {"roomCreate": True},
        "ListRooms": {"roomList": True},
        "ListParticipants": admin,
        "RemoveParticipant": admin,
        "CreateDispatch": admin,
        "ListDispatch": admin,
    } == seen
