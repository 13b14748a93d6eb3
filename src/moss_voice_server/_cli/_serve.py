"""Serve: `dev` itself: page, token endpoint, fake Moss, LiveKit server and echo agent, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import webbrowser
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .._dev import echo
from .._dev.client import BrowserClient
from .._dev.serving import HOST, PortTaken, Serving, listen
from .._dev.site import TOKEN_PATH, Site
from .._secret import Secret
from . import _local, _stderr
from ._credential_options import is_given
from ._screen import Screen

if TYPE_CHECKING:
    import argparse

    from .._doctor.validation import Verdict
    from .._livekit_credentials import LiveKitCredentials
    from .._server import MossVoiceServer
    from ..testing import FakeMoss

_ECHO_LABEL = "Echo: plays back what you say"
_RULES_LABEL = "LiveKit's own rules: workers without a name"
_NO_CLIENT = (
    "Let this machine reach the internet once, or install Node.js, whose `npm` brings it; then start "
    "`moss-voice-server dev` again."
)
_LOOK_AGAIN = 0.5  # seconds between two looks at whether the web server still runs; a signal wakes us at once


def serve(options: argparse.Namespace, stack: ExitStack) -> int:
    """Serve until Ctrl-C or SIGTERM, which are the way to end it; what is started is stopped with `stack`."""
    screen = Screen()
    try:
        listener = stack.enter_context(listen(options.port))
    except PortTaken as error:
        _stderr.error(f"--port: {error.strerror}: choose another, or leave it out")
        return 2
    port = listener.getsockname()[1]
    client = BrowserClient()
    client.start()
    stack.callback(client.close)
    livekit = _local.livekit_of(options, stack, screen)
    moss = stack.enter_context(_local.fake_moss(livekit, echo.NAME))
    screen.step("Moss API", f"a fake one, started on {moss.url}")
    server = asyncio.run(_created(moss))
    stack.callback(lambda: asyncio.run(server.aclose()))
    if livekit and is_given(options):
        verdict = _asked(server)
        screen.step("Checked", verdict.text, good=verdict.is_accepted)
    agent, why_none = _echo_agent(options, livekit, stack, screen)
    config = {
        "chain": _chain(port, moss, server, livekit, agent),
        "livekit": server.get_server_url() if livekit else "",
        "livekit_remedy": f"Get one: `{_local.INSTALL}`, then start `moss-voice-server dev` again. Where Go is "
        "installed, `moss-voice-server dev --build-livekit` builds one.",
        "client_remedy": _NO_CLIENT,
        "agent_remedy": why_none,
    }
    site = Site(server, _agents(agent), config, client, port)
    try:
        with Serving(site, listener) as serving:
            url = f"http://{HOST}:{port}/"
            screen.step("Page", url)
            _tell_developer(screen, port, moss, agent)
            screen.remark("Ctrl-C ends it.")
            if _is_to_open(options):
                # On a thread: some browsers keep who opens them waiting until they are closed.
                threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
            while not serving.wait(_LOOK_AGAIN):
                pass
    except (KeyboardInterrupt, SystemExit):
        stack.close()
        # A new screen: a signal in the middle of a print leaves the old one with a line that it would print again.
        Screen().remark("Stopped: nothing stays behind.")
        return 0
    _stderr.error("the web server ended by itself")
    return 1


async def _created(moss: FakeMoss) -> MossVoiceServer:
    """What an application does with Moss when it starts."""
    from .._server import MossVoiceServer

    arguments: dict[str, Any] = {**moss.arguments}
    return await MossVoiceServer.create(**arguments)


def _asked(server: MossVoiceServer) -> Verdict:
    """What a LiveKit server that is not ours says to a token: on a wrong secret everything else would fail, one by one."""
    from .._doctor.validation import validate
    from ..grants import ParticipantInfo

    token = server.create_participant_token(ParticipantInfo("dev"), f"room-{os.urandom(16).hex()}")
    return validate(server.get_server_url(), token)


def _echo_agent(
    options: argparse.Namespace, livekit: LiveKitCredentials | None, stack: ExitStack, screen: Screen
) -> tuple[echo.EchoAgent | None, str]:
    """The echo agent, or why there is none and what would bring it."""
    if livekit is None or options.no_agent:
        return None, ""
    if not echo.is_installed():
        screen.step("Agent", f"no echo agent; get it: {echo.EXTRA}", good=None)
        return None, f"For an agent that answers: `{echo.EXTRA}`, then start `moss-voice-server dev` again."
    try:
        agent = stack.enter_context(echo.EchoAgent(livekit.url, livekit.api_key, Secret(livekit.api_secret)))
    except echo.EchoError as error:
        screen.step("Agent", str(error), good=False)
        reason = str(error)
        return None, f"{reason[0].upper()}{reason[1:]}: `moss-voice-server doctor` says why."
    screen.step("Agent", f"{echo.NAME}: plays back what it hears")
    return agent, ""


def _agents(agent: echo.EchoAgent | None) -> dict[str, str]:
    """Which agents a guest may ask for, and what the page calls them."""
    return {**({echo.NAME: _ECHO_LABEL} if agent is not None else {}), "": _RULES_LABEL}


def _chain(
    port: int, moss: FakeMoss, server: MossVoiceServer, livekit: LiveKitCredentials | None, agent: echo.EchoAgent | None
) -> str:
    """Who talks to whom, in a few sentences for the page."""
    asked = (
        f"This page asks http://{HOST}:{port}{TOKEN_PATH} for a token, as your page asks your backend. That endpoint is "
        f"moss-voice-server; it has LiveKit's credentials from a fake Moss API on {moss.url}."
    )
    if livekit is None:
        return f"{asked} There is no LiveKit server to join."
    who = "you and the echo agent" if agent else "you and your agents"
    met = f"With the token {who} meet at the LiveKit server on {server.get_server_url()}."
    return f"{asked} {met}{' Nothing leaves this machine.' if _local.is_local(server.get_server_url()) else ''}"


def _tell_developer(screen: Screen, port: int, moss: FakeMoss, agent: echo.EchoAgent | None) -> None:
    """What a developer copies into a backend and into a page of their own."""
    word = "$env:{}='{}'" if sys.platform == "win32" else "export {}={}"
    screen.gap()
    screen.copyable(
        "For a backend of your own: its environment",
        "\n".join(word.format(name, value) for name, value in moss.environ.items()),
    )
    token_request = f'{{ agentName: "{echo.NAME}" }}' if agent else "{}"
    screen.copyable(
        "For a page of your own, with Room and TokenSource of livekit-client",
        f'const tokens = TokenSource.endpoint("http://{HOST}:{port}{TOKEN_PATH}");\n'
        f"const call = await tokens.fetch({token_request});\n"
        "await new Room().connect(call.serverUrl, call.participantToken);",
    )


def _is_to_open(options: argparse.Namespace) -> bool:
    """Whether to open the page: as told, else where a person sits at a terminal of a desktop."""
    if options.open is not None:
        return bool(options.open)
    if sys.stdout is None or not sys.stdout.isatty():
        return False
    # Without a desktop a browser for text would take the terminal.
    has_desktop = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(has_desktop or os.environ.get("BROWSER"))
