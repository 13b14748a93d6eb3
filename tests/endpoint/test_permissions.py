"""Permissions: what each application lets its clients choose, on the wire and in every framework."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.endpoint.frameworks import AllFrameworks
from tests.endpoint.wire import Request, bearer


def agents(*entries: dict[str, str]) -> dict[str, Any]:
    """A request for agents."""
    return {"room_config": {"agents": list(entries)}}


def attributes(**given: str) -> dict[str, Any]:
    """A request for attributes."""
    return {"participant_attributes": given}


# Rule, request, and the claims that come of it.
GRANTED: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "the app's room, asked for": ("room", {"room_name": "lobby"}, {"room": "lobby"}),
    "a room that matches": ("pattern", {"room_name": "team-x"}, {"room": "team-x"}),
    "another name": ("sets", {"participant_name": "Countess"}, {"name": "Countess", "metadata": "m"}),
    "more attributes": ("sets", attributes(mood="fine"), {"attributes": {"plan": "pro", "mood": "fine"}}),
    "automatic dispatch": ("automatic", {}, {"agents": None}),
    "the app's agents, with their jobs": (
        "dispatch",
        {},
        {
            "agents": [
                {"agentName": "helper", "metadata": "job", "deployment": "beta", "attributes": {"a": "b"}},
                {"agentName": "scribe"},
            ]
        },
    ),
    "two agents of the list": (
        "agents",
        agents({"agent_name": "scribe"}, {}, {"agent_name": "helper"}),
        {"agents": [{"agentName": "scribe"}, {"agentName": "helper"}]},
    ),
    "time and grants": (
        "short",
        {},
        {"exp": 120, "video": {"roomJoin": True, "canPublish": False, "canSubscribe": True, "canPublishData": False,
                               "hidden": True, "room": "room-new"}},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "token_request", "expected"), GRANTED.values(), ids=GRANTED.keys())
def test_granted(
    all_frameworks: AllFrameworks, rule: str, token_request: dict[str, Any], expected: dict[str, Any]
) -> None:
    """A request that the app allows is in the token."""
    claims = all_frameworks(Request(bearer(rule), json=token_request)).claims
    known = {**claims, "room": claims["video"]["room"], "agents": claims.get("roomConfig", {}).get("agents")}
    assert expected == {name: known[name] for name in expected}


DENIED: dict[str, tuple[str, dict[str, Any], str]] = {
    "another identity": ("ada", {"participant_identity": "bob"}, "identity_not_allowed"),
    "a room": ("ada", {"room_name": "lobby"}, "room_not_allowed"),
    "a name": ("ada", {"participant_name": "Bob"}, "name_not_allowed"),
    "metadata": ("ada", {"participant_metadata": "m"}, "metadata_not_allowed"),
    "an attribute": ("ada", attributes(a="b"), "attribute_not_allowed"),
    "an agent": ("ada", agents({"agent_name": "scribe"}), "agent_not_allowed"),
    "metadata for an agent": ("agents", agents({"agent_name": "scribe", "metadata": "m"}), "agent_metadata_not_allowed"),
}  # fmt: skip


@pytest.mark.parametrize(("rule", "token_request", "code"), DENIED.values(), ids=DENIED.keys())
def test_denied(all_frameworks: AllFrameworks, rule: str, token_request: dict[str, Any], code: str) -> None:
    """A request that the app does not allow is a 403 that says which kind of request it was, and nothing of it."""
    said = all_frameworks(Request(bearer(rule), json=token_request))
    assert (403, code) == (said.status, json.loads(said.body)["error"])
    assert "access-control-allow-origin" not in said.headers


def test_rooms_answer_alike(all_frameworks: AllFrameworks) -> None:
    """From a refusal nobody learns which rooms there are."""
    rooms = ["lobby", "cellar", "Garden", "room-" + "0" * 32, "é"]
    assert 1 == len({all_frameworks(Request(bearer("pattern"), json={"room_name": room})).body for room in rooms})


def test_an_async_rooms_function_opens_nothing(all_frameworks: AllFrameworks) -> None:
    """A coroutine is true: the mistake is a 500 that the app's developer reads about, and not an open route."""
    said = all_frameworks(Request(bearer("async-function"), json={"room_name": "lobby"}))
    assert (500, "internal_error") == (said.status, json.loads(said.body)["error"])
    for program in all_frameworks.programs.values():
        assert any("allowed_rooms returned a coroutine" in each["text"] for each in program.records)


def test_a_guest(all_frameworks: AllFrameworks) -> None:
    """Guests come without any sign-in, each as somebody new, and get what the app gives to guests."""
    answers = [target.ask("guests", Request()).claims for target in all_frameworks.targets for _ in range(2)]
    assert 2 * len(all_frameworks.targets) == len({claims["sub"] for claims in answers})
    assert 2 * len(all_frameworks.targets) == len({claims["video"]["room"] for claims in answers})
    assert {"Guest"} == {claims["name"] for claims in answers}
    assert all_frameworks(Request(json={"participant_identity": "guest-1"}), "guests").status == 403
    for program in all_frameworks.programs.values():
        assert any("GUESTS ARE ADMITTED" in each["text"] for each in program.records)
