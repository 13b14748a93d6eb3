"""`moss-voice-server doctor`: find out why the agent does not join."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InvalidArgument
from . import _credential_options, _stderr
from ._arguments import duration, nonblank

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence

    from .._doctor import Check, Options
    from ._arguments import Parser

_DESCRIPTION = """\
Check each link of the chain from the environment to the agent in a room. Each
check says what was tried, what came back, and what to do.

The credentials come from the Moss API, for the voice agent that the environment
names: MOSS_PROJECT_ID, MOSS_PROJECT_KEY, MOSS_VOICE_AGENT_ID. Where none of
them is set, LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET are used. Each
may be <NAME>_FILE.

It joins up to three new rooms with random names, dispatches an agent to two of
them, and deletes them. Moss's documented worker is named: tokens must name it.
"""
_EPILOG = """\
examples:
  moss-voice-server doctor
  moss-voice-server doctor --agent support-agent --agent-timeout 30s
  moss-voice-server doctor --no-agent --json
  moss-voice-server doctor --endpoint https://app.example/voice/token \\
      --header @header.txt --origin https://app.example

exit status: 0 no check failed, 1 a check failed, 2 wrong usage
"""
_AGENT_TIMEOUT = (1.0, 50.0)  # seconds; LiveKit disconnects a participant without media after a minute
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([\t\x20-\x7e]*?)[ \t]*")  # RFC 9110, section 5.5
_ORIGIN = re.compile(r"https?://[a-z0-9.\[\]:_-]+")
_OWN_HEADERS = ("host", "content-type", "content-length", "origin", "accept-encoding")


def add(commands: argparse._SubParsersAction[Parser]) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "doctor",
        help="find out why the agent does not join",
        usage="%(prog)s [options]",
        description=_DESCRIPTION,
        epilog=_EPILOG,
    )
    parser.set_defaults(run=run)
    agents = parser.add_argument_group("agent")
    which = agents.add_mutually_exclusive_group()
    which.add_argument("--agent", metavar="NAME", type=nonblank, help="the agent's name (default: from Moss)")
    which.add_argument(
        "--unnamed-agent",
        dest="agent",
        action="store_const",
        const="",
        help="expect an unnamed worker, for which the app returns Admission(agents=())",
    )
    which.add_argument("--no-agent", action="store_true", help="dispatch no agent")
    agents.add_argument(
        "--agent-timeout",
        metavar="TIME",
        type=duration,
        default=duration("15s"),
        help="how long to wait for it (default: 15s)",
    )
    endpoint = parser.add_argument_group(
        "your token endpoint", "About 15 requests; the tokens that it returns are not used to join."
    )
    endpoint.add_argument("--endpoint", metavar="URL", help="check this endpoint, too")
    endpoint.add_argument(
        "--header",
        metavar="HEADER",
        action="append",
        default=[],
        help="for its authentication, as 'Name: value'; preferably @FILE, with one header a line, because the process "
        "list shows arguments; repeat it for more",
    )
    endpoint.add_argument("--origin", metavar="ORIGIN", help="of the page that calls it, such as https://app.example")
    _credential_options.add_options(
        parser,
        "Instead of the environment's. With one of these given, the others may be\nthe LIVEKIT_ variables named above.",
    )
    parser.add_argument_group("output").add_argument(
        "--json", action="store_true", help="an object: ok, checks (name, status, detail, remedy, ms)"
    )


def run(options: argparse.Namespace) -> int:
    """Make all checks and print them."""
    from .._doctor import examine, names

    chosen = _options(options)
    if options.json:
        checks = list(examine(chosen))
        ok = not _has_failed(checks)
        print(json.dumps({"ok": ok, "checks": [check._asdict() for check in checks]}, indent=2))
        return 0 if ok else 1
    return 1 if _has_failed(list(_shown(examine(chosen), names(chosen)))) else 0


def _has_failed(checks: Iterable[Check]) -> bool:
    return any(check.status == "fail" for check in checks)


def _shown(checks: Iterator[Check], expected: Sequence[str]) -> Iterator[Check]:
    """The same checks, each shown as soon as it is done; those skipped for one reason on one line; and a summary."""
    from ._report import Report

    screen = Report(expected)
    counts = dict.fromkeys(("ok", "fail", "warn", "skip"), 0)
    skipped: list[Check] = []
    while True:
        with screen.waiting("checking ..."):
            check = next(checks, None)
        if skipped and (check is None or (check.status, check.detail) != ("skip", skipped[0].detail)):
            screen.check(_together(skipped))
            skipped = []
        if check is None:
            break
        if check.status == "skip":
            skipped.append(check)
        else:
            screen.check(check)
        counts[check.status] += 1
        yield check
    screen.remark(_summary(counts))


def _summary(counts: dict[str, int]) -> str:
    words = {
        "ok": "passed",
        "fail": "failed",
        "warn": "warning" if counts["warn"] == 1 else "warnings",
        "skip": "skipped",
    }
    return ", ".join(f"{count} {words[status]}" for status, count in counts.items() if count) + "."


def _together(checks: Sequence[Check]) -> Check:
    """Several checks that were skipped for one reason, as one."""
    first, more = checks[0], len(checks) - 1
    return first._replace(detail=f"{first.detail} (and {more} more)") if more else first


def _options(options: argparse.Namespace) -> Options:
    from .._doctor import Options
    from .._validation import label

    if options.agent:
        label("agent_name", options.agent)
    low, high = _AGENT_TIMEOUT
    if not low <= options.agent_timeout <= high:
        raise InvalidArgument(
            "the timeout is out of range", field="agent_timeout", remedy=f"choose {low:g} to {high:g} seconds"
        )
    if options.endpoint is None and (options.header or options.origin):
        name = "header" if options.header else "origin"
        raise InvalidArgument(f"--{name} requires --endpoint", field=name)
    if options.origin is not None and not _ORIGIN.fullmatch(options.origin):
        raise InvalidArgument(
            "this is not an origin", field="origin", remedy="write it as https://app.example, without path and slash"
        )
    return Options(
        os.environ,
        credentials=_credential_options.read(options) if _credential_options.is_given(options) else None,
        agent_name=options.agent,
        agents=not options.no_agent,
        agent_timeout=options.agent_timeout,
        endpoint=_endpoint(options.endpoint) if options.endpoint is not None else "",
        headers=_headers(options.header),
        origin=options.origin or "",
    )


def _endpoint(url: str) -> str:
    """The endpoint's URL; it may have a query, which is never shown."""
    from .._secret import Secret
    from .._urls import check_url

    base, question, query = url.partition("?")
    normal = check_url("the URL", Secret(base), secure=("https",), plain=("http",), field="endpoint")
    if not re.fullmatch(r"[\x21-\x7e]*", query) or "#" in query:
        raise InvalidArgument(
            "the query contains an invalid character", field="endpoint", remedy="use visible ASCII characters, and no #"
        )
    return f"{normal}{question}{query}"


def _headers(given: list[str]) -> dict[str, str]:
    """The headers by their names; errors never contain a value."""
    found: dict[str, str] = {}
    for each in given:
        if each.startswith("@"):
            lines = [line for line in _read(each[1:]).splitlines() if line.strip()]
        else:
            _stderr.warning(
                "the process list and the shell's history show the value of --header: write it to a file, and pass "
                "--header @FILE"
            )
            lines = [each]
        for line in lines:
            match = _HEADER.fullmatch(line)
            if match is None:
                raise InvalidArgument(
                    "this is not a header",
                    field="header",
                    remedy="write 'Name: value' in ASCII, or @FILE with one a line",
                )
            name = match[1].lower()
            if name in _OWN_HEADERS:
                raise InvalidArgument(f"doctor sets {name} itself", field="header", remedy="remove this header")
            found[name] = match[2]
    return found


def _read(path: str) -> str:
    from .._escape import escape

    try:
        return sys.stdin.read() if path == "-" and sys.stdin is not None else Path(path).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
    raise InvalidArgument(
        f"the file {escape(path, 200)} cannot be read ({reason})",
        field="header",
        remedy="check its path, permissions and encoding",
    )
