"""MossApi: what the Moss API itself would say to a request: the credentials, 304, 401, 404 or 405."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from ._answer import Answer
from ._request import RecordedRequest

PATH = "/api/voice-agent/get-voice-agent"


@dataclass(frozen=True)
class MossApi:
    """The API's one endpoint for one voice agent, as a rule without I/O: a request in, an `Answer` out."""

    project_id: str
    project_key: str
    voice_agent_id: str

    def settle(
        self,
        answer: Answer,
        request: RecordedRequest,
        credentials: dict[str, str],
        etag: bool,
        max_age: float | None,
    ) -> Answer:
        """Fill in what a scripted answer leaves open: the API's own words, or an error's body."""
        if answer.is_own:
            own = self._judge(request, credentials, etag, max_age)
            theirs = {name.lower() for name in answer.headers}
            kept = {name: value for name, value in own.headers.items() if name.lower() not in theirs}
            headers = {**kept, **answer.headers}
            return replace(answer, status=own.status, json=own.json, headers=headers)
        if answer.has_content:
            return answer
        return replace(answer, json={"error": _phrase(answer.status)})

    def _judge(
        self, request: RecordedRequest, credentials: dict[str, str], etag: bool, max_age: float | None
    ) -> Answer:
        url = urlsplit(request.path)
        if url.path != PATH:
            return _error(404)
        if request.method != "GET":
            return replace(_error(405), headers={"Allow": "GET"})
        sent = (request.headers.get("X-Project-Id"), request.headers.get("X-Project-Key"))
        if sent != (self.project_id, self.project_key):
            return _error(401)
        if parse_qs(url.query).get("voice_agent_id") != [self.voice_agent_id]:
            return _error(404)
        headers = {}
        if max_age is not None:
            headers["Cache-Control"] = f"max-age={int(max_age)}"
        if etag:
            headers["ETag"] = tag = etag_of(credentials)
            asked = [item.strip() for item in request.headers.get("If-None-Match", "").split(",")]
            # RFC 9110 13.1.2: weak comparison, so W/"x" matches "x".
            if "*" in asked or tag in [item.removeprefix("W/") for item in asked]:
                return Answer(304, json=None, headers=headers)
        return Answer(200, json=credentials, headers=headers)


def etag_of(credentials: dict[str, str]) -> str:
    """The entity tag of these credentials: equal for equal ones, and telling nothing about them."""
    return f'"{hashlib.sha256(json.dumps(credentials, sort_keys=True).encode()).hexdigest()[:16]}"'


def _error(status: int) -> Answer:
    return Answer(status, json={"error": _phrase(status)})


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
