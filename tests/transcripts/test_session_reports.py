"""`session_reports`: which reports it returns, how it reads them, and what goes wrong; for both classes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from moss_voice_server import MossVoiceServerSync
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import (
    CredentialsError,
    CredentialsInvalid,
    CredentialsRejected,
    CredentialsUnavailable,
    InvalidArgument,
)
from moss_voice_server.testing import FakeMoss
from moss_voice_server.transcripts import Message
from tests.support.errors import facts
from tests.support.fault_response import FaultResponse
from tests.support.secret_scan import spilled
from tests.support.servers import ASYNC, SYNC, Server, ServerClass

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
MARK = "a-mark-in-the-body"


@pytest.fixture
def server(server_class: ServerClass, moss: FakeMoss) -> Server:
    """A server of each class that has fetched nothing: reports need no credentials of LiveKit's."""
    return server_class.new(moss.arguments, refresh=RefreshPolicy(attempt_timeout=2, total_timeout=6))


read = ServerClass.reports


def report(*items: Any) -> dict[str, Any]:
    """A session report with these items of the chat history."""
    return {"chat_history": {"items": list(items)}, "job_id": "AJ_1"}


def test_transcript(moss: FakeMoss, server: Server) -> None:
    """Messages in order with role, text and time; everything else stays in `raw`."""
    call = {"type": "function_call", "name": "lookup", "arguments": "{}"}
    said = {"type": "message", "role": "user", "content": ["Hello,", "there"], "created_at": NOW.timestamp()}
    answered = {"type": "message", "role": "assistant", "content": "Hi", "interrupted": True}
    moss.add_session_report("support-1", report(said, call, answered), created_at=NOW)

    (found,) = read(server, NOW - HOUR, NOW + HOUR)

    assert ("support-1", NOW) == (found.room_name, found.created_at)
    assert (Message("user", "Hello,\nthere", NOW), Message("assistant", "Hi", None, True)) == found.messages
    assert report(said, call, answered) == found.raw["report"]


@pytest.mark.parametrize(
    "items",
    [None, "text", [None, 3, "x"], [{}], [{"type": "message", "role": 3, "content": {"a": 1}, "created_at": "x"}]],
)
def test_items_are_read_leniently(moss: FakeMoss, server: Server, items: Any) -> None:
    """A damaged report is returned like any other."""
    moss.add_session_report("one", {"chat_history": {"items": items}}, created_at=NOW)
    moss.add_session_report("two", report({"role": "user", "content": ["a", {"type": "image"}, "b"]}), created_at=NOW)
    moss.add_session_report("three", {}, created_at=NOW)

    found = {each.room_name: each for each in read(server, NOW - HOUR, NOW + HOUR)}

    assert {"one", "two", "three"} == set(found)
    assert (Message("user", "a\nb"),) == found["two"].messages


def test_times_are_exact(moss: FakeMoss, server: Server) -> None:
    """The API filters by days: the query has a day more on each side, and the library compares the times."""
    last = HOUR - timedelta(milliseconds=1)
    for offset in (-HOUR, timedelta(0), last, HOUR):
        moss.add_session_report(f"at {offset}", report(), created_at=NOW + offset)

    found = read(server, NOW, NOW + HOUR)

    assert [f"at {last}", "at 0:00:00"] == [each.room_name for each in found]
    query = parse_qs(urlsplit(moss.requests[-1].path).query)
    assert (["2026-11-27"], ["2026-11-29"], ["100"], ["0"]) == tuple(
        query[name] for name in ("start", "end", "limit", "page")
    )


@pytest.mark.parametrize("count", [0, 99, 100, 250])
def test_pages(moss: FakeMoss, server: Server, count: int) -> None:
    """Pages of 100 are read until one is short: no report is missing, and none is there twice."""
    for number in range(count):
        moss.add_session_report(f"room-{number}", report(), created_at=NOW)

    names = [each.room_name for each in read(server, NOW - HOUR, NOW + HOUR)]

    assert (count, count) == (len(names), len(set(names)))
    assert count // 100 + 1 == moss.count
    # Only the reports of one room.
    assert ["room-98"] * (count > 98) == [each.room_name for each in read(server, NOW - HOUR, NOW + HOUR, "room-98")]


