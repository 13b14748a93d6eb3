"""LiveKit's client for JavaScript gets its tokens from our endpoint, in the example application of each framework."""

from __future__ import annotations

import http.server
import json
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server.testing import FakeMoss, LiveKitServer
from tests.clients import endpoints
from tests.clients.token_source import TokenSource
from tests.clients.vectors import VECTORS, Vector
from tests.examples.apps import APPS, ONE_OF_EACH, started
from tests.livekit.signalling import join
from tests.livekit.worker import Worker, worker
from tests.support.tokens import URL

pytestmark = pytest.mark.once

AGENT = "support-agent"  # the voice agent's name in Moss


@pytest.fixture(scope="module")
def livekit(livekit_binary: Path) -> Iterator[LiveKitServer]:
    """A LiveKit server whose workers are registered before the first room."""
    with LiveKitServer(livekit_binary) as server:
        yield server


@pytest.fixture(scope="module")
def workers(livekit: LiveKitServer) -> Iterator[dict[str, Worker]]:
    """An unnamed worker, and one with the voice agent's name, as Moss documents it."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(worker(livekit, name)) for name in ("", AGENT)}


@pytest.mark.livekit
@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_example_application(
    name: str, token_source: TokenSource, livekit: LiveKitServer, workers: dict[str, Worker], tmp_path: Path
) -> None:
    """The client gets URL and token, caches them, reports errors, and joins a room with the voice agent."""
    with (
        FakeMoss(url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret, agent_name=AGENT) as moss,
        started(APPS[name], moss, tmp_path) as app,
    ):
        headers = app.sign_in()
        first, cached, second = token_source.fetch(
            app.token_url, headers, {"options": {}}, {"options": {}}, {"options": {}, "force": True}
        )
        named, *refused = token_source.fetch(
            app.token_url,
            headers,
            {"options": {"agentName": AGENT}},
            {"options": {"agentName": AGENT, "agentMetadata": "speaks English"}},
            {"options": {"roomName": "another-room"}},
            {"options": {"agentName": "auditor"}},
        )
        # Django's CSRF check comes before the login.
        anonymous = {key: value for key, value in headers.items() if key == "X-CSRFToken"}
        if anonymous:
            anonymous["Cookie"] = f"csrftoken={headers['X-CSRFToken']}"
        refused += token_source.fetch(app.token_url, anonymous, {"options": {}})

    assert first == cached
    assert first["payload"]["video"]["room"] != second["payload"]["video"]["room"]
    assert [(403, f"{what}_not_allowed") for what in ("agent_metadata", "room", "agent")] == [
        error(each) for each in refused[:3]
    ]
    assert (401, "unauthenticated") == error(refused[3])
    for answer in (first, named):
        assert [{"agentName": AGENT}] == answer["payload"]["agents"]
        room = answer["payload"]["video"]["room"]
        with join(answer["server_url"], answer["participant_token"]) as signal:
            job = workers[AGENT].job(room)
        assert (livekit.url, room) == (answer["server_url"], signal.joined.room.name)
        assert re.fullmatch(app.example.identity, signal.joined.participant.identity)
        assert (AGENT, "", room) == (job.agent_name, job.metadata, job.room.name)
        assert [] == workers[""].jobs(room)


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
    with recorder() as (url, requests):
        token_source.fetch(url, {}, {"options": vector.request["options"]})

    ((headers, body),) = requests
    assert vector.headers == {name: headers[name] for name in vector.headers}
    assert vector.request["body"] == body


def error(answer: dict[str, Any]) -> tuple[int, str]:
    """The status and our code in the client's error."""
    status, _, body = answer["error"].partition(": received ")[2].partition(" / ")
    return int(status), json.loads(body)["error"]


@contextmanager
def recorder() -> Iterator[tuple[str, list[tuple[dict[str, str], str]]]]:
    """An endpoint of the standard that records the headers and bodies of its requests."""
    seen: list[tuple[dict[str, str], str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            seen.append((dict(self.headers.items()), body))
            content = b'{"server_url":"wss://example.livekit.cloud","participant_token":"e30.e30.e30"}'
            self.send_response(201)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/voice/token", seen
        finally:
            server.shutdown()
            thread.join(20)
