"""The program: its commands, and how what they raise becomes a line and an exit status."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from ..errors import CredentialsError, InvalidArgument, WeakSecretWarning
from . import _livekit, _say, dev, doctor, inspect, token
from ._arguments import Parser, VersionAction

_EXTRA = 'pip install "moss-voice-server[cli]"'
_SOON = 5.0  # seconds; a shorter wait is over before it is read

_DESCRIPTION = """\
Join tokens for LiveKit rooms, minted with a Moss voice agent's credentials.
"""
_EPILOG = """\
examples:
  moss-voice-server dev                  see it work: no account, no network
  moss-voice-server token                a token for a new guest in a new room
  moss-voice-server token --help         all that a token can say
  moss-voice-server inspect TOKEN        what a token says, and what is wrong
  moss-voice-server doctor               why the agent does not join
"""

# Which option a wrong value came from, by the name that the library gives it.
_OPTIONS = {
    "identity": "--identity",
    "room_name": "--room",
    "name": "--name",
    "metadata": "--metadata",
    "attributes": "--attribute",
    "agent_name": "--agent",
    "agent metadata": "--agent-metadata",
    "deployment": "--agent-deployment",
    "ttl": "--ttl",
    "can_publish_sources": "--source",
    "room_config": "--room-config",
    "endpoint": "--endpoint",
    "header": "--header",
    "origin": "--origin",
    "agent_timeout": "--agent-timeout",
    **_livekit.OPTIONS,
}


def run(argv: Sequence[str] | None) -> int:
    """Parse the arguments, run the command, and return its exit status."""
    parser = _parser()
    try:
        options = parser.parse_all(argv)
        if options.command is None:
            parser.error("name a command: token, dev, inspect or doctor")
        if find_spec("rich") is None:
            _say.error(f"the command line needs its extra: {_EXTRA}")
            return 2
        with _warnings_as_lines(), _log_unheard():
            status: int = options.run(options)
        return status
    except InvalidArgument as error:
        option = _OPTIONS.get(error.field.partition(".")[0].partition("[")[0])
        _say.error(f"{option}: {error}" if option else str(error))
        return 2
    except CredentialsError as error:
        wait = error.retry_after or 0.0
        _say.error(str(error) + (f"; try again in {math.ceil(wait)} s" if wait > _SOON else ""))
        return 1
    except SystemExit as stop:  # --help, --version and wrong usage; a signal; a pipe whose reader has left
        return stop.code if isinstance(stop.code, int) else 0


def _parser() -> Parser:
    parser = Parser(prog=_say.PROGRAM, description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action=VersionAction, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for command in (token, dev, inspect, doctor):
        command.add(commands)
    return parser


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Show our own warning as a line, and once, whatever the interpreter does with warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", WeakSecretWarning)
        others, said = warnings.showwarning, set[str]()

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, WeakSecretWarning):
                others(message, category, *where, **more)
            elif str(message) not in said:
                said.add(str(message))
                _say.warning(str(message))

        warnings.showwarning = show
        yield


@contextmanager
def _log_unheard() -> Iterator[None]:
    """Keep the library's log off standard error, where Python puts it by default: errors say the same, once."""
    import logging

    log, handler = logging.getLogger("moss_voice_server"), logging.NullHandler()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
