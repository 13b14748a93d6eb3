"""The page in a real browser, with a real LiveKit server and the echo agent: calls."""

from __future__ import annotations

import asyncio
import re
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
from werkzeug.exceptions import NotFound
from werkzeug.middleware.shared_data import SharedDataMiddleware

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server._dev import browser_client as client
from moss_voice_server._dev.local_server import LocalServer, listen
from moss_voice_server.asgi import token_app
from moss_voice_server.endpoint import Admission, Denied, TokenRequest
from tests.dev.chromium import DESK, PHONE, Browser
from tests.dev.pages import NO_PROBLEM, READY, STATE, fact, joined, keys, left, loud, opened, problem, steps
from tests.dev.program import Dev, dev
from tests.livekit.media import guest
from tests.livekit.server_api import call, signed
from tests.support import loopback

pytestmark = [pytest.mark.once, pytest.mark.livekit]

# The agent's voice as the browser has received it: its energy so far.
ENERGY = """Promise.all(window.connections.map((each) => each.getStats())).then((reports) =>
  Math.max(0, ...reports.flatMap((report) => [...report.values()])
    .filter((each) => each.type === "inbound-rtp" && each.kind === "audio").map((each) => each.totalAudioEnergy ?? 0)))"""


def test_call(running: Dev, browser: Browser) -> None:
    """After joining, the agent joins and repeats voice and message; leaving works."""
    with opened(browser, running.url) as page:
        page.type("#name", "Ada")
        page.press("Enter")
        page.wait_for_text("#state", "In the room, with Echo")
        page.wait("document.getElementById('agent-voice').dataset.state === 'speaking'")
        page.wait(loud("my-level"))
        page.wait(loud("agent-level"))
        assert page.wait(f"{ENERGY}.then((energy) => energy > 0.001)")
        page.wait("document.getElementById('agent-voice').dataset.state === 'listening'")

        page.type("#message", "Hello, <b>echo</b>")
        page.press("Enter")
        page.wait("document.querySelectorAll('#messages li').length === 2")
        assert "You\nHello, <b>echo</b>\nEcho\nHello, <b>echo</b>" == page.text("#messages")
        assert ("You, Ada", "Ada", "local-agent") == (page.text("#my-name"), fact(page, "Name"), fact(page, "Agents"))
        assert ["Your voice is sent.", "The agent's voice arrives."] == [
            page.text("#my-heard"),
            page.text("#agent-heard"),
        ]
        assert ["done"] * 4 == steps(page)

        left(page)
        assert ["Not in a room", "not joined"] == [page.text("#state"), page.text("#agent-note")]
        page.wait("document.getElementById('agent-level').ariaValueNow === '0'")
        log = page.text("#log")
    said = [
        "token for guest-",
        "connection: connected",
        "sending microphone",
        "Echo joined (agent-",
        "Echo is speaking",
        "left the room",
    ]
    assert said == [words for words in said if words in log]


