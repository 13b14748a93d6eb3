"""Check whether the endpoint follows LiveKit's standard: method, status, fields, caching, room_config.

Source: docs.livekit.io, "Endpoint token generation".
"""

from __future__ import annotations

from collections.abc import Generator

from ..._escape import escape
from ..._http.model import TransportError
from ..._secret import Secret
from ..._urls import check_url
from ...errors import InvalidArgument
from ..check import Check, Stopwatch
from .client import CAMEL, STANDARD, Client, IssuedToken, Reply

NAMES = (
    "endpoint.status",
    "endpoint.keys",
    "endpoint.no_store",
    "endpoint.method",
    "endpoint.room_config",
    "endpoint.own_agent",
)
_STATUS, _KEYS, _NO_STORE, _METHOD, _ROOM_CONFIG, _OWN_AGENT = NAMES
_LIMIT = "allow at least three tokens per session: clients request one before the call, and one after it"


def first(client: Client, watch: Stopwatch, has_headers: bool) -> Generator[Check, None, IssuedToken | None]:
    """The first request, whose token all other checks need; returns that token."""
    reply = client.post()
    if isinstance(reply, TransportError):
        yield watch.fail(_STATUS, *client.explain(reply))
        return None
    check = _status(client, reply, watch, has_headers)
    yield check
    if check.status == "fail":
        return None
    yield _keys(reply, watch)
    yield _no_store(reply, watch)
    return reply.issued


def method(client: Client, watch: Stopwatch) -> Check:
    """A GET must not issue a token: any link could request one, and caches and logs would keep it."""
    reply = client.send("GET", {"Accept": "application/json"})
    if isinstance(reply, TransportError):
        return watch.fail(_METHOD, *client.explain(reply))
    if reply.is_success and reply.issued is not None:
        return watch.fail(
            _METHOD,
            f"GET also issues a token (HTTP {reply.status}): any link can request one, and caches and logs keep it",
            "answer 405 to every method but POST",
        )
    return watch.ok(_METHOD, f"GET issues no token (HTTP {reply.status})")


def room_config(client: Client, watch: Stopwatch) -> Generator[Check, None, IssuedToken | None]:
    """Some clients always send an empty `room_config`; returns the token, of a second session."""
    reply = client.post({"room_config": {}})
    if isinstance(reply, TransportError):
        yield watch.fail(_ROOM_CONFIG, *client.explain(reply))
        return None
    if not reply.is_success or reply.issued is None:
        yield watch.fail(
            _ROOM_CONFIG,
            f"an empty room_config is refused (HTTP {reply.status}), but LiveKit's Swift, Android and Flutter clients send one",
            _LIMIT if reply.status == 429 else "treat an empty room_config as absent",
        )
        return None
    yield watch.ok(_ROOM_CONFIG, "an empty room_config, which some clients send, is accepted")
    return reply.issued


def own_agent(client: Client, issued: IssuedToken, watch: Stopwatch) -> Check:
    """Moss's user interfaces request the agent by name, which the application dispatches anyway."""
    if not issued.agent_names:
        return watch.skip(_OWN_AGENT, "the token names no agent")
    name = issued.agent_names[0]
    reply = client.post({"room_config": {"agents": [{"agent_name": name}]}})
    if isinstance(reply, TransportError):
        return watch.fail(_OWN_AGENT, *client.explain(reply))
    asked = f"a request for {escape(name)}, the agent that the endpoint dispatches anyway,"
    if reply.is_success and reply.issued is not None:
        if reply.issued.agent_names.count(name) == 1:
            return watch.ok(_OWN_AGENT, f"{asked} is accepted")
        return watch.warn(
            _OWN_AGENT,
            f"{asked} gets a token that names it {reply.issued.agent_names.count(name)} times",
            "name each agent once",
        )
    return watch.warn(
        _OWN_AGENT,
        f"{asked} is refused (HTTP {reply.status}), but Moss's user interfaces send it",
        _LIMIT if reply.status == 429 else f'accept it: allowed_agents=("{escape(name)}",)',
    )


