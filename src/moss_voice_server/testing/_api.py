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

from ._answer import Answer
from ._reports import SessionReports
from ._request import RecordedRequest

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
    """The API's rules for one voice agent, without I/O: a request in, an `Answer` out."""

    project_id: str
    project_key: str
    voice_agent_id: str
    credentials: dict[str, str]
    reports: SessionReports
    now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    etag: bool = False
    max_age: float | None = None

    def settle(self, answer: Answer, request: RecordedRequest) -> Answer:
        """Complete a queued answer: the API's own one, or the body of an error."""
        if answer.is_own:
            own = self._own(request)
            theirs = {name.lower() for name in answer.headers}
            kept = {name: value for name, value in own.headers.items() if name.lower() not in theirs}
            headers = {**kept, **answer.headers}
            return replace(answer, status=own.status, json=own.json, headers=headers)
        if answer.has_content:
            return answer
        return replace(answer, json={"error": _phrase(answer.status)})

    def _own(self, request: RecordedRequest) -> Answer:
        url = urlsplit(request.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        routes: dict[str, tuple[str, Callable[[RecordedRequest, dict[str, str]], Answer]]] = {
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

    def _get_voice_agent(self, request: RecordedRequest, _query: dict[str, str]) -> Answer:
        headers = {}
        if self.max_age is not None:
            headers["Cache-Control"] = f"max-age={int(self.max_age)}"
        if self.etag:
            headers["ETag"] = tag = etag_of(self.credentials)
            asked = [item.strip() for item in request.headers.get("If-None-Match", "").split(",")]
            # RFC 9110 13.1.2: weak comparison, so W/"x" matches "x".
            if "*" in asked or tag in [item.removeprefix("W/") for item in asked]:
                return Answer(304, json=None, headers=headers)
        return Answer(200, json=self.credentials, headers=headers)

    def _get_runtime_config(self, _request: RecordedRequest, _query: dict[str, str]) -> Answer:
        return Answer(200, json=RUNTIME_CONFIG)

    def _store_report(self, request: RecordedRequest, _query: dict[str, str]) -> Answer:
        try:
            sent = json.loads(request.body)
            agent, room_name, report = sent["voice_agent_id"], sent["room_name"], sent["report"]
        except (ValueError, TypeError, KeyError):
            return _error(400)
        if agent != self.voice_agent_id:
            return _error(404)
        return Answer(200, json={"id": self.reports.add(str(room_name), report, self.now())["id"]})

    def _list_reports(self, _request: RecordedRequest, query: dict[str, str]) -> Answer:
        page = self.reports.page(query)
        return _error(400) if page is None else Answer(200, json={"reports": page})


def etag_of(credentials: dict[str, str]) -> str:
    """The entity tag of these credentials: equal for equal ones; it reveals nothing about them."""
    return f'"{hashlib.sha256(json.dumps(credentials, sort_keys=True).encode()).hexdigest()[:16]}"'


def _error(status: int) -> Answer:
    return Answer(status, json={"error": _phrase(status)})


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
