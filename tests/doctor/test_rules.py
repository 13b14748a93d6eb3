"""The doctor's rules without a network: frames, clocks, words, and the last gate before anything is shown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from livekit.protocol import models, rtc

from moss_voice_server._doctor import clock
from moss_voice_server._doctor.check import Check, Stopwatch, shown, split
from moss_voice_server._doctor.clock import Reading
from moss_voice_server._doctor.redact import Redactor
from moss_voice_server._doctor.signal import Agents, Joined, Left, read
from moss_voice_server._http.model import Response
from moss_voice_server._secret import Secret

KINDS = models.ParticipantInfo


def participant(identity: str, kind: Any = KINDS.AGENT, state: Any = KINDS.ACTIVE) -> models.ParticipantInfo:
    """One participant with everything that LiveKit tells of them."""
    return models.ParticipantInfo(
        sid="PA_1",
        identity=identity,
        state=state,
        kind=kind,
        metadata="m",
        name="n",
        joined_at=1,
        joined_at_ms=1000,
        attributes={"lk.agent.name": "clerk"},
        tracks=[models.TrackInfo(sid="TR_1", width=640)],
        permission=models.ParticipantPermission(can_publish=True),
    )


PEOPLE = [
    participant("user-42", KINDS.STANDARD),
    participant("agent-1"),
    participant("agent-2", state=KINDS.DISCONNECTED),
]
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


@pytest.mark.parametrize(("message", "expected"), FRAMES.values(), ids=FRAMES.keys())
def test_frames_are_read_as_protobuf_writes_them(message: dict[str, Any], expected: object) -> None:
    """The few fields that are looked at are found, whatever else a frame holds."""
    assert expected == read(rtc.SignalResponse(**message).SerializeToString())


@given(st.binary(max_size=200))
def test_no_frame_upsets_the_reader(frame: bytes) -> None:
    """Damaged frames are passed over."""
    read(frame)


@given(st.integers(min_value=0, max_value=400))
def test_no_cut_frame_upsets_the_reader(size: int) -> None:
    """Frames that break off are passed over, or read as far as they go."""
    read(rtc.SignalResponse(join=rtc.JoinResponse(other_participants=PEOPLE)).SerializeToString()[:size])


CLOCKS = {
    "nobody told": ([], "skip", "nobody told"),
    "the same": ([0.4], "ok", "the same as LiveKit's"),
    "a little": ([-20], "ok", "20 s behind LiveKit's"),
    "half a minute": ([31], "warn", "31 s ahead of LiveKit's"),
    "a minute ahead": ([60], "warn", "60 s ahead|1 minute"),
    "over a minute ahead": ([61], "fail", "not yet valid"),
    "two minutes behind": ([-120], "warn", "2 minutes behind"),
    "a quarter of an hour behind": ([-961], "fail", "has expired before it is used"),
}


@pytest.mark.parametrize(("ahead", "status", "words"), CLOCKS.values(), ids=CLOCKS.keys())
def test_clock(ahead: list[float], status: str, words: str) -> None:
    """The difference is judged by LiveKit's minute, and by what it does to tokens."""
    import re

    check = clock.check([Reading("LiveKit", each) for each in ahead], Stopwatch())

    assert (status, True) == (check.status, re.search(words, check.detail) is not None), check


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Nov 2026 18:08:12 GMT"])
def test_no_date_is_no_reading(date: str | None) -> None:
    """An answer without a date, or with nonsense for one, tells no time."""
    headers = {} if date is None else {"date": date}
    assert None is Reading.of("LiveKit", Response(200, headers, Secret(b"")), 0.0, 0.0)


def test_date_counts_whole_seconds() -> None:
    """A date is half a second old on average, and the answer was made halfway between asking and receiving."""
    response = Response(200, {"date": "Thu, 01 Jan 1970 00:01:40 GMT"}, Secret(b""))

    assert Reading("LiveKit", 0.5) == Reading.of("LiveKit", response, 100.0, 102.0)


TEXTS = {
    "key is not set: set it, or KEY_FILE": ("key is not set", "set it, or KEY_FILE"),
    "it is a page. Check the address": ("it is a page", "check the address"),
    "HTTP 500: it should pass; nothing to do here": ("HTTP 500", "it should pass; nothing to do here"),
    "url must begin with wss://; ws:// is for this machine": (
        "url must begin with wss://; ws:// is for this machine",
        "?",
    ),
    "no way out": ("no way out", "?"),
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.items(), ids=TEXTS.keys())
def test_error_texts_are_split(text: str, expected: tuple[str, str]) -> None:
    """The library's error texts end with the way out, which becomes the remedy."""
    assert expected == split(text, "?")


def test_other_peoples_texts_are_short_and_visible() -> None:
    """A name that somebody else chose cannot fill the screen or command the terminal."""
    assert ("clerk", "\\x1b[2J", 67) == (shown("clerk"), shown("\x1b[2J"), len(shown("n" * 500)))


def test_secrets_and_tokens_are_masked() -> None:
    """Whatever slips into a text all the same is masked at the last gate; short words are left alone."""
    redactor = Redactor()
    redactor.learn("hush-hush-hush", "hush-hush", "secret", "")
    check = Check("x", "fail", "it said hush-hush-hush and eyJhbGciOi.eyJzdWIi.c2ln", "not a secret: hush-hush")

    assert ("it said ******** and ********", "not a secret: ********") == redactor.clean(check)[2:4]
    assert "hush" not in repr(redactor) + str(redactor)


def test_stopwatch_gives_each_check_its_own_time() -> None:
    """A check's time is that since the one before; what is left out took none."""
    ticks = iter([1.0, 1.5, 3.5, 9.0])
    watch = Stopwatch(lambda: next(ticks))

    assert [500.0, 2000.0, 0.0] == [watch.ok("a", "").ms, watch.fail("b", "", "").ms, watch.skip("c", "").ms]
