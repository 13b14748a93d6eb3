"""CORS: whether a page of the given origin may ask, and a page of any other may not (fetch.spec.whatwg.org)."""

from __future__ import annotations

from ..._http.model import TransportError
from ..._secret import Secret
from ..check import Check, Stopwatch
from .client import Answer, Client

NAMES = ("endpoint.cors",)
_STRANGER = "https://stranger.example"


def check(client: Client, origin: str, header_names: tuple[str, ...], watch: Stopwatch) -> Check:
    """The preflight, the answer itself, an error, and another origin."""
    name = NAMES[0]
    if not origin:
        return watch.skip(name, "no origin to try", "give --origin https://app.example, if the page has another host")
    asked = sorted({"content-type", *(each.lower() for each in header_names)})
    preflight = _preflight(client, origin, asked)
    if isinstance(preflight, TransportError):
        return watch.fail(name, *client.why(preflight))
    problem = _refused(preflight, origin, asked)
    if problem:
        return watch.fail(name, *problem)
    for what, answer in (
        ("the answer", client.post(origin=origin)),
        ("an error", client.post({"no-such-field": 1}, log_in=False, origin=origin)),
    ):
        if isinstance(answer, TransportError):
            return watch.fail(name, *client.why(answer))
        allowed = answer.headers.get("access-control-allow-origin", "")
        if allowed not in (origin, "*"):
            return watch.fail(
                name,
                f"the preflight lets {origin} in, but {what} (HTTP {answer.status}) lacks Access-Control-Allow-Origin: the "
                "page reads nothing but 'Failed to fetch'",
                "set the CORS headers on every answer, errors too",
            )
    stranger = _preflight(client, _STRANGER, asked)
    if not isinstance(stranger, TransportError) and stranger.headers.get("access-control-allow-origin") == _STRANGER:
        return watch.fail(
            name,
            "it lets every origin in, by repeating it: any site can ask in the name of a user who is logged in",
            "list the origins of your own pages",
        )
    if preflight.headers.get("access-control-allow-origin") == "*":
        return watch.warn(name, f"{origin} may ask, and every other site too (*)", "list the origins of your own pages")
    return watch.ok(name, f"{origin} may ask, another origin may not")


def _preflight(client: Client, origin: str, asked: list[str]) -> Answer | TransportError:
    headers = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": ",".join(asked)}
    return client.ask("OPTIONS", Secret(headers), log_in=False, origin=origin)


def _refused(answer: Answer, origin: str, asked: list[str]) -> tuple[str, str] | None:
    allowed = answer.headers.get("access-control-allow-origin", "")
    if "," in allowed:
        return (
            "there are two Access-Control-Allow-Origin headers: the application and a proxy both set it, and browsers take "
            "neither",
            "set CORS in one place only",
        )
    if allowed not in (origin, "*"):
        return (
            f"the preflight (OPTIONS: HTTP {answer.status}) does not let {origin} in",
            f'add the origin, letter by letter: allow_origins=["{origin}"]',
        )
    if not answer.is_success:
        return f"the preflight fails (OPTIONS: HTTP {answer.status})", "answer it with 204, before any log-in"
    listed = {each.strip().lower() for each in answer.headers.get("access-control-allow-headers", "").split(",")}
    # A star stands for all names but this one.
    missing = [each for each in asked if each not in listed and ("*" not in listed or each == "authorization")]
    if missing:
        return (
            f"the preflight does not allow the header {missing[0]}",
            "list it in Access-Control-Allow-Headers; * does not stand for Authorization",
        )
    return None
