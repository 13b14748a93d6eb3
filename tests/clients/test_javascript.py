"""LiveKit's client for JavaScript gets its tokens from our endpoint, and with the token joins a room."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server.testing import FakeMoss, LiveKitServer, MockResponse
from tests.clients import endpoints
from tests.clients.token_source import TokenSource
from tests.clients.vectors import VECTORS, Vector
from tests.examples.apps import started
from tests.examples.walk import fake_moss
from tests.livekit.signalling import join
from tests.livekit.worker import worker
from tests.support.tokens import URL

pytestmark = pytest.mark.once

AGENT = "example-agent"  # the voice agent's name in the fake Moss


@pytest.mark.livekit
def test_example_application(token_source: TokenSource, livekit_binary: Path, tmp_path: Path) -> None:
    """The client gets URL and token, caches them, reports errors, and joins a room with the voice agent, whose worker is
    registered under its name, as Moss documents it.
    """
    with LiveKitServer(livekit_binary) as livekit, worker(livekit) as unnamed, worker(livekit, AGENT) as named:
        with fake_moss(livekit) as moss, started("fastapi", moss, tmp_path) as app:
            headers = app.sign_in()
            first, cached, second = token_source.fetch(
                app.token_url, headers, {"options": {}}, {"options": {}}, {"options": {}, "force": True}
            )
            by_name, *refused = token_source.fetch(
                app.token_url,
                headers,
                {"options": {"agentName": AGENT}},
                {"options": {"agentName": AGENT, "agentMetadata": "speaks English"}},
                {"options": {"roomName": "another-room"}},
                {"options": {"agentName": "auditor"}},
            )
            refused += token_source.fetch(app.token_url, {}, {"options": {}})

        assert first == cached
        assert first["payload"]["video"]["room"] != second["payload"]["video"]["room"]
        codes = [
            *((403, f"{what}_not_allowed") for what in ("agent_metadata", "room", "agent")),
            (401, "unauthenticated"),
        ]
        assert codes == [error(each) for each in refused]
        for answer in (first, by_name):
            room = answer["payload"]["video"]["room"]
            with join(answer["server_url"], answer["participant_token"]) as signal:
                job = named.job(room)
            assert (livekit.url, room) == (answer["server_url"], signal.joined.room.name)
            assert re.fullmatch(app.example.identity, signal.joined.participant.identity)
            assert (AGENT, "", room, []) == (job.agent_name, job.metadata, job.room.name, unnamed.jobs(room))


@pytest.mark.parametrize(("keys", "camel_case"), [("snake", False), ("both", False), ("both", True), ("camel", True)])
def test_response_keys(keys: Any, camel_case: bool, token_source: TokenSource) -> None:
    """LiveKit's endpoint source reads "snake" and "both"; a custom source in camelCase reads "camel" and "both"."""
    with endpoints.asgi(keys) as url:
        (answer,) = token_source.fetch(url, {}, {"options": {}}, camel_case=camel_case)
    assert URL == answer["server_url"]
    assert "user-42" == answer["payload"]["sub"]


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if "options" in vector.request], ids=str)
def test_vectors_are_the_requests_of_the_client(vector: Vector, token_source: TokenSource) -> None:
    """The vectors for JavaScript and React are the client's own bytes."""
    with FakeMoss() as server:
        server.set_default(MockResponse(201, json={"server_url": URL, "participant_token": "e30.e30.e30"}))
        url = server.environ["MOSS_PLATFORM_API_URL"]
        token_source.fetch(f"{url}/voice/token", {}, {"options": vector.request["options"]})

    (request,) = server.requests
    assert vector.headers == {name: request.headers[name] for name in vector.headers}
    assert vector.request["body"] == request.body.decode()


def error(answer: dict[str, Any]) -> tuple[int, str]:
    """The status and our code in the client's error."""
    status, _, body = answer["error"].partition(": received ")[2].partition(" / ")
    return int(status), json.loads(body)["error"]
