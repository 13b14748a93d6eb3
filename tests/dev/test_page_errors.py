"""The page in a real browser when something is absent or fails: it shows the cause and the remedy."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from livekit.protocol import rtc

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server._cli._local import AGENT_NAME
from moss_voice_server._dev import browser_client as client
from moss_voice_server._dev.echo import EchoAgent
from moss_voice_server._secret import Secret
from moss_voice_server.testing import LiveKitServer
from tests.dev.chromium import DESK, PHONE, Browser
from tests.dev.pages import HURRY, NO_PROBLEM, READY, STATE, fact, joined, keys, left, opened, problem, refusing, steps
from tests.dev.program import Dev, dev, given
from tests.livekit.media import guest
from tests.livekit.server_api import call, signed
from tests.support.programs import program

pytestmark = pytest.mark.once


@pytest.mark.livekit
def test_agent_does_not_join(without_agent: Dev, browser: Browser, pictures: Path) -> None:
    """Without a worker, the page says after ten seconds that no agent joined, and shows the usual causes and the command
    that finds the cause; the notice disappears when an agent joins."""
    livekit = keys(without_agent)

    async def stay(room: str) -> None:
        token = signed(livekit, {"sub": "Late", "kind": "agent"}, video={"roomJoin": True, "room": room})
        async with guest(without_agent.livekit_url, token):
            await asyncio.to_thread(page.wait, "document.getElementById('absence').hidden")

    with opened(browser, without_agent.url) as page:
        page.value(HURRY)
        room = joined(page, agent=False)
        page.wait("!document.getElementById('absence').hidden")
        assert ["done", "done", "done", "failed"] == steps(page)
        reasons = page.text("#absence-reasons").splitlines()
        command = page.text("#absence-command")
        assert [] == page.serious_findings()
        for size in (DESK, PHONE):
            page.look(size, dark=size == PHONE)
            page.shoot(pictures / f"absence-{size[0]}.png")
        asyncio.run(stay(room))
        assert ["done"] * 4 == steps(page)
    assert [3, True] == [len(reasons), AGENT_NAME in reasons[0]]
    assert f"moss-voice-server doctor --agent {AGENT_NAME}" == command


SERVER = MossVoiceServerSync.from_livekit("wss://voice.example", "APIkey", "s" * 32)
TOKEN = SERVER.create_participant_token(ParticipantInfo("ada"), "room")
EARLIER = (
    "This page is older than its LiveKit server: moss-voice-server dev was restarted.\n\nReload this page, then join"
)
GONE = "The token endpoint cannot be reached.\n\nCheck that moss-voice-server dev still runs"
LATER = "The token endpoint answered 503: Try later.\n\nTry again in 5 seconds."
ENDPOINT_ERRORS: dict[str, tuple[dict[str, Any] | None, str]] = {
    "gone": (None, GONE),
    "HTML": ({"body": "<html>"}, "The token endpoint answered 200: the response contains no token"),
    "unavailable": ({**refusing(503, {"message": "Try later."}), "headers": {"Retry-After": "5"}}, LATER),
    "earlier start": (refusing(201, {"server_url": "ws://127.0.0.1:9", "participant_token": TOKEN}), EARLIER),
    "rejected": (refusing(403, {"error": "x", "message": "No."}), "The token endpoint answered 403: No.\n"),
}


@pytest.mark.livekit
@pytest.mark.parametrize(("answer", "text"), ENDPOINT_ERRORS.values(), ids=ENDPOINT_ERRORS.keys())
def test_endpoint_errors(answer: Any, text: str, running: Dev, browser: Browser) -> None:
    """The page shows the cause and the remedy, and joining can be repeated."""
    with opened(browser, running.url, answers={f"{running.url}voice/token": answer}) as page:
        page.click("#join-button")
        assert problem(page).startswith(text)
        assert [] == page.serious_findings()
        assert ("failed", False) == (page.value(STATE), page.value("document.getElementById('join-button').disabled"))


@pytest.mark.livekit
def test_livekit_is_killed(
    page_environ: dict[str, str], livekit_binary: Path, browser: Browser, pictures: Path
) -> None:
    """When the LiveKit server is killed, the page says so. After a restart it joins again by itself, and says that the
    agent did not. Leaving works, and joining a server that is down shows the remedy."""
    with (
        LiveKitServer(livekit_binary) as server,
        dev("--port", "0", "--no-agent", *given(server), environ=page_environ, stdin=server.api_secret) as running,
        opened(browser, running.url) as page,
    ):

        def kill() -> None:
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            page.wait(f"{STATE} === 'reconnecting'")
            assert "Connection lost, reconnecting …" == page.text("#state")

        page.value(HURRY)
        with EchoAgent(server.url, server.api_key, Secret(server.api_secret), (AGENT_NAME,)):
            joined(page)
            page.wait_for_text("#agent-heard", "The agent's voice arrives.")
        kill()
        server.restart()
        page.wait(f"{STATE} === 'joined'")
        page.wait("!document.getElementById('absence').hidden")
        assert ["In the room", ""] == [page.text("#state"), page.text("#agent-heard")]
        assert 4 == len(page.text("#absence-reasons").splitlines())
        kill()
        left(page)
        page.click("#join-button")
        said = problem(page)
        page.wait(f"{STATE} === 'failed'")
        page.shoot(pictures / "livekit-gone.png")
        assert [] == page.serious_findings()
    assert said.startswith(
        "The LiveKit server cannot be reached.\n\nCheck that it runs. Run moss-voice-server doctor in a terminal"
    )


# LiveKit sends this before it stops, but may exit before it is sent: the page then sees only a lost connection.
SHUTDOWN = list(rtc.SignalResponse(leave={"reason": "SERVER_SHUTDOWN"}).SerializeToString())
KEEP_SOCKET = "window.WebSocket = class extends WebSocket { constructor(url) { super(url); window.signal = this; } }"
ENDINGS = {
    "stopped": "The LiveKit server was stopped.\n\nStart it again, or check that ",
    "removed": "You were removed from the room.\n\nJoin again for a new room.",
}


@pytest.mark.livekit
@pytest.mark.parametrize("how", ENDINGS)
def test_call_is_ended(how: str, running: Dev, browser: Browser) -> None:
    """When LiveKit ends the call, the page says why, and can join another room."""
    with opened(browser, running.url) as page:
        page.value(KEEP_SOCKET)
        room = joined(page)
        if how == "stopped":
            page.value(
                f"signal.dispatchEvent(new MessageEvent('message', {{ data: new Uint8Array({SHUTDOWN}).buffer }}))"
            )
        else:
            call(keys(running), "RoomService", "RemoveParticipant", room, identity=fact(page, "Identity"))
        assert problem(page).startswith(ENDINGS[how])
        assert ("failed", ["done", "done", "failed", ""]) == (page.value(STATE), steps(page))
        assert room != joined(page)
        assert page.value(NO_PROBLEM)


@pytest.mark.livekit
def test_cancel(running: Dev, browser: Browser) -> None:
    """Joining can be cancelled."""
    with opened(browser, running.url) as page:
        page.value("window.WebSocket = class extends EventTarget { readyState = 0; close() {} send() {} }")
        page.click("#join-button")
        page.wait(f"{STATE} === 'joining'")
        assert "Cancel" == page.text("#leave-button")
        page.click("#leave-button")
        page.wait(f"{STATE} === 'idle'")
        assert page.value(NO_PROBLEM)


def test_no_livekit(without_livekit: Dev, browser: Browser) -> None:
    """Without a LiveKit server the page says how to get one, once, and its main button creates a token."""
    with opened(browser, without_livekit.url) as page:
        assert ("Create a token", False) == (
            page.text("#join-button"),
            page.value("document.getElementById('join-button').disabled"),
        )
        notice = page.text("#notices")
        assert "LiveKit server" not in page.text("#log")
        page.click("#join-button")
        page.wait("!document.getElementById('token-panel').hidden")
        assert ("Guest", "local-agent") == (fact(page, "Name"), fact(page, "Agents"))
        assert "join this room, and no other\n" in page.text("#token-allows")
        assert "change your own name and attributes in the room\n" in page.text("#token-forbids")
        assert page.text("#response").startswith(
            "201 Created\ncontent-type: application/json\ncache-control: no-store\n"
        )
        assert 0.99 < page.value("document.getElementById('token-life').value") <= 1
        first = fact(page, "Identity")
        page.click("#join-button")
        page.wait(f"!document.getElementById('token-facts').innerText.includes({json.dumps(first)})")
        assert [] == page.serious_findings()
    assert notice.startswith("There is no LiveKit server, so you cannot join a call.")
    assert "Install one: " in notice


def test_token_for_a_server_elsewhere(without_livekit: Dev, browser: Browser) -> None:
    """The signature of a token for another server is masked, because a reader could join with it."""
    url = f"{without_livekit.url}voice/token"
    answer = refusing(201, {"server_url": "wss://voice.example", "participant_token": TOKEN})
    with opened(browser, without_livekit.url, answers={url: answer}) as page:
        page.click("#join-button")
        page.wait("!document.getElementById('token-panel').hidden")
        shown = page.text("#response")
    assert f'"{TOKEN.rpartition(".")[0]}.********"' in shown
    assert TOKEN.rpartition(".")[2] not in shown


needs_cdn = pytest.mark.skipif(
    (client.VENDOR / client.FILE).exists(), reason="LiveKit's client came with the wheel: the CDN is not used"
)
CDN_SCRIPT = {"contentType": "text/javascript", "headers": {"Access-Control-Allow-Origin": "*"}}


@needs_cdn
@pytest.mark.livekit
@pytest.mark.parametrize(
    ("answer", "with_livekit"),
    [
        pytest.param(None, True, id="not reachable"),
        pytest.param({**CDN_SCRIPT, "body": "alert(1)"}, False, id="another file"),
    ],
)
def test_client_that_is_absent(
    answer: Any,
    with_livekit: bool,
    page_environ: dict[str, str],
    livekit_binary: Path,
    browser: Browser,
    pictures: Path,
) -> None:
    """Without the client, or with another file in its place, the page still creates tokens, and says why it cannot join."""
    livekit = {"LIVEKIT_SERVER_BIN": str(livekit_binary)} if with_livekit else {}
    with (
        dev("--port", "0", "--no-agent", environ={**page_environ, **livekit, "XDG_CACHE_HOME": "/nowhere"}) as running,
        opened(browser, running.url, answers={client.CDN: answer}) as page,
    ):
        notices = page.text("#notices")
        page.click("#join-button")
        page.wait("!document.getElementById('token-panel').hidden")
    assert ("LiveKit's client could not be loaded" in notices) == with_livekit


@needs_cdn
def test_client_that_npm_does_not_fetch(
    page_environ: dict[str, str], client_folder: Path, browser: Browser, tmp_path: Path
) -> None:
    """A page that is opened while npm runs uses the CDN when npm fails."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    program(tmp_path / "npm", f"open({str(gate)!r}).read()\nraise SystemExit(1)")
    answer = {**CDN_SCRIPT, "file": str(client_folder / client.FILE)}
    with (
        dev("--port", "0", environ={**page_environ, "XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path)}) as running,
        browser.page(running.url, answers={client.CDN: answer}) as page,
    ):
        page.wait("document.querySelector('script[integrity]')")
        gate.write_text("give up")
        page.wait(READY)
        assert f"LiveKit's client {client.VERSION} is loaded" in page.text("#log")
        asked = [address for address in page.seen().requests if address.endswith(client.FILE)]
    assert [f"{running.url}{client.FILE}", client.CDN] == asked
