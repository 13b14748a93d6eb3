"""`dev`: the page and everything behind it, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import webbrowser
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, NamedTuple

from .._dev import echo
from .._dev.browser_client import ClientBundle
from .._dev.local_server import HOST, LocalServer, PortTaken, listen
from .._dev.page_config import PageConfig
from .._dev.site import TOKEN_PATH, Site
from .._random import new_room
from .._secret import Secret
from . import _local, _stderr
from ._credential_options import is_given
from ._screen import Screen

if TYPE_CHECKING:
    import argparse

    from .._livekit_credentials import LiveKitCredentials
    from .._server import MossVoiceServer
    from ..testing import FakeMoss

_POLL_INTERVAL = 0.5  # seconds between two looks at the web server; a signal interrupts the wait
# LiveKit prefers workers with a lower load, so a worker of the developer's own gets the jobs before the echo agent.
_ECHO_LOAD = 0.9999


class Started(NamedTuple):
    """What runs behind the page."""

    server: MossVoiceServer
    config: PageConfig
    moss: FakeMoss | None = None
    livekit: LiveKitCredentials | None = None


def serve(options: argparse.Namespace, stack: ExitStack) -> int:
    """Serve until Ctrl-C or a signal; what is started stops with `stack`."""
    screen = Screen()
    try:
        listener = stack.enter_context(listen(options.port))
    except PortTaken as error:
        _stderr.error(f"--port: {error.strerror}: choose another one, or omit the option")
        return 2
    port = listener.getsockname()[1]
    client = ClientBundle()
    client.start()
    stack.callback(client.close)
    try:
        started = _real(stack, screen) if options.moss else _local_call(options, port, stack, screen)
        site = Site(started.server, started.config, client, port, diagnose=_diagnosis(options.endpoint, port))
        with LocalServer(site, listener) as running:
            url = f"http://{HOST}:{port}/"
            screen.step("Page", url)
            _print_snippets(screen, port, started)
            screen.remark("Press Ctrl-C to stop.")
            if _should_open(options):
                # On a thread: some browsers block the caller until they are closed.
                threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
            while not running.wait(_POLL_INTERVAL):
                pass
    except (KeyboardInterrupt, SystemExit):
        stack.close()
        # A new screen: a signal during a print leaves the old one with an unfinished line.
        Screen().remark("Stopped.")
        return 0
    _stderr.error("the web server stopped unexpectedly")
    return 1


def _real(stack: ExitStack, screen: Screen) -> Started:
    """The real voice agent, with the credentials that the environment names."""
    from .._credentials.config import DEFAULT_API_URL
    from .._server import MossVoiceServer

    server = asyncio.run(MossVoiceServer.from_env())
    stack.callback(lambda: asyncio.run(server.aclose()))
    moss_url = os.environ.get("MOSS_PLATFORM_API_URL") or DEFAULT_API_URL
    agent = server.get_agent_name()
    screen.step("Moss API", moss_url)
    screen.step("LiveKit", server.get_server_url())
    screen.step("Agent", f"{agent}: your own worker, wherever it runs" if agent else "the voice agent has no name")
    config = PageConfig(
        mode="moss",
        token_url=TOKEN_PATH,
        livekit=server.get_server_url(),
        moss=moss_url,
        agent=agent,
        has_echo=False,
        livekit_remedy="",
        agent_remedy="",
        doctor="moss-voice-server doctor",
    )
    return Started(server, config)


def _local_call(options: argparse.Namespace, port: int, stack: ExitStack, screen: Screen) -> Started:
    """A local Moss API, LiveKit server and echo agent; with `--endpoint` the page asks another token endpoint."""
    can_build = options.build_livekit and options.endpoint is None
    livekit = _local.livekit_of(options, stack, screen, build=can_build)
    moss = stack.enter_context(_local.local_moss(livekit))
    screen.step("Moss API", f"a local one, started on {moss.url}")
    server = asyncio.run(_created(moss))
    stack.callback(lambda: asyncio.run(server.aclose()))
    if livekit and is_given(options):
        _check(server, screen)
    has_echo, agent_remedy = _echo_agent(options, livekit, stack, screen)
    doctor = "moss-voice-server doctor"
    if options.endpoint:
        screen.step("Endpoint", f"yours: {options.endpoint}")
        doctor += f" --endpoint {options.endpoint} --origin http://{HOST}:{port}"
    config = PageConfig(
        mode="endpoint" if options.endpoint else "local",
        token_url=options.endpoint or TOKEN_PATH,
        livekit="" if livekit is None else server.get_server_url(),
        moss=moss.url,
        agent=_local.AGENT_NAME,
        has_echo=has_echo,
        livekit_remedy=f"Install one: `{_local.INSTALL}`, then start `moss-voice-server dev` again. Where Go is "
        "installed, `dev` builds one by itself.",
        agent_remedy=agent_remedy,
        doctor=doctor,
    )
    return Started(server, config, moss, livekit if not is_given(options) else None)


async def _created(moss: FakeMoss) -> MossVoiceServer:
    """What an application does with Moss when it starts."""
    from .._server import MossVoiceServer

    arguments: dict[str, Any] = {**moss.arguments}
    return await MossVoiceServer.create(**arguments)


def _check(server: MossVoiceServer, screen: Screen) -> None:
    """Ask a LiveKit server from the options about a token: with a wrong secret, everything later would fail."""
    from .._doctor.validation import validate
    from ..grants import ParticipantInfo

    token = server.create_participant_token(ParticipantInfo("dev"), new_room())
    verdict = validate(server.get_server_url(), token)
    screen.step("Checked", verdict.text, good=verdict.status != "fail")


def _echo_agent(
    options: argparse.Namespace, livekit: LiveKitCredentials | None, stack: ExitStack, screen: Screen
) -> tuple[bool, str]:
    """Start the echo agent; whether it runs, and otherwise the remedy."""
    if livekit is None or options.no_agent:
        return False, ""
    if not echo.is_installed():
        screen.step("Agent", f"no echo agent; install it: {echo.EXTRA}", good=None)
        return False, f"For an echo agent: `{echo.EXTRA}`, then start `moss-voice-server dev` again."
    # Another server may have LiveKit's default target_load, under which it would skip a worker with a high load.
    load = 0.0 if is_given(options) else _ECHO_LOAD
    names = (_local.AGENT_NAME, "")
    try:
        stack.enter_context(echo.EchoAgent(livekit.url, livekit.api_key, Secret(livekit.api_secret), names, load=load))
    except echo.EchoError as error:
        screen.step("Agent", str(error), good=False)
        reason = str(error)
        return False, f"{reason[0].upper()}{reason[1:]}: run `moss-voice-server doctor`."
    screen.step("Agent", f"{_local.AGENT_NAME}: repeats what you say")
    return True, ""


def _diagnosis(endpoint: str | None, port: int) -> Any:
    """A function that runs the doctor's checks on the developer's endpoint, or `None` without one."""
    if endpoint is None:
        return None
    from .._doctor import Options, examine

    def diagnose(authorization: str) -> list[dict[str, Any]]:
        headers = {"authorization": authorization} if authorization else {}
        doctor_options = Options({}, endpoint=endpoint, headers=headers, origin=f"http://{HOST}:{port}")
        return [
            check._asdict()
            for check in examine(doctor_options)
            if check.name.startswith("endpoint.") and check.status in ("warn", "fail")
        ]

    return diagnose


def _print_snippets(screen: Screen, port: int, started: Started) -> None:
    """What a developer copies into a backend, a worker and a page."""
    export = "$env:{}='{}'" if sys.platform == "win32" else "export {}={}"

    def exports(variables: dict[str, str]) -> str:
        return "\n".join(export.format(name, value) for name, value in variables.items())

    screen.gap()
    if started.moss is not None:
        screen.copyable("For your own backend or worker: the local Moss API", exports(started.moss.environ))
    if started.livekit is not None:
        livekit = started.livekit
        screen.copyable(
            "For your own LiveKit worker: it gets the calls before the echo agent",
            exports(
                {
                    "LIVEKIT_URL": livekit.url,
                    "LIVEKIT_API_KEY": livekit.api_key,
                    "LIVEKIT_API_SECRET": livekit.api_secret,
                }
            ),
        )
    if started.config.mode != "endpoint":
        screen.copyable(
            "For your own page, with Room and TokenSource of livekit-client",
            f'const tokens = TokenSource.endpoint("http://{HOST}:{port}{TOKEN_PATH}");\n'
            "const call = await tokens.fetch({});\n"
            "await new Room().connect(call.serverUrl, call.participantToken);",
        )
    if started.config.mode == "local" and os.environ.get("MOSS_PROJECT_ID"):
        screen.remark("MOSS_PROJECT_ID is set: `dev --moss` talks to that voice agent.")


def _should_open(options: argparse.Namespace) -> bool:
    """Whether to open the page: as the option says, else on the terminal of a desktop."""
    if options.open is not None:
        return bool(options.open)
    if sys.stdout is None or not sys.stdout.isatty():
        return False
    # Without a desktop a text browser would take over the terminal.
    has_desktop = sys.platform in ("darwin", "win32") or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(has_desktop or os.environ.get("BROWSER"))
