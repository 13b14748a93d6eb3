"""Servers: where the endpoint's credentials come from, and the response while there are none; several workers."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from moss_voice_server import MossVoiceServer
from moss_voice_server.testing import FakeMoss
from moss_voice_server.wsgi import token_app
from tests.endpoint.calls import ADA as ADMISSION
from tests.endpoint.calls import ask_wsgi, environ
from tests.endpoint.frameworks import AllFrameworks, Target
from tests.endpoint.programs import GUNICORN, Fakes, await_answer, started
from tests.support.wire import Request, bearer

ADA = Request(bearer("ada"))
UNAVAILABLE = b'{"error":"unavailable","message":"Tokens are temporarily unavailable: try again later."}'
PATIENCE = 60.0  # seconds until every program must have recovered; it takes a few


def test_server_that_a_function_chooses(all_frameworks: AllFrameworks) -> None:
    """A function finds one for each request, in an app of either kind."""
    assert "ada" == all_frameworks(ADA, "chosen").claims["sub"]


def recovered(targets: list[Target], ask: Callable[[Target], int]) -> None:
    """Asks the targets that still answer 503, until none does."""
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


def test_no_credentials(all_frameworks: AllFrameworks, fakes: Fakes) -> None:
    """Moss is down, rejects or returns nonsense: 503 with a wait and no reason, and tokens as soon as it recovers."""
    routes = {"down": "MOSS_DOWN", "refused": "MOSS_REFUSES", "invalid": "MOSS_IS_ODD"}
    for route in routes:
        said = all_frameworks(ADA, route)
        assert (503, UNAVAILABLE, "some") == (said.status, said.body, said.headers["retry-after"])
    for name in routes.values():
        fakes[name].reset()
    for route in routes:
        recovered(all_frameworks.targets, status(route))


def test_requests_do_not_multiply_fetches() -> None:
    """However many clients ask meanwhile, Moss gets only the requests that the backoff allows."""
    with FakeMoss() as moss:
        moss.set_default(503)
        app = token_app(MossVoiceServer(**moss.arguments), authorize=lambda environ, token_request: ADMISSION)
        assert {503} == {ask_wsgi(app, environ()).status for _ in range(500)}
        moss.wait_for(1)
        # The backoff doubles from a second on: for more fetches than this, the 500 requests would have to take minutes.
        assert moss.count <= 10


@pytest.mark.parametrize(
    ("route", "rule"), [("late", "ada"), ("late-sync", "ada"), ("late-chosen", "ada"), ("late-named", "agent-name")]
)
def test_server_that_was_only_constructed(all_frameworks: AllFrameworks, route: str, rule: str) -> None:
    """The first request waits for the credentials; it may get a 503 where authorize needs them earlier."""
    first = {target.name: status(route, rule)(target) for target in all_frameworks.targets}
    assert rule != "ada" or {201} == set(first.values())
    recovered(all_frameworks.targets, status(route, rule))
    if rule == "agent-name":
        said = all_frameworks(Request(bearer(rule)), route)
        assert {"agents": [{"agentName": "example-agent"}]} == said.claims["roomConfig"]


def test_two_workers_of_one_process(tmp_path: Path, fakes: Fakes) -> None:
    """Workers that are forked copies never create the same room or guest."""
    command = [*GUNICORN[:-1], "--workers=2", "--preload", "tests.endpoint.app_flask:app"]
    with started("two", command, tmp_path, fakes) as program:
        await_answer(program)
        names: list[str] = []
        workers: set[str] = set()
        deadline = time.monotonic() + PATIENCE
        while len(workers) < 2 or len(names) < 60:
            assert time.monotonic() < deadline, f"only {workers} answered"
            claims = program.ask("/sync/token", Request(bearer("process"))).claims
            workers.add(claims["metadata"])
            names += [claims["video"]["room"], program.ask("/async/guests", Request()).claims["sub"]]
        assert set(map(str, program.workers)) == workers
        assert len(names) == len(set(names))
