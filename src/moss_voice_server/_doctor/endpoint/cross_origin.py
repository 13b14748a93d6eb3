"""Check CORS: pages of the given origin may call the endpoint, and pages of other origins may not (fetch.spec.whatwg.org)."""

from __future__ import annotations

from contextlib import suppress

from ..check import Ended, Verdict, fail, ok, skip, warn
from ..found import Found
from .client import Client, Reply

_STRANGER = "https://stranger.example"
_ALLOWED = "access-control-allow-origin"
_LIST_ORIGINS = "list the origins of your own pages"


def judge(found: Found) -> Verdict:
    """The preflight, a response, an error response, and another origin."""
    client, _ = found.session()
    origin = found.options.origin
    if not origin:
        return skip("no origin was given", "pass --origin https://app.example, if the page has another origin")
    asked = sorted({"content-type", *(name.lower() for name in found.options.headers)})
    preflight = _preflight(client, origin, asked)
    problem = _refused(preflight, origin, asked)
    if problem:
        return fail(*problem)
    for what, reply in (
        ("the response", client.post(origin=origin)),
        ("an error response", client.post({"no-such-field": 1}, login=False, origin=origin)),
    ):
        if reply.headers.get(_ALLOWED, "") not in (origin, "*"):
            return fail(
                f"the preflight allows {origin}, but {what} (HTTP {reply.status}) lacks Access-Control-Allow-Origin: the "
                "page sees only 'Failed to fetch'",
                "set the CORS headers on every response, errors included",
            )
    with suppress(Ended):
        if _preflight(client, _STRANGER, asked).headers.get(_ALLOWED) == _STRANGER:
            detail = "it allows every origin by repeating it: any site can request tokens for a logged-in user"
            return fail(detail, _LIST_ORIGINS)
    if preflight.headers.get(_ALLOWED) == "*":
        return warn(f"{origin} is allowed, like every other site (*)", _LIST_ORIGINS)
    return ok(f"{origin} is allowed, another origin is not")


def _preflight(client: Client, origin: str, asked: list[str]) -> Reply:
    headers = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": ",".join(asked)}
    return client.send("OPTIONS", headers, login=False, origin=origin)


def _refused(reply: Reply, origin: str, asked: list[str]) -> tuple[str, str] | None:
    """Cause and remedy where the preflight does not allow the request."""
    allowed = reply.headers.get(_ALLOWED, "")
    if "," in allowed:
        return (
            "there are two Access-Control-Allow-Origin headers, probably from the application and a proxy; browsers reject both",
            "set CORS in one place only",
        )
    if allowed not in (origin, "*"):
        cause = f"the preflight (OPTIONS: HTTP {reply.status}) does not allow {origin}"
        return cause, f'add exactly this origin: allow_origins=["{origin}"]'
    if not reply.is_success:
        return f"the preflight fails (OPTIONS: HTTP {reply.status})", "answer it with 204, before any authentication"
    listed = {each.strip().lower() for each in reply.headers.get("access-control-allow-headers", "").split(",")}
    # An asterisk stands for every name but this one.
    missing = [each for each in asked if each not in listed and ("*" not in listed or each == "authorization")]
    if missing:
        remedy = "list it in Access-Control-Allow-Headers; * does not include Authorization"
        return f"the preflight does not allow the header {missing[0]}", remedy
    return None
