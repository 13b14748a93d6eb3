"""Chain: the links from the environment to the agent in the room, looked at in order; what lies behind a break is skipped."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from importlib.util import find_spec

from .._credentials.config import Settings
from . import clock, credentials, dispatch, endpoint, environment, join, livekit, moss, token
from .check import Check, Stopwatch
from .clock import Reading
from .keys import Keys
from .livekit import Server
from .plan import Plan
from .redact import Redactor

NAMES = (
    *environment.NAMES,
    *moss.NAMES,
    *credentials.NAMES,
    *livekit.NAMES,
    *token.NAMES,
    *clock.NAMES,
    *join.NAMES,
    *dispatch.NAMES,
)
"""Every check up to the agent, in order."""
_BROKEN = "not reached: see above"


def names(plan: Plan) -> tuple[str, ...]:
    """The names of all checks that `examine` will make."""
    return (*NAMES, *endpoint.NAMES) if plan.endpoint else NAMES


def examine(plan: Plan) -> Iterator[Check]:
    """Looks at each link; every check comes as soon as it is known, and none holds a secret."""
    redactor = Redactor()
    watch = Stopwatch(plan.mono)
    links = _links(plan, redactor)
    pending = list(NAMES)
    server: Server | None = None
    keys: Keys | None = None
    while True:
        try:
            check = next(links)
        except StopIteration as finished:
            server, keys = finished.value
            break
        while pending[0] != check.name:
            yield watch.skip(pending.pop(0), _BROKEN)
        del pending[0]
        yield redactor.clean(check)
    for name in pending:
        yield watch.skip(name, _BROKEN)
    if plan.endpoint:
        for check in endpoint.checks(plan, redactor, server, keys):
            yield redactor.clean(check)


def _links(plan: Plan, redactor: Redactor) -> Generator[Check, None, tuple[Server | None, Keys | None]]:
    """Every link up to the agent; returns how far it came."""
    readings: list[Reading] = []
    keys, setting = yield from _keys(plan, redactor, readings)
    if keys is None:
        if readings:
            yield clock.check(readings, Stopwatch(plan.mono))
        return None, None
    usable = yield from credentials.checks(keys, plan)
    server = yield from livekit.checks(keys.url, setting, plan)
    if server is not None and server.reading is not None:
        readings.append(server.reading)
    joinable = False
    if usable and server is not None:
        joinable = yield from token.checks(server, keys, plan)
    yield clock.check(readings, Stopwatch(plan.mono))
    if joinable and server is not None:
        yield from _room(server, keys, plan)
    return server, keys if usable else None


def _keys(plan: Plan, redactor: Redactor, readings: list[Reading]) -> Generator[Check, None, tuple[Keys | None, str]]:
    """The LiveKit credentials, and where their address comes from."""
    source = yield from environment.checks(plan, redactor)
    if source is None:
        return None, ""
    if isinstance(source, Settings):
        found = yield from moss.checks(source, plan, redactor)
        if found.reading is not None:
            readings.append(found.reading)
        return found.keys, "the voice agent's LiveKit URL in Moss"
    for name in moss.NAMES:
        yield Stopwatch(plan.mono).skip(name, "LiveKit credentials are at hand: the Moss API is not needed")
    keys = credentials.of_given(source, plan, redactor)
    return keys, "--livekit-url" if plan.given else "LIVEKIT_URL"


def _room(server: Server, keys: Keys, plan: Plan) -> Generator[Check, None, None]:
    """Joining, and the agents."""
    if find_spec("websockets") is None:
        for name in (*join.NAMES, *dispatch.NAMES):
            yield Stopwatch(plan.mono).skip(name, join.NEEDS)
        return
    check = join.check(server, keys, plan)
    yield check
    if not plan.agents:
        for name in dispatch.NAMES:
            yield Stopwatch(plan.mono).skip(name, "left out, as asked for")
    elif check.status == "ok":
        yield from dispatch.checks(server, keys, plan)
