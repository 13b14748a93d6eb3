"""Local: what both forms of `dev` start on this machine: a LiveKit server, a fake Moss; and how they are stopped."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from .._livekit_credentials import LiveKitCredentials
from .._urls import LOOPBACK
from ..errors import InvalidArgument
from . import _credential_options

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from ..testing import FakeMoss
    from ._screen import Screen

_RELEASES = "https://github.com/livekit/livekit/releases"
_INSTALL = {
    "darwin": "brew install livekit",
    "linux": "curl -sSL https://get.livekit.io | bash",
}
INSTALL = _INSTALL.get(sys.platform, _RELEASES)
"""The line that gets a LiveKit server for this system, or where to get it."""

_NOBODY = "ws://127.0.0.1:7880"  # where `livekit-server --dev` listens
# What a closed terminal and a supervisor send; Ctrl-C does the same by itself.
_SIGNALS = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]


def is_local(url: str) -> bool:
    """Whether a URL leads to this machine."""
    return urlsplit(url).hostname in LOOPBACK


def livekit_of(options: argparse.Namespace, stack: ExitStack, screen: Screen) -> LiveKitCredentials | None:
    """The server that the options name, or one of our own that is stopped with `stack`, or None."""
    return _given(options, screen) if _credential_options.is_given(options) else _started(options, stack, screen)


def _given(options: argparse.Namespace, screen: Screen) -> LiveKitCredentials:
    """The server that the options name; checked here, so that an error names the option."""
    from .._server import MossVoiceServerSync

    livekit = _credential_options.read(options)
    checked = MossVoiceServerSync.from_livekit(livekit.url, livekit.api_key, livekit.api_secret)
    screen.step("LiveKit", f"as given: {checked.get_server_url()}")
    return livekit


def _started(options: argparse.Namespace, stack: ExitStack, screen: Screen) -> LiveKitCredentials | None:
    from ..testing import LiveKitServer

    binary = _binary(options, screen)
    if binary is None:
        or_build = ", or let Go build one: --build-livekit" if shutil.which("go") else ""
        screen.step("LiveKit", f"none to ask; get one: {INSTALL}{or_build}", good=None)
        return None
    server = stack.enter_context(LiveKitServer(binary))
    screen.step("LiveKit", f"livekit-server, started on {server.url}")
    return LiveKitCredentials(server.url, server.api_key, server.api_secret)


def _binary(options: argparse.Namespace, screen: Screen) -> Path | None:
    from ..testing import LiveKitServerError
    from ..testing._livekit_binary import LIVEKIT_VERSION, build_livekit_server, find_livekit_server

    try:
        found = find_livekit_server()
    except LiveKitServerError as error:  # LIVEKIT_SERVER_BIN is wrong
        raise InvalidArgument(str(error)) from None
    if found is not None or not options.build_livekit:
        return found
    screen.step("LiveKit", f"building {LIVEKIT_VERSION} with Go, once: one to three minutes", good=None)
    return build_livekit_server()


def fake_moss(livekit: LiveKitCredentials | None, agent_name: str = "example-agent") -> FakeMoss:
    """A Moss API whose voice agent has this LiveKit server's credentials."""
    from ..testing import FakeMoss

    if livekit is None:
        return FakeMoss(url=_NOBODY, agent_name=agent_name)
    return FakeMoss(url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret, agent_name=agent_name)


@contextmanager
def stopped_in_order() -> Iterator[None]:
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
