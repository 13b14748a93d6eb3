"""Servers: where the endpoint's credentials come from, and what is answered while there are none."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.endpoint import Admission
from moss_voice_server.testing import FakeMoss
from moss_voice_server.wsgi import token_app
from tests.endpoint.calls import ask_wsgi
from tests.endpoint.calls import environ as call
from tests.endpoint.conftest import Fakes
from tests.endpoint.frameworks import AllFrameworks, Target
from tests.endpoint.wire import Request, bearer

ADA = Request(bearer("ada"))
UNAVAILABLE = b'{"error":"unavailable","message":"Tokens are temporarily unavailable: try again later."}'
PATIENCE = 60.0  # seconds until every program must have recovered; it takes a few


@pytest.mark.parametrize("route", ["token", "sync-class", "chosen"])
def test_a_server_that_is_ready(all_frameworks: AllFrameworks, route: str) -> None:
    """A server of either class, or a function that finds one for a request, in an app of either kind."""
    assert "ada" == all_frameworks(ADA, route).claims["sub"]


def recovered(targets: list[Target], ask: Callable[[Target], int]) -> None:
    """Asks those that still say 503, until none does."""
    deadline = time.monotonic() + PATIENCE
    while targets := [target for target in targets if ask(target) != 201]:
        assert time.monotonic() < deadline, [target.name for target in targets]
        time.sleep(0.1)


def status(route: str, rule: str = "ada") -> Callable[[Target], int]:
    """What a target answers at a route: a token, or that there are no credentials."""

    def ask(target: Target) -> int:
        answer = target.ask(route, Request(bearer(rule)))
        assert answer.status == 201 or (answer.status, answer.body) == (503, UNAVAILABLE), answer
        return answer.status

    return ask


@pytest.mark.parametrize("route", ["down", "refused", "invalid"])
def test_no_credentials(all_frameworks: AllFrameworks, fakes: Fakes, route: str) -> None:
    """Moss is down, refuses or talks nonsense: 503 with a wait, nothing of the reason, and tokens as soon as it is well again."""
    said = all_frameworks(ADA, route)
    assert (503, UNAVAILABLE, "some") == (said.status, said.body, said.headers["retry-after"])
    fake = {"down": fakes.down, "refused": fakes.refuses, "invalid": fakes.odd}[route]
    fake.reset()
    recovered(all_frameworks.targets, status(route))


@pytest.mark.parametrize("face", [MossVoiceServer, MossVoiceServerSync])
def test_asking_does_not_make_us_ask(face: Any) -> None:
    """However often clients ask meanwhile, Moss is asked as the renewal's own patience says, and not once for each."""
    with FakeMoss() as moss:
        moss.set_default(503)
        app = token_app(
            face(**moss.arguments), authorize=lambda environ, token_request: Admission(ParticipantInfo("ada"))
        )
        assert {503} == {ask_wsgi(app, call(Request())).status for _ in range(500)}
        moss.wait_for(1)
        # The pause doubles from a second on: to ask more often than this, the 500 requests would have to take minutes.
        assert moss.count <= 10


@pytest.mark.parametrize(
    ("route", "rule"), [("late", "ada"), ("late-sync", "ada"), ("late-chosen", "ada"), ("late-named", "agent-name")]
)
def test_a_server_that_was_only_constructed(all_frameworks: AllFrameworks, route: str, rule: str) -> None:
    """The first request waits for the credentials; one whose authorize needs them earlier may be asked to come back."""
    first = {target.name: status(route, rule)(target) for target in all_frameworks.targets}
    assert rule != "ada" or {201} == set(first.values())
    recovered(all_frameworks.targets, status(route, rule))
    if rule == "agent-name":
        said = all_frameworks(Request(bearer(rule)), route)
        assert {"agents": [{"agentName": "example-agent"}]} == said.claims["roomConfig"]
