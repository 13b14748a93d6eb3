"""MossApi: what the Moss API itself answers: credentials, runtime configuration and session reports of one voice agent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ._reports import SessionReports
from ._request import RecordedRequest
from ._response import MockResponse

_BASE = "/api/voice-agent/"
PATH = f"{_BASE}get-voice-agent"
RUNTIME_CONFIG: dict[str, Any] = {
    "llm_model": "gpt-4.1-mini",
    "stt_model": "nova-3",
    "stt_language": "en",
    "tts_model": "sonic-3",
    "tts_voice": "default",
    "min_endpointing_delay": 0.5,
    "max_endpointing_delay": 3.0,
    "preemptive_generation": True,
}


@dataclass
class MossApi:
    """The API's rules for one voice agent, without I/O: a request in, an `MockResponse` out."""

    project_id: str
    project_key: str
    voice_agent_id: str
    credentials: dict[str, str]
    reports: SessionReports
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    etag: bool = False
    max_age: float | None = None

    def complete(self, response: MockResponse, request: RecordedRequest) -> MockResponse:
        """The API's own response where a queued one leaves it open, or the body of an error."""
        if response._is_default:
            own = self._own(request)
            theirs = {name.lower() for name in response.headers}
            kept = {name: value for name, value in own.headers.items() if name.lower() not in theirs}
            headers = {**kept, **response.headers}
            return replace(response, status=own.status, json=own.json, headers=headers)
        if response._has_content:
            return response
        return replace(response, json={"error": _phrase(response.status)})

    def _own(self, request: RecordedRequest) -> MockResponse:
        url = urlsplit(request.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        routes: dict[str, tuple[str, Callable[[RecordedRequest, dict[str, str]], MockResponse]]] = {
            PATH: ("GET", self._get_voice_agent),
            f"{_BASE}get-runtime-config": ("GET", self._get_runtime_config),
            f"{_BASE}session-report": ("POST", self._store_report),
            f"{_BASE}session-reports": ("GET", self._list_reports),
        }
        if url.path not in routes:
            return _error(404)
        method, answer = routes[url.path]
        if request.method != method:
            return replace(_error(405), headers={"Allow": method})
        sent = (request.headers.get("X-Project-Id"), request.headers.get("X-Project-Key"))
        if sent != (self.project_id, self.project_key):
            return _error(401)
        if method == "GET" and query.get("voice_agent_id") != self.voice_agent_id:
            return _error(404)
        return answer(request, query)

    def _get_voice_agent(self, request: RecordedRequest, _query: dict[str, str]) -> MockResponse:
        headers = {}
        if self.max_age is not None:
            headers["Cache-Control"] = f"max-age={int(self.max_age)}"
        if self.etag:
            headers["ETag"] = tag = etag_of(self.credentials)
            asked = [item.strip() for item in request.headers.get("If-None-Match", "").split(",")]
            # RFC 9110 13.1.2: weak comparison, so W/"x" matches "x".
            if "*" in asked or tag in [item.removeprefix("W/") for item in asked]:
                return MockResponse(304, json=None, headers=headers)
        return MockResponse(200, json=self.credentials, headers=headers)

    def _get_runtime_config(self, _request: RecordedRequest, _query: dict[str, str]) -> MockResponse:
        return MockResponse(200, json=RUNTIME_CONFIG)

    def _store_report(self, request: RecordedRequest, _query: dict[str, str]) -> MockResponse:
        try:
            sent = json.loads(request.body)
            agent, room_name, report = sent["voice_agent_id"], sent["room_name"], sent["report"]
        except (ValueError, TypeError, KeyError):
            return _error(400)
        if agent != self.voice_agent_id:
            return _error(404)
        return MockResponse(200, json={"id": self.reports.add(str(room_name), report, self.now())["id"]})

    def _list_reports(self, _request: RecordedRequest, query: dict[str, str]) -> MockResponse:
        page = self.reports.page(query)
        return _error(400) if page is None else MockResponse(200, json={"reports": page})


def etag_of(credentials: dict[str, str]) -> str:
    """The entity tag of these credentials: equal for equal ones; it reveals nothing about them."""
    return f'"{hashlib.sha256(json.dumps(credentials, sort_keys=True).encode()).hexdigest()[:16]}"'


def _error(status: int) -> MockResponse:
    return MockResponse(status, json={"error": _phrase(status)})


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
