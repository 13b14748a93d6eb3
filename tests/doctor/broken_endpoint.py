"""A token endpoint that conforms, apart from the faults that a test sets."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

import jwt

from moss_voice_server.testing import MockResponse, RecordedRequest
from tests.doctor.servers import reply

LOGIN = "Bearer let-me-in-please"
ORIGIN = "https://app.example"


@dataclass
class BrokenEndpoint:
    """The faults; the defaults have none."""

    url: str
    key: str
    secret: str
    status: int = 201
    keys: tuple[str, str] = ("server_url", "participant_token")
    content_type: str = "application/json"
    cache: str = "no-store"
    login: str = LOGIN  # what Authorization must say; "": nothing
    room: str = ""  # one room for all; "": a new one each time
    reads: tuple[str, ...] = ()  # the client's requests that it grants: identity, room, egress, agents
    refuses_empty_config: bool = False
    refuses_own_agent: bool = False
    allows_metadata: bool = False  # whether a client may set the metadata of its agent
    answers_get: bool = False
    allow_origins: tuple[str, ...] | None = (ORIGIN,)  # `None`: every origin is repeated
    allow_headers: str = "content-type, authorization"
    cors_on_errors: bool = True
    doubled_cors: bool = False
    agent: str = "clerk"  # the agent that its tokens name; "": none
    also_camel: bool = False  # whether the response has the fields in camelCase, too
    claims: Callable[[dict[str, Any]], dict[str, Any]] = lambda claims: claims  # what it makes of the token's claims
    breaks_on: str = "\0"  # A request that contains this makes it fail
    limit: int = 1000  # the number of tokens before it returns 429
    given: int = 0
    paths: set[str] = field(default_factory=set)

    def __call__(self, request: RecordedRequest) -> MockResponse:
        """One answer."""
        self.paths.add(request.path)
        if request.method == "OPTIONS":
            return reply(204, "", self._cors(request, preflight=True))
        status, body = self._answer(request)
        headers = {"Content-Type": self.content_type, **({"Cache-Control": self.cache} if self.cache else {})}
        cors = self._cors(request) if status < 400 or self.cors_on_errors else {}
        return reply(status, json.dumps(body), {**headers, **cors})

    def _answer(self, request: RecordedRequest) -> tuple[int, dict[str, Any]]:
        if request.method != "POST" and not self.answers_get:
            return self._error(405)
        if self.login and request.headers.get("authorization") != self.login:
            return self._error(401)
        if self.breaks_on.encode() in request.body:
            return self._error(500)
        token_request = json.loads(request.body or b"{}")
        if "room_config" in token_request and self.refuses_empty_config:
            return self._error(500)
        names = {"participant_identity": "identity", "room_name": "room"}
        if any(name not in names for name in token_request if name != "room_config"):
            return self._error(400)
        config = token_request.get("room_config") or {}
        agents = config.get("agents") or []
        if agents == [{"agent_name": self.agent}] and not self.refuses_own_agent:
            config = {}
        elif self.allows_metadata and agents and agents[0]["agent_name"] == self.agent:
            return self._issue(token_request, config)
        asked = [names[name] for name in token_request if name in names] + list(config)
        if any(name not in self.reads for name in asked):
            return self._error(403)
        return self._issue(token_request, config)

    def _issue(self, token_request: dict[str, Any], config: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.given >= self.limit:
            return self._error(429)
        self.given += 1
        token = self._token(token_request, config)
        fields = dict(zip(self.keys, (self.url, token), strict=True))
        if self.also_camel:
            fields |= {"serverUrl": self.url, "participantToken": token}
        return self.status, fields

    def _token(self, token_request: dict[str, Any], config: dict[str, Any]) -> str:
        now = int(time.time())
        room = token_request.get("room_name") or self.room or f"room-{token_hex(8)}"
        agents = {"agents": [{"agentName": self.agent}]} if self.agent else None
        claims = {
            "iss": self.key,
            "sub": token_request.get("participant_identity", "user-42"),
            "nbf": now,
            "exp": now + 900,
            "video": {"roomJoin": True, "room": room, "canPublish": True, "canSubscribe": True},
            **({"roomConfig": config} if config else {"roomConfig": agents} if agents else {}),
        }
        return jwt.encode(self.claims(claims), self.secret, algorithm="HS256")

    def _cors(self, request: RecordedRequest, *, preflight: bool = False) -> dict[str, str]:
        origin = request.headers.get("origin", "")
        if not origin or (
            self.allow_origins is not None and origin not in self.allow_origins and "*" not in self.allow_origins
        ):
            return {}
        allowed = "*" if self.allow_origins is not None and "*" in self.allow_origins else origin
        found = {"Access-Control-Allow-Origin": allowed}
        if self.doubled_cors:
            found["access-control-allow-origin"] = allowed
        if preflight:
            found |= {"Access-Control-Allow-Headers": self.allow_headers, "Access-Control-Allow-Methods": "POST"}
        return found

    def _error(self, status: int) -> tuple[int, dict[str, Any]]:
        return status, {"error": f"code_{status}"}
