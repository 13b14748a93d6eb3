"""`moss-voice-server inspect`: what a token says, in words, and what is wrong with it."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from .._secret import Secret
from ..errors import InvalidArgument
from . import _livekit

if TYPE_CHECKING:
    import argparse

    from .._inspect import Inspection
    from ._arguments import Parser

_DESCRIPTION = """\
Show what a LiveKit token says, in words, and what is wrong with it: what the
server would refuse, silently ignore or take for something else, each with a
remedy.

Nobody is asked, and the token goes nowhere. The signature is checked when the
API secret is at hand: LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or
LIVEKIT_API_SECRET_FILE, a file that holds it. Secrets in a token, such as those
of a recording's storage, are masked.
"""
_EPILOG = """\
examples:
  moss-voice-server token | moss-voice-server inspect -
  moss-voice-server inspect eyJhbGciOi...
  moss-voice-server inspect --json - < token.txt

exit status: 0 nothing is an error, 1 something is, 2 wrong usage
"""
_LONGEST = 4 * 1024 * 1024  # characters of standard input that are read


def add(commands: argparse._SubParsersAction[Parser]) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "inspect",
        help="what a token says, and what is wrong with it",
        usage="%(prog)s [options] TOKEN",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.set_defaults(run=run)
    # Wrapped, since it opens a room: no rendering of the options shows it.
    parser.add_argument("token", metavar="TOKEN", type=Secret, help="the token, or `-`: read it from standard input")
    parser.add_argument(
        "--json", action="store_true", help="an object: ok, claims, findings (code, severity, message, remedy)"
    )
    _livekit.add_options(parser, "For the signature; the variables named above will do as well.", url=False)


def run(options: argparse.Namespace) -> int:
    """Look at the token and tell."""
    from .._inspect import Pair, inspect

    text = options.token
    if text.reveal() == "-":
        if options.api_secret is not None and options.api_secret.reveal() == "-":
            raise InvalidArgument(
                "standard input cannot hold the token as well: set LIVEKIT_API_SECRET", field="api_secret"
            )
        text = _from_standard_input()
    pair = _livekit.read_pair(options)
    now = time.time()
    inspection = inspect(text.reveal(), now, Pair(*pair) if pair else None)
    if options.json:
        findings = [finding._asdict() for finding in inspection.findings]
        print(json.dumps({"ok": inspection.ok, "claims": inspection.claims, "findings": findings}, indent=2))
    else:
        _show(inspection, now)
    return 0 if inspection.ok else 1


def _from_standard_input() -> Secret[str]:
    text = Secret("")
    try:
        if sys.stdin is not None:  # None when it is closed
            text = Secret(sys.stdin.read(_LONGEST + 1))
    except UnicodeDecodeError:
        text = Secret("")
    if len(text.reveal()) > _LONGEST:
        raise InvalidArgument("standard input is longer than 4 MiB, which no token is: pipe in the token alone")
    if not text.reveal().strip():
        raise InvalidArgument("standard input holds no token: pipe one in, as UTF-8 text")
    return text


def _show(inspection: Inspection, now: float) -> None:
    from ._claims import describe
    from ._report import Report

    screen = Report()
    if inspection.claims is not None:
        screen.claims(describe(inspection.claims, now))
    for finding in inspection.findings:
        screen.finding(finding)
    screen.remark(_summary(inspection))


def _summary(inspection: Inspection) -> str:
    severities = [finding.severity for finding in inspection.findings]
    errors, warnings = severities.count("error"), severities.count("warning")
    if errors:
        return f"{errors} error{'s' if errors > 1 else ''}: it does not do what it is meant to."
    if warnings:
        return f"No error, {warnings} warning{'s' if warnings > 1 else ''}."
    return "Nothing is wrong with it."
