"""Vectors: what each of LiveKit's clients sends is answered so that this client understands it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.clients.endpoints import post
from tests.clients.vectors import CLIENTS, VECTORS, Vector, read_as
from tests.support.tokens import URL, claims

pytestmark = pytest.mark.once

every_vector = pytest.mark.parametrize("vector", VECTORS, ids=str)


@every_vector
def test_request_is_answered(endpoint: str, vector: Vector) -> None:
    """A request gets its status, and a token with the requested values or an error code."""
    answer = post(endpoint, vector.headers, vector.request["body"])

    body = json.loads(answer.text)
    assert (vector.request["status"], "application/json") == (answer.status, answer.headers["content-type"])
    if "error" in vector.request:
        assert (vector.request["error"], {"error", "message"}) == (body["error"], body.keys())
    else:
        assert (URL, {"server_url", "participant_token"}) == (body["server_url"], body.keys())
        assert vector.request["claims"] == claims_of(body["participant_token"])


@every_vector
def test_answer_is_understood(endpoint: str, vector: Vector) -> None:
    """A client finds URL and token in a success by its own rules, and does not find them in an error."""
    answer = post(endpoint, vector.headers, vector.request["body"])

    found = read_as(vector.client, answer)
    if "error" in vector.request or not vector.request.get("understood", True):
        assert found is None
    else:
        body = json.loads(answer.text)
        assert (body["server_url"], body["participant_token"]) == found


@pytest.mark.parametrize("client", CLIENTS)
def test_new_room_for_each_call(endpoint: str, client: str) -> None:
    """No two answers to a client that names no room lead to the same one: React's sessions depend on it."""
    vectors = [
        vector for vector in VECTORS if vector.client == client and "room" not in vector.request.get("claims", ["room"])
    ]
    answers = [post(endpoint, vector.headers, vector.request["body"]) for vector in vectors for _ in range(3)]
    rooms = [claims(json.loads(answer.text)["participant_token"])["video"]["room"] for answer in answers]

    assert 3 * len(vectors) == len(set(rooms))


def test_every_client_has_vectors() -> None:
    """The clients that the standard's documentation lists are all here, each with a source."""
    assert {"android", "cpp", "esp32", "flutter", "javascript", "react", "rust", "swift", "unity"} == CLIENTS.keys()
    assert all(url.startswith("https://github.com/livekit/") for vector in CLIENTS.values() for url in vector["source"])


def claims_of(token: str) -> dict[str, Any]:
    """The claims that a client may request; a new room's name is left out."""
    said = claims(token)
    assert "user-42" == said["sub"]
    requested: dict[str, Any] = {
        key: said[key] for key in ("name", "metadata", "attributes", "roomConfig") if key in said
    }
    room = said["video"]["room"]
    return requested if re.fullmatch("room-[0-9a-f]{32}", room) else {**requested, "room": room}
