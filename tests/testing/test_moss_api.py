"""FakeMoss as the Moss API: every route, its checks, the pages of session reports, with and without a socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import httpx2
import pytest

from moss_voice_server import ParticipantInfo
from moss_voice_server.testing import FakeMoss, assert_token

BASE = "/api/voice-agent/"
DAY = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)
Client = tuple[FakeMoss, httpx2.Client]


@pytest.fixture(params=["socket", "memory"])
def client(request: pytest.FixtureRequest) -> Iterator[Client]:
    """A client with the project's headers, over a socket and in memory."""
    with FakeMoss() as moss:
        headers = {"X-Project-Id": moss.arguments["project_id"], "X-Project-Key": moss.arguments["project_key"]}
        transport = moss.transport() if request.param == "memory" else None
        with httpx2.Client(base_url=moss.url + BASE, headers=headers, transport=transport) as client:
            yield moss, client


def test_runtime_config(client: Client) -> None:
    """The fields that Moss's manager reads when a worker starts."""
    moss, http = client
    response = http.get("get-runtime-config", params={"voice_agent_id": moss.arguments["voice_agent_id"]})

    fields = "llm_model stt_model stt_language tts_model tts_voice preemptive_generation "
    fields += "min_endpointing_delay max_endpointing_delay"
    assert (200, {*fields.split()}) == (response.status_code, {*response.json()})


def test_session_report_is_stored_and_listed(client: Client) -> None:
    """A posted report is listed by the API and readable by the test."""
    moss, http = client
    agent = moss.arguments["voice_agent_id"]
    report = {"chat_history": {"items": [{"type": "message", "role": "user", "content": ["x" * 3_000_000]}]}}
    sent = {"voice_agent_id": agent, "project_id": moss.arguments["project_id"], "room_name": "lobby", "report": report}
    stored = http.post("session-report", json=sent)

    assert {"reports": moss.session_reports} == http.get("session-reports", params={"voice_agent_id": agent}).json()
    (listed,) = moss.session_reports
    assert (stored.json()["id"], "lobby", report) == (listed["id"], listed["room_name"], listed["report"])
    assert sent == json.loads(moss.requests[0].body)


def test_session_reports_are_paged_and_filtered_by_day(client: Client) -> None:
    """Days in UTC, both ends included, newest first, 100 a page."""
    moss, http = client
    for number in range(205):
        moss.add_session_report(f"room-{number}", {}, DAY + timedelta(minutes=number))
    moss.add_session_report("before", {}, DAY - timedelta(days=1))
    moss.add_session_report("after", {}, DAY + timedelta(days=1))

    def listed(**more: str) -> list[dict[str, Any]]:
        query = {"voice_agent_id": moss.arguments["voice_agent_id"], "start": "2026-11-27", "end": "2026-11-27"}
        reports: list[dict[str, Any]] = http.get("session-reports", params=query | more).json()["reports"]
        return reports

    pages = [[each["room_name"] for each in listed(page=str(page))] for page in range(4)]
    assert [100, 100, 5, 0] == [len(page) for page in pages]
    assert [f"room-{number}" for number in reversed(range(205))] == [room for page in pages for room in page]
    short = listed(limit="7", page="1")
    assert pages[0][7:14] == [each["room_name"] for each in short]
    assert "2026-11-27T15:17:00.000Z" == short[0]["created_at"]


REFUSED: list[tuple[str, str, dict[str, str], Any, int]] = [
    ("GET", "get-voice-agent", {"voice_agent_id": "other"}, None, 404),
    ("GET", "get-voice-agent", {}, None, 404),
    ("HEAD", "get-voice-agent", {"voice_agent_id": "AGENT"}, None, 405),
    ("GET", "get-runtime-config", {}, None, 404),
    ("POST", "get-runtime-config", {}, None, 405),
    ("GET", "session-report", {}, None, 405),
    ("POST", "session-report", {}, None, 400),
    ("POST", "session-report", {}, [], 400),
    ("POST", "session-report", {}, {"voice_agent_id": "other", "room_name": "lobby", "report": {}}, 404),
    ("GET", "session-reports", {"voice_agent_id": "AGENT", "start": "yesterday"}, None, 400),
    ("GET", "session-reports", {"voice_agent_id": "AGENT", "limit": "101"}, None, 400),
    ("GET", "session-reports", {"voice_agent_id": "AGENT", "page": "-1"}, None, 400),
    ("GET", "unknown", {}, None, 404),
]


def test_errors_of_the_routes(client: Client) -> None:
    """A wrong method, agent or query; nothing is stored."""
    moss, http = client
    for method, path, query, body, status in REFUSED:
        sent = {name: moss.arguments["voice_agent_id"] if value == "AGENT" else value for name, value in query.items()}
        response = http.request(method, path, params=sent, json=body)

        assert (status, []) == (response.status_code, moss.session_reports)
        assert (status == 405) is ("allow" in response.headers)
        assert "voice_agent_api_secret" not in response.text


def test_every_route_checks_the_project(client: Client) -> None:
    """Another project ID or key is 401, on every route."""
    moss, http = client
    query = {"voice_agent_id": moss.arguments["voice_agent_id"]}
    for route in ("get-voice-agent", "get-runtime-config", "session-report", "session-reports"):
        method = "POST" if route == "session-report" else "GET"
        for header in ("X-Project-Id", "X-Project-Key"):
            assert 401 == http.request(method, route, params=query, headers={header: "other"}, json={}).status_code


def test_fixtures_without_a_socket(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The fixtures for `pytest --disable-socket`, which fails every use of a socket."""

    def refuse(*_arguments: object, **_keywords: object) -> None:
        raise AssertionError("a socket is used")

    monkeypatch.setattr(socket, "socket", refuse)
    moss, server = request.getfixturevalue("in_memory_moss"), request.getfixturevalue("in_memory_server")
    moss.rotate(api_key="APInew")
    server.refresh()
    token = server.create_participant_token(ParticipantInfo("ada"), "hall")

    secret = moss.credentials["voice_agent_api_secret"]
    assert_token(token, identity="ada", api_key="APInew", api_secret=secret)
    assert (2, "https://fake-moss.invalid") == (moss.count, moss.url)
