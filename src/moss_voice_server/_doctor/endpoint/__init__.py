"""Endpoint: the user's own token endpoint, looked at from outside as LiveKit's clients and strangers would."""

from __future__ import annotations

from collections.abc import Generator

from .. import reach
from ..check import Check, Stopwatch
from ..keys import Keys
from ..livekit import Server
from ..plan import Plan
from ..redact import Redactor
from . import contract, cors, token, trust
from .client import Client

_LONG = 16  # characters of a header's part that is a secret of its own, as in `Bearer ...`
_NOTHING = "the endpoint gave no token to look at"
NAMES = (*reach.names("endpoint"), *contract.NAMES, *cors.NAMES, *trust.NAMES, *token.NAMES)


def checks(plan: Plan, redactor: Redactor, server: Server | None, keys: Keys | None) -> Generator[Check, None, None]:
    """About a dozen requests, which make tokens that nobody uses; no room is opened."""
    pending = list(NAMES)
    watch = Stopwatch(plan.mono)
    for check in _checks(plan, redactor, server, keys):
        while pending[0] != check.name:
            yield watch.skip(pending.pop(0), _NOTHING)
        del pending[0]
        yield check
    for name in pending:
        yield watch.skip(name, _NOTHING)


def _checks(plan: Plan, redactor: Redactor, server: Server | None, keys: Keys | None) -> Generator[Check, None, None]:
    has_headers = bool(plan.headers.reveal())
    for value in plan.headers.reveal().values():
        redactor.learn(value, *(part for part in value.split() if len(part) >= _LONG))
    client = Client(plan, redactor)
    if not (yield from reach.checks(client.place, plan)):
        return
    answer = yield from contract.first(client, Stopwatch(plan.mono), has_headers)
    if answer is None or answer.given is None:
        return
    if not answer.given.claims:  # nothing that a client may or may not decide could be seen in it
        yield from token.checks(answer.given, keys, plan)
        return
    yield contract.method(client, Stopwatch(plan.mono))
    second = yield from contract.room_config(client, Stopwatch(plan.mono))
    yield cors.check(client, plan.origin, tuple(plan.headers.reveal()), Stopwatch(plan.mono))
    yield trust.fresh_room(answer.given, second.given if second else None, server, keys, plan)
    yield from trust.checks(client, plan, has_headers)
    yield from token.checks(answer.given, keys, plan)
