"""`moss-voice-server doctor`: find out why the agent does not join."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ..errors import InvalidArgument
from . import _credential_options, _output
from ._arguments import REPEATED, Command, Option, Parser, add_options, duration, nonblank, read_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from .._doctor import Check, Options

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
_COUNTED = {"ok": "passed", "fail": "failed", "warn": "warning", "skip": "skipped"}
_AGENT_TIMEOUT = (1.0, 50.0)  # seconds; LiveKit disconnects a participant without media after a minute
_HEADER = re.compile(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*([\t\x20-\x7e]*?)[ \t]*")  # RFC 9110, section 5.5
_ORIGIN = re.compile(r"https?://[a-z0-9.\[\]:_-]+")
_OWN_HEADERS = ("host", "content-type", "content-length", "origin", "accept-encoding")


_AGENT: dict[str, Option] = {
    "--agent NAME": ("the agent's name (default: from Moss)", {"type": nonblank}),
    "--unnamed-agent": (
        "expect an unnamed worker, for which the app returns Admission(agents=())",
        {"dest": "agent", "action": "store_const", "const": ""},
    ),
    "--no-agent": "dispatch no agent",
}
_TIMEOUT: dict[str, Option] = {
    "--agent-timeout TIME": ("how long to wait for it (default: 15s)", {"type": duration, "default": duration("15s")})
}
_ENDPOINT: dict[str, Option] = {
    "--endpoint URL": "check this endpoint, too",
    "--header HEADER": (
        "for its authentication, as 'Name: value'; preferably @FILE, with one header a line, because the process "
        "list shows arguments; repeat it for more",
        REPEATED,
    ),
    "--origin ORIGIN": "of the page that calls it, such as https://app.example",
}


def add(parser: Parser) -> None:
    agents = parser.add_argument_group("agent")
    add_options(agents.add_mutually_exclusive_group(), _AGENT)
    add_options(agents, _TIMEOUT)
    about = "About 15 requests; the tokens that it returns are not used to join."
    add_options(parser.add_argument_group("your token endpoint", about), _ENDPOINT)
    about = (
        "Instead of the environment's. With one of these given, the others may be\nthe LIVEKIT_ variables named above."
    )
    _credential_options.add(parser, about)
    output = {"--json": "an object: ok, checks (name, status, detail, remedy, ms)"}
    add_options(parser.add_argument_group("output"), output)


def run(options: argparse.Namespace) -> int:
    from .._doctor import examine, names

    chosen = _options(options)
    checks = list(examine(chosen) if options.json else _shown(examine(chosen), names(chosen)))
    ok = all(check.status != "fail" for check in checks)
    if options.json:
        _output.print_json({"ok": ok, "checks": [check._asdict() for check in checks]})
    return 0 if ok else 1


def _shown(checks: Iterator[Check], expected: Sequence[str]) -> Iterator[Check]:
    """The same checks, each shown as soon as it is done; those skipped for one reason on one line; and a summary."""
    from ._screen import Screen

    screen = Screen(expected)
    counts = dict.fromkeys(_COUNTED, 0)
    skipped: list[Check] = []
    while True:
        with screen.waiting("checking ..."):
            check = next(checks, None)
        if skipped and (check is None or (check.status, check.detail) != ("skip", skipped[0].detail)):
            more = f" (and {len(skipped) - 1} more)" if skipped[1:] else ""
            screen.check(skipped[0]._replace(detail=skipped[0].detail + more))
            skipped = []
        if check is None:
            break
        if check.status == "skip":
            skipped.append(check)
        else:
            screen.check(check)
        counts[check.status] += 1
        yield check
    words = [
        f"{count} {_COUNTED[status]}{'s' * (status == 'warn' and count > 1)}"
        for status, count in counts.items()
        if count
    ]
    screen.remark(", ".join(words) + ".")


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
            text = read_file(each[1:], "header", "check its path, permissions and encoding", stdin=True)
            lines = [line for line in text.splitlines() if line.strip()]
        else:
            _output.warning(
                "the process list and the shell's history show the value of --header: write it to a file, and pass "
                "--header @FILE"
            )
            lines = [each]
        for line in lines:
            match = _HEADER.fullmatch(line)
            if match is None:
                remedy = "write 'Name: value' in ASCII, or @FILE with one a line"
                raise InvalidArgument("this is not a header", field="header", remedy=remedy)
            name = match[1].lower()
            if name in _OWN_HEADERS:
                raise InvalidArgument(f"doctor sets {name} itself", field="header", remedy="remove this header")
            found[name] = match[2]
    return found


COMMAND = Command("find out why the agent does not join", _DESCRIPTION, _EPILOG, add, run)
