"""`moss-voice-server dev`: a voice call on this machine, with a fake Moss and, where there is one, a LiveKit server."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING

from . import _credential_options, _local, _stderr

if TYPE_CHECKING:
    from ._arguments import Parser

_DESCRIPTION = """\
See and hear it work on this machine, with no account and no network: a fake
Moss API, a token endpoint and a page to talk on, all on loopback. Serves until
Ctrl-C, and then stops whatever it has started.

The LiveKit server is the one that --livekit-url names, or `livekit-server` as
found (LIVEKIT_SERVER_BIN, PATH, the cache folder) and started for this. Where
there is none, nobody can join, and all else works. An echo agent answers where
its extra is installed: pip install "moss-voice-server[cli,agent]".
"""
_EPILOG = """\
examples:
  moss-voice-server dev
  moss-voice-server dev --build-livekit
  moss-voice-server dev --once | less
  livekit-server --dev &
  echo secret | moss-voice-server dev --livekit-url ws://127.0.0.1:7880 \\
      --api-key devkey --api-secret -

exit status: 0 ended by Ctrl-C or SIGTERM; with --once, 0 it works, 1 the
LiveKit server does not accept the token; 2 wrong usage
"""
_LOG_LINE = 200  # characters of LiveKit's log that an error quotes


def add(commands: argparse._SubParsersAction[Parser]) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "dev",
        help="talk on this machine: no account, no network",
        usage="%(prog)s [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--once", action="store_true", help="no page: mint one token, show what it says, ask LiveKit about it, and end"
    )
    parser.add_argument(
        "--port", type=_port, metavar="N", help="where to serve; 0: any free port (default: 7877, or any if taken)"
    )
    parser.add_argument(
        "--open",
        action=argparse.BooleanOptionalAction,
        help="open the page in a browser, or not (default: on a terminal)",
    )
    parser.add_argument(
        "--build-livekit",
        action="store_true",
        help="where there is no LiveKit server, build one with Go into the cache folder, once",
    )
    parser.add_argument("--no-agent", action="store_true", help="no echo agent")
    _credential_options.add_options(
        parser,
        "A LiveKit server that runs already. With one of these given, the others may be\n"
        "LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET (or its _FILE).",
    )


def run(options: argparse.Namespace) -> int:
    """Serve the page until told to end; or, with `--once`, go the whole way once and show it."""
    from ..testing import LiveKitServerError

    if not options.once and find_spec("uvicorn") is None:
        _stderr.error('the page needs an HTTP server: pip install "moss-voice-server[cli]"; `dev --once` works without')
        return 2
    with _local.stopped_in_order(), ExitStack() as stack:
        try:
            if options.once:
                from ._once import show as go
            else:
                from ._serve import serve as go
            return go(options, stack)
        except LiveKitServerError as error:
            first, *log = str(error).splitlines()
            _stderr.error(f"{first} {log[-1][:_LOG_LINE]}" if log else first)
            return 1


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError("write a port as a number from 0 to 65535")
    return int(text)
