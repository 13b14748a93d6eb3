"""FakeMoss as the Moss API: every route, its checks, the pages of session reports, with and without a socket."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx2
import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.testing import FakeMoss, assert_token
from tests.livekit.needs import absent

BASE = "/api/voice-agent/"
DAY = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)


@pytest.fixture(params=["socket", "memory"])
def client(request: pytest.FixtureRequest) -> Iterator[tuple[FakeMoss, httpx2.Client]]:
    """A client with the project's headers, over a socket and in memory."""
    with FakeMoss() as moss:
        headers = {"X-Project-Id": moss.arguments["project_id"], "X-Project-Key": moss.arguments["project_key"]}
        transport = moss.transport() if request.param == "memory" else None
        with httpx2.Client(base_url=moss.url, headers=headers, transport=transport) as client:
            yield moss, client


Client = tuple[FakeMoss, httpx2.Client]


def test_runtime_config(client: Client) -> None:
    """The fields that Moss's manager reads when a worker starts."""
    moss, http = client
    response = http.get(f"{BASE}get-runtime-config", params={"voice_agent_id": moss.arguments["voice_agent_id"]})

    assert response.status_code == 200
    assert set(response.json()) == {
        "llm_model",
        "stt_model",
        "stt_language",
        "tts_model",
        "tts_voice",
        "min_endpointing_delay",
        "max_endpointing_delay",
        "preemptive_generation",
    }


def test_session_report_is_stored_and_listed(client: Client) -> None:
    """A posted report is listed by the API and readable by the test."""
    moss, http = client
    agent = moss.arguments["voice_agent_id"]
    report = {"chat_history": {"items": [{"type": "message", "role": "user", "content": ["x" * 3_000_000]}]}}
    sent = {"voice_agent_id": agent, "project_id": moss.arguments["project_id"], "room_name": "lobby", "report": report}
    stored = http.post(f"{BASE}session-report", json=sent)
    listed = http.get(f"{BASE}session-reports", params={"voice_agent_id": agent}).json()

    assert stored.status_code == 200
    assert listed == {"reports": moss.session_reports}
    assert [(each["id"], each["room_name"], each["report"]) for each in moss.session_reports] == [
        (stored.json()["id"], "lobby", report)
    ]
    assert json.loads(moss.requests[0].body) == sent


def test_session_reports_are_paged_and_filtered_by_day(client: Client) -> None:
    """Days in UTC, both ends included, newest first, 100 a page."""
    moss, http = client
    for number in range(205):
        moss.add_session_report(f"room-{number}", {}, DAY + timedelta(minutes=number))
    moss.add_session_report("before", {}, DAY - timedelta(days=1))
    moss.add_session_report("after", {}, DAY + timedelta(days=1))
    query = {"voice_agent_id": moss.arguments["voice_agent_id"], "start": "2026-11-27", "end": "2026-11-27"}
    pages = [
        [
            each["room_name"]
            for each in http.get(f"{BASE}session-reports", params=query | {"page": str(page)}).json()["reports"]
        ]
        for page in range(4)
    ]

    assert [len(page) for page in pages] == [100, 100, 5, 0]
    assert [room for page in pages for room in page] == [f"room-{number}" for number in reversed(range(205))]
    short = http.get(f"{BASE}session-reports", params=query | {"limit": "7", "page": "1"}).json()["reports"]
    assert [each["room_name"] for each in short] == pages[0][7:14]
    assert short[0]["created_at"] == "2026-11-27T15:17:00.000Z"


REFUSED: list[tuple[str, str, dict[str, str], Any, int]] = [
    ("GET", "get-voice-agent", {"voice_agent_id": "other"}, None, 404),
    ("GET", "get-voice-agent", {}, None, 404),
    ("POST", "get-voice-agent", {"voice_agent_id": "AGENT"}, None, 405),
    ("HEAD", "get-voice-agent", {"voice_agent_id": "AGENT"}, None, 405),
    ("GET", "get-runtime-config", {"voice_agent_id": "other"}, None, 404),
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


@pytest.mark.parametrize(("method", "path", "query", "body", "status"), REFUSED)
def test_errors_of_the_routes(
    client: Client, method: str, path: str, query: dict[str, str], body: Any, status: int
) -> None:
    """A wrong method, agent or query; nothing is stored."""
    moss, http = client
    query = {name: moss.arguments["voice_agent_id"] if value == "AGENT" else value for name, value in query.items()}
    response = http.request(method, BASE + path, params=query, json=body)

    assert (response.status_code, moss.session_reports) == (status, [])
    assert (status == 405) is ("allow" in response.headers)
    assert "voice_agent_api_secret" not in response.text


@pytest.mark.parametrize("route", ["get-voice-agent", "get-runtime-config", "session-report", "session-reports"])
@pytest.mark.parametrize("header", ["X-Project-Id", "X-Project-Key"])
def test_every_route_checks_the_project(client: Client, route: str, header: str) -> None:
    """Another project ID or key is 401, on every route."""
    moss, http = client
    method = "POST" if route == "session-report" else "GET"
    query = {"voice_agent_id": moss.arguments["voice_agent_id"]}
    response = http.request(method, BASE + route, params=query, headers={header: "other"}, json={})

    assert response.status_code == 401


def test_fixtures_without_a_socket(in_memory_moss: FakeMoss, in_memory_server: MossVoiceServerSync) -> None:
    """The fixtures for `pytest --disable-socket`."""
    token = in_memory_server.create_participant_token(ParticipantInfo("ada"), "hall")

    assert_token(token, identity="ada", api_secret=in_memory_moss.credentials["voice_agent_api_secret"])
    assert (in_memory_moss.count, in_memory_moss.url) == (1, "https://fake-moss.invalid")


WITHOUT_SOCKETS = """
import socket
import pytest
from pytest_socket import SocketBlockedError
from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.testing import FakeMoss, assert_token


def test_sockets_are_blocked():
    with pytest.raises(SocketBlockedError):
        socket.socket()


def test_fixtures(in_memory_moss, in_memory_server):
    token = in_memory_server.create_participant_token(ParticipantInfo("ada"), "hall")
    assert_token(token, identity="ada", api_secret=in_memory_moss.credentials["voice_agent_api_secret"])
    in_memory_moss.rotate(api_key="APInew")
    in_memory_server.refresh()
    assert_token(in_memory_server.create_participant_token(ParticipantInfo("ada"), "hall"), api_key="APInew")


def test_by_hand(monkeypatch):
    moss = FakeMoss()
    for name, value in moss.environ.items():
        monkeypatch.setenv(name, value)
    with MossVoiceServerSync.from_env(transport=moss.transport()) as server:
        assert server.get_agent_name() == "example-agent"
"""


@pytest.mark.once
def test_no_socket_is_needed(tmp_path: Path) -> None:
    """A user's tests pass under pytest-socket, which fails every use of a socket."""
    if find_spec("pytest_socket") is None:
        absent("pytest-socket is not installed")
    (tmp_path / "test_app.py").write_text(WITHOUT_SOCKETS)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--disable-socket", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "3 passed" in run.stdout
