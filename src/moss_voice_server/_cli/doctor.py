"""`moss-voice-server doctor`: why the agent does not join."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .._secret import Secret
from ..errors import InvalidArgument
from . import _livekit, _say
from ._arguments import duration, visible

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from .._doctor import Check, Plan
    from ._arguments import Parser

_DESCRIPTION = """\
Try each link of the chain, from the environment to an agent in a room, and say
what was tried, what came back, and what to do.

The credentials come from the Moss API, for the voice agent that the environment
names (MOSS_PROJECT_ID, MOSS_PROJECT_KEY, MOSS_VOICE_AGENT_ID), or else from
LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET; each may be <NAME>_FILE.

It joins up to three rooms of its own, under names that nobody can guess, sends
for an agent in two of them, and leaves nothing behind.
"""
_EPILOG = """\
examples:
  moss-voice-server doctor
  moss-voice-server doctor --agent support-agent --agent-timeout 30s
  moss-voice-server doctor --no-agent --json
  moss-voice-server doctor --endpoint https://app.example/voice/token \\
      --header @header.txt --origin https://app.example

exit status: 0 nothing failed, 1 something did, 2 wrong usage
"""
_AGENT_TIMEOUT = (1.0, 50.0)  # seconds; LiveKit drops a participant without media after a minute
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([\t\x20-\x7e]*?)[ \t]*")  # RFC 9110, section 5.5
_ORIGIN = re.compile(r"https?://[a-z0-9.\[\]:_-]+")
_OWN = ("host", "content-type", "content-length", "origin", "accept-encoding")


def add(commands: argparse._SubParsersAction[Parser]) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "doctor",
        help="why the agent does not join",
        usage="%(prog)s [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.set_defaults(run=run)
    agents = parser.add_argument_group("agent")
    agents.add_argument("--agent", metavar="NAME", type=visible, help="this one must come (default: whom Moss names)")
    agents.add_argument(
        "--agent-timeout",
        metavar="TIME",
        type=duration,
        default=duration("15s"),
        help="how long to wait (default: 15s)",
    )
    agents.add_argument("--no-agent", action="store_true", help="send for no agent")
    endpoint = parser.add_argument_group(
        "your token endpoint", "About a dozen requests; the tokens that it gives are used for nothing."
    )
    endpoint.add_argument("--endpoint", metavar="URL", type=Secret, help="look at this one too")
    endpoint.add_argument(
        "--header",
        metavar="HEADER",
        type=Secret,
        action="append",
        default=[],
        help="what it wants for a log-in, as 'Name: value'; better @FILE, one to a line, since an argument shows in the "
        "process list; repeat it for more",
    )
    endpoint.add_argument("--origin", metavar="ORIGIN", help="of the page that asks it, such as https://app.example")
    _livekit.add_options(
        parser,
        "Instead of the environment's. With one of these given, the others may be\nthe LIVEKIT_ variables named above.",
    )
    parser.add_argument_group("output").add_argument(
        "--json", action="store_true", help="an object: ok, checks (name, status, detail, remedy, ms)"
    )


def run(options: argparse.Namespace) -> int:
    """Look at everything and tell."""
    from .._doctor import examine, names

    plan = _plan(options)
    if options.json:
        checks = list(examine(plan))
        ok = _is_well(checks)
        print(json.dumps({"ok": ok, "checks": [check._asdict() for check in checks]}, indent=2))
        return 0 if ok else 1
    checks = list(_shown(examine(plan), names(plan)))
    return 0 if _is_well(checks) else 1


def _is_well(checks: Iterable[Check]) -> bool:
    return not any(check.status == "fail" for check in checks)


def _shown(checks: Iterator[Check], expected: Sequence[str]) -> Iterator[Check]:
    """The same checks, each shown as soon as it is there, those left out for one reason on one line; and a last line."""
    from ._report import Report

    screen = Report(expected)
    counts = dict.fromkeys(("ok", "warn", "fail", "skip"), 0)
    left_out: list[Check] = []
    while True:
        with screen.waiting("looking at the next link ..."):
            check = next(checks, None)
        if left_out and (check is None or (check.status, check.detail) != ("skip", left_out[0].detail)):
            screen.check(_together(left_out))
            left_out = []
        if check is None:
            break
        if check.status == "skip":
            left_out.append(check)
        else:
            screen.check(check)
        counts[check.status] += 1
        yield check
    words = {"ok": "fine", "warn": "to look at", "fail": "failed", "skip": "left out"}
    screen.remark(", ".join(f"{count} {words[status]}" for status, count in counts.items() if count) + ".")


def _together(checks: Sequence[Check]) -> Check:
    """Several checks that were left out for one reason, as one."""
    first, more = checks[0], len(checks) - 1
    return first._replace(detail=f"{first.detail} (and {more} more)") if more else first


def _plan(options: argparse.Namespace) -> Plan:
    from .._doctor import Given, Plan
    from .._validation import label

    if options.agent is not None:
        label("agent_name", options.agent)
    low, high = _AGENT_TIMEOUT
    if not low <= options.agent_timeout <= high:
        raise InvalidArgument(f"must be from {low:g} to {high:g} seconds", field="agent_timeout")
    if options.endpoint is None and (options.header or options.origin):
        raise InvalidArgument("it is about --endpoint: name one", field="header" if options.header else "origin")
    if options.origin is not None and not _ORIGIN.fullmatch(options.origin):
        raise InvalidArgument("must be as browsers send it: https://app.example, no path and no slash", field="origin")
    given = None
    if _livekit.is_asked_for(options):
        livekit = _livekit.read(options)
        given = Given(livekit.url, Secret(livekit.api_key), livekit.api_secret)
    return Plan(
        Secret(os.environ),
        given=given,
        agent_name=options.agent,
        agents=not options.no_agent,
        agent_timeout=options.agent_timeout,
        endpoint=_endpoint(options.endpoint) if options.endpoint is not None else "",
        headers=_headers(options.header),
        origin=options.origin or "",
    )


def _endpoint(given: Secret[str]) -> str:
    """The endpoint's address; a query is possible, and never shown."""
    from .._urls import address

    if not given.reveal().strip():
        raise InvalidArgument("is empty: leave the option out, or give it an address", field="endpoint")
    base, question, query = given.reveal().partition("?")
    normal, problem = address(base, secure=("https",), plain=("http",))
    if problem:
        raise InvalidArgument(problem, field="endpoint")
    if not re.fullmatch(r"[\x21-\x7e]*", query) or "#" in query:
        raise InvalidArgument("its query may hold visible ASCII characters only, and no #", field="endpoint")
    return f"{normal}{question}{query}"


