"""LiveKit credentials and servers: from the command line, the environment, or standard input."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from .. import _environment
from .._credentials import config
from .._livekit_credentials import LiveKitCredentials
from .._secret import Secret
from ..errors import InvalidArgument
from . import _output
from ._arguments import STANDARD_INPUT, add_options

if TYPE_CHECKING:
    import argparse

    from .._server import MossVoiceServerSync

_MOSS = tuple(name for field, name in config.VARIABLES.items() if field != "api_url")
VARIABLES = {"url": "LIVEKIT_URL", "api_key": "LIVEKIT_API_KEY", "api_secret": "LIVEKIT_API_SECRET"}
"""The variable of each of LiveKit's credentials."""
OPTIONS = {"url": "--livekit-url", "api_key": "--api-key", "api_secret": "--api-secret"}
"""The option of each of the three."""
_URL = {"--livekit-url URL": "wss://..., or ws:// on this machine"}
_KEY_PAIR = {
    "--api-key KEY": "LiveKit API key",
    "--api-secret SECRET": "its secret; preferably `-` to read it from standard input, because the process list shows "
    "arguments",
}


def add(parser: argparse.ArgumentParser, about: str, *, url: bool = True) -> None:
    """The three options, or the two for a signature (`url=False`); `about` describes the group."""
    add_options(parser.add_argument_group("LiveKit credentials", about), {**_URL, **_KEY_PAIR} if url else _KEY_PAIR)


def is_given(options: argparse.Namespace) -> bool:
    """Whether any of the options is given; the others then come from the environment."""
    return any(each is not None for each in (options.livekit_url, options.api_key, options.api_secret))


def read(options: argparse.Namespace) -> LiveKitCredentials:
    """The credentials: an option takes precedence over its variable. An error names all that are missing."""
    values = _values({"url": options.livekit_url, "api_key": options.api_key, "api_secret": _api_secret(options)})
    missing = [field for field, value in values.items() if value is None]
    if missing:
        verb, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        variables = _environment.listed([VARIABLES[field] for field in missing])
        names = _environment.listed([OPTIONS[field] for field in missing])
        raise InvalidArgument(f"{variables} {verb} not set", remedy=f"set {them}, or pass {names}")
    return LiveKitCredentials(*(value or "" for value in values.values()))


def read_key_pair(options: argparse.Namespace) -> tuple[str, str | None]:
    """API key and secret, for verifying a signature; "" and `None` where they are not given."""
    key, secret = _values({"api_key": options.api_key, "api_secret": _api_secret(options)}).values()
    return key or "", secret


def server(options: argparse.Namespace) -> MossVoiceServerSync:
    """From the options for LiveKit credentials, else from the Moss API, else from LiveKit's variables."""
    from .._server import MossVoiceServerSync

    if not is_given(options):
        if any(_is_set(name) for name in _MOSS):
            return MossVoiceServerSync.from_env()
        if not any(_is_set(name) for name in VARIABLES.values()):
            moss, livekit = _environment.listed(_MOSS), _environment.listed([*VARIABLES.values()])
            raise InvalidArgument("no credentials are set", remedy=f"set {moss}, or {livekit}")
    return MossVoiceServerSync.from_livekit(*read(options))


def _values(given: dict[str, str | None]) -> dict[str, str | None]:
    """The same values, completed from the environment."""
    found = {
        field: _environment.optional(Secret(os.environ), VARIABLES[field]) for field in given if given[field] is None
    }
    return {**given, **{field: value.reveal() for field, value in found.items() if value is not None}}


def _api_secret(options: argparse.Namespace) -> str | None:
    secret: str | None = options.api_secret
    if secret == STANDARD_INPUT:
        return _from_standard_input()
    if secret is not None:
        _output.warning(
            "the process list and the shell's history show the value of --api-secret: set LIVEKIT_API_SECRET or "
            "LIVEKIT_API_SECRET_FILE, or pass `--api-secret -` and write it to standard input"
        )
    return secret


def _is_set(name: str) -> bool:
    return _environment.is_set(Secret(os.environ), name)


def _from_standard_input() -> str:
    """The only line of standard input; at a terminal the user is prompted, and the input is not shown."""
    from getpass import getpass

    text = ""
    with suppress(EOFError, UnicodeDecodeError):
        if sys.stdin is not None and sys.stdin.isatty():
            text = getpass("LiveKit API secret: ")
        elif sys.stdin is not None:  # None when it is closed
            text = sys.stdin.read()
    if len(text.splitlines()) != 1:
        raise InvalidArgument(
            "standard input does not contain a secret", field="api_secret", remedy="write one line of UTF-8 text to it"
        )
    return text.rstrip("\r\n")