def _status(client: Client, reply: Reply, watch: Stopwatch, has_headers: bool) -> Check:
    tried = f"POST {client.shown}: HTTP {reply.status}"
    if reply.status == 201:
        return watch.ok(_STATUS, tried)
    if reply.is_success:
        return watch.warn(_STATUS, f"{tried}; the standard is 201, but clients accept this", "answer 201")
    detail, remedy = _STATUSES.get(reply.status, ("", "check the application's log"))
    if reply.status in (401, 403):
        detail = "it does not accept the given headers" if has_headers else "it requires authentication"
        remedy = "check the value: the session or token may have expired" if has_headers else "pass --header @FILE"
    elif 300 <= reply.status < 400:
        detail = "a redirect, after which clients do not repeat the POST"
        remedy = "pass the exact URL of the route, with or without its trailing slash"
    return watch.fail(_STATUS, f"{tried}{f': {detail}' if detail else ''}", remedy)


_STATUSES = {
    400: ("the request is not understood", "accept {} as a request: every field is optional"),
    404: ("there is no such path", "check the path; this package's default is /voice/token"),
    405: ("POST is not allowed", "accept POST, which LiveKit's clients send"),
    415: ("JSON is not accepted", "accept the content type application/json"),
    422: ("required fields are missing", "make every field optional: clients send only what they need"),
    429: ("too many requests", _LIMIT),
    500: ("the application failed", "check its log"),
    502: ("a proxy answers, but not the application behind it", "start the application, or correct the proxy"),
    503: ("it cannot create tokens now", "check the application's log, and run doctor with its credentials"),
}


def _keys(reply: Reply, watch: Stopwatch) -> Check:
    issued = reply.issued
    if not reply.is_json:
        what = "an HTML page" if reply.media_type == "text/html" else "not a JSON object"
        return watch.fail(
            _KEYS, f"the response is {what}", "return a JSON object with server_url and participant_token"
        )
    if issued is None or not issued.keys[0]:
        missing = "participant_token" if issued is None else "server_url"
        return watch.fail(
            _KEYS, f"the response lacks {missing}", "return server_url and participant_token, both strings"
        )
    if issued.keys not in (STANDARD, CAMEL):
        return watch.fail(
            _KEYS,
            f"the fields are {issued.keys[0]} and {issued.keys[1]}; LiveKit's clients read server_url and participant_token",
            "use the standard names",
        )
    try:
        check_url("server_url", Secret(issued.server_url), secure=("wss", "https"), plain=("ws", "http"))
    except InvalidArgument as error:
        return watch.fail(_KEYS, error.message, "return LiveKit's own URL: wss://host.example")
    if reply.media_type != "application/json":
        return watch.warn(_KEYS, "the content type is not application/json", "set Content-Type: application/json")
    if issued.keys == CAMEL:
        return watch.warn(
            _KEYS,
            "the fields are camelCase only: Moss's user interfaces read them, but LiveKit's Swift and Unity clients do not",
            'return both spellings: response_keys="both"',
        )
    if all(name in issued.fields for name in CAMEL):
        if [issued.fields[name] for name in CAMEL] != [issued.fields[name] for name in STANDARD]:
            return watch.fail(
                _KEYS, "the two spellings have different values", "return the same values in both spellings"
            )
        return watch.ok(_KEYS, "server_url and participant_token, also in camelCase")
    return watch.ok(_KEYS, "server_url and participant_token, as JSON")


def _no_store(reply: Reply, watch: Stopwatch) -> Check:
    if "no-store" in reply.headers.get("cache-control", "").lower():
        return watch.ok(_NO_STORE, "Cache-Control: no-store")
    return watch.warn(
        _NO_STORE,
        "the response lacks Cache-Control: no-store, so a cache may keep the token",
        "set Cache-Control: no-store on every response",
    )
