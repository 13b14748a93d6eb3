"""Check the endpoint's own token: its content, the agent that it names, and whether LiveKit accepts it."""

from __future__ import annotations

from collections.abc import Iterator

from ..._escape import escape
from ..._http.model import TransportError
from ..._inspect import inspect
from ..._livekit_credentials import LiveKitCredentials
from ..._secret import Secret
from ..._urls import check_url
from ...errors import InvalidArgument
from ..check import Check, Stopwatch
from ..livekit_server import LiveKitServer
from ..options import Options
from ..validation import ask, judge
from .client import IssuedToken

NAMES = ("endpoint.token", "endpoint.dispatch", "endpoint.accepted")
_TOKEN, _DISPATCH, _ACCEPTED = NAMES
# Findings that other checks make, or that are about this shell and not about the token.
_ELSEWHERE = {"not_checked", "weak_secret", "other_key"}


def checks(issued: IssuedToken, credentials: LiveKitCredentials | None, options: Options) -> Iterator[Check]:
    """The three checks."""
    yield _content(issued, credentials, options)
    yield _dispatch(issued, credentials, options)
    yield _accepted(issued, credentials, options)


def _content(issued: IssuedToken, credentials: LiveKitCredentials | None, options: Options) -> Check:
    watch = Stopwatch(options.mono)
    key, secret = (credentials.api_key, credentials.api_secret) if credentials else ("", None)
    findings = [
        finding
        for finding in inspect(issued.token, options.now(), key, secret).findings
        if finding.code not in _ELSEWHERE and finding.severity != "info"
    ]
    if not findings:
        return watch.ok(_TOKEN, "no problems found in the token")
    worst = findings[0]
    more = f" (and {len(findings) - 1} more: run `moss-voice-server inspect`)" if len(findings) > 1 else ""
    return watch.result(_TOKEN, "fail" if worst.severity == "error" else "warn", worst.message + more, worst.remedy)


def _dispatch(issued: IssuedToken, credentials: LiveKitCredentials | None, options: Options) -> Check:
    """Moss's documented worker is named, and joins only a room whose token names it."""
    watch = Stopwatch(options.mono)
    name = options.agent_name if options.agent_name is not None else credentials.agent_name if credentials else ""
    named = issued.agent_names
    if not issued.claims or (not name and options.agent_name is None):
        return watch.skip(_DISPATCH, "no agent name is known" if issued.claims else "the token cannot be read")
    if not name:
        if not named:
            return watch.ok(_DISPATCH, "the token names no agent: LiveKit dispatches the unnamed workers")
        detail = f"the token names {escape(named[0])}, so LiveKit dispatches no unnamed worker"
        return watch.fail(_DISPATCH, detail, "return Admission(agents=()) from authorize")
    if name in named:
        return watch.ok(_DISPATCH, f"the token names the agent {escape(name)}")
    what = f"names {escape(named[0])}" if named else "names no agent"
    return watch.fail(
        _DISPATCH,
        f"the token {what}: LiveKit does not dispatch {escape(name)}",
        "leave Admission(agents=None), the default, or pass agent_name=server.get_agent_name() to create_participant_token; "
        "for an unnamed worker, run doctor with --unnamed-agent",
    )


def _accepted(issued: IssuedToken, credentials: LiveKitCredentials | None, options: Options) -> Check:
    watch = Stopwatch(options.mono)
    try:
        url = check_url("server_url", Secret(issued.server_url), secure=("wss", "https"), plain=("ws", "http"))
    except InvalidArgument:
        return watch.skip(_ACCEPTED, "server_url is not a valid URL")
    server = LiveKitServer(url.rstrip("/"))
    response = ask(server, "/rtc/validate", issued.token, options.timeout)
    where = f"LiveKit at {escape(server.url)}"
    if isinstance(response, TransportError):
        return watch.fail(
            _ACCEPTED, f"{where}, from server_url, does not answer", "check the URL that the endpoint returns"
        )
    verdict = judge(response, server)
    if verdict.status == "fail":
        return watch.fail(
            _ACCEPTED, f"{where}: {verdict.detail}", f"check the application's credentials: {verdict.remedy}"
        )
    if credentials is not None and credentials.url.rstrip("/") != server.url:
        return watch.warn(
            _ACCEPTED,
            f"{where} accepts the token, but the credentials here are for {escape(credentials.url)}",
            "check that the application and this shell have the same settings",
        )
    return watch.ok(_ACCEPTED, f"{where} accepts the token")
