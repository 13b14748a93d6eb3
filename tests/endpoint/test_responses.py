"""Responses: how each outcome of a token request reads on the wire."""

from __future__ import annotations

import json

import pytest

from moss_voice_server._endpoint.refusal import Refusal
from moss_voice_server._endpoint.responses import _MESSAGES, Response, refusal_response, retry_after, token_response
from moss_voice_server.grants import ParticipantInfo
from tests.endpoint.frameworks import HEADERS

DETAILS = ("wss://x", "t.o.k", "room \u00e9", ParticipantInfo("ada", "Ada"))
SNAKE = {"server_url": "wss://x", "participant_token": "t.o.k"}
CAMEL = {"serverUrl": "wss://x", "participantToken": "t.o.k", "roomName": "room \u00e9", "participantName": "Ada"}


def refused(status: int, code: str, *headers: tuple[str, str]) -> Response:
    """The response to a refusal."""
    return refusal_response(Refusal(status, code, "field secret", hint="never on the wire", headers=headers))


BASIC = ("www-authenticate", "Basic")
RESPONSES = {
    "snake": (token_response("snake", *DETAILS), 201, SNAKE, {}),
    "camel": (token_response("camel", *DETAILS), 201, CAMEL, {}),
    "both": (token_response("both", *DETAILS), 201, SNAKE | CAMEL, {}),
    "refused": (refused(403, "room_not_allowed"), 403, "This room is not allowed.", {}),
    "an app's own code": (refused(403, "trial_over"), 403, "Access denied.", {}),
    "not authenticated": (refused(401, "unauthenticated"), 401, "Authentication required.", {"www-authenticate": "Bearer"}),
    "another challenge": (refused(401, "x", BASIC), 401, "Authentication required.", dict([BASIC])),
    "an app's own status": (refused(404, "refused"), 404, "The request was refused.", {}),
    "later": (refused(429, "rate_limited", *retry_after(4.2)), 429, "Too many requests: try again later.", {"retry-after": "5"}),
}  # fmt: skip


@pytest.mark.parametrize(("response", "status", "content", "extra"), RESPONSES.values(), ids=RESPONSES.keys())
def test_response(response: Response, status: int, content: dict[str, str] | str, extra: dict[str, str]) -> None:
    """Every response is JSON, must not be stored, and has its length."""
    body = json.loads(response.body)
    assert (status, content) == (response.status, body["message"] if status >= 400 else body)
    assert {**HEADERS, **extra, "content-length": str(len(response.body))} == dict(response.headers)
    assert len(response.headers) == len(dict(response.headers))


@pytest.mark.parametrize(
    ("seconds", "header"),
    [(0, "1"), (-5, "1"), (0.001, "1"), (1, "1"), (1.5, "2"), (60, "60"), (1e9, "86400"), (True, "1")],
)
def test_retry_after_is_whole_seconds(seconds: float, header: str) -> None:
    """A wait is given in whole seconds, at least one and at most a day."""
    assert (("retry-after", header),) == retry_after(seconds)


@pytest.mark.parametrize("code", _MESSAGES)
def test_no_error_looks_like_a_success(code: str) -> None:
    """No error has the keys of a token, because some clients ignore the status."""
    assert ["error", "message"] == list(json.loads(refused(400, code).body))
