"""Check what the endpoint lets clients decide: identity, room, recording and agents must be the application's decision."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from secrets import token_hex
from typing import Any, NamedTuple

from ..._escape import escape
from ..check import Verdict, fail, ok, skip, warn
from ..found import Found
from ..livekit_api import room_exists
from .client import IssuedToken

_SAFE = "; moss_voice_server's token endpoint refuses it by default"


def fresh_room(found: Found) -> Verdict:
    """Every session needs a new room: LiveKit dispatches a token's agents only when the room is created."""
    room = found.session()[1].room
    if found.server and found.credentials and room and room_exists(found, room):
        return fail(
            "the token's room exists already: LiveKit ignores the token's agents for it",
            "create a new room for every session; for a room that lives on, use server.rooms.ensure_agent",
        )
    if found.second is None:
        return skip("there was no second token to compare")
    if room == found.second.room:
        return fail(
            "two requests got the same room: the second session finds an existing room, to which no agent is dispatched",
            "create a new room name for each request that names none (128 random bits)",
        )
    return ok("two requests got two rooms")


def login(found: Found) -> Verdict:
    """An unauthenticated client must not get a token."""
    client, _ = found.session()
    if not found.options.headers:
        return warn(
            "it issues tokens without authentication",
            "take the identity from your login; if it is for guests, add a rate limit",
        )
    reply = client.post(login=False)
    if reply.session is not None:
        return fail(
            f"without the given headers it issues a token to anyone (HTTP {reply.status})",
            "authenticate in `authorize`, or before it; refuse with 401",
        )
    return ok(f"without the given headers: HTTP {reply.status}, no token")


class Attack(NamedTuple):
    """A request that an endpoint must not grant. It contains a random value, which shows in the token if it is granted."""

    asked: str  # what the client requests
    fields: Callable[[str], dict[str, Any]]
    is_granted: Callable[[IssuedToken, str], bool]
    detail: str
    remedy: str

    def judge(self, found: Found) -> Verdict:
        client, _ = found.session()
        value = f"doctor-{token_hex(8)}"
        reply = client.post(self.fields(value))
        if reply.session is not None:
            if self.is_granted(reply.session, value):
                return fail(self.detail, self.remedy + _SAFE)
            return ok(f"{self.asked}: ignored; by the standard it is refused with a 4xx")
        if reply.is_refusal:
            return ok(f"{self.asked}: refused (HTTP {reply.status})")
        if reply.status == 429:
            return skip("too many requests by now (HTTP 429)", "run doctor again later for this check")
        return warn(
            f"{self.asked}: the endpoint fails (HTTP {reply.status})",
            "refuse such a request with 403; check the application's log",
        )


_EGRESS = {"room": {"room_name": "doctor", "file_outputs": [{"filepath": "doctor.mp4"}]}}
ATTACKS: Mapping[str, Callable[[Found], Verdict]] = {
    "endpoint.identity": Attack(
        "an identity that the client chose",
        lambda value: {"participant_identity": value},
        lambda issued, value: issued.claims.get("sub") == value,
        "clients can choose any identity, so they can impersonate and disconnect other users",
        "take the identity from your login",
    ).judge,
    "endpoint.room": Attack(
        "a room that the client chose",
        lambda value: {"room_name": value},
        lambda issued, value: issued.room == value,
        "clients can join any room, and listen to any conversation",
        "choose the room yourself, or check it against the rooms of this user",
    ).judge,
    "endpoint.egress": Attack(
        "an egress that the client chose",
        lambda _: {"room_config": {"egress": _EGRESS}},
        lambda issued, _: bool(issued.room_config.get("egress")),
        "clients can record rooms at your expense",
        "read nothing but agents from room_config",
    ).judge,
    "endpoint.agents": Attack(
        "an agent that the client chose",
        lambda value: {"room_config": {"agents": [{"agent_name": value, "metadata": "doctor"}]}},
        lambda issued, value: value in issued.agent_names,
        "clients can dispatch any agent with any metadata at your expense",
        "compare with the agents that this user may request",
    ).judge,
}


def agent_metadata(found: Found) -> Verdict:
    """What an agent believes about the user must come from the application."""
    _, issued = found.session()
    if not issued.agent_names:
        return skip("the token names no agent")
    name = issued.agent_names[0]
    return Attack(
        "metadata and deployment that the client chose for the agent",
        lambda value: {"room_config": {"agents": [{"agent_name": name, "metadata": value, "deployment": value}]}},
        lambda issued, value: value in json.dumps(issued.agents),
        f"clients can choose the metadata or deployment of the agent {escape(name)}, which it may trust",
        "remove agent_metadata and agent_deployment from client_may_set, and pass metadata with AgentDispatch",
    ).judge(found)
