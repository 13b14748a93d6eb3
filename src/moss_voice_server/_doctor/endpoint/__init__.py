"""Check the user's own token endpoint from outside, as LiveKit's clients and strangers see it."""

from __future__ import annotations

from collections.abc import Iterator

from ..._livekit_credentials import LiveKitCredentials
from .. import connectivity
from ..check import Check, Stopwatch
from ..livekit_server import LiveKitServer
from ..options import Options
from . import authorization, conformance, cross_origin, issued_token
from .client import Client

_CREDENTIAL_LENGTH = 16  # characters of a part of a header that is a secret, as in `Bearer ...`
_NOTHING_ISSUED = "the endpoint issued no token"
NAMES = (
    *connectivity.names("endpoint"),
    *conformance.NAMES,
    *cross_origin.NAMES,
    *authorization.NAMES,
    *issued_token.NAMES,
)


def checks(options: Options, server: LiveKitServer | None, credentials: LiveKitCredentials | None) -> Iterator[Check]:
    """About 15 requests; the tokens that they return are not used to join a room."""
    pending = list(NAMES)
    watch = Stopwatch(options.mono)
    for check in _checks(options, server, credentials):
        while pending[0] != check.name:
            yield watch.skip(pending.pop(0), _NOTHING_ISSUED)
        del pending[0]
        yield check
    for name in pending:
        yield watch.skip(name, _NOTHING_ISSUED)


def _checks(options: Options, server: LiveKitServer | None, credentials: LiveKitCredentials | None) -> Iterator[Check]:
    for value in options.headers.values():
        options.redactor.learn(value, *(part for part in value.split() if len(part) >= _CREDENTIAL_LENGTH))
    client = Client(options)
    if not (yield from connectivity.checks(client.target, options)):
        return
    first = yield from conformance.first(client, Stopwatch(options.mono), bool(options.headers))
    if first is None:
        return
    if not first.claims:  # the other checks compare claims
        yield from issued_token.checks(first, credentials, options)
        return
    yield conformance.method(client, Stopwatch(options.mono))
    second = yield from conformance.room_config(client, Stopwatch(options.mono))
    yield conformance.own_agent(client, first, Stopwatch(options.mono))
    yield cross_origin.check(client, options.origin, tuple(options.headers), Stopwatch(options.mono))
    yield authorization.fresh_room(first, second, server, credentials, options)
    yield from authorization.checks(client, first, options)
    yield from issued_token.checks(first, credentials, options)