def test_controls_of_a_call(running: Dev, browser: Browser) -> None:
    """Mute, another microphone, the copied log and token; a token without joining; the next call is in another room."""
    with opened(browser, running.url) as page:
        assert "Token" == page.text("#token-title")
        page.click("#token-button")
        page.wait_for_text("#token-title", "Last token")
        times = [fact(page, "Valid from"), fact(page, "Valid until"), page.text("#log time")]
        assert [] == [time for time in times if not re.fullmatch(r"\d\d:\d\d:\d\d", time)]

        room, identity = joined(page), fact(page, "Identity")
        page.click("#mute-button")
        page.wait_for_text("#mute-button", "Unmute")
        page.wait("document.getElementById('my-level').ariaValueNow === '0'")
        assert page.text("#my-note").startswith("muted, ")
        page.click("#mute-button")
        page.wait(loud("my-level"))
        assert "Mute" == page.text("#mute-button")

        other = page.wait(
            "[...document.getElementById('microphone').options].find((each) => each.label.includes('Fake'))?.value"
        )
        page.choose("#microphone", other)
        page.wait(loud("my-level"))
        assert page.value(NO_PROBLEM)

        page.value("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        page.click("#log-copy-button")
        page.wait_for_text("#log-copied", "Copied.")
        lines = page.value("window.copied").splitlines()
        assert f"LiveKit's client {client.VERSION} is loaded" == lines[0].partition(" ")[2]
        assert "eyJ" not in "".join(lines)
        page.click("#token-copy-button")
        assert 3 == len(page.wait("window.copied.startsWith('eyJ') && window.copied").split("."))

        left(page)
        assert room != joined(page)
        assert identity != fact(page, "Identity")


def test_keyboard(running: Dev, browser: Browser) -> None:
    """A call needs only the keyboard, and the focus is never lost."""
    focused = "document.activeElement.id || document.activeElement.className"
    with opened(browser, running.url) as page:
        order = []
        for _ in range(5):
            page.press("Tab")
            order.append(page.value(focused))
        page.press("Enter")
        page.wait_for_text("#state", "In the room, with Echo")
        after_join = page.value(focused)
        page.press("Space")
        page.wait_for_text("#mute-button", "Unmute")
        page.press("Tab", "Enter")
        page.wait(f"{STATE} === 'idle'")
        after_leave = page.value(focused)
    assert ["skip", "name", "agent", "microphone", "join-button"] == order
    assert ("mute-button", "join-button") == (after_join, after_leave)


def test_automatic_dispatch(running: Dev, browser: Browser) -> None:
    """With automatic dispatch the token names no agent, and the unnamed echo agent joins."""
    with opened(browser, running.url) as page:
        page.choose("#agent", "automatic")
        joined(page)
        assert not page.value("document.getElementById('token-button').checkVisibility()")
        assert "automatic dispatch (unnamed agents)" == fact(page, "Agents")
        assert "POST /voice/token?dispatch=automatic" in page.text("#request")


def test_own_endpoint(page_environ: dict[str, str], livekit_binary: Path, browser: Browser) -> None:
    """With `--endpoint` the page uses the developer's endpoint. It shows the doctor's findings for a failure, CORS
    included; after the repair the call works, and its header stays masked."""
    environ = {**page_environ, "LIVEKIT_SERVER_BIN": str(livekit_binary)}
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    url = f"http://127.0.0.1:{port}/voice/token"
    with (
        dev("--port", "0", "--endpoint", url, environ=environ) as running,
        MossVoiceServerSync.from_env(running.moss_environ) as server,
        browser.page(running.url) as page,
    ):

        def authorize(scope: Any, _token_request: TokenRequest) -> Admission | Denied:
            if dict(scope["headers"]).get(b"authorization") != b"Bearer ada":
                return Denied(401)
            return Admission(ParticipantInfo("ada"), agents=(server.get_agent_name(),))

        def endpoint(*allow_origins: str) -> LocalServer:
            return LocalServer(token_app(server, authorize=authorize, allow_origins=allow_origins), listen(port))

        def fail() -> str:
            page.click("#join-button")
            page.wait(f"{STATE} === 'failed'")
            assert "failed" == steps(page)[0]
            return page.text("#problem")

        page.wait(READY)
        absent = fail()
        page.type("#authorization", "Bearer ada")
        with endpoint():
            cors = fail()
        with endpoint(running.url.rstrip("/")):
            page.click("#join-button")
            page.wait_for_text("#state", "In the room, with Echo")
            assert "authorization: ********" in page.text("#request")
            assert [running.livekit_url, url.removeprefix("http://")] == [
                page.text("#url-livekit"),
                page.text("#url-endpoint"),
            ]
            left(page)
            page.value("document.getElementById('authorization').value = 'Bearer bob'")
            denied = fail()
    assert "endpoint.tcp" in absent or "endpoint.status" in absent
    assert "endpoint.cors" in cors
    assert running.url.rstrip("/") in cors
    assert "answered 401" in denied


def test_microphone_that_is_refused(running: Dev, browser: Browser) -> None:
    """Without a microphone the page joins muted and shows the remedy; once it is allowed, it works."""
    with opened(browser, running.url, microphone="denied") as page:
        joined(page)
        said = problem(page)
        assert "Unmute" == page.text("#mute-button")
        page.type("#message", "still here")
        page.press("Enter")
        page.wait_for_text("#messages", "Echo\nstill here")
        page.allow_microphone()
        page.click("#mute-button")
        page.wait(loud("my-level"))
        assert (True, "Mute") == (page.value(NO_PROBLEM), page.text("#mute-button"))
    assert said.endswith("Allow it for this page in the browser's address bar, then press Unmute.")


def test_transcripts(without_agent: Dev, browser: Browser) -> None:
    """An agent's transcript is shown as it grows, one line for each segment, under the name of the speaker."""
    livekit = keys(without_agent)

    async def transcribe(room: str, track: str) -> None:
        token = signed(livekit, {"sub": "Bot", "kind": "agent"}, video={"roomJoin": True, "room": room})
        async with guest(without_agent.livekit_url, token) as bot:
            for segment, said, attributes in (
                ("SG_1", "Good", {}),
                ("SG_1", "Good morning", {}),
                ("SG_2", "Morning!", {"lk.transcribed_track_id": track}),
            ):
                await bot.room.local_participant.send_text(
                    said, topic="lk.transcription", attributes={"lk.segment_id": segment, **attributes}
                )
            await asyncio.to_thread(page.wait_for_text, "#messages", "Morning!")

    with opened(browser, without_agent.url) as page:
        room = joined(page, agent=False)
        page.wait_for_text("#log", "sending microphone")
        people = call(livekit, "RoomService", "ListParticipants", room)["participants"]
        asyncio.run(transcribe(room, people[0]["tracks"][0]["sid"]))
        assert "Bot\nGood morning\nYou\nMorning!" == page.text("#messages")


def test_page_of_a_developer(running: Dev, client_folder: Path, browser: Browser, tmp_path: Path) -> None:
    """The three lines that `dev` prints work unchanged in a page on another port of this machine."""
    shutil.copy(client_folder / client.FILE, tmp_path)
    body = running.snippet.replace("await new Room()", "window.room = new Room(); await window.room")
    (tmp_path / "index.html").write_text(
        f'<!doctype html><link rel="icon" href="data:,"><script src="{client.FILE}"></script><script type="module">'
        f"const {{ Room, TokenSource }} = LivekitClient;\n{body}\ndocument.title = 'joined';</script>"
    )
    with (
        loopback.wsgi(SharedDataMiddleware(NotFound(), {"/": str(tmp_path)})) as url,
        browser.page(f"{url.replace('127.0.0.1', 'localhost')}/index.html") as page,
    ):
        page.wait("document.title === 'joined'")
        assert "Echo" == page.wait("[...window.room.remoteParticipants.values()][0]?.name")


def test_accessible(running: Dev, browser: Browser, pictures: Path) -> None:
    """No serious finding of axe-core before joining and in the room, in light on a desk and in dark on a phone."""
    overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

    def look(moment: str) -> None:
        for size in (DESK, PHONE):
            page.look(size, dark=size == PHONE)
            assert ([], 0) == (page.serious_findings(), page.value(overflow))
            page.shoot(pictures / f"{moment}-{size[0]}.png")

    with opened(browser, running.url) as page:
        look("ready")
        joined(page)
        page.type("#message", "Hello")
        page.press("Enter")
        page.wait_for_text("#messages", "Echo\nHello")
        look("joined")
        page.wait_for_text("#my-note", "excellent connection")
