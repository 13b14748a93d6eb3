"""`moss-voice-server dev`: the whole way of a token on this machine, with a fake Moss and, where there is one, a LiveKit."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import InvalidArgument
from . import _livekit, _say
from ._livekit import LiveKit

if TYPE_CHECKING:
    import argparse

    from ..testing import FakeMoss
    from ._arguments import Parser
    from ._screen import Screen

_DESCRIPTION = """\
See it work on this machine, with no account and no network: start a fake Moss
API on loopback, fetch credentials from it, mint a token, show what it says, and
ask a LiveKit server whether it accepts the token. Ends by itself, and stops
what it has started.

The LiveKit server is the one that --livekit-url names, or `livekit-server` as
found (LIVEKIT_SERVER_BIN, PATH, the cache folder) and started for this. Where
there is none, all else is shown.
"""
_EPILOG = """\
examples:
  moss-voice-server dev
  moss-voice-server dev | less
  livekit-server --dev &
  echo secret | moss-voice-server dev --livekit-url ws://127.0.0.1:7880 \\
      --api-key devkey --api-secret -

exit status: 0 it works, 1 the LiveKit server does not accept the token,
2 wrong usage
"""
_INSTALL = {
    "darwin": "brew install livekit",
    "linux": "curl -sSL https://get.livekit.io | bash",
}
_RELEASES = "https://github.com/livekit/livekit/releases"
_NOBODY = "ws://127.0.0.1:7880"  # where `livekit-server --dev` listens
_MASK = "********"
_LOG_LINE = 200  # characters of LiveKit's log that an error quotes
# What a closed terminal and a supervisor send; Ctrl-C does the same by itself.
_SIGNALS = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


def add(commands: argparse._SubParsersAction[Parser]) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "dev",
        help="see it work on this machine: no account, no network",
        usage="%(prog)s [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.set_defaults(run=run)
    parser.add_argument("--once", action="store_true", help="end when all is shown; it always does for now")
    _livekit.add_options(
        parser,
        "A LiveKit server that runs already. With one of these given, the others may be\n"
        "LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET (or its _FILE).",
    )


def run(options: argparse.Namespace) -> int:
    """Go the whole way once and show it."""
    from ..dev.livekit import LiveKitServerError

    with _stopped_in_order(), ExitStack() as stack:
        try:
            return _show(options, stack)
        except LiveKitServerError as error:
            first, *log = str(error).splitlines()
            _say.error(f"{first} {log[-1][:_LOG_LINE]}" if log else first)
            return 1


def _show(options: argparse.Namespace, stack: ExitStack) -> int:
    import asyncio

    from ._claims import decode, describe
    from ._screen import Screen
    from ._validate import ask, is_local

    screen = Screen()
    given = _livekit.is_asked_for(options)
    livekit = _given(options, screen) if given else _started(stack, screen)
    moss = stack.enter_context(_fake_moss(livekit))
    screen.step("Moss API", f"a fake one, started on {moss.url}")
    url, token = asyncio.run(_mint(moss))
    screen.step("Fetched", f"from it over HTTP: API key {moss.credentials['voice_agent_api_key']}, secret {_MASK}")
    screen.step("Minted", "a token for Ada, in a new room, for 15 minutes")
    verdict = ask(url, token) if livekit else None
    if verdict:
        screen.step("Checked", f"LiveKit {verdict.text}", good=verdict.accepted)
    screen.claims(describe(decode(token), time.time()))
    screen.copyable("Server URL" if livekit else "Server URL, a stand-in: no server was asked", url)
    if is_local(url):
        screen.copyable("Participant token", token)
    else:  # it opens a room for everybody who is shown this screen
        screen.copyable("Participant token, its signature left out", f"{token.rpartition('.')[0]}.{_MASK}")
    ours = "livekit-server and the fake Moss API" if livekit and not given else "the fake Moss API"
    screen.remark(f"Stopping {ours}: nothing stays behind.")
    return 0 if verdict is None or verdict.accepted else 1


def _given(options: argparse.Namespace, screen: Screen) -> LiveKit:
    """The server that the options name; checked here, so that an error names the option."""
    from ..server import MossVoiceServerSync

    livekit = _livekit.read(options)
    checked = MossVoiceServerSync.from_livekit(livekit.url, livekit.api_key, livekit.api_secret.reveal())
    screen.step("LiveKit", f"as given: {checked.get_server_url()}")
    return livekit


def _started(stack: ExitStack, screen: Screen) -> LiveKit | None:
    """A server of our own, where this machine has one; it is stopped with `stack`."""
    from .._core.secret import Secret
    from ..dev.livekit import LiveKitServer, LiveKitServerError, find_livekit_server

    try:
        binary = find_livekit_server()
    except LiveKitServerError as error:  # LIVEKIT_SERVER_BIN is wrong
        raise InvalidArgument(str(error)) from None
    if binary is None:
        screen.step("LiveKit", f"none to ask; get one: {_INSTALL.get(sys.platform, _RELEASES)}", good=None)
        return None
    server = stack.enter_context(LiveKitServer(binary))
    screen.step("LiveKit", f"livekit-server, started on {server.url}")
    return LiveKit(server.url, server.api_key, Secret(server.api_secret))


def _fake_moss(livekit: LiveKit | None) -> FakeMoss:
    from ..testing import FakeMoss

    if livekit is None:
        return FakeMoss(url=_NOBODY)
    return FakeMoss(url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret.reveal())


async def _mint(moss: FakeMoss) -> tuple[str, str]:
    """What an application does with Moss: the LiveKit URL and a token."""
    from ..grants import ParticipantInfo
    from ..server import MossVoiceServer

    arguments: dict[str, Any] = {**moss.arguments}
    async with await MossVoiceServer.create(**arguments) as server:
        participant = ParticipantInfo(f"user-{os.urandom(4).hex()}", name="Ada")
        return server.get_server_url(), server.create_participant_token(participant, f"room-{os.urandom(16).hex()}")


@contextmanager
def _stopped_in_order() -> Iterator[None]:
    """End by way of the context managers when the process is told to: what was started is stopped."""

    def end(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # only there can it be arranged
        yield
        return
    # One that somebody else handles, or ignores as `nohup` does, is not ours.
    ours = [number for number in _SIGNALS if signal.getsignal(number) == signal.SIG_DFL]
    before = {number: signal.signal(number, end) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
