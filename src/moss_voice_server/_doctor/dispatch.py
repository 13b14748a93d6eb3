"""Dispatch: does an agent join, the named one (as Moss documents its worker) and an unnamed one, each in its own room?"""

from __future__ import annotations

import threading
import time
from typing import NamedTuple

from .._escape import escape
from .._random import new_room
from ..errors import InvalidArgument
from . import join
from .check import Ended, Verdict, fail, need, ok, skip
from .found import Found
from .livekit_api import delete_room, join_token
from .signalling import Agents, Joined, Left, Refused, connect

_GRACE = 5.0  # seconds that the other kind of worker gets once one has joined; LiveKit reports an agent within 3
_MARGIN = 60.0  # seconds that a token outlives the wait
_START = "start the worker with this LiveKit's URL and keys"


class Outcome(NamedTuple):
    identity: str | None = None  # the identity of the agent that joined; `None`: none did
    seconds: float = 0.0  # how long it took, or how long the doctor waited
    trouble: Verdict | None = None  # why the room could not be joined


def judge(found: Found) -> tuple[Verdict, Verdict]:
    """The rooms whose tokens name the agent and no agent; both are opened at the first call, at the same time."""
    join.require(found)
    if not found.options.agents:
        raise Ended(skip("skipped by --no-agent"))
    if found.status("join") != "ok":
        raise Ended
    chosen = found.options.agent_name
    name = need(found.credentials).agent_name if chosen is None else chosen
    if not found.outcomes:
        _open_rooms(found, name)
    return verdict(name, chosen == "", found.outcomes.get("named"), found.outcomes["unnamed"])


def _open_rooms(found: Found, name: str) -> None:
    """Waits for the agents, and deletes each room as soon as its result is known."""
    options = found.options
    joined = {"named": threading.Event(), "unnamed": threading.Event()}

    def wait(kind: str, other: str, grace: float, *agents: str) -> None:
        found.outcomes[kind] = _wait(found, joined[kind], joined[other], grace, *agents)

    # What the user has named gets the whole time; an unnamed worker does not matter once the named one has joined.
    calls: list[tuple[object, ...]] = [("unnamed", "named", 0.0)]
    if name:
        calls.append(("named", "unnamed", _GRACE if options.agent_name is None else options.agent_timeout, name))
    threads = [threading.Thread(target=wait, args=call, name="moss-voice-server-doctor", daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def verdict(name: str, expects_unnamed: bool, named: Outcome | None, unnamed: Outcome) -> tuple[Verdict, Verdict]:
    """What the two outcomes mean; `expects_unnamed`: the user runs an unnamed worker on purpose."""
    named_verdict = _named(escape(name), expects_unnamed, named, unnamed)
    unnamed_verdict = _unnamed(escape(name), named, unnamed)
    return (
        named_verdict._replace(seconds=named.seconds if named else 0.0),
        unnamed_verdict._replace(seconds=unnamed.seconds),
    )


def _named(name: str, expects_unnamed: bool, named: Outcome | None, unnamed: Outcome) -> Verdict:
    if named is None and expects_unnamed:
        return skip("skipped by --unnamed-agent")
    if named is None:
        return skip("no agent name is known", "pass --agent NAME to dispatch a worker by its name")
    if named.trouble:
        return named.trouble
    if named.identity is not None:
        return ok(f"agent {name} joined after {named.seconds:.1f} s")
    waited = f"no agent joined within {named.seconds:.0f} s: no worker is registered as {name}"
    if unnamed.identity is not None:
        return fail(
            f"{waited}; an unnamed worker is",
            f"register the worker with agent_name={name}, as Moss documents it; or, to keep it unnamed, return "
            "Admission(agents=()) from authorize and run doctor with --unnamed-agent",
        )
    return fail(
        waited, f"{_START}, and with exactly agent_name={name}; if it runs, its log says whether it got the job"
    )


def _unnamed(name: str, named: Outcome | None, unnamed: Outcome) -> Verdict:
    if unnamed.trouble:
        return unnamed.trouble
    if unnamed.identity is not None:
        return ok(f"an unnamed agent joined after {unnamed.seconds:.1f} s")
    if named is not None:
        return skip(f"no unnamed agent joined, and none is needed: tokens name {name}")
    return fail(
        f"no agent joined within {unnamed.seconds:.0f} s: no unnamed worker is registered",
        f"{_START}; if it has a name, pass --agent NAME, and name it in your tokens",
    )


def _wait(found: Found, joined: threading.Event, other_joined: threading.Event, grace: float, *agents: str) -> Outcome:
    """Opens a room and waits for an agent, for at most `grace` seconds once the other kind has joined its room."""
    options, room, started = found.options, new_room("doctor-"), time.monotonic()
    try:
        token = join_token(found, room, *agents, ttl=options.agent_timeout + _MARGIN)
    except InvalidArgument as error:
        remedy = error.remedy or "correct the agent's name, in Moss and in the worker"
        return Outcome(trouble=fail(f"the agent's name is invalid: {error.message}", remedy))
    signal = connect(need(found.server), token, options.timeout)
    if isinstance(signal, Refused):
        return Outcome(trouble=join.explain(signal, options.timeout))
    deadline, is_last_call = started + options.agent_timeout, False
    try:
        for message in signal.messages(options.agent_timeout):
            if isinstance(message, (Joined, Agents)) and message.agents:
                joined.set()
                return Outcome(message.agents[0], time.monotonic() - started)
            if isinstance(message, Left):
                return Outcome(trouble=join.explain(message, options.timeout))
            if other_joined.is_set() and not is_last_call:
                deadline, is_last_call = min(deadline, time.monotonic() + grace), True
            if time.monotonic() > deadline:
                break
        return Outcome(None, time.monotonic() - started)
    finally:
        delete_room(found, room)
        signal.close()
