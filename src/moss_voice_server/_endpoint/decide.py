"""Decide: what a token request is granted under an admission. Everything that the admission does not allow is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .._functions import wrong_result
from ..endpoint import Admission, TokenRequest
from ..grants import AgentDispatch, ParticipantInfo
from .parse import NOTHING
from .refusal import Refusal, shown

Agents = tuple[AgentDispatch | str, ...]


@dataclass(slots=True)
class TokenParams:
    """The arguments of the token: what an admission makes of a request."""

    participant: ParticipantInfo
    room: str
    agents: Agents


def decide(admission: Admission, token_request: TokenRequest, new_room: str, agent_name: str) -> TokenParams:
    """The arguments of the token.

    Args:
        admission: what the application allows.
        token_request: what the client requests.
        new_room: the room's name, where neither of the two names one.
        agent_name: the name of the server's voice agent, dispatched where the admission has `agents=None`; may be empty.

    Raises:
        Refusal: 403 for what the admission does not allow.
        InvalidArgument: the admission's own `allowed_rooms` function is wrong.
    """
    agents = admission.agents
    if agents is None:
        agents = (agent_name,) if agent_name else ()
    if token_request is NOTHING:  # the request of most clients
        return TokenParams(admission.participant, admission.room or new_room, agents)
    return TokenParams(
        _participant(admission, token_request),
        _room(admission, token_request.room_name) or new_room,
        _agents(admission, agents, token_request.agents),
    )


def _room(admission: Admission, requested: str | None) -> str | None:
    if requested is None or requested == admission.room:
        return admission.room
    if not _may_name(admission.allowed_rooms, requested):
        raise _not_allowed("room", f"room {shown(requested)}", "add it to allowed_rooms")
    return requested


def _may_name(rooms: Any, room: str) -> bool:
    if isinstance(rooms, re.Pattern):
        return rooms.fullmatch(room) is not None
    if callable(rooms):
        answer = rooms(room)
        if not isinstance(answer, bool):
            # A coroutine is true as well: an async function here would allow every room.
            raise wrong_result("allowed_rooms", "True or False", answer, "return True or False from a plain function")
        return answer
    return room in rooms


def _participant(admission: Admission, token_request: TokenRequest) -> ParticipantInfo:
    participant, may_set = admission.participant, admission.client_may_set
    name, metadata, attributes = participant.name, participant.metadata, participant.attributes
    if token_request.participant_identity not in (None, participant.identity):
        raise _not_allowed("identity", "field participant_identity", "the application's authorize sets the identity")
    if token_request.participant_name not in (None, name):
        name = token_request.participant_name
        if "name" not in may_set:
            raise _not_allowed("name", "field participant_name", "add 'name' to client_may_set")
    if token_request.participant_metadata not in (None, metadata):
        metadata = token_request.participant_metadata
        if "metadata" not in may_set:
            raise _not_allowed("metadata", "field participant_metadata", "add 'metadata' to client_may_set")
    if token_request.participant_attributes:
        attributes = _attributes(attributes, token_request.participant_attributes, "attributes" in may_set)
    if (name, metadata, attributes) == (participant.name, participant.metadata, participant.attributes):
        return participant
    return ParticipantInfo(participant.identity, name, metadata, attributes)


def _attributes(own: Mapping[str, str] | None, requested: Mapping[str, str], may_set: bool) -> Mapping[str, str]:
    if not may_set:
        raise _not_allowed("attribute", "field participant_attributes", "add 'attributes' to client_may_set")
    taken = next((key for key in requested if own and key in own), None)
    if taken is not None:
        raise _not_allowed("attribute", f"attribute {shown(taken)}", "the admission sets it itself")
    return {**(own or {}), **requested}


def _agents(admission: Admission, own: Agents, requested: tuple[AgentDispatch, ...]) -> Agents:
    """The agents to dispatch: those that the client requests, where it may choose; else the admission's own.

    An agent that is dispatched anyway may be requested by name. An `AgentDispatch` of the application keeps its metadata and
    its deployment, whatever the client requests.
    """
    if not requested:
        return own
    by_name = {agent if isinstance(agent, str) else agent.agent_name: agent for agent in own}
    for agent in requested:
        name = agent.agent_name
        if name not in admission.allowed_agents and name not in by_name:
            raise _not_allowed("agent", f"agent {shown(name)}", "add it to agents or allowed_agents")
        fixed = isinstance(by_name.get(name), AgentDispatch)
        for field, value in (("metadata", agent.metadata), ("deployment", agent.deployment)):
            if value and (fixed or f"agent_{field}" not in admission.client_may_set):
                hint = "the admission's AgentDispatch sets it" if fixed else f"add 'agent_{field}' to client_may_set"
                raise _not_allowed(f"agent_{field}", f"{field} for agent {shown(name)}", hint)
    chosen = tuple(_merged(by_name.get(agent.agent_name), agent) for agent in requested)
    if all(agent.agent_name in admission.allowed_agents for agent in requested):
        return chosen
    # Asking for what is dispatched anyway must not leave out the other agents of the admission.
    names = {agent.agent_name for agent in requested}
    return tuple(agent for name, agent in by_name.items() if name not in names) + chosen


def _merged(own: AgentDispatch | str | None, requested: AgentDispatch) -> AgentDispatch | str:
    return own if isinstance(own, AgentDispatch) else requested


def _not_allowed(what: str, subject: str, hint: str) -> Refusal:
    return Refusal(403, f"{what}_not_allowed", subject, hint=hint)
