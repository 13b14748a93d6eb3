"""Contract: whether the endpoint speaks LiveKit's standard: method, status, keys, caching, an empty room_config.

Source: docs.livekit.io, "Endpoint token generation".
"""

from __future__ import annotations

from collections.abc import Generator

from ..._http.model import TransportError
from ..._secret import Secret
from ..._urls import address
from ..check import Check, Stopwatch
from .client import Answer, Client

NAMES = ("endpoint.status", "endpoint.keys", "endpoint.no_store", "endpoint.method", "endpoint.room_config")
_KEYS = ("server_url", "participant_token")


def first(client: Client, watch: Stopwatch, has_headers: bool) -> Generator[Check, None, Answer | None]:
    """The first request, which all else builds on; returns its answer if it brought a token."""
    answer = client.post()
    if isinstance(answer, TransportError):
        yield watch.fail(NAMES[0], *client.why(answer))
        return None
    check = _status(client, answer, watch, has_headers)
    yield check
    if check.status == "fail":
        return None
    yield _keys(answer, watch)
    yield _no_store(answer, watch)
    return answer if answer.given is not None else None


def method(client: Client, watch: Stopwatch) -> Check:
    """A GET must bring no token: a mere link would fetch one, and caches and logs would keep it."""
    answer = client.ask("GET", Secret({"Accept": "application/json"}))
    if isinstance(answer, TransportError):
        return watch.fail(NAMES[3], *client.why(answer))
    if answer.is_success and answer.given is not None:
        return watch.fail(
            NAMES[3],
            f"GET brings a token as well (HTTP {answer.status}): a mere link fetches it, and caches and logs keep it",
            "answer 405 to everything but POST",
        )
    return watch.ok(NAMES[3], f"GET brings no token (HTTP {answer.status})")


def room_config(client: Client, watch: Stopwatch) -> Generator[Check, None, Answer | None]:
    """Some clients always send an empty `room_config`; returns the answer, a second session."""
    answer = client.post({"room_config": {}})
    if isinstance(answer, TransportError):
        yield watch.fail(NAMES[4], *client.why(answer))
        return None
    if not answer.is_success or answer.given is None:
        yield watch.fail(
            NAMES[4],
            f"an empty room_config is refused (HTTP {answer.status}); LiveKit's Swift, Android and Flutter clients always send "
            "one",
            _LIMIT if answer.status == 429 else "take an empty room_config for none",
        )
        return None
    yield watch.ok(NAMES[4], "an empty room_config, as some clients send it, is taken for none")
    return answer


_LIMIT = "allow for at least three tokens a session: clients fetch one before, and one after it"


def _status(client: Client, answer: Answer, watch: Stopwatch, has_headers: bool) -> Check:
    tried = f"POST {client.shown}: HTTP {answer.status}"
    if answer.status == 201:
        return watch.ok(NAMES[0], tried)
    if answer.is_success:
        return watch.warn(NAMES[0], f"{tried}, where the standard says 201; clients take it", "answer 201")
    detail, remedy = _STATUSES.get(answer.status, ("", "look at the application's log"))
    if answer.status in (401, 403):
        detail = "it wants to know who asks" if not has_headers else "it does not accept the given headers"
        remedy = (
            "give what it wants with --header, such as --header @file"
            if not has_headers
            else "check the value: is that session or token still valid?"
        )
    elif 300 <= answer.status < 400:
        detail = "a redirect, on which clients lose the POST"
        remedy = "give the address as the application has it; is there a slash too many or too few at its end?"
    return watch.fail(NAMES[0], f"{tried}{f': {detail}' if detail else ''}", remedy)


_STATUSES = {
    400: ("the request is not understood", "take {} for a request without requests: every field is optional"),
    404: ("there is nothing at that path", "check the path; this package's own default is /voice/token"),
    405: ("it does not take POST", "take POST: LiveKit's clients send that"),
    415: ("it does not take JSON", "take the content type application/json"),
    422: ("it insists on fields", "make every field optional: clients send only what they are told to"),
    429: ("too many requests already", _LIMIT),
    500: ("the application fails", "look at its log"),
    502: ("a proxy answers, the application behind it does not", "start the application, or correct the proxy"),
    503: ("it cannot make tokens now", "look at the application's log, and run doctor with its credentials"),
}


def _keys(answer: Answer, watch: Stopwatch) -> Check:
    name, given = NAMES[1], answer.given
    if not answer.is_json:
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        what = "an HTML page" if kind == "text/html" else "no JSON object"
        return watch.fail(name, f"the answer is {what}", "answer a JSON object with server_url and participant_token")
    if given is None or not given.keys[0]:
        lacks = "participant_token" if given is None else "server_url"
        return watch.fail(name, f"the answer lacks {lacks}", "answer server_url and participant_token, both strings")
    if given.keys != _KEYS:
        return watch.fail(
            name,
            f"the answer's fields are {given.keys[0]} and {given.keys[1]}; LiveKit's Swift and Unity clients read only "
            "server_url and participant_token",
            "write the names in snake_case",
        )
    _, problem = address(given.server_url, secure=("wss", "https"), plain=("ws", "http"))
    if problem:
        return watch.fail(name, f"server_url {problem}", "answer LiveKit's own address: wss://host.example")
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return watch.warn(name, "the content type is not application/json", "set Content-Type: application/json")
    return watch.ok(name, "server_url and participant_token, as JSON")


def _no_store(answer: Answer, watch: Stopwatch) -> Check:
    if "no-store" in answer.headers.get("cache-control", "").lower():
        return watch.ok(NAMES[2], "Cache-Control: no-store")
    return watch.warn(
        NAMES[2],
        "the answer lacks Cache-Control: no-store: a token may stay in a cache",
        "set Cache-Control: no-store on every answer",
    )
