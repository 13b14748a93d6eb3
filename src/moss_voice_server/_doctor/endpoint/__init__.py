"""Check the user's own token endpoint from outside, as LiveKit's clients and strangers see it.

About 15 requests; the tokens that they return are not used to join a room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .. import connectivity
from ..check import Verdict
from ..found import Found
from . import authorization, conformance, cross_origin, issued_token
from .client import Client

_CREDENTIAL_LENGTH = 16  # characters of a part of a header that is a secret, as in `Bearer ...`

JUDGES: Mapping[str, Callable[[Found], Verdict]] = {
    **connectivity.judges("endpoint"),
    "endpoint.status": conformance.status,
    "endpoint.keys": conformance.keys,
    "endpoint.no_store": conformance.no_store,
    "endpoint.method": conformance.method,
    "endpoint.room_config": conformance.room_config,
    "endpoint.own_agent": conformance.own_agent,
    "endpoint.cors": cross_origin.judge,
    "endpoint.fresh_room": authorization.fresh_room,
    "endpoint.login": authorization.login,
    **authorization.ATTACKS,
    "endpoint.agent_metadata": authorization.agent_metadata,
    "endpoint.token": issued_token.content,
    "endpoint.dispatch": issued_token.dispatch,
    "endpoint.accepted": issued_token.accepted,
}


def prepare(found: Found) -> None:
    """Names the endpoint as the target, and masks the user's own headers from now on."""
    for value in found.options.headers.values():
        found.options.redactor.learn(value, *(part for part in value.split() if len(part) >= _CREDENTIAL_LENGTH))
    found.client = Client(found.options)
    found.targets["endpoint"] = found.client.target
