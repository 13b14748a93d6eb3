"""Request: the token that every minter creates, and its expected claims."""

from __future__ import annotations

import json
import time
from base64 import urlsafe_b64decode
from hashlib import sha256
from hmac import new as hmac
from typing import Any, NamedTuple

from . import budgets

LIFE = 15 * 60  # seconds
_HEADER = {"alg": "HS256", "typ": "JWT"}
_SLACK = 60  # seconds that may pass between making a token and looking at it


class Request(NamedTuple):
    """The contents of a token."""

    api_key: str = "APIbenchmark"
    api_secret: str = "a-made-up-secret-of-forty-characters-xyz"
    identity: str = "user-42"
    name: str = "Ada Lovelace"
    room: str = "consultation-7"
    agent: str = ""
    metadata: str = ""
    attributes: tuple[tuple[str, str], ...] = ()

    def json(self) -> str:
        """The request as JSON for a minter."""
        return json.dumps({**self._asdict(), "attributes": dict(self.attributes)})

    def claims(self) -> dict[str, Any]:
        """The expected claims, without times."""
        grants = {"roomJoin": True, "canPublish": True, "canSubscribe": True, "canPublishData": True, "room": self.room}
        claims: dict[str, Any] = {"iss": self.api_key, "sub": self.identity, "name": self.name, "video": grants}
        if self.metadata:
            claims["metadata"] = self.metadata
        if self.attributes:
            claims["attributes"] = dict(self.attributes)
        if self.agent:
            claims["roomConfig"] = {"agents": [{"agentName": self.agent}]}
        return claims


REQUESTS = {
    budgets.JOIN: Request(),
    budgets.FULL: Request(
        agent="assistant",
        metadata='{"plan": "pro", "case": 4711}',
        attributes=(("language", "en"), ("time_zone", "Europe/London")),
    ),
}


def problem(request: Request, token: str, always: frozenset[str]) -> str:
    """The problem with a token, or an empty text.

    `always` are the claims that a library adds to every token, asked or not.
    """
    header, payload, signature = token.split(".")
    expected = hmac(request.api_secret.encode(), f"{header}.{payload}".encode(), sha256).digest()
    if _decoded(signature) != expected:
        return "the signature is wrong"
    if {"typ": "JWT"} | json.loads(_decoded(header)) != _HEADER:  # "typ" is optional, and Node's SDK leaves it out
        return f"the header is {_decoded(header)!r}"
    claims = {name: value for name, value in json.loads(_decoded(payload)).items() if name not in always}
    if "roomConfig" in claims:
        claims["roomConfig"] = _said(claims["roomConfig"])
    start, end = claims.pop("nbf", 0), claims.pop("exp", 0)
    if claims != request.claims():
        return f"the claims are {claims}, not {request.claims()}"
    # A library that reads the clock twice can see two different seconds.
    if abs(time.time() - start) > _SLACK or end - start not in (LIFE, LIFE + 1):
        return f"the times are nbf {start} and exp {end}"
    return ""


def room_of(token: str) -> str:
    """The room of a token."""
    room: str = json.loads(_decoded(token.split(".")[1]))["video"]["room"]
    return room


def _said(value: Any) -> Any:
    """A room configuration without default values, which Node's SDK writes out."""
    if isinstance(value, list):
        return [_said(each) for each in value]
    if isinstance(value, dict):
        return {name: _said(each) for name, each in value.items() if each and each != "JRP_ON_FAILURE"}
    return value


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
