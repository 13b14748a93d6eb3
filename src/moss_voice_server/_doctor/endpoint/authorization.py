"""Check what the endpoint lets clients decide: identity, room, recording and agents must be the application's decision."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from secrets import token_hex
from typing import Any, NamedTuple

from ..._escape import escape
from ..._http.model import TransportError
from ..._livekit_credentials import LiveKitCredentials
from ..check import Check, Stopwatch
from ..livekit_server import LiveKitServer
from ..options import Options
from ..room_service import exists
from .client import Client, IssuedToken

NAMES = (
    "endpoint.fresh_room",
    "endpoint.login",
    "endpoint.identity",
    "endpoint.room",
    "endpoint.egress",
    "endpoint.agents",
    "endpoint.agent_metadata",
)
_FRESH_ROOM, _LOGIN, _IDENTITY, _ROOM, _EGRESS, _AGENTS, _AGENT_METADATA = NAMES
_SAFE = "; moss_voice_server's token endpoint refuses it by default"


class Attempt(NamedTuple):
    """A request that an endpoint must not grant."""

    name: str
    asked: str
    """What the client asks for."""
    fields: dict[str, Any]
    is_granted: Callable[[IssuedToken], bool]
    detail: str
    remedy: str


def checks(client: Client, issued: IssuedToken, options: Options) -> Iterator[Check]:
    """The login, and each attempt."""
    yield login(client, Stopwatch(options.mono), bool(options.headers))
    for attempt in _attempts(f"doctor-{token_hex(8)}"):
        yield _check(client, attempt, Stopwatch(options.mono))
    yield agent_metadata(client, issued, Stopwatch(options.mono))


def fresh_room(
    one: IssuedToken,
    two: IssuedToken | None,
    server: LiveKitServer | None,
    credentials: LiveKitCredentials | None,
    options: Options,
) -> Check:
    """Every session needs a new room: LiveKit dispatches a token's agents only when the room is created."""
    watch = Stopwatch(options.mono)
    if server is not None and credentials is not None and one.room and exists(server, credentials, one.room, options):
        return watch.fail(
            _FRESH_ROOM,
            "the token's room exists already: LiveKit ignores the token's agents for it",
            "create a new room for every session; for a room that lives on, use server.rooms.ensure_agent",
        )
    if two is None:
        return watch.skip(_FRESH_ROOM, "there was no second token to compare")
    if one.room == two.room:
        return watch.fail(
            _FRESH_ROOM,
            "two requests got the same room: the second session finds an existing room, to which no agent is dispatched",
            "create a new room name for each request that names none (128 random bits)",
        )
    return watch.ok(_FRESH_ROOM, "two requests got two rooms")


def login(client: Client, watch: Stopwatch, has_headers: bool) -> Check:
    """An unauthenticated client must not get a token."""
    if not has_headers:
        return watch.warn(
            _LOGIN,
            "it issues tokens without authentication",
            "fine for guests only: else take the identity from your login, and add a rate limit",
        )
    reply = client.post(login=False)
    if isinstance(reply, TransportError):
        return watch.fail(_LOGIN, *client.explain(reply))
    if reply.issued is not None and reply.is_success:
        return watch.fail(
            _LOGIN,
            f"without the given headers it issues a token to anyone (HTTP {reply.status})",
            "authenticate in `authorize`, or before it; refuse with 401",
        )
    return watch.ok(_LOGIN, f"without the given headers: HTTP {reply.status}, no token")


def _attempts(value: str) -> tuple[Attempt, ...]:
    """Requests with a random value, which shows in the token if it is granted."""
    egress = {"room": {"room_name": "doctor", "file_outputs": [{"filepath": "doctor.mp4"}]}}
    return (
        Attempt(
            _IDENTITY,
            "an identity that the client chose",
            {"participant_identity": value},
            lambda issued: issued.claims.get("sub") == value,
            "clients can choose any identity, so they can impersonate and disconnect other users",
            "take the identity from your login",
        ),
        Attempt(
            _ROOM,
            "a room that the client chose",
            {"room_name": value},
            lambda issued: issued.room == value,
            "clients can join any room, and listen to any conversation",
            "choose the room yourself, or check it against the rooms of this user",
        ),
        Attempt(
            _EGRESS,
            "an egress that the client chose",
            {"room_config": {"egress": egress}},
            lambda issued: bool(issued.room_config.get("egress")),
            "clients can record rooms at your expense",
            "read nothing but agents from room_config",
        ),
        Attempt(
            _AGENTS,
            "an agent that the client chose",
            {"room_config": {"agents": [{"agent_name": value, "metadata": "doctor"}]}},
            lambda issued: value in issued.agent_names,
            "clients can dispatch any agent with any metadata at your expense",
            "compare with the agents that this user may request",
        ),
    )


def agent_metadata(client: Client, issued: IssuedToken, watch: Stopwatch) -> Check:
    """What an agent believes about the user must come from the application."""
    if not issued.agent_names:
        return watch.skip(_AGENT_METADATA, "the token names no agent")
    name, value = issued.agent_names[0], f"doctor-{token_hex(8)}"
    agent = {"agent_name": name, "metadata": value, "deployment": value}
    return _check(
        client,
        Attempt(
            _AGENT_METADATA,
            "metadata and deployment that the client chose for the agent",
            {"room_config": {"agents": [agent]}},
            lambda issued: value in json.dumps(issued.agents),
            f"clients can choose the metadata or deployment of the agent {escape(name)}, which it may trust",
            "remove agent_metadata and agent_deployment from client_may_set, and pass metadata with AgentDispatch",
        ),
        watch,
    )


def _check(client: Client, attempt: Attempt, watch: Stopwatch) -> Check:
    name, asked = attempt.name, attempt.asked
    reply = client.post(attempt.fields)
    if isinstance(reply, TransportError):
        return watch.fail(name, *client.explain(reply))
    if reply.is_success and reply.issued is not None:
        if attempt.is_granted(reply.issued):
            return watch.fail(name, attempt.detail, attempt.remedy + _SAFE)
        return watch.ok(name, f"{asked}: ignored; by the standard it is refused with a 4xx")
    if reply.is_refusal:
        return watch.ok(name, f"{asked}: refused (HTTP {reply.status})")
    if reply.status == 429:
        return watch.skip(name, "too many requests by now (HTTP 429)", "run doctor again later for this check")
    return watch.warn(
        name,
        f"{asked}: the endpoint fails (HTTP {reply.status})",
        "refuse such a request with 403; check the application's log",
    )
