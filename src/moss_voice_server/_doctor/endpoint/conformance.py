"""Check whether the endpoint follows LiveKit's standard: method, status, fields, caching, room_config.

Source: docs.livekit.io, "Endpoint token generation".
"""

from __future__ import annotations

from ..._escape import escape
from ...errors import InvalidArgument
from ..check import Ended, Verdict, fail, need, ok, skip, warn
from ..found import Found
from ..livekit_server import livekit_url
from .client import CAMEL, STANDARD, Reply

_LIMIT = "allow at least three tokens per session: clients request one before the call, and one after it"
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


def status(found: Found) -> Verdict:
    """The first request, whose token all other checks need."""
    client = need(found.client)
    if not found.is_reached("endpoint"):
        raise Ended
    reply = client.post()
    tried = f"POST {client.shown}: HTTP {reply.status}"
    if reply.is_success:
        found.reply = reply
        if reply.status == 201:
            return ok(tried)
        return warn(f"{tried}; the standard is 201, but clients accept this", "answer 201")
    detail, remedy = _STATUSES.get(reply.status, ("", "check the application's log"))
    if reply.status in (401, 403):
        detail, remedy = "it requires authentication", "pass --header @FILE"
        if found.options.headers:
            detail = "it does not accept the given headers"
            remedy = "check the value: the session or token may have expired"
    elif 300 <= reply.status < 400:
        detail = "a redirect, after which clients do not repeat the POST"
        remedy = "pass the exact URL of the route, with or without its trailing slash"
    return fail(f"{tried}: {detail}" if detail else tried, remedy)


def keys(found: Found) -> Verdict:
    reply = need(found.reply)
    issued = reply.issued
    if not reply.is_json:
        what = "an HTML page" if reply.media_type == "text/html" else "not a JSON object"
        return fail(f"the response is {what}", "return a JSON object with server_url and participant_token")
    if issued is None or not issued.keys[0]:
        missing = "participant_token" if issued is None else "server_url"
        return fail(f"the response lacks {missing}", "return server_url and participant_token, both strings")
    if issued.keys not in (STANDARD, CAMEL):
        names = " and ".join(issued.keys)
        return fail(
            f"the fields are {names}; LiveKit's clients read server_url and participant_token", "use the standard names"
        )
    try:
        livekit_url("server_url", issued.server_url)
    except InvalidArgument as error:
        return fail(error.message, "return LiveKit's own URL: wss://host.example")
    if reply.media_type != "application/json":
        return warn("the content type is not application/json", "set Content-Type: application/json")
    if issued.keys == CAMEL:
        return warn(
            "the fields are camelCase only: Moss's user interfaces read them, but LiveKit's Swift and Unity clients do not",
            'return both spellings: response_keys="both"',
        )
    if not all(name in issued.fields for name in CAMEL):
        return ok("server_url and participant_token, as JSON")
    if [issued.fields[name] for name in CAMEL] != [issued.fields[name] for name in STANDARD]:
        return fail("the two spellings have different values", "return the same values in both spellings")
    return ok("server_url and participant_token, also in camelCase")


def no_store(found: Found) -> Verdict:
    """A cache must not keep the token."""
    if "no-store" in need(found.reply).headers.get("cache-control", "").lower():
        return ok("Cache-Control: no-store")
    return warn(
        "the response lacks Cache-Control: no-store, so a cache may keep the token",
        "set Cache-Control: no-store on every response",
    )


def method(found: Found) -> Verdict:
    """A GET must not issue a token: any link could request one, and caches and logs would keep it."""
    client, _ = found.session()
    reply = client.send("GET", {"Accept": "application/json"})
    if reply.session is not None:
        return fail(
            f"GET also issues a token (HTTP {reply.status}): any link can request one, and caches and logs keep it",
            "answer 405 to every method but POST",
        )
    return ok(f"GET issues no token (HTTP {reply.status})")


def room_config(found: Found) -> Verdict:
    """Some clients always send an empty `room_config`; its token is that of a second session."""
    client, _ = found.session()
    reply = client.post({"room_config": {}})
    found.second = reply.session
    if found.second is None:
        return fail(
            f"an empty room_config is refused (HTTP {reply.status}), but LiveKit's Swift, Android and Flutter clients send one",
            _remedy(reply, "treat an empty room_config as absent"),
        )
    return ok("an empty room_config, which some clients send, is accepted")


def own_agent(found: Found) -> Verdict:
    """Moss's user interfaces request the agent by name, which the application dispatches anyway."""
    client, issued = found.session()
    if not issued.agent_names:
        return skip("the token names no agent")
    name = issued.agent_names[0]
    reply = client.post({"room_config": {"agents": [{"agent_name": name}]}})
    asked = f"a request for {escape(name)}, the agent that the endpoint dispatches anyway,"
    if reply.session is None:
        return warn(
            f"{asked} is refused (HTTP {reply.status}), but Moss's user interfaces send it",
            _remedy(reply, f'accept it: allowed_agents=("{escape(name)}",)'),
        )
    count = reply.session.agent_names.count(name)
    if count == 1:
        return ok(f"{asked} is accepted")
    return warn(f"{asked} gets a token that names it {count} times", "name each agent once")


def _remedy(reply: Reply, remedy: str) -> str:
    return _LIMIT if reply.status == 429 else remedy
