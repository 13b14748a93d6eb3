"""Dispatch: whether an agent comes when it is sent for, by its name and without one, each in a room of its own."""

from __future__ import annotations

import threading
from collections.abc import Generator
from typing import NamedTuple

from ..errors import InvalidArgument
from . import join
from .check import Check, Stopwatch, shown, split
from .keys import Keys
from .livekit import Server
from .plan import Plan
from .rooms import delete
from .signal import Agents, Joined, Left, Refused, connect
from .token import new_room

NAMES = ("dispatch.named", "dispatch.unnamed")
_GRACE = 5.0  # seconds that the other kind of worker gets when one has come; LiveKit tells of an agent within 3
_MARGIN = 60.0  # seconds that a token outlives the wait


class Outcome(NamedTuple):
    """What came of sending for one kind of worker."""

    identity: str | None = None
    """The agent's, when one came."""
    seconds: float = 0.0
    """How long it took, or how long was waited."""
    trouble: tuple[str, str] | None = None
    """Detail and remedy, when it could not even be tried."""


def checks(server: Server, keys: Keys, plan: Plan) -> Generator[Check, None, None]:
    """Sends for both kinds at the same time. A room is left, and gone, as soon as its question is answered."""
    watch = Stopwatch(plan.mono)
    wanted = keys.agent_name if plan.agent_name is None else plan.agent_name
    explicit = plan.agent_name is not None
    came = {"named": threading.Event(), "unnamed": threading.Event()}
    outcomes: dict[str, Outcome] = {}

    def send_for(kind: str, other: str, grace: float, agents: tuple[str, ...]) -> None:
        outcomes[kind] = _wait(server, keys, plan, came[kind], came[other], grace, *agents)

    # The one that the user has named gets all the time there is, and the other none once it has come.
    sent: list[tuple[str, str, float, tuple[str, ...]]] = [("unnamed", "named", 0.0 if explicit else _GRACE, ())]
    if wanted:
        sent.append(("named", "unnamed", plan.agent_timeout if explicit else _GRACE, (wanted,)))
    threads = [
        threading.Thread(target=send_for, args=arguments, name="moss-voice-server-doctor", daemon=True)
        for arguments in sent
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    yield from verdict(wanted, explicit, outcomes.get("named"), outcomes["unnamed"], watch)


def verdict(
    wanted: str, explicit: bool, named: Outcome | None, unnamed: Outcome, watch: Stopwatch
) -> tuple[Check, Check]:
    """What the two outcomes mean; `explicit`: the user has said that this name must come."""
    one = _named(shown(wanted), explicit, named, unnamed, watch)
    other = _unnamed(shown(wanted), explicit, named, unnamed, watch)
    return one._replace(ms=_ms(named)), other._replace(ms=_ms(unnamed))


def _ms(outcome: Outcome | None) -> float:
    return round(outcome.seconds * 1000, 1) if outcome else 0.0


def _named(name: str, explicit: bool, named: Outcome | None, unnamed: Outcome, watch: Stopwatch) -> Check:
    check = NAMES[0]
    if named is None:
        return watch.skip(check, "no agent's name is known", "give --agent NAME to send for a worker by its name")
    if named.trouble:
        return watch.fail(check, *named.trouble)
    if named.identity is not None:
        return watch.ok(check, f"agent {name} joined after {named.seconds:.1f} s")
    waited = f"no agent came within {named.seconds:.0f} s: no worker is registered as {name}, it seems"
    if unnamed.identity is not None:
        return (watch.fail if explicit else watch.warn)(
            check,
            f"{waited}; one without a name is",
            f"leave agent_name out when you make tokens, or register the worker with agent_name={name}",
        )
    return watch.fail(
        check,
        waited,
        f"start the worker with this LiveKit's address and keys, and with agent_name={name}, letter by letter; if it runs, "
        "its log says whether it got the job and why it did not join",
    )


def _unnamed(name: str, explicit: bool, named: Outcome | None, unnamed: Outcome, watch: Stopwatch) -> Check:
    check = NAMES[1]
    if unnamed.trouble:
        return watch.fail(check, *unnamed.trouble)
    if unnamed.identity is not None:
        return watch.ok(check, f"an agent without a name joined after {unnamed.seconds:.1f} s")
    waited = f"no agent came within {unnamed.seconds:.0f} s to a token that names none"
    if explicit:
        return watch.skip(check, f"{waited}; nor need one, since you name {name}")
    if named is not None and named.identity is not None:
        return watch.warn(
            check,
            f"{waited}: the worker is registered by its name only",
            "name the agent when you make tokens: agent_name=server.get_agent_name(), and "
            "dispatch=(server.get_agent_name(),) in the token endpoint",
        )
    return watch.fail(
        check,
        f"{waited}: no worker is registered without a name, it seems",
        "start the worker with this LiveKit's address and keys"
        + ("" if named else "; if it has a name, give --agent NAME, and name it when you make tokens"),
    )


def _wait(
    server: Server,
    keys: Keys,
    plan: Plan,
    came: threading.Event,
    other_came: threading.Event,
    grace: float,
    *agents: str,
) -> Outcome:
    """Opens a room and waits for an agent; `grace` seconds at most from when the other kind has come."""
    room = new_room()
    started = plan.mono()
    try:
        token = keys.join_token(room, *agents, lasting=plan.agent_timeout + _MARGIN)
    except InvalidArgument as error:
        text = str(error).replace(error.field, "the agent's name")
        return Outcome(trouble=split(text, "correct the agent's name, in Moss and in the worker"))
    signal = connect(server, token, plan)
    if isinstance(signal, Refused):
        return Outcome(trouble=join.why(signal, plan))
    deadline, is_last_call = started + plan.agent_timeout, False
    try:
        for message in signal.messages(plan.agent_timeout):
            if isinstance(message, (Joined, Agents)) and message.agents:
                came.set()
                return Outcome(message.agents[0], plan.mono() - started)
            if isinstance(message, Left):
                return Outcome(trouble=join.sent_away(message))
            if other_came.is_set() and not is_last_call:
                deadline, is_last_call = min(deadline, plan.mono() + grace), True
            if plan.mono() > deadline:
                break
        return Outcome(None, plan.mono() - started)
    finally:
        delete(server, keys, room, plan)
        signal.close()
