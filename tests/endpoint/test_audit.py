"""Audit: what is written down of each token, and what never is."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from moss_voice_server import MossVoiceServerSync
from moss_voice_server.endpoint import Admission
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.wsgi import token_app
from tests.endpoint.everywhere import Everywhere, Target
from tests.endpoint.wire import Answer, Request, bearer
from tests.support.tokens import API_KEY, API_SECRET, URL


def digest(text: str) -> str:
    """How a room or a token is named in an audit."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def minted(target: Target, door: str, request: Request) -> tuple[Answer, list[dict[str, Any]]]:
    """An answer, and what the program logged for it."""
    before = len(target.program.records)
    answer = target.ask(door, request)
    return answer, target.program.records[before:]


@pytest.mark.parametrize("door", ["audited", "audited-async"])
def test_one_event_for_each_token(everywhere: Everywhere, door: str) -> None:
    """The log and the callback, plain or async, are told who, in which room, with which agents, and how to find the token."""
    for target in everywhere.targets:
        answer, records = minted(target, door, Request(bearer("dispatch")))
        token = answer.json["participant_token"]
        event = ["ada", digest(answer.claims["video"]["room"]), ["helper", "scribe"], digest(token)]
        assert [
            {
                "logger": "moss_voice_server.audit",
                "level": "INFO",
                "text": "token for 'ada'",
                "moss_identity": event[0],
                "moss_room_hash": event[1],
                "moss_agents": event[2],
                "moss_token_hash": event[3],
            },
            {"logger": "tests.events", "level": "INFO", "text": json.dumps(event)},
        ] == records


def test_no_event_without_a_token(everywhere: Everywhere) -> None:
    """Refusals and mistakes are no tokens, and are not counted as such."""
    for request in (
        Request(),
        Request(bearer("rejected")),
        Request(bearer("ada"), json={"room_name": "r"}),
        Request(bearer("none")),
    ):
        for target in everywhere.targets:
            _, records = minted(target, "audited", request)
            assert "moss_voice_server.audit" not in [record["logger"] for record in records]
            assert "tests.events" not in [record["logger"] for record in records]


def test_a_failing_callback_is_logged(everywhere: Everywhere) -> None:
    """The token was made and is given; the callback's trouble is told by its kind only."""
    for target in everywhere.targets:
        answer, records = minted(target, "audited-broken", Request(bearer("ada")))
        assert 201 == answer.status
        assert ["on_token failed with RuntimeError: correct the callback"] == [
            record["text"] for record in records if record["level"] == "ERROR"
        ]


def test_no_token_is_ever_logged(everywhere: Everywhere) -> None:
    """Neither a token nor its parts, the room or the API secret are in any record of any program."""
    for target in everywhere.targets:
        answer, _ = minted(target, "token", Request(bearer("ada")))
        token = answer.json["participant_token"]
        log = target.program.log.read_text(encoding="utf-8")
        for secret in (token, *token.split(".")[1:], answer.claims["video"]["room"], API_SECRET):
            assert secret not in log


@pytest.mark.parametrize("name", ["authorize", "rate_limiter", "on_token"])
@pytest.mark.parametrize("value", ["ada", 7, True, Admission])
def test_hooks_are_functions(name: str, value: Any) -> None:
    """What cannot be called is refused when the endpoint is made; without authorize there is none."""
    server = MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET)
    given: dict[str, Any] = {"authorize": lambda request, token_request: None, name: value}
    if callable(value):
        token_app(server, **given)
        return
    with pytest.raises(InvalidArgument) as caught:
        token_app(server, **given)
    assert name == caught.value.field


def test_no_endpoint_without_authorize() -> None:
    """Authorize is required, and None is none."""
    server = MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET)
    with pytest.raises(TypeError, match="authorize"):
        token_app(server)  # type: ignore[call-arg]  # that it is missing is the point
    with pytest.raises(InvalidArgument) as caught:
        token_app(server, authorize=None)  # type: ignore[arg-type]  # the same
    assert "authorize" == caught.value.field
