"""`moss-voice-server dev`: a voice call on this machine, with a local Moss API, LiveKit server and agent."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from importlib.util import find_spec
from urllib.parse import urlsplit

from .._urls import LOOPBACK
from ..errors import InvalidArgument
from . import _credential_options, _local, _output
from ._arguments import Command, Option, Parser, add_options

_DESCRIPTION = """\
Talk to a voice agent on this machine, without an account: a local Moss API, a
token endpoint, a LiveKit server, an echo agent and a page, all on loopback.
Runs until Ctrl-C, and then stops everything that it started.

The LiveKit server is the one that --livekit-url names, or `livekit-server` from
LIVEKIT_SERVER_BIN, PATH or the cache folder. If there is none and Go is
installed, dev builds one, once. The echo agent needs its extra:
pip install "moss-voice-server[cli,agent]".
"""
_EPILOG = """\
examples:
  moss-voice-server dev
  moss-voice-server dev --endpoint http://127.0.0.1:8000/voice/token
  moss-voice-server dev --moss
  moss-voice-server dev --once | less
  livekit-server --dev &
  echo secret | moss-voice-server dev --livekit-url ws://127.0.0.1:7880 \\
      --api-key devkey --api-secret -

exit status: 0 stopped by Ctrl-C or a signal; 1 with --once if LiveKit rejects
the token; 2 wrong usage
"""
_MAX_LOG_LINE = 200  # characters of LiveKit's log that an error quotes


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError("write a port as a number from 0 to 65535")
    return int(text)


def _endpoint(text: str) -> str:
    """The URL of a token endpoint; it is shown on the page, so it may contain no password."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise argparse.ArgumentTypeError("write a URL, such as http://127.0.0.1:8000/voice/token") from None
    if not text.isascii() or not text.isprintable() or not host or parts.scheme not in ("http", "https"):
        raise argparse.ArgumentTypeError("write a URL, such as http://127.0.0.1:8000/voice/token")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise argparse.ArgumentTypeError("use https://; http:// is allowed only for this machine")
    if parts.username is not None or parts.fragment:
        raise argparse.ArgumentTypeError("write the URL without user, password and fragment")
    return text


_MODES: dict[str, Option] = {
    "--endpoint URL": (
        "the page requests tokens from your own endpoint, and explains what fails there",
        {"type": _endpoint},
    ),
    "--moss": "talk to your real voice agent: MOSS_PROJECT_ID, MOSS_PROJECT_KEY and MOSS_VOICE_AGENT_ID name it",
    "--once": "no page: create one token, print it, ask LiveKit about it, and exit",
}
_OPTIONS: dict[str, Option] = {
    "--port N": ("port of the page; 0: any free port (default: 7877, or any if taken)", {"type": _port}),
    "--open": (
        "open the page in a browser, or not (default: on a terminal)",
        {"action": argparse.BooleanOptionalAction},
    ),
    "--build-livekit": (
        "build a LiveKit server with Go where there is none, or not (default: build)",
        {"action": argparse.BooleanOptionalAction, "default": True},
    ),
    "--no-agent": "do not start the echo agent",
}


def add(parser: Parser) -> None:
    add_options(parser.add_mutually_exclusive_group(), _MODES)
    add_options(parser, _OPTIONS)
    _credential_options.add(
        parser,
        "A LiveKit server that runs already. With one of these options, the others may\n"
        "come from LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET (or its _FILE).",
    )


def run(options: argparse.Namespace) -> int:
    """Serve the page until stopped; or, with `--once`, print one token."""
    from ..testing import LiveKitServerError

    if not options.once and find_spec("uvicorn") is None:
        _output.error(
            'the page needs an HTTP server: pip install "moss-voice-server[cli]"; `dev --once` works without it'
        )
        return 2
    if options.moss and _credential_options.is_given(options):
        raise InvalidArgument("--moss uses the LiveKit server of your voice agent", remedy="omit the LiveKit options")
    with _local.exit_on_signals(), ExitStack() as stack:
        try:
            if options.once:
                from ._once import show as go
            else:
                from ._serve import serve as go
            return go(options, stack)
        except LiveKitServerError as error:
            first, *log = str(error).splitlines()
            _output.error(f"{first} {log[-1][:_MAX_LOG_LINE]}" if log else first)
            return 1


COMMAND = Command("talk to an agent on this machine", _DESCRIPTION, _EPILOG, add, run)
