"""Check the endpoint's own token: its content, the agent that it names, and whether LiveKit accepts it."""

from __future__ import annotations

from ..._escape import escape
from ..._inspect import inspect
from ...errors import InvalidArgument
from ..check import Ended, Verdict, fail, need, ok, skip, warn
from ..found import Found
from ..livekit_server import judge_token, livekit_url
from ..target import Target

# Findings that other checks make, or that are about this shell and not about the token.
_ELSEWHERE = {"not_checked", "weak_secret", "other_key"}


def content(found: Found) -> Verdict:
    issued, credentials, now = need(need(found.reply).issued), found.credentials, found.options.now()
    key, secret = (credentials.api_key, credentials.api_secret) if credentials else ("", None)
    findings = [
        finding
        for finding in inspect(issued.token, now, key, secret).findings
        if finding.code not in _ELSEWHERE and finding.severity != "info"
    ]
    if not findings:
        return ok("no problems found in the token")
    worst = findings[0]
    more = f" (and {len(findings) - 1} more: run `moss-voice-server inspect`)" if len(findings) > 1 else ""
    return Verdict("fail" if worst.severity == "error" else "warn", worst.message + more, worst.remedy)


def dispatch(found: Found) -> Verdict:
    """Moss's documented worker is named, and joins only a room whose token names it."""
    issued, expected = need(need(found.reply).issued), found.options.agent_name
    name = expected if expected is not None else found.credentials.agent_name if found.credentials else ""
    named = issued.agent_names
    if not issued.claims or (not name and expected is None):
        return skip("no agent name is known" if issued.claims else "the token cannot be read")
    if name in named:
        return ok(f"the token names the agent {escape(name)}")
    if not name and not named:
        return ok("the token names no agent: LiveKit dispatches the unnamed workers")
    if not name:
        detail = f"the token names {escape(named[0])}, so LiveKit dispatches no unnamed worker"
        return fail(detail, "return Admission(agents=()) from authorize")
    return fail(
        f"the token names {escape(named[0]) if named else 'no agent'}: LiveKit does not dispatch {escape(name)}",
        "leave Admission(agents=None), the default, or pass agent_name=server.get_agent_name() to create_participant_token; "
        "for an unnamed worker, run doctor with --unnamed-agent",
    )


def accepted(found: Found) -> Verdict:
    """Whether the LiveKit server that the endpoint names accepts the token."""
    issued, credentials = need(need(found.reply).issued), found.credentials
    try:
        server = Target("livekit", livekit_url("server_url", issued.server_url))
    except InvalidArgument:
        return skip("server_url is not a valid URL")
    where = f"LiveKit at {escape(server.url)}"
    try:
        verdict = judge_token(server, issued.token, found.options.timeout)
    except Ended:
        return fail(f"{where}, from server_url, does not answer", "check the URL that the endpoint returns")
    if verdict.status == "fail":
        return fail(f"{where}: {verdict.detail}", f"check the application's credentials: {verdict.remedy}")
    if credentials is not None and credentials.url.rstrip("/") != server.url:
        return warn(
            f"{where} accepts the token, but the credentials here are for {escape(credentials.url)}",
            "check that the application and this shell have the same settings",
        )
    return ok(f"{where} accepts the token")
