"""Connection details: URL and token of one generation of credentials, and the shapes that clients read."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.grants import ConnectionDetails
from moss_voice_server.testing import FakeMoss, assert_token
from tests.support.errors import refused
from tests.support.tokens import API_KEY, API_SECRET, URL, claims

ADA = ParticipantInfo("user-42", name="Ada")


@pytest.mark.parametrize("server_class", [MossVoiceServer, MossVoiceServerSync])
def test_url_token_room_and_name(server_class: Any) -> None:
    """The token is the one that `create_participant_token` makes for the same arguments."""
    server = server_class.from_livekit(URL, API_KEY, API_SECRET)
    details = server.create_connection_details(ADA, "lobby", "greeter", ttl=60, agents=["scribe"])

    assert (details.server_url, details.room_name, details.participant_name) == (URL, "lobby", "Ada")
    agents = ["greeter", "scribe"]
    assert_token(details.participant_token, identity="user-42", room="lobby", agents=agents, ttl=60, api_key=API_KEY)
    assert "" == server.create_connection_details(ParticipantInfo("user-42"), "lobby").participant_name


def test_url_and_token_are_of_one_generation() -> None:
    """After a rotation both change together."""
    with FakeMoss() as moss:
        server = MossVoiceServerSync.create(**moss.arguments)
        pairs = set()
        for number in range(3):
            moss.rotate(api_key=f"API{number}", url=f"wss://project-{number}.livekit.cloud")
            server.refresh()
            details = server.create_connection_details(ADA, "lobby")
            pairs.add((details.server_url, claims(details.participant_token)["iss"]))

    assert pairs == {(f"wss://project-{number}.livekit.cloud", f"API{number}") for number in range(3)}


def test_shapes_for_clients() -> None:
    """LiveKit's standard, the camelCase of its starter apps, and both in one object."""
    details = ConnectionDetails(URL, "a.b.c", "lobby", "Ada")
    snake = {"server_url": URL, "participant_token": "a.b.c"}
    camel = {"serverUrl": URL, "participantToken": "a.b.c", "roomName": "lobby", "participantName": "Ada"}

    assert snake == details.as_dict() == details.as_dict("snake")
    assert (camel, snake | camel) == (details.as_dict("camel"), details.as_dict(keys="both"))
    assert "keys" == refused(details.as_dict, "kebab")[0]


def test_details_are_frozen_and_hide_the_token() -> None:
    """`repr` ends up in logs, the token must not."""
    details = ConnectionDetails(URL, "a.b.c", "lobby")

    assert "a.b.c" not in f"{details} {details!r}"
    with pytest.raises(dataclasses.FrozenInstanceError):
        details.room_name = "other"  # type: ignore[misc]
