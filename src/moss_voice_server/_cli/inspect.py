"""`moss-voice-server inspect`: explain a token, and find mistakes."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

from ..errors import InvalidArgument
from . import _credential_options

if TYPE_CHECKING:
    import argparse

    from .._inspect import Inspection
    from ._arguments import Parser

_DESCRIPTION = """\
Explain a LiveKit token and find mistakes: what the server would reject,
silently ignore or misread, each with a remedy.

Nothing is sent anywhere. The signature is checked when the API secret is set:
LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or LIVEKIT_API_SECRET_FILE, a file that
contains it. Secrets in a token, such as those of a recording's storage, are
masked.
"""
_EPILOG = """\
examples:
  moss-voice-server token | moss-voice-server inspect -
  moss-voice-server inspect eyJhbGciOi...
  moss-voice-server inspect --json - < token.txt

exit status: 0 no errors found, 1 errors found, 2 wrong usage
"""
_LONGEST = 4 * 1024 * 1024  # characters of standard input; a longer one is an error


def add(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "inspect",
        help="explain a token, and find mistakes",
        usage="%(prog)s [options] TOKEN",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.set_defaults(run=run)
    parser.add_argument("token", metavar="TOKEN", help="the token, or `-` to read it from standard input")
    parser.add_argument(
        "--json", action="store_true", help="an object: ok, claims, findings (code, severity, message, remedy)"
    )
    _credential_options.add_options(parser, "For the signature; or set the variables named above.", url=False)


def run(options: argparse.Namespace) -> int:
    """Inspect the token and print the result."""
    from .._inspect import inspect

    text = options.token
    if text == _credential_options.STANDARD_INPUT:
        if options.api_secret == _credential_options.STANDARD_INPUT:
            raise InvalidArgument(
                "standard input cannot contain the token as well",
                field="api_secret",
                remedy="set LIVEKIT_API_SECRET",
            )
        text = _from_standard_input()
    now = time.time()
    inspection = inspect(text, now, *_credential_options.read_key_pair(options))
    if options.json:
        findings = [finding._asdict() for finding in inspection.findings]
        print(json.dumps({"ok": inspection.ok, "claims": inspection.claims, "findings": findings}, indent=2))
    else:
        _show(inspection, now)
    return 0 if inspection.ok else 1


def _from_standard_input() -> str:
    text = ""
    try:
        if sys.stdin is not None:  # None when it is closed
            text = sys.stdin.read(_LONGEST + 1)
    except UnicodeDecodeError:
        text = ""
    if len(text) > _LONGEST:
        raise InvalidArgument("standard input is longer than 4 MiB", remedy="pipe in only the token")
    if not text.strip():
        raise InvalidArgument("standard input contains no token", remedy="pipe one in, as UTF-8 text")
    return text


def _show(inspection: Inspection, now: float) -> None:
    from ._claims_table import describe
    from ._report import Report

    screen = Report()
    if inspection.claims is not None:
        screen.claims(describe(inspection.claims, now))
    for finding in inspection.findings:
        screen.finding(finding)
    screen.remark(_summary(inspection))


def _summary(inspection: Inspection) -> str:
    severities = [finding.severity for finding in inspection.findings]
    counts = ((severities.count("error"), "error"), (severities.count("warning"), "warning"))
    found = " and ".join(f"{count} {name}{'s' if count > 1 else ''}" for count, name in counts if count)
    return f"{found} found: this token will not work." if counts[0][0] else f"{found or 'No problems'} found."
