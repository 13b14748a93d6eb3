"""`moss-voice-server inspect`: explain a token, and find mistakes."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from ..errors import InvalidArgument
from . import _credential_options, _output
from ._arguments import STANDARD_INPUT, Command, Parser, add_options

if TYPE_CHECKING:
    import argparse

    from .._inspect import Inspection

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


_ARGUMENTS = {
    "token TOKEN": "the token, or `-` to read it from standard input",
    "--json": "an object: ok, claims, findings (code, severity, message, remedy)",
}


def add(parser: Parser) -> None:
    add_options(parser, _ARGUMENTS)
    _credential_options.add(parser, "For the signature; or set the variables named above.", url=False)


def run(options: argparse.Namespace) -> int:
    from .._inspect import inspect

    text = options.token
    if text == STANDARD_INPUT:
        if options.api_secret == STANDARD_INPUT:
            problem = "standard input cannot contain the token as well"
            raise InvalidArgument(problem, field="api_secret", remedy="set LIVEKIT_API_SECRET")
        text = _from_standard_input()
    now = time.time()
    inspection = inspect(text, now, *_credential_options.read_key_pair(options))
    if options.json:
        findings = [finding._asdict() for finding in inspection.findings]
        _output.print_json({"ok": inspection.ok, "claims": inspection.claims, "findings": findings})
    else:
        _show(inspection, now)
    return 0 if inspection.ok else 1


def _from_standard_input() -> str:
    text = ""
    with suppress(UnicodeDecodeError):
        if sys.stdin is not None:  # None when it is closed
            text = sys.stdin.read(_LONGEST + 1)
    if len(text) > _LONGEST:
        raise InvalidArgument("standard input is longer than 4 MiB", remedy="pipe in only the token")
    if not text.strip():
        raise InvalidArgument("standard input contains no token", remedy="pipe one in, as UTF-8 text")
    return text


def _show(inspection: Inspection, now: float) -> None:
    from ._claims_table import describe
    from ._screen import Screen

    screen = Screen()
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


COMMAND = Command("explain a token, and find mistakes", _DESCRIPTION, _EPILOG, add, run, "[options] TOKEN")
