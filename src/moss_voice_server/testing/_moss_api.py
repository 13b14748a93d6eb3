"""MossApi: what the Moss API itself answers: credentials, runtime configuration and session reports of one voice agent."""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timezone
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from ._request import RecordedRequest
from ._response import MockResponse, phrase

_BASE = "/api/voice-agent/"
PATH = f"{_BASE}get-voice-agent"
_PAGE_SIZE = 100
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
    """The API's rules for one voice agent, without I/O: a request in, a `MockResponse` out."""

    project_id: str
    project_key: str
    voice_agent_id: str
    credentials: dict[str, str]
    kept_reports: int | None = None
    etag: bool = False
    max_age: float | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._reports: deque[dict[str, Any]] = deque(maxlen=self.kept_reports)

    def respond(self, request: RecordedRequest) -> MockResponse:
        url = urlsplit(request.path)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        routes: dict[str, tuple[str, Callable[[RecordedRequest, dict[str, str]], MockResponse]]] = {
            PATH: ("GET", self._get_voice_agent),
            f"{_BASE}get-runtime-config": ("GET", lambda _request, _query: MockResponse(json=RUNTIME_CONFIG)),
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

    def _store_report(self, request: RecordedRequest, _query: dict[str, str]) -> MockResponse:
        try:
            sent = json.loads(request.body)
            agent, room_name, report = sent["voice_agent_id"], sent["room_name"], sent["report"]
        except (ValueError, TypeError, KeyError):
            return _error(400)
        if agent != self.voice_agent_id:
            return _error(404)
        return MockResponse(200, json={"id": self.add_report(str(room_name), report)["id"]})

    def _list_reports(self, _request: RecordedRequest, query: dict[str, str]) -> MockResponse:
        """The reports of the days `start` to `end` (UTC, both included), newest first, in pages."""
        try:
            start = date.fromisoformat(query.get("start", "0001-01-01")).isoformat()
            end = date.fromisoformat(query.get("end", "9999-12-31")).isoformat()
            limit, number = int(query.get("limit", _PAGE_SIZE)), int(query.get("page", 0))
        except ValueError:
            return _error(400)
        if not (1 <= limit <= _PAGE_SIZE and number >= 0):
            return _error(400)
        found = [each for each in self.reports() if start <= each["created_at"][:10] <= end]
        found.sort(key=lambda each: str(each["created_at"]), reverse=True)
        return MockResponse(200, json={"reports": found[number * limit : (number + 1) * limit]})

    def add_report(self, room_name: str, report: Any, created_at: datetime | None = None) -> dict[str, Any]:
        """Store a session report, and return it as the API lists it."""
        utc = (created_at or datetime.now(timezone.utc)).astimezone(timezone.utc)
        stored = {
            "id": f"report-{secrets.token_hex(8)}",
            "room_name": room_name,
            "created_at": f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z",
            "report": report,
        }
        with self._lock:
            self._reports.append(stored)
        return stored

    def reports(self) -> list[dict[str, Any]]:
        with self._lock:
            return list(self._reports)


def etag_of(credentials: dict[str, str]) -> str:
    """The entity tag of these credentials: equal for equal ones; it reveals nothing about them."""
    return f'"{hashlib.sha256(json.dumps(credentials, sort_keys=True).encode()).hexdigest()[:16]}"'


def error_body(status: int) -> dict[str, str]:
    return {"error": phrase(status) or "Unknown"}


def _error(status: int) -> MockResponse:
    return MockResponse(status, json=error_body(status))
