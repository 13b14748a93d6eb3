"""Vectors: what each of LiveKit's clients sends is answered so that this client understands it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.clients.endpoints import post
from tests.clients.vectors import VECTORS, Vector, read_as
from tests.support.tokens import URL, claims

pytestmark = pytest.mark.once


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_request_is_answered(endpoint: str, vector: Vector) -> None:
    """A request gets its status, and a token with the requested values or an error code. The client finds URL and token
    in a success by its own rules, and does not find them in an error.
    """
    answer = post(endpoint, vector.headers, vector.request["body"])

    body, found = json.loads(answer.text), read_as(vector.client, answer)
    assert (vector.request["status"], "application/json") == (answer.status, answer.content_type)
    if "error" in vector.request:
        assert (vector.request["error"], {"error", "message"}, None) == (body["error"], body.keys(), found)
    else:
        assert (URL, {"server_url", "participant_token"}) == (body["server_url"], body.keys())
        assert vector.request["claims"] == claims_of(body["participant_token"])
        understood = vector.request.get("understood", True)
        assert ((URL, body["participant_token"]) if understood else None) == found


def claims_of(token: str) -> dict[str, Any]:
    """The claims that a client may request; a new room's name is left out."""
    said = claims(token)
    assert "user-42" == said["sub"]
    requested: dict[str, Any] = {
        key: said[key] for key in ("name", "metadata", "attributes", "roomConfig") if key in said
    }
    room = said["video"]["room"]
    return requested if re.fullmatch("room-[0-9a-f]{32}", room) else {**requested, "room": room}