def _headers(given: list[Secret[str]]) -> Secret[dict[str, str]]:
    """The headers by their names; a value is never shown."""
    found: dict[str, Secret[str]] = {}
    for each in given:
        if each.reveal().startswith("@"):
            lines = Secret([line for line in _file(each.reveal()[1:]).reveal().splitlines() if line.strip()])
        else:
            _say.warning(
                "--header on the command line shows in the process list and in the shell's history: write it to a file, and "
                "give --header @FILE"
            )
            lines = Secret([each.reveal()])
        for index in range(len(lines.reveal())):
            match = Secret(_HEADER.fullmatch(lines.reveal()[index]))
            if match.reveal() is None:
                raise InvalidArgument(
                    "write it as 'Name: value' in ASCII, or @FILE with one such line for each", field="header"
                )
            name = match.reveal()[1].lower()  # type: ignore[index]  # it was looked at above
            if name in _OWN:
                raise InvalidArgument(f"{name} is doctor's own to set", field="header")
            found[name] = Secret(match.reveal()[2])  # type: ignore[index]
    return Secret({name: value.reveal() for name, value in found.items()})


def _file(path: str) -> Secret[str]:
    text = Secret("")
    problem = ""
    try:
        text = Secret(
            sys.stdin.read() if path == "-" and sys.stdin is not None else Path(path).read_text(encoding="utf-8")
        )
    except (OSError, ValueError) as error:
        problem = type(error).__name__
    if problem:
        raise InvalidArgument(f"its file cannot be read ({problem}): check path, mode and encoding", field="header")
    return text
