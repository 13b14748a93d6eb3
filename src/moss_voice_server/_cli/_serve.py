"""`dev`: the page and everything behind it, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import webbrowser
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple

from .._dev import echo
from .._dev.browser_client import ClientBundle
from .._dev.local_server import HOST, LocalServer, PortTaken, listen
from .._dev.page_config import PageConfig
from .._dev.site import TOKEN_PATH, Diagnose, Site
from .._livekit_credentials import LiveKitCredentials
from .._random import new_room
from .._secret import Secret
from .._server import MossVoiceServerSync
from ..testing import FakeMoss
from . import _credential_options, _local, _output
from ._screen import Screen

_POLL_INTERVAL = 0.5  # seconds between two looks at the web server; a signal interrupts the wait
# LiveKit prefers workers with a lower load, so a worker of the developer's own gets the jobs before the echo agent.
_ECHO_LOAD = 0.9999


class Started(NamedTuple):
    server: MossVoiceServerSync
    config: PageConfig
    moss: FakeMoss | None = None
    livekit: LiveKitCredentials | None = None


def serve(options: argparse.Namespace, stack: ExitStack) -> int:
    """Serve until Ctrl-C or a signal; what is started stops with `stack`."""
    screen = Screen()
    try:
        listener = stack.enter_context(listen(options.port))
    except PortTaken as error:
        _output.error(f"--port: {error.strerror}: choose another one, or omit the option")
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
    _output.error("the web server stopped unexpectedly")
    return 1


def _real(stack: ExitStack, screen: Screen) -> Started:
    """The real voice agent, with the credentials that the environment names."""
    from .._credentials.config import DEFAULT_API_URL

    server = stack.enter_context(MossVoiceServerSync.from_env())
    moss_url = os.environ.get("MOSS_PLATFORM_API_URL") or DEFAULT_API_URL
    agent, livekit = server.get_agent_name(), server.get_server_url()
    screen.step("Moss API", moss_url)
    screen.step("LiveKit", livekit)
    screen.step("Agent", f"{agent}: your own worker, wherever it runs" if agent else "the voice agent has no name")
    return Started(server, PageConfig("moss", TOKEN_PATH, livekit, moss_url, agent))


def _local_call(options: argparse.Namespace, port: int, stack: ExitStack, screen: Screen) -> Started:
    """A local Moss API, LiveKit server and echo agent; with `--endpoint` the page asks another token endpoint."""
    can_build = options.build_livekit and options.endpoint is None
    livekit = _local.livekit_of(options, stack, screen, build=can_build)
    moss, server = _local.start(stack, screen, livekit)
    if livekit and _credential_options.is_given(options):
        _check(server, screen)
    has_echo, agent_remedy = _echo_agent(options, livekit, stack, screen)
    config = PageConfig(
        "local",
        TOKEN_PATH,
        "" if livekit is None else server.get_server_url(),
        moss.url,
        _local.AGENT_NAME,
        has_echo=has_echo,
        livekit_remedy=f"Install one: `{_local.INSTALL}`, then start `moss-voice-server dev` again. Where Go is "
        "installed, `dev` builds one by itself.",
        agent_remedy=agent_remedy,
    )
    if options.endpoint:
        screen.step("Endpoint", f"yours: {options.endpoint}")
        doctor = f"{config.doctor} --endpoint {options.endpoint} --origin http://{HOST}:{port}"
        config = replace(config, mode="endpoint", token_url=options.endpoint, doctor=doctor)
    return Started(server, config, moss, livekit if not _credential_options.is_given(options) else None)


def _check(server: MossVoiceServerSync, screen: Screen) -> None:
    """Ask a LiveKit server from the options about a token: with a wrong secret, everything later would fail."""
    from .._doctor.livekit_server import validate
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
    load = 0.0 if _credential_options.is_given(options) else _ECHO_LOAD
    names = (_local.AGENT_NAME, "")
    try:
        stack.enter_context(echo.EchoAgent(livekit.url, livekit.api_key, Secret(livekit.api_secret), names, load=load))
    except echo.EchoError as error:
        screen.step("Agent", str(error), good=False)
        reason = str(error)
        return False, f"{reason[0].upper()}{reason[1:]}: run `moss-voice-server doctor`."
    screen.step("Agent", f"{_local.AGENT_NAME}: repeats what you say")
    return True, ""


def _diagnosis(endpoint: str | None, port: int) -> Diagnose | None:
    """A function that runs the doctor's checks on the developer's endpoint, or `None` without one."""
    if endpoint is None:
        return None
    from .._doctor import Options, examine

    def diagnose(authorization: str) -> list[Mapping[str, Any]]:
        headers = {"authorization": authorization} if authorization else {}
        checks = examine(Options({}, endpoint=endpoint, headers=headers, origin=f"http://{HOST}:{port}"))
        bad = [check for check in checks if check.status in ("warn", "fail")]
        return [check._asdict() for check in bad if check.name.startswith("endpoint.")]

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
        variables = dict(zip(_credential_options.VARIABLES.values(), started.livekit, strict=False))
        screen.copyable("For your own LiveKit worker: it gets the calls before the echo agent", exports(variables))
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
