"""Token: what the endpoint's own token says, and whether LiveKit takes it."""

from __future__ import annotations

from collections.abc import Generator

from ..._http.model import Response, TransportError
from ..._inspect import Pair, inspect
from ..._urls import address
from ..check import Check, Stopwatch, shown
from ..keys import Keys
from ..livekit import Server
from ..plan import Plan
from ..token import validate
from .client import Pass

NAMES = ("endpoint.token", "endpoint.accepted")
# Said by checks of their own, or about this shell and not about the token.
_ELSEWHERE = {"not_checked", "weak_secret", "other_key"}


def checks(given: Pass, keys: Keys | None, plan: Plan) -> Generator[Check, None, None]:
    """The lint's verdict, then LiveKit's."""
    yield _lint(given, keys, plan)
    yield _accepted(given, keys, plan)


def _lint(given: Pass, keys: Keys | None, plan: Plan) -> Check:
    watch = Stopwatch(plan.mono)
    pair = None if keys is None else Pair(keys.api_key.reveal(), keys.api_secret)
    findings = [
        finding
        for finding in inspect(given.token.reveal(), plan.now(), pair).findings
        if finding.code not in _ELSEWHERE and finding.severity != "info"
    ]
    if not findings:
        return watch.ok(NAMES[0], "the token's content is in order")
    worst = findings[0]
    more = f" (and {len(findings) - 1} more: see `moss-voice-server inspect`)" if len(findings) > 1 else ""
    make = watch.fail if worst.severity == "error" else watch.warn
    return make(NAMES[0], worst.message + more, worst.remedy)


def _accepted(given: Pass, keys: Keys | None, plan: Plan) -> Check:
    watch, name = Stopwatch(plan.mono), NAMES[1]
    url, problem = address(given.server_url, secure=("wss", "https"), plain=("ws", "http"))
    if problem:
        return watch.skip(name, "server_url is no address that could be asked")
    server = Server(url.rstrip("/"), None)
    answer = validate(server, "/rtc/validate", given.token, plan)
    where = f"LiveKit at {shown(server.url)}"
    if isinstance(answer, TransportError):
        return watch.fail(
            name, f"{where}, named in server_url, does not answer", "check the address that the endpoint hands out"
        )
    if answer.status == 200 and answer.body.reveal().strip() == b"success":
        if keys is not None and keys.url.rstrip("/") != server.url:
            return watch.warn(
                name,
                f"{where} accepts the token; the credentials at hand are for {shown(keys.url)}",
                "check that the application and this shell have the same settings",
            )
        return watch.ok(name, f"{where} accepts the token")
    return watch.fail(name, f"{where} does not accept the token (HTTP {answer.status})", _remedy(answer))


def _remedy(answer: Response) -> str:
    if b"invalid API key" in answer.body.reveal():
        return "server_url and token are of two LiveKit projects, perhaps: check the application's settings"
    return "see the check `endpoint.token`; run doctor with the application's credentials for more"
