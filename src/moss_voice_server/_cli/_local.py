"""What `dev` starts on this machine: a LiveKit server and a local Moss API; and how they stop."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from .._livekit_credentials import LiveKitCredentials
from ..errors import InvalidArgument
from . import _credential_options

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from .._server import MossVoiceServerSync
    from ..testing import FakeMoss
    from ._screen import Screen

AGENT_NAME = "local-agent"  # the name of the local voice agent, under which its worker registers

_INSTALL = {"darwin": "brew install livekit", "linux": "curl -sSL https://get.livekit.io | bash"}
INSTALL = _INSTALL.get(sys.platform, "https://github.com/livekit/livekit/releases")
"""The command that installs a LiveKit server on this system, or where to get it."""

_STAND_IN = "ws://127.0.0.1:7880"  # the URL in a token that no server checks; `livekit-server --dev` listens there
_KEPT_REQUESTS = 100
# A closed terminal, a supervisor and Ctrl-\ send these; Ctrl-C raises KeyboardInterrupt.
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)]


def livekit_of(
    options: argparse.Namespace, stack: ExitStack, screen: Screen, *, build: bool
) -> LiveKitCredentials | None:
    """The server that the options name, or a new one that stops with `stack`, or `None`; `build` allows to build it."""
    from .._server import MossVoiceServerSync

    if not _credential_options.is_given(options):
        return _started(stack, screen, build=build)
    livekit = _credential_options.read(options)
    checked = MossVoiceServerSync.from_livekit(*livekit)  # here, so that an error names the option
    screen.step("LiveKit", f"{checked.get_server_url()}, from the options")
    return livekit


def _started(stack: ExitStack, screen: Screen, *, build: bool) -> LiveKitCredentials | None:
    from ..testing import LiveKitServer, LiveKitServerError
    from ..testing._livekit_binary import find_livekit_server, go_command

    try:
        binary = find_livekit_server()
    except LiveKitServerError as error:  # LIVEKIT_SERVER_BIN is wrong
        raise InvalidArgument(str(error)) from None
    if binary is None and build and go_command() is not None:
        binary = _built(screen)
    elif binary is None:
        screen.step("LiveKit", f"not installed; install it: {INSTALL}", good=None)
    if binary is None:
        return None
    server = stack.enter_context(LiveKitServer(binary))
    screen.step("LiveKit", f"livekit-server, started on {server.url}")
    return LiveKitCredentials(server.url, server.api_key, server.api_secret)


def _built(screen: Screen) -> Path | None:
    """A LiveKit server that Go builds now, with its progress on the screen; `None` where that fails."""
    from ..testing import LiveKitServerError
    from ..testing._livekit_binary import LIVEKIT_VERSION, build_livekit_server

    screen.step("LiveKit", f"building livekit-server {LIVEKIT_VERSION} with Go, once: 1 to 4 minutes", good=None)
    screen.remark("            to skip it: Ctrl-C, then `dev --no-build-livekit` (tokens, no calls)")
    try:
        with screen.progress("packages compiled") as advance:
            return build_livekit_server(on_output=advance)
    except LiveKitServerError as error:
        screen.step("LiveKit", f"not built: {str(error).splitlines()[-1]}", good=False)
        screen.remark(f"            install it instead: {INSTALL}")
        return None


def start(stack: ExitStack, screen: Screen, livekit: LiveKitCredentials | None) -> tuple[FakeMoss, MossVoiceServerSync]:
    """A Moss API whose voice agent has this LiveKit server's credentials, and what an application makes of it."""
    from .._server import MossVoiceServerSync
    from ..testing import FakeMoss

    given: dict[str, Any] = livekit._asdict() if livekit else {"url": _STAND_IN}
    moss = stack.enter_context(FakeMoss(**{**given, "agent_name": AGENT_NAME, "kept_requests": _KEPT_REQUESTS}))
    screen.step("Moss API", f"a local one, started on {moss.url}")
    return moss, stack.enter_context(MossVoiceServerSync.create(**moss.arguments))


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Turn the signals that would kill the process into SystemExit, so that context managers stop what they started."""

    def end(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # handlers can be set only there
        yield
        return
    # A signal that is handled already, or ignored as `nohup` does, stays so.
    ours = [number for number in _SIGNALS if signal.getsignal(number) == signal.SIG_DFL]
    before = {number: signal.signal(number, end) for number in ours}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
