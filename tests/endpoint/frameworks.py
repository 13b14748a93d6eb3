"""AllFrameworks: one request to every adapter, sync and async, and the one answer that all of them must give."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.endpoint.policy_names import MODES
from tests.endpoint.programs import Program
from tests.endpoint.wire import Answer, Request
from tests.support import tokens

# What we say. Servers add Date and Server, Django its own middlewares' headers.
OURS = {
    "allow",
    "cache-control",
    "content-type",
    "pragma",
    "referrer-policy",
    "www-authenticate",
    "x-content-type-options",
}
NEW_ROOM = re.compile("room-[0-9a-f]{32}")


class Target(NamedTuple):
    """A program and a mode."""

    program: Program
    mode: str

    def ask(self, route: str, request: Request, below: str = "") -> Answer:
        """One request at one of its routes."""
        answer: Answer = self.program.ask(f"{below}/{self.mode}/{route}", request)
        return answer

    @property
    def name(self) -> str:
        """What a failure calls it."""
        return f"{self.program.name}, {self.mode}"


class ObservedResponse(NamedTuple):
    """What an answer says, without what differs from call to call: times, a new room, the signature."""

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
        """Asks at a route of every target, and returns what all of them said."""
        answers = {target.name: said(target.ask(route, request, below)) for target in self.targets if where(target)}
        assert answers, "nobody was asked"
        first = next(iter(answers.values()))
        different = {name: answer for name, answer in answers.items() if answer != first}
        assert {} == different, f"{next(iter(answers))} said {first}"
        return first


def said(answer: Answer) -> ObservedResponse:
    """What an answer says; its length and who may keep it are checked here, once for all."""
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
