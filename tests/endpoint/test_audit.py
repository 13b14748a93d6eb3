"""Audit: what the log and `on_token` learn of each token, and what they never do."""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from tests.endpoint.frameworks import AllFrameworks
from tests.support.tokens import API_SECRET
from tests.support.wire import Request, bearer


def digest(text: str) -> str:
    """How a room or a token is named in an audit."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("route", ["token", "audited-async"])
def test_one_event_for_each_token(all_frameworks: AllFrameworks, route: str) -> None:
    """The log and the callback, plain or async, learn who, in which room, with which agents, and how to find the token.

    Neither a token nor its parts, the room or the API secret are in any record of any program.
    """
    for target in all_frameworks.targets:
        answer, records = target.ask_logged(route, Request(bearer("dispatch")))
        jwt, name = answer.json["participant_token"], answer.claims["video"]["room"]
        room, token = digest(name), digest(jwt)
        (event,) = [json.loads(record["text"]) for record in records if record["logger"] == "tests.events"]
        *said, fingerprint, seconds = event
        assert ["issued", "", "ada", room, ["helper", "scribe"], token] == said
        assert re.fullmatch("[0-9a-f]{12}", fingerprint)
        assert 0 < seconds < 60
        expected = {
            "logger": "moss_voice_server.audit",
            "level": "INFO",
            "text": "token for 'ada'",
            "moss_identity": "ada",
            "moss_room_hash": room,
            "moss_agents": ["helper", "scribe"],
            "moss_token_hash": token,
        }
        assert [expected] == [record for record in records if record["logger"] == "moss_voice_server.audit"]
        log = target.program.log.read_text(encoding="utf-8")
        assert [] == [secret for secret in (jwt, *jwt.split(".")[1:], name, API_SECRET) if secret in log]


def test_failing_callback_is_logged(all_frameworks: AllFrameworks) -> None:
    """The client gets its token; the log shows the class of the callback's exception only."""
    for target in all_frameworks.targets:
        answer, records = target.ask_logged("audited-broken", Request(bearer("ada")))
        assert 201 == answer.status
        errors = [record["text"] for record in records if record["level"] == "ERROR"]
        assert ["on_token failed with RuntimeError: correct the callback"] == errors
