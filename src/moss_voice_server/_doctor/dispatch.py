"""Check whether an agent joins: the named one, as Moss documents its worker, and an unnamed one, each in its own room."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import NamedTuple

from .._escape import escape
from .._livekit_credentials import LiveKitCredentials
from .._random import new_room
from ..errors import InvalidArgument
from . import join
from .check import Check, Stopwatch, cause_and_remedy
from .livekit_server import LiveKitServer
from .options import Options
from .room_service import delete
from .signalling import Agents, Joined, Left, Refused, connect
from .tokens import join_token

NAMES = ("dispatch.named", "dispatch.unnamed")
_GRACE = 5.0  # seconds that the other kind of worker gets once one has joined; LiveKit reports an agent within 3
_MARGIN = 60.0  # seconds that a token outlives the wait
_START = "start the worker with this LiveKit's URL and keys"


class Outcome(NamedTuple):
    """What happened in one room."""

    identity: str | None = None
    """The identity of the agent that joined; `None`: none did."""
    seconds: float = 0.0
    """How long it took, or how long the doctor waited."""
    trouble: tuple[str, str] | None = None
    """Cause and remedy where the room could not be joined."""


def checks(server: LiveKitServer, credentials: LiveKitCredentials, options: Options) -> Generator[Check, None, None]:
    """Opens both rooms at the same time, and deletes each as soon as its result is known."""
    watch = Stopwatch(options.mono)
    name = credentials.agent_name if options.agent_name is None else options.agent_name
    joined = {"named": threading.Event(), "unnamed": threading.Event()}
    outcomes: dict[str, Outcome] = {}

    def wait(kind: str, other: str, grace: float, agents: tuple[str, ...]) -> None:
        outcomes[kind] = _wait(server, credentials, options, joined[kind], joined[other], grace, *agents)

    # What the user has named gets the whole time; an unnamed worker does not matter once the named one has joined.
    calls: list[tuple[str, str, float, tuple[str, ...]]] = [("unnamed", "named", 0.0, ())]
    if name:
        calls.append(("named", "unnamed", _GRACE if options.agent_name is None else options.agent_timeout, (name,)))
    threads = [
        threading.Thread(target=wait, args=arguments, name="moss-voice-server-doctor", daemon=True)
        for arguments in calls
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield from verdict(name, options.agent_name == "", outcomes.get("named"), outcomes["unnamed"], watch)


def verdict(
    name: str, expects_unnamed: bool, named: Outcome | None, unnamed: Outcome, watch: Stopwatch
) -> tuple[Check, Check]:
    """What the two outcomes mean; `expects_unnamed`: the user runs an unnamed worker on purpose."""
    one = _named(escape(name), expects_unnamed, named, unnamed, watch)
    other = _unnamed(escape(name), named, unnamed, watch)
    return one._replace(ms=_ms(named)), other._replace(ms=_ms(unnamed))


def _ms(outcome: Outcome | None) -> float:
    return round(outcome.seconds * 1000, 1) if outcome else 0.0


def _named(name: str, expects_unnamed: bool, named: Outcome | None, unnamed: Outcome, watch: Stopwatch) -> Check:
    check = NAMES[0]
    if named is None and expects_unnamed:
        return watch.skip(check, "skipped by --unnamed-agent")
    if named is None:
        return watch.skip(check, "no agent name is known", "pass --agent NAME to dispatch a worker by its name")
    if named.trouble:
        return watch.fail(check, *named.trouble)
    if named.identity is not None:
        return watch.ok(check, f"agent {name} joined after {named.seconds:.1f} s")
    waited = f"no agent joined within {named.seconds:.0f} s: no worker is registered as {name}"
    if unnamed.identity is not None:
        return watch.fail(
            check,
            f"{waited}; an unnamed worker is",
            f"register the worker with agent_name={name}, as Moss documents it; or, to keep it unnamed, return "
            "Admission(agents=()) from authorize and run doctor with --unnamed-agent",
        )
    return watch.fail(
        check,
        waited,
        f"{_START}, and with exactly agent_name={name}; if it runs, its log says whether it got the job",
    )


def _unnamed(name: str, named: Outcome | None, unnamed: Outcome, watch: Stopwatch) -> Check:
    check = NAMES[1]
    if unnamed.trouble:
        return watch.fail(check, *unnamed.trouble)
    if unnamed.identity is not None:
        return watch.ok(check, f"an unnamed agent joined after {unnamed.seconds:.1f} s")
    if named is not None:
        return watch.skip(check, f"no unnamed agent joined, and none is needed: tokens name {name}")
    return watch.fail(
        check,
        f"no agent joined within {unnamed.seconds:.0f} s: no unnamed worker is registered",
        f"{_START}; if it has a name, pass --agent NAME, and name it in your tokens",
    )


def _wait(
    server: LiveKitServer,
    credentials: LiveKitCredentials,
    options: Options,
    joined: threading.Event,
    other_joined: threading.Event,
    grace: float,
    *agents: str,
) -> Outcome:
    """Opens a room and waits for an agent, for at most `grace` seconds once the other kind has joined its room."""
    room = new_room("doctor-")
    started = options.mono()
    try:
        token = join_token(credentials, options, room, *agents, ttl=options.agent_timeout + _MARGIN)
    except InvalidArgument as error:
        cause, remedy = cause_and_remedy(error, "correct the agent's name, in Moss and in the worker")
        return Outcome(trouble=(f"the agent's name is invalid: {cause}", remedy))
    signal = connect(server, token, options.timeout)
    if isinstance(signal, Refused):
        return Outcome(trouble=join.explain(signal, options.timeout))
    deadline, is_last_call = started + options.agent_timeout, False
    try:
        for message in signal.messages(options.agent_timeout):
            if isinstance(message, (Joined, Agents)) and message.agents:
                joined.set()
                return Outcome(message.agents[0], options.mono() - started)
            if isinstance(message, Left):
                return Outcome(trouble=join.explain_leave(message))
            if other_joined.is_set() and not is_last_call:
                deadline, is_last_call = min(deadline, options.mono() + grace), True
            if options.mono() > deadline:
                break
        return Outcome(None, options.mono() - started)
    finally:
        delete(server, credentials, room, options)
        signal.close()
