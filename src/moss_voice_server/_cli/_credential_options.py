"""Options for LiveKit credentials: from the command line, the environment, or standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from .. import _environment
from .._livekit_credentials import LiveKitCredentials
from .._secret import Secret
from ..errors import InvalidArgument
from . import _stderr

if TYPE_CHECKING:
    import argparse

_VARIABLES = {"url": "LIVEKIT_URL", "api_key": "LIVEKIT_API_KEY", "api_secret": "LIVEKIT_API_SECRET"}
STANDARD_INPUT = "-"
OPTIONS = {"url": "--livekit-url", "api_key": "--api-key", "api_secret": "--api-secret"}
"""The option of each of the three."""


def add_options(parser: argparse.ArgumentParser, about: str, *, url: bool = True) -> None:
    """The three options, or the two for a signature (`url=False`); `about` describes the group."""
    group = parser.add_argument_group("LiveKit credentials", about)
    if url:
        group.add_argument("--livekit-url", metavar="URL", help="wss://..., or ws:// on this machine")
    group.add_argument("--api-key", metavar="KEY", help="LiveKit API key")
    group.add_argument(
        "--api-secret",
        metavar="SECRET",
        help="its secret; preferably `-` to read it from standard input, because the process list shows arguments",
    )


def is_given(options: argparse.Namespace) -> bool:
    """Whether any of the options is given; the others then come from the environment."""
    return any(each is not None for each in (options.livekit_url, options.api_key, options.api_secret))


def is_set(environ: Mapping[str, str]) -> bool:
    """Whether the environment contains any of the three."""
    return any(_is_set(field, environ) for field in _VARIABLES)


def read(options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> LiveKitCredentials:
    """The credentials: an option takes precedence over its variable.

    Raises:
        InvalidArgument: some are missing, set twice or unreadable; the error names all that are missing.
    """
    given = {"url": options.livekit_url, "api_key": options.api_key, "api_secret": _api_secret(options)}
    values = {field: value if value is not None else _variable(field, environ) for field, value in given.items()}
    missing = [field for field, value in values.items() if value is None]
    if missing:
        verb, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        variables = _environment.listed([_VARIABLES[field] for field in missing])
        names = _environment.listed([OPTIONS[field] for field in missing])
        raise InvalidArgument(f"{variables} {verb} not set", remedy=f"set {them}, or pass {names}")
    return LiveKitCredentials(*(value or "" for value in values.values()))


def read_key_pair(options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> tuple[str, str | None]:
    """API key and secret, for verifying a signature; "" and `None` where they are not given.

    Raises:
        InvalidArgument: one of the two is set twice or unreadable.
    """
    given = {"api_key": options.api_key, "api_secret": _api_secret(options)}
    key, secret = (value if value is not None else _variable(field, environ) for field, value in given.items())
    return key or "", secret


def _api_secret(options: argparse.Namespace) -> str | None:
    secret: str | None = options.api_secret
    if secret == STANDARD_INPUT:
        return _from_standard_input()
    if secret is not None:
        _stderr.warning(
            "the process list and the shell's history show the value of --api-secret: set LIVEKIT_API_SECRET or "
            "LIVEKIT_API_SECRET_FILE, or pass `--api-secret -` and write it to standard input"
        )
    return secret


def _is_set(field: str, environ: Mapping[str, str]) -> bool:
    return _environment.is_set(Secret(environ), _VARIABLES[field])


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


def _variable(field: str, environ: Mapping[str, str]) -> str | None:
    name = _VARIABLES[field]
    value = _environment.optional(Secret(environ), name)
    return None if value is None else value.reveal()
