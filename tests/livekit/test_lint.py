"""The token lint against a real server: what it calls an error is one, and what it lets pass gets in."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
import pytest

from moss_voice_server._inspect import inspect
from moss_voice_server.testing import LiveKitServer
from tests.inspect.cases import CASES, KEY, NOW, Case, changed, good
from tests.livekit.signalling import refused_status

pytestmark = pytest.mark.livekit

# Refused as well, and no errors: a server's own token is not for joining, and a preset may be known.
NO_ERRORS = {"not_a_join_token", "room_preset"}
ASKED = {name: case for name, case in CASES.items() if case.http is not None}


def at(now: int, claims: dict[str, Any]) -> dict[str, Any]:
    """The claims with the same distances from another now."""
    moved = dict(claims)
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name)
        if type(value) is int and value:
            moved[name] = value + now - NOW
        elif isinstance(value, str) and value.isdigit():
            moved[name] = str(int(value) + now - NOW)
    return moved


@pytest.mark.parametrize("case", ASKED.values(), ids=ASKED.keys())
def test_findings_agree_with_the_server(case: Case, livekit_server: LiveKitServer, room: str) -> None:
    """Each token that the server rejects has an error or a warning; the others join."""
    now = int(time.time())
    claims = at(now, changed(case.changes))
    if claims.get("iss", "").startswith(KEY):
        claims["iss"] = claims["iss"].replace(KEY, livekit_server.api_key)
    if isinstance(claims.get("video"), dict) and claims["video"].get("room") == good()["video"]["room"]:
        claims["video"]["room"] = room
    token = jwt.api_jws.encode(json.dumps(claims).encode("ascii"), livekit_server.api_secret, algorithm="HS256")
    inspection = inspect(token, now, livekit_server.api_key, livekit_server.api_secret)

    assert case.http == 0 or case.severity == "error" or case.code in NO_ERRORS
    assert case.http == refused_status(livekit_server.url, token)
    assert (case.code, case.severity) in {(finding.code, finding.severity) for finding in inspection.findings}
