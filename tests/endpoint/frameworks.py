"""AllFrameworks: sends one request to every adapter, sync and async; all of them must give the same response."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.endpoint.policy_names import LEAK, MODES
from tests.endpoint.programs import Program
from tests.support import tokens
from tests.support.wire import Answer, Request

HEADERS = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "pragma": "no-cache",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}
"""Of every response."""
OURS = {*HEADERS, "allow", "www-authenticate"}  # servers add Date and Server, Django those of its middlewares
NEW_ROOM = re.compile("room-[0-9a-f]{32}")


class Target(NamedTuple):
    """A program and a mode."""

    program: Program
    mode: str

    @property
    def name(self) -> str:
        """Its name in a failure."""
        return f"{self.program.name}, {self.mode}"

    def ask(self, route: str, request: Request, below: str = "") -> Answer:
        """Sends one request to one of its routes."""
        return self.program.ask(f"{below}/{self.mode}/{route}", request)

    def ask_logged(self, route: str, request: Request) -> tuple[Answer, list[dict[str, Any]]]:
        """The response, and what the program logged for it."""
        before = len(self.program.records)
        return self.ask(route, request), self.program.records[before:]


class ObservedResponse(NamedTuple):
    """A response without what differs from call to call: times, a new room, the signature."""

    status: int
    body: bytes
    headers: dict[str, str]
    claims: dict[str, Any]
    """Of a token: the body is then empty."""


class AllFrameworks:
    """All targets."""

    def __init__(self, programs: dict[str, Program]) -> None:
        self.programs = programs
        self.targets = [Target(program, mode) for program in programs.values() for mode in MODES]

    def __call__(
        self,
        request: Request,
        route: str = "token",
        *,
        below: str = "",
        where: Callable[[Target], bool] = lambda target: True,
    ) -> ObservedResponse:
        """The response that all targets give to a request at a route."""
        answers = {t.name: observed(t.ask(route, request, below)) for t in self.targets if where(t)}
        first = next(iter(answers.values()))
        assert dict.fromkeys(answers, first) == answers
        return first


def observed(answer: Answer) -> ObservedResponse:
    """What can be compared of a response. What the applications raise is in none."""
    assert LEAK not in repr(answer)
    headers = {name: value for name, value in answer.headers if name in OURS or name.startswith("access-control-")}
    if answer.header("retry-after") is not None:
        headers["retry-after"] = "some"
        assert 1 <= int(str(answer.header("retry-after"))) <= 86400
    if "origin" in (answer.header("vary") or "").lower():
        headers["vary"] = "origin"
    if answer.status != 201:
        return ObservedResponse(answer.status, answer.body, headers, {})
    token = answer.json["participant_token"]
    assert {"server_url": tokens.URL, "participant_token": token} == answer.json
    claims = tokens.claims(token)
    claims["exp"] -= claims["nbf"]
    del claims["nbf"]
    claims["video"]["room"] = NEW_ROOM.sub("room-new", claims["video"]["room"])
    return ObservedResponse(201, b"", headers, claims)