def test_reports_that_move_between_pages(moss: FakeMoss, server: Server) -> None:
    """A report that is stored while pages are read moves others to the next page: they come once."""
    page = [{"id": str(number), "room_name": f"room-{number}"} for number in range(100)]
    moss.queue(FaultResponse(json={"reports": page}), FaultResponse(json={"reports": page[-1:]}))
    assert 100 == len(read(server, NOW - HOUR, NOW + HOUR))


def test_api_without_pages(moss: FakeMoss, server: Server) -> None:
    """A page that brings nothing new is the last one."""
    page = [{"id": str(number)} for number in range(100)]
    moss.set_default(FaultResponse(json={"reports": page}))
    assert (100, 2) == (len(read(server, NOW - HOUR, NOW + HOUR)), moss.count)


def test_pages_are_fetched_when_they_are_needed(moss: FakeMoss) -> None:
    """A caller that stops early has fetched one page."""
    for number in range(150):
        moss.add_session_report(f"room-{number}", report(), created_at=NOW)
    next(iter(MossVoiceServerSync(**moss.arguments).session_reports(NOW - HOUR, NOW + HOUR)))
    assert 1 == moss.count


def test_large_page(moss: FakeMoss, server: Server) -> None:
    """Reports are large: a page of 7 MiB is read, one of more than 8 MiB is refused."""
    moss.add_session_report("room", report({"role": "user", "content": "x" * (7 << 20)}), created_at=NOW)
    assert 7 << 20 == len(read(server, NOW - HOUR, NOW + HOUR)[0].messages[0].text)

    moss.queue(FaultResponse(size=9 << 20))
    with pytest.raises(CredentialsInvalid):
        read(server, NOW - HOUR, NOW + HOUR)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-28T12:00:00Z", NOW),
        ("2026-11-28T12:00:00.000Z", NOW),
        ("2026-11-28 12:00:00+00", None),
        ("2026-11-28T14:00:00.123456789+02:00", NOW + timedelta(microseconds=123456)),
        ("2026-11-28T12:00:00", NOW),
        (NOW.timestamp(), NOW),
        ("yesterday", None),
        ("2026-13-28T12:00:00Z", None),
        (1e30, None),
        (None, None),
    ],
)
def test_created_at(moss: FakeMoss, text: Any, expected: datetime | None) -> None:
    """RFC 3339 in any form, or seconds; a report whose time cannot be read is returned too."""
    moss.queue(FaultResponse(json={"reports": [{"id": "1", "created_at": text}]}))
    server = MossVoiceServerSync(**moss.arguments)
    # An hour around it; without a time, the range does not matter.
    around = expected or NOW
    assert [expected] == [each.created_at for each in read(server, around - HOUR, around + HOUR)]


def test_until_now(moss: FakeMoss, server: Server) -> None:
    """Without `until`, everything up to now; a `since` by a clock that is ahead, such as Moss's, is no error."""
    now = datetime.now(timezone.utc)
    moss.add_session_report("room", report(), created_at=now - timedelta(seconds=5))
    assert ["room"] == [each.room_name for each in read(server, now - HOUR)]
    assert ([], 2) == (read(server, now + HOUR), moss.count)


