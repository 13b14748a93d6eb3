"""Faults between us and LiveKit, on real sockets, for both classes: the error, the number of attempts, no secrets.

`tests/faults/test_calls.py` has more of those below HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server._livekit_api import call as calls
from moss_voice_server.errors import LiveKitRejected, LiveKitUnavailable, RoomError, RoomNotFound
from moss_voice_server.testing import FakeLiveKit, FakeMoss
from tests.rooms.plain import AGENT, PlainRooms, rooms_of
from tests.support.errors import facts
from tests.support.fault_response import FaultResponse
from tests.support.secret_scan import spilled
from tests.support.servers import ServerClass

pytestmark = pytest.mark.once

MARK = "a-mark-in-the-body"


class Row(NamedTuple):
    """A persistent fault, and the result of a call that may be repeated."""

    answer: FaultResponse
    error: type[RoomError]
    attempts: int


TABLE = {
    "400": Row(FaultResponse(400, json={"code": "invalid_argument", "msg": MARK}), LiveKitRejected, 1),
    "401": Row(FaultResponse(401, json={"code": "unauthenticated", "msg": MARK}), LiveKitRejected, 1),
    "403": Row(FaultResponse(403, json={"code": "permission_denied", "msg": MARK}), LiveKitRejected, 1),
    "404, not LiveKit's": Row(FaultResponse(404, body=MARK.encode()), LiveKitRejected, 1),
    "404, no such room": Row(FaultResponse(404, json={"code": "not_found"}), RoomNotFound, 1),
    "404, no such method": Row(FaultResponse(404, json={"code": "bad_route"}), LiveKitRejected, 1),
    "429": Row(FaultResponse(429), LiveKitUnavailable, 3),
    "500": Row(FaultResponse(500, body=MARK.encode()), LiveKitUnavailable, 3),
    "501": Row(FaultResponse(501), LiveKitUnavailable, 1),
    "503": Row(FaultResponse(503), LiveKitUnavailable, 3),
    "redirect": Row(FaultResponse.redirect("https://elsewhere.example/"), LiveKitRejected, 1),
    "broken JSON": Row(FaultResponse(body=b'{"rooms": [' + MARK.encode()), LiveKitUnavailable, 3),
    "empty body": Row(FaultResponse(body=b""), LiveKitUnavailable, 3),
    "JSON list": Row(FaultResponse(json=[MARK]), LiveKitUnavailable, 3),
    "deep JSON": Row(FaultResponse(body=b"[" * 100_000), LiveKitUnavailable, 3),
    "truncated": Row(FaultResponse(json={"rooms": [MARK]}, truncate=5), LiveKitUnavailable, 3),
    "huge body": Row(FaultResponse(size=9 << 20), LiveKitUnavailable, 1),
    "gzip bomb": Row(FaultResponse(gzip_bomb=1 << 30), LiveKitUnavailable, 1),
    "reset after the request": Row(FaultResponse(reset="request"), LiveKitUnavailable, 3),
}


@pytest.mark.parametrize("status", [400, 403, 404, 405])
@pytest.mark.parametrize("code", ["", "invalid_argument"])
def test_another_server_is_suspected(livekit: FakeLiveKit, rooms: PlainRooms, status: int, code: str) -> None:
    """LiveKit's errors have a code; without one, the URL is at fault, and not names, permissions or LiveKit's log."""
    livekit.set_default(FaultResponse(status, json={"code": code}) if code else FaultResponse(status, body=b"<html>"))
    with pytest.raises(LiveKitRejected) as caught:
        rooms.list()
    assert ("LiveKit URL" in caught.value.remedy) is (not code)


@pytest.mark.parametrize("name", TABLE)
def test_persistent_fault(livekit: FakeLiveKit, name: str) -> None:
    """The error's class, the number of attempts, a remedy, and no secret in the error; both classes report the same."""
    row = TABLE[name]
    livekit.set_default(row.answer)
    found = []
    for kind in (MossVoiceServerSync, MossVoiceServer):
        before = len(livekit.requests)
        with pytest.raises(RoomError) as caught:
            rooms_of(kind, livekit).list()
        requests = livekit.requests[before:]
        tokens = [request.headers["Authorization"].removeprefix("Bearer ") for request in requests]
        assert [] == spilled(caught.value, [livekit.api_secret, MARK, *tokens])
        found.append(facts(caught.value, len(requests)))

    assert found[0] == found[1]
    assert (row.error, row.attempts, True) == (found[0].kind, found[0].attempts, bool(found[0].remedy))


