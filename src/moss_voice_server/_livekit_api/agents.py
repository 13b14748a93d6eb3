"""Agents: exactly one live dispatch of an agent in a room, however many processes request it at once.

`CreateRoom` with agents dispatches them in a new room and leaves an existing one as it is. `CreateDispatch` dispatches an agent
as often as it is called. So callers that race may create several dispatches; each then lists them, keeps the oldest and
deletes the others, and all keep the same one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from .. import _validation
from .._duration import format_duration
from .._http.flow import Pause, Steps
from .._http.model import Failure
from ..errors import AgentNotDispatched, InvalidArgument, LiveKitUnavailable, RoomNotFound
from ..grants import ApiGrants
from . import parse
from .call import BUDGET, Access, Call, call, room_call, succeed
from .models import Dispatch, Participant

SERVICE = "AgentDispatchService"
_SETTLE = 0.1  # seconds after which dispatches that were created at the same time are all listed
_LOST_AFTER = 20.0  # seconds after which the agent of a dispatch must be in the room; LiveKit lists a job after 5
_FIRST_POLL, _MAX_POLL = 0.1, 2.0  # seconds
_MAX_WAIT = 86400.0  # seconds


class Listed(NamedTuple):
    """The dispatches of one agent in one room that are not deleted, oldest first."""

    live: list[Dispatch]
    """A worker runs the agent, or may still accept the job."""
    lost: list[Dispatch]
    """No worker accepted the job, and LiveKit does not offer it again; or the agent has left, which LiveKit does not record."""
    not_lost: list[Dispatch]
    """The live ones, and those whose job is over."""


class Wanted(NamedTuple):
    """The agent to dispatch."""

    room: str
    agent: str
    metadata: str
    attributes: dict[str, str]
    wait: float | None
    """Seconds to wait until the agent is in the room."""


def wanted(
    room: object,
    agent: object,
    own_agent: Callable[[], str],
    metadata: object,
    attributes: Mapping[str, str] | None,
    wait: object,
) -> Wanted:
    """Checks the arguments of `ensure_agent`; without `agent` it is the server's own.

    Raises:
        InvalidArgument: `field` names the argument.
    """
    if agent is None:
        agent = own_agent()
        if not agent:
            raise InvalidArgument(
                "the server has no agent name", field="agent", remedy="pass agent=, or agent_name= to from_livekit"
            )
    if agent == "":
        raise InvalidArgument("agent is empty", field="agent", remedy="pass the name of the agent's worker")
    wait_seconds = None if wait is None else _validation.seconds(wait, _MAX_WAIT)
    if wait is not None and wait_seconds is None:
        raise InvalidArgument(
            "wait must be a timedelta or a number of seconds from 0 to 1 day",
            field="wait",
            remedy="pass None to return at once",
        )
    return Wanted(
        _validation.label("room", room),
        _validation.agent("agent", agent),
        _validation.text("metadata", metadata, limit=_validation.METADATA_LIMIT),
        dict(_validation.attributes("attributes", {} if attributes is None else attributes)),
        wait_seconds,
    )


def ensure(access: Access, agent: Wanted) -> Steps[Dispatch]:
    """The one live dispatch; with `wait`, after the agent has joined the room."""
    start, wait = access.timing.mono(), agent.wait
    dispatch = yield from _ensure(access, agent, start + BUDGET)
    if wait is None:
        return dispatch
    delay = _FIRST_POLL
    while True:
        end = access.timing.mono() + BUDGET
        # LiveKit lists the job of a dispatch some seconds after the agent has joined: the participants say it first.
        for each in (yield from _agents(access, agent.room, end)):
            if each.agent_name == agent.agent:
                return replace(dispatch, status="running", agent_identity=each.identity)
        left = start + wait - access.timing.mono()
        if dispatch.status in ("ended", "failed") or left <= 0:
            raise _not_dispatched(dispatch, wait)
        yield Pause(min(delay, left))
        delay = min(delay * 1.5, _MAX_POLL)
        listed = yield from _dispatches(access, agent, end)
        known = next((each for each in listed.not_lost if each.id == dispatch.id), None)
        dispatch = known or (yield from _ensure(access, agent, access.timing.mono() + BUDGET))


def _agents(access: Access, room: str, end: float) -> Steps[list[Participant]]:
    reply = yield from succeed(access, room_call("RoomService", "ListParticipants", room), end)
    found = map(parse.participant, parse.items(reply.fields, "participants"))
    return [each for each in found if each.kind == "agent" and each.state != "disconnected"]


def _not_dispatched(dispatch: Dispatch, wait: float) -> AgentNotDispatched:
    name = dispatch.agent_name
    waited = f"agent {name!r} did not join within {format_duration(wait)}"
    read_the_log = "read the log of the agent's worker"
    message, remedy = {
        "failed": (f"the job of agent {name!r} failed", read_the_log),
        "ended": (f"the job of agent {name!r} ended before it joined", read_the_log),
        "running": (f"{waited}; a worker accepted the job", f"{read_the_log}, or wait longer"),
        "pending": (
            f"{waited}; no worker accepted the job",
            f"start a worker with agent_name={name!r} and the same LiveKit keys",
        ),
    }[dispatch.status]
    return AgentNotDispatched(message, remedy=remedy)


def _ensure(access: Access, agent: Wanted, end: float) -> Steps[Dispatch]:
    named = {"agent_name": agent.agent, "metadata": agent.metadata, "attributes": agent.attributes}
    creation = Call("RoomService", "CreateRoom", {"name": agent.room, "agents": [named]}, ApiGrants(room_create=True))
    yield from succeed(access, creation, end)
    listed = yield from _dispatches(access, agent, end)
    if not listed.live:
        dispatching = room_call(SERVICE, "CreateDispatch", agent.room, **named)._replace(is_repeatable=False)
        result = yield from call(access, dispatching, end)
        if isinstance(result, Failure) and result.error_type is not LiveKitUnavailable:
            raise result.error()
        # After a timeout it may have been created all the same: the list says.
        yield Pause(_SETTLE)
        listed = yield from _dispatches(access, agent, end)
        if not listed.live:
            if isinstance(result, Failure):
                raise result.error()
            raise AgentNotDispatched(
                f"the dispatch of agent {agent.agent!r} was deleted at once",
                remedy="find the process that deletes dispatches or ends the room",
            )
    for superfluous in [*listed.live[1:], *listed.lost]:
        removed = yield from call(
            access, room_call(SERVICE, "DeleteDispatch", agent.room, dispatch_id=superfluous.id), end
        )
        if isinstance(removed, Failure) and removed.error_type is not RoomNotFound:
            raise removed.error()
    return listed.live[0]


def _dispatches(access: Access, agent: Wanted, end: float) -> Steps[Listed]:
    reply = yield from succeed(access, room_call(SERVICE, "ListDispatch", agent.room), end)
    listed = [
        (parse.created_ns(fields), parse.dispatch(fields), fields)
        for fields in parse.items(reply.fields, "agent_dispatches")
        if not parse.is_deleted(fields)
    ]
    found = [each for each in listed if each[1].id and each[1].agent_name == agent.agent]
    found.sort(key=lambda each: (each[0], each[1].id))  # the same order for every process
    lost = {dispatch.id for _, dispatch, fields in found if _is_overdue(dispatch, fields, reply.date)}
    if any(dispatch.id in lost and dispatch.status == "running" for _, dispatch, _ in found):
        present = {each.identity for each in (yield from _agents(access, agent.room, end))}
        lost -= {dispatch.id for _, dispatch, _ in found if dispatch.agent_identity in present}
    rest = [dispatch for _, dispatch, _ in found if dispatch.id not in lost]
    return Listed(
        live=[each for each in rest if each.status in ("pending", "running")],
        lost=[dispatch for _, dispatch, _ in found if dispatch.id in lost],
        not_lost=rest,
    )


def _is_overdue(dispatch: Dispatch, fields: dict[str, object], now: float | None) -> bool:
    """Whether its agent should be in the room by now; `now` is by LiveKit's clock, as the dispatch's own times are."""
    since = parse.created_ns(fields) if dispatch.status == "pending" else parse.started_ns(fields)
    return now is not None and dispatch.status in ("pending", "running") and now - since / 1e9 > _LOST_AFTER
