"""Audit: what is written down of each token, and what never is."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import pytest

from moss_voice_server import MossVoiceServerSync
from moss_voice_server.endpoint import Admission
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.wsgi import token_app
from tests.endpoint.frameworks import AllFrameworks, Target
from tests.endpoint.wire import Answer, Request, bearer
from tests.support.tokens import API_KEY, API_SECRET, URL


def digest(text: str) -> str:
    """How a room or a token is named in an audit."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def minted(target: Target, route: str, request: Request) -> tuple[Answer, list[dict[str, Any]]]:
    """An answer, and what the program logged for it."""
    before = len(target.program.records)
    answer = target.ask(route, request)
    return answer, target.program.records[before:]


@pytest.mark.parametrize("route", ["audited", "audited-async"])
def test_one_event_for_each_token(all_frameworks: AllFrameworks, route: str) -> None:
    """The log and the callback, plain or async, are told who, in which room, with which agents, and how to find the token."""
    for target in all_frameworks.targets:
        answer, records = minted(target, route, Request(bearer("dispatch")))
        token = answer.json["participant_token"]
        event = ["issued", "", "ada", digest(answer.claims["video"]["room"]), ["helper", "scribe"], digest(token)]
        (told,) = [json.loads(record["text"]) for record in records if record["logger"] == "tests.events"]
        *said, fingerprint, seconds = told
        assert event == said
        assert re.fullmatch("[0-9a-f]{12}", fingerprint)
        assert 0 < seconds < 60
        assert [
            {
                "logger": "moss_voice_server.audit",
                "level": "INFO",
                "text": "token for 'ada'",
                "moss_identity": event[2],
                "moss_room_hash": event[3],
                "moss_agents": event[4],
                "moss_token_hash": event[5],
            }
        ] == [record for record in records if record["logger"] == "moss_voice_server.audit"]


NO_TOKEN: dict[str, tuple[Request, list[str] | None]] = {
    "not authenticated": (Request(), ["denied", "unauthenticated", ""]),
    "denied": (Request(bearer("rejected")), ["denied", "forbidden", ""]),
    "the framework's 404": (Request(bearer("framework-404")), ["denied", "refused", ""]),
    "a room": (Request(bearer("ada"), json={"room_name": "r"}), ["denied", "room_not_allowed", "ada"]),
    "no JSON": (Request(bearer("ada"), b"x"), ["invalid", "invalid_json", ""]),
    "a mistake": (Request(bearer("none")), ["error", "internal_error", ""]),
    "a crash": (Request(bearer("fails")), ["error", "internal_error", ""]),
    "no credentials": (Request(bearer("credentials")), ["unavailable", "unavailable", ""]),
    "another method": (Request(bearer("ada"), method="GET"), None),
    "too large": (Request(bearer("ada"), b" " * 16385), None),
}


@pytest.mark.parametrize(("request_", "event"), NO_TOKEN.values(), ids=NO_TOKEN.keys())
def test_an_event_for_each_request_without_a_token(
    all_frameworks: AllFrameworks, request_: Request, event: list[str] | None
) -> None:
    """A request whose body was read is one event, whatever became of it; there is no audit line without a token."""
    for target in all_frameworks.targets:
        _, records = minted(target, "audited", request_)
        assert "moss_voice_server.audit" not in [record["logger"] for record in records]
        events = [json.loads(record["text"])[:3] for record in records if record["logger"] == "tests.events"]
        assert ([event] if event else []) == events


def test_a_failing_callback_is_logged(all_frameworks: AllFrameworks) -> None:
    """The token was made and is given; the callback's trouble is told by its kind only."""
    for target in all_frameworks.targets:
        answer, records = minted(target, "audited-broken", Request(bearer("ada")))
        assert 201 == answer.status
        assert ["on_token failed with RuntimeError: correct the callback"] == [
            record["text"] for record in records if record["level"] == "ERROR"
        ]


def test_no_token_is_ever_logged(all_frameworks: AllFrameworks) -> None:
    """Neither a token nor its parts, the room or the API secret are in any record of any program."""
    for target in all_frameworks.targets:
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
