"""The page in a real browser, with a real LiveKit server and the echo agent: calls and errors."""

from __future__ import annotations

import asyncio
import functools
import http.server
import json
import os
import re
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server._cli._local import AGENT_NAME
from moss_voice_server._dev import browser_client as client
from moss_voice_server._dev.echo import EchoAgent
from moss_voice_server._dev.local_server import LocalServer, listen
from moss_voice_server._secret import Secret
from moss_voice_server.asgi import token_app
from moss_voice_server.endpoint import Admission, Denied, TokenRequest
from moss_voice_server.testing import LiveKitServer
from tests.cli.shell import bare_environ
from tests.dev.chromium import DESK, PHONE, Browser, Page
from tests.dev.program import Dev, dev
from tests.dev.wire import ask
from tests.livekit.media import guest
from tests.livekit.server_api import call, signed

pytestmark = pytest.mark.once

READY = "document.body.dataset.ready === 'true'"
STATE = "document.getElementById('state').dataset.state"
LOUD = 30  # of 100 on a meter: -42 dB

# The agent's voice as the browser has received it: its energy so far.
ENERGY = """Promise.all(window.connections.map((each) => each.getStats())).then((reports) =>
  Math.max(0, ...reports.flatMap((report) => [...report.values()])
    .filter((each) => each.type === "inbound-rtp" && each.kind === "audio").map((each) => each.totalAudioEnergy ?? 0)))"""


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory, client_folder: Path) -> dict[str, str]:
    """An environment with LiveKit's client in the cache, and nothing else."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(client_folder, home / "cache" / "moss-voice-server" / f"livekit-client-{client.VERSION}")
    return {**bare_environ(home), "XDG_CACHE_HOME": str(home / "cache")}


@pytest.fixture(scope="module")
def running(environ: dict[str, str], livekit_binary: Path) -> Iterator[Dev]:
    """`dev` with a LiveKit server and the echo agent, for tests that break nothing."""
    with dev("--port", "0", environ={**environ, "LIVEKIT_SERVER_BIN": str(livekit_binary)}) as one:
        yield one


@pytest.fixture(scope="module")
def without_livekit(environ: dict[str, str]) -> Iterator[Dev]:
    """`dev` without a LiveKit server."""
    with dev("--port", "0", environ=environ) as one:
        yield one


@contextmanager
def opened(browser: Browser, url: str, **how: Any) -> Iterator[Page]:
    """The page, ready; all its requests stay on this machine, and no error is unseen."""
    with browser.page(url, **how) as page:
        page.wait(READY)
        yield page
        seen = page.seen()
    assert [] == [address for address in seen.requests if not address.startswith(("http://127.0.0.1:", client.CDN))]
    assert [] == [line for line in seen.console if "uncaught" in line or "Content Security Policy" in line]


def joined(page: Page, *, agent: bool = True) -> str:
    """Join, wait until in (and for the agent), and return the room."""
    page.click("#join-button")
    page.wait(f"{STATE} === 'joined'")
    if agent:
        page.wait_for_text("#state", "In the room, with Echo")
    return fact(page, "Room")


def fact(page: Page, name: str) -> str:
    """A fact of the token panel."""
    facts: dict[str, str] = page.value(
        "Object.fromEntries([...document.querySelectorAll('dt')].map((each) => [each.innerText, each.nextSibling.innerText]))"
    )
    return facts[name]


def steps(page: Page) -> list[str]:
    """The states of the steps in the picture."""
    states: list[str] = page.value(
        "[...document.querySelectorAll('#picture li')].map((each) => each.dataset.state ?? '')"
    )
    return states


def problem(page: Page) -> str:
    """The problem that the page shows, and the remedy."""
    page.wait("!document.getElementById('problem').hidden")
    return page.text("#problem")


def refusing(status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """An answer to a request, in the driver's words."""
    return {"status": status, "contentType": "application/json", "body": json.dumps(body)}


