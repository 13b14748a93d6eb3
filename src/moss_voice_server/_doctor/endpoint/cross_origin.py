"""Check CORS: pages of the given origin may call the endpoint, and pages of other origins may not (fetch.spec.whatwg.org)."""

from __future__ import annotations

from ..._http.model import TransportError
from ..check import Check, Stopwatch
from .client import Client, Reply

NAMES = ("endpoint.cors",)
_STRANGER = "https://stranger.example"
_ALLOWED = "access-control-allow-origin"


def check(client: Client, origin: str, header_names: tuple[str, ...], watch: Stopwatch) -> Check:
    """The preflight, a response, an error response, and another origin."""
    name = NAMES[0]
    if not origin:
        return watch.skip(
            name, "no origin was given", "pass --origin https://app.example, if the page has another origin"
        )
    asked = sorted({"content-type", *(each.lower() for each in header_names)})
    preflight = _preflight(client, origin, asked)
    if isinstance(preflight, TransportError):
        return watch.fail(name, *client.explain(preflight))
    problem = _refused(preflight, origin, asked)
    if problem:
        return watch.fail(name, *problem)
    for what, reply in (
        ("the response", client.post(origin=origin)),
        ("an error response", client.post({"no-such-field": 1}, login=False, origin=origin)),
    ):
        if isinstance(reply, TransportError):
            return watch.fail(name, *client.explain(reply))
        if reply.headers.get(_ALLOWED, "") not in (origin, "*"):
            return watch.fail(
                name,
                f"the preflight allows {origin}, but {what} (HTTP {reply.status}) lacks Access-Control-Allow-Origin: the "
                "page sees only 'Failed to fetch'",
                "set the CORS headers on every response, errors included",
            )
    stranger = _preflight(client, _STRANGER, asked)
    if not isinstance(stranger, TransportError) and stranger.headers.get(_ALLOWED) == _STRANGER:
        return watch.fail(
            name,
            "it allows every origin by repeating it: any site can request tokens for a logged-in user",
            "list the origins of your own pages",
        )
    if preflight.headers.get(_ALLOWED) == "*":
        return watch.warn(name, f"{origin} is allowed, like every other site (*)", "list the origins of your own pages")
    return watch.ok(name, f"{origin} is allowed, another origin is not")


def _preflight(client: Client, origin: str, asked: list[str]) -> Reply | TransportError:
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
        return (
            f"the preflight (OPTIONS: HTTP {reply.status}) does not allow {origin}",
            f'add exactly this origin: allow_origins=["{origin}"]',
        )
    if not reply.is_success:
        return f"the preflight fails (OPTIONS: HTTP {reply.status})", "answer it with 204, before any authentication"
    listed = {each.strip().lower() for each in reply.headers.get("access-control-allow-headers", "").split(",")}
    # An asterisk stands for every name but this one.
    missing = [each for each in asked if each not in listed and ("*" not in listed or each == "authorization")]
    if missing:
        return (
            f"the preflight does not allow the header {missing[0]}",
            "list it in Access-Control-Allow-Headers; * does not include Authorization",
        )
    return None