@pytest.mark.parametrize("zone", [timezone(timedelta(hours=hours)) for hours in (-12, 0, 14)], ids=str)
def test_all_reports(moss: FakeMoss, server: Server, zone: timezone) -> None:
    """The first and the last `datetime` mean all reports, in every time zone."""
    moss.add_session_report("room", report(), created_at=NOW)
    everything = read(server, datetime.min.replace(tzinfo=zone), datetime.max.replace(tzinfo=zone))
    assert ["room"] == [each.room_name for each in everything]


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ((NOW.replace(tzinfo=None),), "since"),
        ((NOW.date(),), "since"),
        (("2026-11-28",), "since"),
        ((NOW, NOW.replace(tzinfo=None)), "until"),
        ((NOW, NOW - HOUR), "until"),
        ((NOW, None, ""), "room_name"),
    ],
)
def test_bad_arguments(moss: FakeMoss, server: Server, arguments: tuple[Any, ...], field: str) -> None:
    """They are refused at the call, and not when the first report is read."""
    with pytest.raises(InvalidArgument) as caught:
        server.session_reports(*arguments)
    assert (field, 0) == (caught.value.field, moss.count)


def test_static_credentials() -> None:
    """A server without a Moss project raises CredentialsUnavailable."""
    server = MossVoiceServerSync.from_livekit("ws://127.0.0.1:1", "key", "a-secret-of-more-than-32-bytes-for-tests")
    with pytest.raises(CredentialsUnavailable, match="Moss project"):
        server.session_reports(NOW)


FAULTS: dict[str, tuple[FaultResponse, type[CredentialsError], int]] = {
    "401": (FaultResponse(401), CredentialsRejected, 1),
    "400": (FaultResponse(400, body=MARK.encode()), CredentialsUnavailable, 1),
    "503": (FaultResponse(503), CredentialsUnavailable, 3),
    "redirect": (FaultResponse.redirect("https://elsewhere.example/"), CredentialsInvalid, 1),
    "broken JSON": (FaultResponse(body=b'{"reports": [' + MARK.encode()), CredentialsInvalid, 3),
    "no list": (FaultResponse(json={"reports": MARK}), CredentialsInvalid, 1),
    "no object": (FaultResponse(json=[]), CredentialsInvalid, 1),
    "gzip bomb": (FaultResponse(gzip_bomb=1 << 30), CredentialsInvalid, 1),
}


@pytest.mark.once
@pytest.mark.parametrize("name", FAULTS)
def test_faults(moss: FakeMoss, name: str) -> None:
    """The same rules as for the credentials: retries, a body limit, no redirect, no secret; both classes report the same."""
    answer, kind, attempts = FAULTS[name]
    moss.set_default(answer)
    found = []
    for server_class in (SYNC, ASYNC):
        before = moss.count
        with pytest.raises(CredentialsError) as caught:
            read(server_class.new(moss.arguments), NOW - HOUR, NOW + HOUR)
        assert [] == spilled(caught.value, [moss.arguments["project_key"], MARK])
        found.append(facts(caught.value, moss.count - before))

    assert found[0] == found[1]
    assert (kind, attempts, True) == (found[0].kind, found[0].attempts, bool(found[0].remedy))


@pytest.mark.parametrize(
    ("status", "named"),
    [
        (401, ["MOSS_PROJECT_KEY"]),
        (403, ["MOSS_VOICE_AGENT_ID"]),
        (404, ["/session-reports", "MOSS_PLATFORM_API_URL"]),
        (405, ["MOSS_PLATFORM_API_URL"]),
    ],
)
def test_what_is_at_fault_is_named(moss: FakeMoss, server: Server, status: int, named: list[str]) -> None:
    """As for the credentials: a wrong path in the URL is not blamed on the agent alone."""
    moss.set_default(status)
    with pytest.raises(CredentialsError) as caught:
        read(server, NOW - HOUR, NOW + HOUR)
    assert [] == [each for each in named if each not in str(caught.value)]


def test_transport(moss: FakeMoss, server_class: ServerClass) -> None:
    """The server's own transport is used, and a page whose first attempt fails is read."""
    moss.add_session_report("room", report(), created_at=NOW)
    moss.queue(503)
    arguments = {**moss.arguments, "api_url": "https://moss.example"}
    server = server_class.new(arguments, transport=moss.transport())
    assert 1 == len(read(server, NOW - HOUR, NOW + HOUR))
