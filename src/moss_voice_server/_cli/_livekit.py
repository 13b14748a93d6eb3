"""LiveKit credentials that the user hands in: by options, by the environment, by standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .._credentials.config import variable
from .._secret import Secret
from ..errors import InvalidArgument
from . import _say

if TYPE_CHECKING:
    import argparse

_VARIABLES = {"url": "LIVEKIT_URL", "api_key": "LIVEKIT_API_KEY", "api_secret": "LIVEKIT_API_SECRET"}
OPTIONS = {"url": "--livekit-url", "api_key": "--api-key", "api_secret": "--api-secret"}
"""Which option each of the three comes from."""


class LiveKit(NamedTuple):
    """A LiveKit server's address and one of its API keys; nothing is checked yet."""

    url: str
    api_key: str
    api_secret: Secret[str]


def add_options(parser: argparse.ArgumentParser, about: str, *, url: bool = True) -> None:
    """The three options, or those for a signature (`url=False`); `about` says what they are for."""
    group = parser.add_argument_group("LiveKit credentials", about)
    # Wrapped as they come in, so that no rendering of the options shows them.
    if url:
        group.add_argument("--livekit-url", metavar="URL", type=Secret, help="wss://..., or ws:// on this machine")
    group.add_argument("--api-key", metavar="KEY", type=Secret, help="LiveKit API key")
    group.add_argument(
        "--api-secret",
        metavar="SECRET",
        type=Secret,
        help="its secret; better `-`, which reads it from standard input: an argument shows in the process list",
    )


def is_asked_for(options: argparse.Namespace) -> bool:
    """Whether any of the options is given: the others then come from the environment."""
    return any(each is not None for each in (options.livekit_url, options.api_key, options.api_secret))


def is_in(environ: Mapping[str, str]) -> bool:
    """Whether the environment names any of the three."""
    return any(_is_set(field, environ) for field in _VARIABLES)


def read(options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> LiveKit:
    """The credentials: an option goes before its variable.

    Raises:
        InvalidArgument: one of the three is missing, given twice or unreadable.
    """
    secret = _given_secret(options)
    url, api_key, api_secret = (
        given if given is not None else _variable(name, environ)
        for name, given in (("url", options.livekit_url), ("api_key", options.api_key), ("api_secret", secret))
    )
    return LiveKit(url.reveal(), api_key.reveal(), api_secret)


def read_pair(options: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> tuple[str, Secret[str]] | None:
    """Key and secret, for checking a signature; the key may be "", and `None` means that there is no secret.

    Raises:
        InvalidArgument: one of the two is given twice or unreadable.
    """
    key, secret = (
        given if given is not None or not _is_set(name, environ) else _variable(name, environ)
        for name, given in (("api_key", options.api_key), ("api_secret", _given_secret(options)))
    )
    return None if secret is None else (key.reveal() if key is not None else "", secret)


def _given_secret(options: argparse.Namespace) -> Secret[str] | None:
    secret: Secret[str] | None = options.api_secret
    if secret is not None and secret.reveal() == "-":
        return _from_standard_input()
    if secret is not None:
        _say.warning(
            "--api-secret on the command line shows in the process list and in the shell's history: set LIVEKIT_API_SECRET or "
            "LIVEKIT_API_SECRET_FILE, or write `--api-secret -` and hand it in by standard input"
        )
    return secret


def _is_set(field: str, environ: Mapping[str, str]) -> bool:
    return bool(environ.get(_VARIABLES[field]) or environ.get(f"{_VARIABLES[field]}_FILE"))


def _from_standard_input() -> Secret[str]:
    """The one line of standard input; a person at a terminal is asked, and what they type is not shown."""
    from getpass import getpass

    text = Secret("")
    # Errors are raised below, where nothing holds what was read.
    with suppress(EOFError, UnicodeDecodeError):
        if sys.stdin is not None and sys.stdin.isatty():
            text = Secret(getpass("LiveKit API secret: "))
        elif sys.stdin is not None:  # None when it is closed
            text = Secret(sys.stdin.read())
    if len(text.reveal().splitlines()) != 1:
        raise InvalidArgument("standard input must hold the secret: one line of UTF-8 text", field="api_secret")
    return Secret(text.reveal().rstrip("\r\n"))


def _variable(field: str, environ: Mapping[str, str]) -> Secret[str]:
    name = _VARIABLES[field]
    value, problem = variable(Secret(environ), name, lambda path: Path(path).read_text(encoding="utf-8"))
    if problem:
        raise InvalidArgument(problem)
    if value is None:
        raise InvalidArgument(f"give {OPTIONS[field]}, or set {name} (or {name}_FILE to a file that holds it)")
    return value
