"""JavaScript: LiveKit's own client gets its tokens from our endpoint, in every framework's example application."""

from __future__ import annotations

import http.server
import json
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients import endpoints
from tests.clients.vectors import VECTORS, Vector
from tests.support.tokens import URL, claims

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moss_voice_server.testing import FakeMoss
    from tests.clients.token_source import TokenSource
    from tests.examples.apps import Running

pytestmark = pytest.mark.once


def test_client_gets_address_and_token(app: Running, token_source: TokenSource, moss: FakeMoss) -> None:
    """`TokenSource.endpoint(url, {headers})` reads URL and token, and the token names the voice agent."""
    (answer,) = token_source.fetch(app.token_url, app.sign_in(), {"options": {}})

    assert moss.credentials["voice_agent_url"] == answer["server_url"]
    assert claims(answer["participant_token"])["sub"] == answer["payload"]["sub"]
    assert [{"agentName": moss.credentials["voice_agent_name"]}] == answer["payload"]["agents"]


def test_client_caches_a_token_until_it_wants_another_room(app: Running, token_source: TokenSource) -> None:
    """The client caches our token, asks again only when forced to, and then gets another room."""
    calls: list[dict[str, Any]] = [
        {"options": {}},
        {"options": {}},
        {"options": {}, "force": True},
        {"options": {}, "force": True},
    ]
    first, cached, second, third = token_source.fetch(app.token_url, app.sign_in(), *calls)

    assert first == cached
    assert 3 == len({answer["payload"]["video"]["room"] for answer in (first, second, third)})


def test_client_reads_why_it_was_refused(app: Running, token_source: TokenSource) -> None:
    """A stranger's request, and one for a room or agent that is not allowed, are errors with status and code."""
    headers = app.sign_in()
    strangers = {name: value for name, value in headers.items() if name == "X-CSRFToken"}
    if strangers:
        strangers["Cookie"] = f"csrftoken={headers['X-CSRFToken']}"
    (stranger,) = token_source.fetch(app.token_url, strangers, {"options": {}})
    room, agent = token_source.fetch(
        app.token_url, headers, {"options": {"roomName": "the board meeting"}}, {"options": {"agentName": "auditor"}}
    )

    assert says(stranger, 401, "unauthenticated")
    assert says(room, 403, "room_not_allowed")
    assert says(agent, 403, "agent_not_allowed")


def test_client_may_name_the_voice_agent(app: Running, token_source: TokenSource, moss: FakeMoss) -> None:
    """A client that names the agent that is dispatched anyway gets its token; with metadata it is refused."""
    name = moss.credentials["voice_agent_name"]
    named, with_metadata = token_source.fetch(
        app.token_url,
        app.sign_in(),
        {"options": {"agentName": name}},
        {"options": {"agentName": name, "agentMetadata": "speaks English"}},
    )
    assert [{"agentName": name}] == named["payload"]["agents"]
    assert says(with_metadata, 403, "agent_metadata_not_allowed")


@pytest.mark.parametrize(("keys", "camel_case"), [("snake", False), ("both", False), ("both", True), ("camel", True)])
def test_response_keys(keys: Any, camel_case: bool, token_source: TokenSource) -> None:
    """LiveKit's endpoint source reads "snake" and "both"; a custom source in camelCase reads "camel" and "both"."""
    with endpoints.asgi(keys) as url:
        (answer,) = token_source.fetch(url, {}, {"options": {}}, camel_case=camel_case)
    assert URL == answer["server_url"]
    assert "user-42" == answer["payload"]["sub"]


@pytest.mark.parametrize("vector", [vector for vector in VECTORS if "options" in vector.request], ids=str)
def test_vector_is_what_the_client_sends(vector: Vector, token_source: TokenSource) -> None:
    """The vectors for JavaScript and React are the client's own bytes."""
    with recorder() as (url, requests):
        token_source.fetch(url, {}, {"options": vector.request["options"]})

    ((headers, body),) = requests
    assert vector.headers == {name: headers[name] for name in vector.headers}
    assert vector.request["body"] == body


def says(answer: dict[str, Any], status: int, code: str) -> bool:
    """Whether the client's error names the status and our code."""
    _, _, received = answer["error"].partition(": received ")
    seen, _, body = received.partition(" / ")
    return (str(status), code) == (seen, json.loads(body)["error"])


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
