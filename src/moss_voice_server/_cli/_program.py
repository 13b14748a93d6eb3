"""Parse the command line, run a command, and turn its errors into a line and an exit status."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from ..errors import InvalidArgument, MossVoiceError, WeakSecretWarning
from . import _credential_options, _output, dev, doctor, inspect, rooms, token, transcripts
from ._arguments import Parser, VersionAction

_EXTRA = 'pip install "moss-voice-server[cli]"'
_SHORT_WAIT = 5.0  # seconds; a shorter wait is over before the user has read about it

_DESCRIPTION = """\
Create LiveKit join tokens with a Moss voice agent's credentials.
"""
_EPILOG = """\
examples:
  moss-voice-server dev                  try it: no account needed
  moss-voice-server token                a token for a new guest in a new room
  moss-voice-server token --help         everything that a token can contain
  moss-voice-server inspect TOKEN        explain a token, and find mistakes
  moss-voice-server doctor               find out why the agent does not join
  moss-voice-server rooms list           the calls that are running
  moss-voice-server transcripts          the conversations of past calls
"""

_COMMANDS = {
    "token": token.COMMAND,
    "dev": dev.COMMAND,
    "inspect": inspect.COMMAND,
    "doctor": doctor.COMMAND,
    "rooms": rooms.COMMAND,
    "transcripts": transcripts.COMMAND,
}
# The option of each argument of the library.
_SAME_NAMES = (
    *("identity", "name", "metadata", "agent_metadata", "agent_deployment", "ttl", "room_config"),
    *("endpoint", "header", "origin", "agent_timeout"),
)
_OPTIONS = {
    **{name: f"--{name.replace('_', '-')}" for name in _SAME_NAMES},
    "room_name": "--room",
    "attributes": "--attribute",
    **dict.fromkeys(("agent_name", "agents"), "--agent"),
    "deployment": "--agent-deployment",
    "can_publish_sources": "--source",
    **_credential_options.OPTIONS,
}


def run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    try:
        options = parser.parse_all(argv)
        if find_spec("rich") is None:
            _output.error(f"the command line needs the extra `cli`: {_EXTRA}")
            return 2
        with _warnings_as_lines(), _silenced_log():
            status: int = options.run(options)
        return status
    except InvalidArgument as error:
        name = error.field.partition(".")[0].partition("[")[0]
        option, text = _OPTIONS.get(name), str(error)
        if option:  # it replaces the library's name for the argument
            text = f"argument {option}: " + text.removeprefix(f"{name} ").removeprefix(f"{name}.")
        _output.error(text)
        return 2
    except MossVoiceError as error:
        wait = getattr(error, "retry_after", None) or 0.0
        _output.error(str(error) + (f"; retry in {math.ceil(wait)} s" if wait > _SHORT_WAIT else ""))
        return 1
    except SystemExit as stop:  # --help, --version and wrong usage; a signal; a closed pipe
        return stop.code if isinstance(stop.code, int) else 0


def _parser() -> Parser:
    parser = Parser(prog=_output.PROGRAM, description=_DESCRIPTION, epilog=_EPILOG)
    parser.add_argument("--version", action=VersionAction, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)
    for name, command in _COMMANDS.items():
        texts: dict[str, Any] = {"help": command.help, "description": command.description, "epilog": command.epilog}
        added = commands.add_parser(name, usage=f"%(prog)s {command.usage}", **texts)
        added.set_defaults(run=command.run)
        command.add(added)
    return parser


@contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print our own warning as a line, and only once, whatever the interpreter does with warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", WeakSecretWarning)
        others, printed = warnings.showwarning, set[str]()

        def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, WeakSecretWarning):
                others(message, category, *where, **more)
            elif str(message) not in printed:
                printed.add(str(message))
                _output.warning(str(message))

        warnings.showwarning = show
        yield


@contextmanager
def _silenced_log() -> Iterator[None]:
    """Keep the library's log off standard error, where Python prints it by default: the errors repeat it."""
    import logging

    log, handler = logging.getLogger("moss_voice_server"), logging.NullHandler()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
