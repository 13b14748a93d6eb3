"""Trust: what the endpoint lets a client decide that only the application may: who, where, and what is recorded."""

from __future__ import annotations

import json
from collections.abc import Generator
from secrets import token_hex
from typing import Any

from ..._http.model import TransportError
from ..._inspect import spelling
from ..check import Check, Stopwatch
from ..keys import Keys
from ..livekit import Server
from ..plan import Plan
from ..rooms import exists
from .client import Answer, Client, Pass

NAMES = (
    "endpoint.fresh_room",
    "endpoint.log_in",
    "endpoint.identity",
    "endpoint.room",
    "endpoint.egress",
    "endpoint.agents",
)
_SAFE = "; moss_voice_server's token endpoint refuses that by itself"


def log_in(client: Client, watch: Stopwatch, has_headers: bool) -> Check:
    """Whoever does not say who he is must get nothing."""
    name = NAMES[1]
    if not has_headers:
        return watch.warn(
            name,
            "it gives a token to whoever asks, without any log-in",
            "fine for guests only: else take the identity from your own log-in, and limit how often one may ask",
        )
    answer = client.post(log_in=False)
    if isinstance(answer, TransportError):
        return watch.fail(name, *client.why(answer))
    if answer.given is not None and answer.is_success:
        return watch.fail(
            name,
            f"without the given headers it gives a token as well (HTTP {answer.status}): to anybody",
            "check in `authorize`, or before, who asks; refuse with 401",
        )
    return watch.ok(name, f"without the given headers: HTTP {answer.status}, and no token")


def fresh_room(one: Pass, two: Pass | None, server: Server | None, keys: Keys | None, plan: Plan) -> Check:
    """Every session must get a room of its own: an agent comes only when a room is new."""
    watch, name = Stopwatch(plan.mono), NAMES[0]
    if server is not None and keys is not None and one.room and exists(server, keys, one.room, plan):
        return watch.fail(
            name,
            "the room in the token exists already: LiveKit reads no agents from a token for it, and nobody is sent for",
            "name no room, or a new one for every session; for a room that lives on, dispatch with LiveKit's API",
        )
    if two is None:
        return watch.skip(name, "there was no second token to compare")
    if one.room == two.room:
        return watch.fail(
            name,
            "two requests got the same room: the second session meets a room that exists, to which no agent is sent",
            "make a new room name for each request that names none (128 random bits)",
        )
    return watch.ok(name, "two requests got two rooms")


def identity(client: Client, watch: Stopwatch) -> Check:
    """Who joins is the application's to say."""
    token_request = f"doctor-{token_hex(8)}"
    answer = client.post({"participant_identity": token_request})
    return _judge(
        watch,
        NAMES[2],
        client,
        answer,
        taken=lambda given: given.claims.get("sub") == token_request,
        detail="it makes the identity that the client asks for: anybody can be anybody, and throw that one out",
        remedy="take the identity from your own log-in" + _SAFE,
        kept="an identity of the client's choice",
    )


def room(client: Client, watch: Stopwatch) -> Check:
    """So is where."""
    token_request = f"doctor-{token_hex(8)}"
    answer = client.post({"room_name": token_request})
    return _judge(
        watch,
        NAMES[3],
        client,
        answer,
        taken=lambda given: given.room == token_request,
        detail="it opens any room that the client names: anybody can listen to any conversation",
        remedy="name the room yourself, or check the name against what this user may enter" + _SAFE,
        kept="a room of the client's choice",
    )


def egress(client: Client, watch: Stopwatch) -> Check:
    """And what is recorded."""
    token_request = {"room": {"room_name": "doctor", "file_outputs": [{"filepath": "doctor.mp4"}]}}
    answer = client.post({"room_config": {"egress": token_request}})
    return _judge(
        watch,
        NAMES[4],
        client,
        answer,
        taken=lambda given: bool(_config(given).get("egress")),
        detail="it puts the client's egress into the token: anybody can record rooms at your expense",
        remedy="take nothing but agents from room_config" + _SAFE,
        kept="an egress of the client's choice",
    )


def agents(client: Client, watch: Stopwatch) -> Check:
    """An agent that the application has never heard of must not be sent for."""
    token_request = f"doctor-{token_hex(8)}"
    answer = client.post({"room_config": {"agents": [{"agent_name": token_request, "metadata": "doctor"}]}})
    return _judge(
        watch,
        NAMES[5],
        client,
        answer,
        taken=lambda given: token_request in json.dumps(_config(given).get("agents")),
        detail="it sends for any agent that the client names, with any metadata: anybody can run agents at your expense",
        remedy="compare with the agents that this user may have" + _SAFE,
        kept="an agent of the client's choice",
    )


def _judge(
    watch: Stopwatch,
    name: str,
    client: Client,
    answer: Answer | TransportError,
    *,
    taken: Any,
    detail: str,
    remedy: str,
    kept: str,
) -> Check:
    if isinstance(answer, TransportError):
        return watch.fail(name, *client.why(answer))
    if answer.is_success and answer.given is not None:
        if taken(answer.given):
            return watch.fail(name, detail, remedy)
        return watch.ok(name, f"{kept} is ignored; the standard would have it refused with a 4xx")
    if answer.is_refusal:
        return watch.ok(name, f"{kept} is refused (HTTP {answer.status})")
    if answer.status == 429:
        return watch.skip(name, "too many requests by now (HTTP 429)", "run doctor again later for this check")
    return watch.warn(
        name,
        f"{kept} makes it fail (HTTP {answer.status})",
        "refuse such a request with 403; look at the application's log",
    )


def _config(given: Pass) -> dict[str, Any]:
    values, _ = spelling.read("", given.claims, spelling.CLAIMS)
    config = values.get("roomConfig")
    return config if isinstance(config, dict) else {}


def checks(client: Client, plan: Plan, has_headers: bool) -> Generator[Check, None, None]:
    """Everything that a client may try, one after the other."""
    yield log_in(client, Stopwatch(plan.mono), has_headers)
    for look in (identity, room, egress, agents):
        yield look(client, Stopwatch(plan.mono))
