"""Servers: where the endpoint's credentials come from, and what is answered while there are none."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.endpoint.conftest import Fakes
from tests.endpoint.everywhere import Everywhere, Target
from tests.endpoint.wire import Request, bearer

ADA = Request(bearer("ada"))
UNAVAILABLE = b'{"error":"unavailable","message":"Tokens cannot be made at the moment: try again later."}'
PATIENCE = 60.0  # seconds until every program must have recovered; it takes a few


@pytest.mark.parametrize("door", ["token", "sync-class", "chosen"])
def test_a_server_that_is_ready(everywhere: Everywhere, door: str) -> None:
    """A server of either class, or a function that finds one for a request, in an app of either kind."""
    assert "ada" == everywhere(ADA, door).claims["sub"]


def recovered(targets: list[Target], ask: Callable[[Target], int]) -> None:
    """Asks those that still say 503, until none does."""
    deadline = time.monotonic() + PATIENCE
    while targets := [target for target in targets if ask(target) != 201]:
        assert time.monotonic() < deadline, [target.name for target in targets]
        time.sleep(0.1)


def status(door: str, rule: str = "ada") -> Callable[[Target], int]:
    """What a target answers at a door: a token, or that there are no credentials."""

    def ask(target: Target) -> int:
        answer = target.ask(door, Request(bearer(rule)))
        assert answer.status == 201 or (answer.status, answer.body) == (503, UNAVAILABLE), answer
        return answer.status

    return ask


@pytest.mark.parametrize("door", ["down", "refused", "invalid"])
def test_no_credentials(everywhere: Everywhere, fakes: Fakes, door: str) -> None:
    """Moss is down, refuses or talks nonsense: 503 with a wait, nothing of the reason, and tokens as soon as it is well again."""
    said = everywhere(ADA, door)
    assert (503, UNAVAILABLE, "some") == (said.status, said.body, said.headers["retry-after"])
    fake = {"down": fakes.down, "refused": fakes.refuses, "invalid": fakes.odd}[door]
    fake.normal()
    recovered(everywhere.targets, status(door))


def test_asking_does_not_make_us_ask(everywhere: Everywhere, fakes: Fakes) -> None:
    """However often clients ask meanwhile, Moss is asked as the renewal's own patience says, and not once for each."""
    fakes.down.wait_idle()
    fakes.down.always(503)
    # The doors have recovered or not: only those that have not would ask.
    before = fakes.down.count
    for _ in range(30):
        for target in everywhere.targets:
            target.ask("down", ADA)
    assert fakes.down.count - before < 30
    fakes.down.normal()


@pytest.mark.parametrize(
    ("door", "rule"), [("late", "ada"), ("late-sync", "ada"), ("late-chosen", "ada"), ("late-named", "agent-name")]
)
def test_a_server_that_was_only_constructed(everywhere: Everywhere, door: str, rule: str) -> None:
    """Nobody fetched for it before the application started: FastAPI's router has, elsewhere the first request begins it."""
    first = {target.name: status(door, rule)(target) for target in everywhere.targets}
    fetched = door != "late-chosen"  # which server a function will return, nobody knows at the start
    assert all(first[name] == 201 for name in first if fetched and name.startswith("fastapi"))
    recovered(everywhere.targets, status(door, rule))
    if rule == "agent-name":
        said = everywhere(Request(bearer(rule)), door)
        assert {"agents": [{"agentName": "example-agent"}]} == said.claims["roomConfig"]