@pytest.mark.livekit
def test_call(running: Dev, browser: Browser, pictures: Path) -> None:
    """After joining, the agent joins and repeats voice and message; leaving works."""
    with opened(browser, running.url) as page:
        page.type("#name", "Ada")
        page.press("Enter")
        page.wait_for_text("#state", "In the room, with Echo")
        page.wait("document.getElementById('agent-voice').dataset.state === 'speaking'")
        page.wait(f"Number(document.getElementById('my-level').ariaValueNow) > {LOUD}")
        page.wait(f"Number(document.getElementById('agent-level').ariaValueNow) > {LOUD}")
        page.shoot(pictures / "speaking.png")
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
        page.shoot(pictures / "joined.png")

        page.click("#leave-button")
        page.wait(f"{STATE} === 'idle'")
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


@pytest.mark.livekit
def test_controls_of_a_call(running: Dev, browser: Browser, pictures: Path) -> None:
    """Mute, another microphone, the copied log and token; a token without joining; the next call is in another room."""
    loud = f"Number(document.getElementById('my-level').ariaValueNow) > {LOUD}"
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
        page.shoot(pictures / "muted.png")
        page.click("#mute-button")
        page.wait(loud)
        assert "Mute" == page.text("#mute-button")

        other = page.wait(
            "[...document.getElementById('microphone').options].find((each) => each.label.includes('Fake'))?.value"
        )
        page.choose("#microphone", other)
        page.wait(loud)
        assert page.value("document.getElementById('problem').hidden")

        page.value("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        page.click("#log-copy-button")
        page.wait_for_text("#log-copied", "Copied.")
        lines = page.value("window.copied").splitlines()
        assert f"LiveKit's client {client.VERSION} is loaded" == lines[0].partition(" ")[2]
        assert "eyJ" not in "".join(lines)
        page.click("#token-copy-button")
        assert 3 == len(page.wait("window.copied.startsWith('eyJ') && window.copied").split("."))

        page.click("#leave-button")
        page.wait(f"{STATE} === 'idle'")
        assert room != joined(page)
        assert identity != fact(page, "Identity")


@pytest.mark.livekit
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


@pytest.mark.livekit
def test_automatic_dispatch(running: Dev, browser: Browser) -> None:
    """With automatic dispatch the token names no agent, and the unnamed echo agent joins."""
    with opened(browser, running.url) as page:
        page.choose("#agent", "automatic")
        joined(page)
        assert not page.value("document.getElementById('token-button').checkVisibility()")
        assert "automatic dispatch (unnamed agents)" == fact(page, "Agents")
        assert "POST /voice/token?dispatch=automatic" in page.text("#request")


@pytest.mark.livekit
def test_agent_does_not_join(
    environ: dict[str, str], livekit_server: LiveKitServer, browser: Browser, pictures: Path
) -> None:
    """Without a worker, the page says within ten seconds that no agent joined, and shows the usual causes and the command
    that finds the cause; the notice disappears when an agent joins."""

    async def stay(room: str) -> None:
        token = signed(livekit_server, {"sub": "Late", "kind": "agent"}, video={"roomJoin": True, "room": room})
        async with guest(livekit_server.url, token):
            await asyncio.to_thread(page.wait, "document.getElementById('absence').hidden")

    credentials = (livekit_server.url, livekit_server.api_key, Secret(livekit_server.api_secret))
    with given(livekit_server, environ, "--no-agent") as running, opened(browser, running.url) as page:
        with EchoAgent(*credentials, (AGENT_NAME,)):
            joined(page)
            page.click("#leave-button")
            page.wait(f"{STATE} === 'idle'")
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


@pytest.mark.livekit
def test_own_endpoint(environ: dict[str, str], livekit_binary: Path, browser: Browser, pictures: Path) -> None:
    """With `--endpoint` the page uses the developer's endpoint. It shows the doctor's findings for a failure, CORS
    included; after the repair the call works, and its header stays masked."""
    environ = {**environ, "LIVEKIT_SERVER_BIN": str(livekit_binary)}
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
            page.shoot(pictures / "endpoint-cors.png")
        with endpoint(running.url.rstrip("/")):
            page.click("#join-button")
            page.wait_for_text("#state", "In the room, with Echo")
            assert "authorization: ********" in page.text("#request")
            assert [running.livekit_url, url.removeprefix("http://")] == [
                page.text("#url-livekit"),
                page.text("#url-endpoint"),
            ]
            page.click("#leave-button")
            page.wait(f"{STATE} === 'idle'")
            page.value("document.getElementById('authorization').value = 'Bearer bob'")
            denied = fail()
    assert "endpoint.tcp" in absent or "endpoint.status" in absent
    assert "endpoint.cors" in cors
    assert running.url.rstrip("/") in cors
    assert "answered 401" in denied


@pytest.mark.livekit
def test_microphone_that_is_refused(running: Dev, browser: Browser, pictures: Path) -> None:
    """Without a microphone the page joins muted and shows the remedy; once it is allowed, it works."""
    with opened(browser, running.url, microphone="denied") as page:
        joined(page)
        said = problem(page)
        page.shoot(pictures / "no-microphone.png")
        assert "Unmute" == page.text("#mute-button")
        page.type("#message", "still here")
        page.press("Enter")
        page.wait_for_text("#messages", "Echo\nstill here")
        page.allow_microphone()
        page.click("#mute-button")
        page.wait(f"Number(document.getElementById('my-level').ariaValueNow) > {LOUD}")
        assert (True, "Mute") == (page.value("document.getElementById('problem').hidden"), page.text("#mute-button"))
    assert said.endswith("Allow it for this page in the browser's address bar, then press Unmute.")


@pytest.mark.livekit
def test_transcripts(environ: dict[str, str], livekit_server: LiveKitServer, browser: Browser) -> None:
    """An agent's transcript is shown as it grows, one line for each segment, under the name of the speaker."""
    bot_claims = {"sub": "Bot", "kind": "agent"}

    async def transcribe(room: str, track: str) -> None:
        token = signed(livekit_server, bot_claims, video={"roomJoin": True, "room": room})
        async with guest(livekit_server.url, token) as bot:
            for segment, said, attributes in (
                ("SG_1", "Good", {}),
                ("SG_1", "Good morning", {}),
                ("SG_2", "Morning!", {"lk.transcribed_track_id": track}),
            ):
                await bot.room.local_participant.send_text(
                    said, topic="lk.transcription", attributes={"lk.segment_id": segment, **attributes}
                )
            await asyncio.to_thread(page.wait_for_text, "#messages", "Morning!")

    with given(livekit_server, environ, "--no-agent") as running, opened(browser, running.url) as page:
        room = joined(page, agent=False)
        page.wait_for_text("#log", "sending microphone")
        people = call(livekit_server, "RoomService", "ListParticipants", room)["participants"]
        asyncio.run(transcribe(room, people[0]["tracks"][0]["sid"]))
        assert "Bot\nGood morning\nYou\nMorning!" == page.text("#messages")


GONE = "The token endpoint cannot be reached.\n\nCheck that moss-voice-server dev still runs"
LATER = "The token endpoint answered 503: Try later.\n\nTry again in 5 seconds."
ENDPOINT_ERRORS: dict[str, tuple[dict[str, Any] | None, str]] = {
    "gone": (None, GONE),
    "HTML": ({"body": "<html>"}, "The token endpoint answered 200: the response contains no token"),
    "unavailable": ({**refusing(503, {"message": "Try later."}), "headers": {"Retry-After": "5"}}, LATER),
    "rejected": (refusing(403, {"error": "x", "message": "No."}), "The token endpoint answered 403: No.\n"),
}


@pytest.mark.livekit
@pytest.mark.parametrize(("answer", "text"), ENDPOINT_ERRORS.values(), ids=ENDPOINT_ERRORS.keys())
def test_endpoint_errors(answer: Any, text: str, running: Dev, browser: Browser, pictures: Path) -> None:
    """The page shows the cause and the remedy, and joining can be repeated."""
    with opened(browser, running.url, answers={f"{running.url}voice/token": answer}) as page:
        page.click("#join-button")
        assert problem(page).startswith(text)
        page.shoot(pictures / "endpoint-error.png")
        assert [] == page.serious_findings()
        assert ("failed", False) == (page.value(STATE), page.value("document.getElementById('join-button').disabled"))


@pytest.mark.livekit
def test_livekit_is_killed(environ: dict[str, str], livekit_binary: Path, browser: Browser, pictures: Path) -> None:
    """When the LiveKit server is killed, the page says so, leaving works, and joining again shows the remedy."""
    with (
        LiveKitServer(livekit_binary) as server,
        given(server, environ) as running,
        opened(browser, running.url) as page,
    ):
        joined(page)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        page.wait(f"{STATE} === 'reconnecting'")
        assert "Connection lost, reconnecting …" == page.text("#state")
        page.shoot(pictures / "reconnecting.png")
        page.click("#leave-button")
        page.wait(f"{STATE} === 'idle'")
        page.click("#join-button")
        said = problem(page)
        page.wait(f"{STATE} === 'failed'")
        page.shoot(pictures / "livekit-gone.png")
        assert [] == page.serious_findings()
    assert said.startswith(
        "The LiveKit server cannot be reached.\n\nCheck that it runs. Run moss-voice-server doctor in a terminal"
    )


@pytest.mark.livekit
def test_page_of_an_earlier_start(running: Dev, browser: Browser) -> None:
    """A page from before a restart of `dev` cannot connect to the new LiveKit server: it shows the remedy."""
    token = ask(running.url, "/voice/token", method="POST", body={}).json["participant_token"]
    answer = refusing(201, {"server_url": "ws://127.0.0.1:9", "participant_token": token})
    with opened(browser, running.url, answers={f"{running.url}voice/token": answer}) as page:
        page.click("#join-button")
        said = problem(page)
    assert said.endswith("moss-voice-server dev was restarted.\n\nReload this page, then join again.")


@pytest.mark.livekit
def test_livekit_is_stopped(environ: dict[str, str], livekit_binary: Path, browser: Browser) -> None:
    """When the LiveKit server is stopped, the page says so, and can join again after its start."""
    with (
        LiveKitServer(livekit_binary) as server,
        given(server, environ) as running,
        opened(browser, running.url) as page,
    ):
        joined(page)
        said = ""
        for _ in range(3):  # the client may have joined the new server before it heard that the old one stopped
            server.restart()
            with suppress(AssertionError):
                said = problem(page)
                break
        assert said.startswith("The LiveKit server was stopped.\n\nStart it again, or check that ")
        joined(page, agent=False)
        assert page.value("document.getElementById('problem').hidden")


@contextmanager
def given(server: LiveKitServer, environ: dict[str, str], *more: str) -> Iterator[Dev]:
    """`dev` with this LiveKit server."""
    options = (*more, "--livekit-url", server.url, "--api-key", server.api_key, "--api-secret", "-")
    with dev("--port", "0", *options, environ=environ, stdin=server.api_secret) as running:
        yield running


@pytest.mark.livekit
def test_removed(environ: dict[str, str], livekit_server: LiveKitServer, browser: Browser) -> None:
    """A participant who is removed from the room sees that, and can join another one."""
    with given(livekit_server, environ) as running, opened(browser, running.url) as page:
        room = joined(page)
        call(livekit_server, "RoomService", "RemoveParticipant", room, identity=fact(page, "Identity"))
        assert "You were removed from the room.\n\nJoin again for a new room." == problem(page)
        assert room != joined(page)


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
        assert page.value("document.getElementById('problem').hidden")


def test_no_livekit(without_livekit: Dev, browser: Browser, pictures: Path) -> None:
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
        page.shoot(pictures / "no-livekit.png")
        first = fact(page, "Identity")
        page.click("#join-button")
        page.wait(f"!document.getElementById('token-facts').innerText.includes({json.dumps(first)})")
        assert [] == page.serious_findings()
    assert notice.startswith("There is no LiveKit server, so you cannot join a call.")
    assert "Install one: " in notice


def test_token_for_a_server_elsewhere(without_livekit: Dev, browser: Browser) -> None:
    """The signature of a token for another server is masked, because a reader could join with it."""
    url = f"{without_livekit.url}voice/token"
    token = ask(without_livekit.url, "/voice/token", method="POST", body={}).json["participant_token"]
    answer = refusing(201, {"server_url": "wss://voice.example", "participant_token": token})
    with opened(browser, without_livekit.url, answers={url: answer}) as page:
        page.click("#join-button")
        page.wait("!document.getElementById('token-panel').hidden")
        shown = page.text("#response")
    assert f'"{token.rpartition(".")[0]}.********"' in shown
    assert token.rpartition(".")[2] not in shown


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
    answer: Any, with_livekit: bool, environ: dict[str, str], livekit_binary: Path, browser: Browser, pictures: Path
) -> None:
    """Without the client, or with another file in its place, the page still creates tokens, and says why it cannot join."""
    livekit = {"LIVEKIT_SERVER_BIN": str(livekit_binary)} if with_livekit else {}
    with (
        dev("--port", "0", "--no-agent", environ={**environ, **livekit, "XDG_CACHE_HOME": "/nowhere"}) as running,
        opened(browser, running.url, answers={client.CDN: answer}) as page,
    ):
        notices = page.text("#notices")
        page.click("#join-button")
        page.wait("!document.getElementById('token-panel').hidden")
        page.shoot(pictures / "no-client.png")
    assert ("LiveKit's client could not be loaded" in notices) == with_livekit


