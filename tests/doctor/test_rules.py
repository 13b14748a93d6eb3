"""The doctor's rules without a network: frames, clocks, texts and the redactor."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from moss_voice_server._doctor import clock_offset
from moss_voice_server._doctor.check import Check, Verdict, run
from moss_voice_server._doctor.clock_offset import ClockOffset
from moss_voice_server._doctor.found import Found
from moss_voice_server._doctor.options import Options, Redactor
from moss_voice_server._doctor.signalling import Agents, Joined, Left, read
from moss_voice_server._http.model import Response
from moss_voice_server._secret import Secret

pytestmark = pytest.mark.once

KINDS = models.ParticipantInfo


USER = models.ParticipantInfo(identity="user-42", kind=KINDS.STANDARD, state=KINDS.ACTIVE, tracks=[models.TrackInfo()])
AGENT = models.ParticipantInfo(sid="PA_1", identity="agent-1", kind=KINDS.AGENT, state=KINDS.ACTIVE, joined_at_ms=1000)
GONE = models.ParticipantInfo(identity="agent-2", kind=KINDS.AGENT, state=KINDS.DISCONNECTED)
PEOPLE = [USER, AGENT, GONE]
FRAMES: dict[str, tuple[dict[str, Any], object]] = {
    "join": (
        {"join": rtc.JoinResponse(server_info=models.ServerInfo(version="1.13.5", edition="Standard", node_id="ND_1"))},
        Joined("1.13.5", ()),
    ),
    "join of an old server": ({"join": rtc.JoinResponse(server_version="1.0.0")}, Joined("1.0.0", ())),
    "join after an agent": ({"join": rtc.JoinResponse(other_participants=PEOPLE)}, Joined("", ("agent-1",))),
    "update": ({"update": rtc.ParticipantUpdate(participants=PEOPLE)}, Agents(("agent-1",))),
    "update without an agent": ({"update": rtc.ParticipantUpdate(participants=PEOPLE[:1])}, Agents(())),
    "leave": ({"leave": rtc.LeaveRequest(reason=models.JOIN_FAILURE, can_reconnect=True)}, Left(7)),
    "leave for no reason": ({"leave": rtc.LeaveRequest()}, Left(0)),
    "something else": ({"refresh_token": "eyJ.token"}, None),
    "nothing": ({}, None),
}


def test_frames_are_read_as_protobuf_writes_them() -> None:
    """The needed fields are found beside all others of a frame."""
    for message, expected in FRAMES.values():
        assert expected == read(rtc.SignalResponse(**message).SerializeToString())


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=60))
def test_damaged_frames_are_ignored(frame: bytes, size: int) -> None:
    """Damaged frames are passed over, and so are those that break off."""
    read(frame)
    whole = rtc.SignalResponse(join=rtc.JoinResponse(other_participants=PEOPLE)).SerializeToString()
    assert size >= len(whole) or read(whole[:size]) is None


CLOCKS: dict[str, tuple[list[float], str, str]] = {
    "unknown": ([], "skip", "Date"),
    "the same": ([0.4], "ok", "in sync with LiveKit's"),
    "a little": ([-20], "ok", "20 seconds behind LiveKit's"),
    "half a minute": ([31], "warn", "31 seconds ahead of LiveKit's"),
    "a minute ahead": ([60], "warn", "60 seconds ahead"),
    "over a minute ahead": ([61], "fail", "not yet valid"),
    "two minutes behind": ([-120], "warn", "2 minutes behind"),
    "a quarter of an hour behind": ([-961], "fail", "expires before it is used"),
}


def test_clock() -> None:
    """The difference is judged by LiveKit's minute, and by what it does to tokens."""
    for ahead, status, words in CLOCKS.values():
        check = clock_offset.judge([ClockOffset("LiveKit", each) for each in ahead])

        assert (status, True) == (check.status, re.search(words, check.detail) is not None), check


def test_no_date_gives_no_offset() -> None:
    """A response without a valid Date header gives no offset."""
    for date in [None, "", "yesterday", "Mon, 99 Nov 2026 18:08:12 GMT"]:
        headers = {} if date is None else {"date": date}
        assert None is ClockOffset.of("LiveKit", Response(200, headers, Secret(b"")), 0.0, 0.0)


def test_date_counts_whole_seconds() -> None:
    """A date is half a second old on average, and the answer was made halfway between asking and receiving."""
    response = Response(200, {"date": "Thu, 01 Jan 1970 00:01:40 GMT"}, Secret(b""))

    assert ClockOffset("LiveKit", 0.5) == ClockOffset.of("LiveKit", response, 100.0, 102.0)


def test_secrets_and_tokens_are_masked() -> None:
    """Secrets and tokens in a text are masked; short words are not."""
    redactor = Redactor()
    redactor.learn("hush-hush-hush", "hush-hush", "secret", "")
    check = Check("x", "fail", "it said hush-hush-hush and eyJhbGciOi.eyJzdWIi.c2ln", "not a secret: hush-hush")

    assert ("it said ******** and ********", "not a secret: ********") == redactor.clean(check)[2:4]
    assert "hush" not in repr(redactor) + str(redactor)


def test_check_has_its_time() -> None:
    """What a judge has measured counts; what is left out took no time."""
    judges = {
        "a": lambda _: Verdict("ok", "joined", seconds=2.0),
        "b": lambda _: Verdict("skip", "not needed"),
        "c": lambda _: Verdict("skip", "none joined", seconds=0.5),
    }

    assert [2000.0, 0.0, 500.0] == [check.ms for check in run(judges, Found(Options({})), "")]