@pytest.mark.parametrize("name", ["503", "broken JSON", "truncated", "reset after the request"])
def test_dispatch_is_created_by_one_request(livekit: FakeLiveKit, rooms: PlainRooms, name: str) -> None:
    """CreateDispatch is not repeated after a fault, because LiveKit would create a second dispatch."""
    livekit.join("room", "user-42")
    livekit.queue(FaultResponse(), FaultResponse(), TABLE[name].answer)

    with suppress(LiveKitUnavailable):  # where the request arrived, the dispatch is found
        rooms.ensure_agent("room", "absent")

    assert 1 == livekit.calls.count("CreateDispatch")


@pytest.mark.parametrize(
    "answer", [FaultResponse.retry_after("1"), FaultResponse(body=b"{"), FaultResponse(reset="request")]
)
def test_passing_fault(livekit: FakeLiveKit, rooms: PlainRooms, answer: FaultResponse) -> None:
    """A call that may be repeated succeeds."""
    livekit.add_room("room")
    livekit.queue(answer)
    assert ["room"] == [each.name for each in rooms.list()]


def test_down(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """A server that does not run."""
    livekit.close()
    with pytest.raises(LiveKitUnavailable, match=r"\(3 attempts\)"):
        rooms.list()


def test_retry_after(livekit: FakeLiveKit, rooms: PlainRooms) -> None:
    """A pause in `Retry-After` that is longer than the budget is reported, and not waited for."""
    livekit.set_default(FaultResponse.retry_after("3600"))
    with pytest.raises(LiveKitUnavailable) as caught:
        rooms.list()
    assert (300.0, 1) == (caught.value.retry_after, len(livekit.requests))


def test_limits() -> None:
    """Three attempts, 8 seconds in all."""
    assert (8.0, 3) == (calls.BUDGET, calls._ATTEMPTS)


# Credentials that were rotated.


@pytest.fixture
def moss(livekit: FakeLiveKit) -> Iterator[FakeMoss]:
    """A Moss API with the fake LiveKit's credentials."""
    with FakeMoss(url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret, agent_name=AGENT) as fake:
        yield fake


@pytest.fixture
def fetched(server_class: ServerClass, moss: FakeMoss) -> PlainRooms:
    """The rooms of a server that has fetched its credentials."""
    return PlainRooms(server_class.create(**moss.arguments))


def test_rotation(livekit: FakeLiveKit, moss: FakeMoss, fetched: PlainRooms) -> None:
    """After a 401 the credentials are fetched, and the call is repeated once with the new ones."""
    livekit.rotate()
    moss.rotate(livekit.api_key, livekit.api_secret)

    assert () == fetched.list()
    assert (2, ("ListRooms", "ListRooms")) == (moss.count, livekit.calls)


def test_rotation_in_the_middle(livekit: FakeLiveKit, moss: FakeMoss, fetched: PlainRooms) -> None:
    """CreateDispatch is repeated too: LiveKit has rejected the first one."""
    livekit.join("room", "user-42")
    livekit.queue(FaultResponse(), FaultResponse(), FaultResponse(401))
    moss.rotate(livekit.api_key, livekit.api_secret, agent_name="renamed")

    assert AGENT == fetched.ensure_agent("room").agent_name
    assert 2 == livekit.calls.count("CreateDispatch")
    assert ("", AGENT) == livekit.dispatches("room")


def test_rejected_with_current_credentials(livekit: FakeLiveKit, moss: FakeMoss, fetched: PlainRooms) -> None:
    """Where the Moss API has no other credentials, the call is not repeated; nor are they fetched again at once."""
    livekit.rotate()

    for _ in range(5):
        with pytest.raises(LiveKitRejected):
            fetched.list()
    assert (2, 5) == (moss.count, len(livekit.requests))


def test_rejected_while_the_moss_api_is_down(livekit: FakeLiveKit, moss: FakeMoss, fetched: PlainRooms) -> None:
    """The error is LiveKit's, and the credentials stay in use."""
    livekit.rotate()
    moss.set_default(503)

    with pytest.raises(LiveKitRejected):
        fetched.list()
    assert fetched.server.get_agent_name() == AGENT