@needs_cdn
def test_client_that_npm_does_not_fetch(
    environ: dict[str, str], client_folder: Path, browser: Browser, tmp_path: Path
) -> None:
    """A page that is opened while npm runs uses the CDN when npm fails."""
    gate, npm = tmp_path / "gate", tmp_path / "npm"
    os.mkfifo(gate)
    npm.write_text(f"#!{sys.executable}\nopen({str(gate)!r}).read()\nraise SystemExit(1)\n")
    npm.chmod(0o755)
    answer = {**CDN_SCRIPT, "file": str(client_folder / client.FILE)}
    with (
        dev("--port", "0", environ={**environ, "XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path)}) as running,
        browser.page(running.url, answers={client.CDN: answer}) as page,
    ):
        page.wait("document.querySelector('script[integrity]')")
        gate.write_text("give up")
        page.wait(READY)
        assert f"LiveKit's client {client.VERSION} is loaded" in page.text("#log")
        asked = [address for address in page.seen().requests if address.endswith(client.FILE)]
    assert [f"{running.url}{client.FILE}", client.CDN] == asked


@pytest.mark.livekit
def test_page_of_a_developer(running: Dev, client_folder: Path, browser: Browser, tmp_path: Path) -> None:
    """The three lines that `dev` prints work unchanged in a page on another port of this machine."""
    shutil.copy(client_folder / client.FILE, tmp_path)
    body = running.snippet.replace("await new Room()", "window.room = new Room(); await window.room")
    (tmp_path / "index.html").write_text(
        f'<!doctype html><link rel="icon" href="data:,"><script src="{client.FILE}"></script><script type="module">'
        f"const {{ Room, TokenSource }} = LivekitClient;\n{body}\ndocument.title = 'joined';</script>"
    )
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with browser.page(f"http://localhost:{server.server_port}/") as page:
                page.wait("document.title === 'joined'")
                assert "Echo" == page.wait("[...window.room.remoteParticipants.values()][0]?.name")
        finally:
            server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a log."""

    def log_message(self, *_: Any) -> None:
        """No log."""


@pytest.mark.livekit
def test_accessible(running: Dev, browser: Browser, pictures: Path) -> None:
    """No serious finding of axe-core before joining and in the room, in light and dark, on a desk and on a phone."""
    findings: list[list[str]] = []
    overflows: list[int] = []

    def look(moment: str) -> None:
        for size in (DESK, PHONE):
            for dark in (False, True):
                page.look(size, dark=dark)
                findings.extend(page.serious_findings())
                overflows.append(
                    page.value("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                )
                page.shoot(pictures / f"{moment}-{'dark' if dark else 'light'}-{size[0]}.png")

    with opened(browser, running.url) as page:
        look("ready")
        joined(page)
        page.type("#message", "Hello")
        page.press("Enter")
        page.wait_for_text("#messages", "Echo\nHello")
        look("joined")
        page.wait_for_text("#my-note", "excellent connection")
    assert ([], [0] * 8) == (findings, overflows)


def test_headings_and_names(without_livekit: Dev) -> None:
    """The page has one title, a language, and a name for each of its sections, as screen readers need them."""
    text = ask(without_livekit.url).body.decode()
    assert 1 == text.count("<h1>")
    assert '<html lang="en">' in text
    assert text.count("<section") == text.count('aria-labelledby="') - text.count("<pre ") - text.count('<ol id="log"')
