"""For any request our claims are those of livekit-api, and livekit-api and PyJWT verify our tokens.

One difference is intended: with `can_publish=False` livekit-api still grants data, unless set otherwise. We follow the
LiveKit server, where data follows publishing.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import jwt
import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livekit.api import AccessToken, TokenVerifier, VideoGrants
from livekit.protocol.room import RoomConfiguration

from moss_voice_server import ParticipantInfo
from moss_voice_server._token.claims import payload
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import PUBLISH_SOURCES, AgentDispatch, ParticipantGrants
from tests.support.token_requests import REQUESTS, SERVER, Request, theirs
from tests.support.tokens import API_KEY, API_SECRET, claims, header

pytestmark = pytest.mark.once

LARGE = [HealthCheck.too_slow, HealthCheck.data_too_large]
MANY = settings(deadline=None, max_examples=100, suppress_health_check=LARGE)


def both(request: Request) -> tuple[str, str]:
    """Our token and theirs, made within the same second."""
    while True:
        second = int(time.time())
        pair = request.mint(), theirs(request)
        if second == int(time.time()):
            return pair


@MANY
@given(REQUESTS)
def test_token_is_that_of_livekit_api(request: Request) -> None:
    """Any request makes the claims of livekit-api, times included; livekit-api and PyJWT verify the token."""
    mine, other = both(request)
    assert claims(other) == claims(mine)
    assert header(other) == header(mine)

    verifier = TokenVerifier(API_KEY, API_SECRET)
    assert verifier.verify(other) == verifier.verify(mine)
    assert request.participant.identity == verifier.verify(mine).identity
    for wrong in (TokenVerifier("APIother", API_SECRET), TokenVerifier(API_KEY, "x" * 40)):
        with pytest.raises(jwt.InvalidTokenError):
            wrong.verify(mine)

    required: Any = {"require": ["iss", "sub", "nbf", "exp"], "verify_signature": True, "strict_aud": True}
    who = request.participant.identity
    decoded = jwt.decode(mine, API_SECRET, algorithms=["HS256"], issuer=API_KEY, subject=who, options=required)
    assert claims(mine) == decoded
    assert request.seconds == decoded["exp"] - decoded["nbf"]


@MANY
@given(REQUESTS)
def test_room_config_may_be_a_mapping_or_a_message(request: Request) -> None:
    """A room config as LiveKit's message, as a read-only or as an ordered mapping makes the same claims as a dict."""
    expected = claims(request.mint())
    forms: list[Any] = [request.message]
    if request.room_config is not None:
        forms += [MappingProxyType(request.room_config), OrderedDict(request.room_config)]
    for form in forms:
        found = claims(request.mint(form))
        assert {**expected, "nbf": 0, "exp": 0} == {**found, "nbf": 0, "exp": 0}


def test_request_with_every_claim() -> None:
    """A request with all claims makes those of livekit-api."""
    full = Request(
        ParticipantInfo("é🎤", "Ada", '{"a": 1}', {"k": "", "": "v"}),
        "שלום",
        "first",
        86_400,
        ParticipantGrants(False, False, True, PUBLISH_SOURCES, True, True, True, True),
        ("second", AgentDispatch("third", "m", "blue", {"a": "b"}), AgentDispatch("")),
        {
            "name": "preset",
            "empty_timeout": 1,
            "departure_timeout": 2,
            "max_participants": 3,
            "egress": {"room": {"file_outputs": [{"filepath": "a.mp4", "s3": {"bucket": "b"}}]}},
            "min_playout_delay": 4,
            "max_playout_delay": 5,
            "sync_streams": True,
            "agents": [{"agent_name": "fourth", "restart_policy": "JRP_NEVER", "attributes": {"c": "d"}}],
            "metadata": "m",
            "tags": {"t": "u"},
        },
    )
    mine, other = both(full)

    assert claims(other) == claims(mine)
    assert {"iss", "sub", "nbf", "exp", "name", "metadata", "attributes", "video", "roomConfig"} == set(claims(mine))
    assert {field.json_name for field in RoomConfiguration.DESCRIPTOR.fields} == set(claims(mine)["roomConfig"])
    names = ["first", "second", "third", None, "fourth"]
    assert names == [agent.get("agentName") for agent in claims(mine)["roomConfig"]["agents"]]


def test_intended_difference() -> None:
    """With `can_publish=False` livekit-api grants data; we do not, as in the LiveKit server."""
    their = AccessToken(API_KEY, API_SECRET).with_identity("user-42")
    their = their.with_grants(VideoGrants(room_join=True, room="lobby", can_publish=False))
    mine = SERVER.create_participant_token(
        ParticipantInfo("user-42"), "lobby", grants=ParticipantGrants(can_publish=False)
    )

    assert (True, False) == (claims(their.to_jwt())["video"]["canPublishData"], claims(mine)["video"]["canPublishData"])
    assert {**claims(their.to_jwt())["video"], "canPublishData": False} == claims(mine)["video"]


DEFAULTS = {
    "room": {"audio_only": False, "layout": "", "file_outputs": [{"file_type": "DEFAULT_FILETYPE"}]},
    "tracks": {},
}


def test_defaults_inside_an_egress_mean_the_same() -> None:
    """An egress that spells defaults out, or numbers in place of names, is the same message to LiveKit."""
    for egress in (DEFAULTS, {"room": {"preset": 2, "file_outputs": [{"file_type": 1}]}}):
        token = SERVER.create_participant_token(ParticipantInfo("user-42"), "lobby", room_config={"egress": egress})

        expected = ParseDict({"egress": egress}, RoomConfiguration())
        assert expected == ParseDict(claims(token)["roomConfig"], RoomConfiguration())
        assert expected == TokenVerifier(API_KEY, API_SECRET).verify(token).room_config


class Label(str):
    """A text that is no plain str, so that nothing can take it at one look."""

    __slots__ = ()


def careful(value: Any) -> Any:
    """The same value of types that no short cut takes."""
    if isinstance(value, str):
        return Label(value)
    if isinstance(value, Mapping):
        return MappingProxyType({careful(key): careful(each) for key, each in value.items()})
    return [careful(each) for each in value] if isinstance(value, list) else value


@MANY
@given(REQUESTS)
def test_short_and_careful_way_write_the_same_bytes(request: Request) -> None:
    """The same request in types that no short cut takes makes the same payload, byte for byte."""
    who = request.participant
    slow = ParticipantInfo(careful(who.identity), careful(who.name), careful(who.metadata), careful(who.attributes))
    agents = [
        careful(agent) if isinstance(agent, str) else replace(agent, agent_name=careful(agent.agent_name))
        for agent in request.agents
    ]

    expected = payload(
        "{",
        1.5,
        who,
        request.room,
        request.agent_name,
        request.seconds,
        request.grants,
        request.agents,
        request.room_config,
    )
    found = payload(
        "{",
        1.5,
        slow,
        careful(request.room),
        careful(request.agent_name),
        timedelta(seconds=request.seconds),
        request.grants or ParticipantGrants(),
        iter(agents),
        careful(request.room_config),
    )

    assert expected == found


LABEL_FAULTS = [
    "a\n",
    "\0",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "\ud800",
    "a\udfffb",
    "x" * 257,
    "é" * 129,
    b"bytes",
    5,
    True,
    ["a"],
]
TEXT_FAULTS = ["\ud800", "x\udfff", "x" * (512 * 1024 + 1), b"bytes", 5, {"a": 1}, ["a"]]
MAP_FAULTS = [{"a": 5}, {"a": None}, {5: "a"}, {"a": "\ud800"}, {"\ud800": "a"}, [("a", "b")], "a", {"a": "x" * 65_536}]

FAULTS: list[tuple[str, Any, str]] = [
    *(("identity", value, "identity") for value in ("", " ", "\u2003", None, *LABEL_FAULTS)),
    *(("room", value, "room_name") for value in ("", " ", "\u2003", None, *LABEL_FAULTS)),
    *(("name", value, "name") for value in LABEL_FAULTS),
    *(("metadata", value, "metadata") for value in TEXT_FAULTS),
    *(("attributes", value, "attributes") for value in MAP_FAULTS),
    *(("agent_name", value, "agent_name") for value in (" ", *LABEL_FAULTS)),
    *(("agents", ["good", value], "agents[1]") for value in ("", " ", None, *LABEL_FAULTS)),
    *(("ttl", value, "ttl") for value in (59, 86_401, 0, -900, True, None, "900", float("nan"), float("inf"), 10**400)),
    *(("grants", value, "grants") for value in ({}, {"can_publish": True}, True, VideoGrants())),
    ("room_config", {"name": "a\n"}, "room_config.name"),
    ("room_config", {"metadata": {"a": 1}}, "room_config.metadata"),
    ("room_config", {"maxParticipants": 2}, "room_config"),
    ("room_config", {"agents": [{"agent_name": "\x85"}]}, "room_config.agents[0].agent_name"),
    ("room_config", {"agents": [{"deployment": "a_b"}]}, "room_config.agents[0].deployment"),
    ("room_config", {"egress": {"tracks": {"s3": {"secret": "x"}}}}, "room_config.egress.tracks.s3.secret"),
    ("room_config", {"egress": {"room": {"streamOutputs": [{}]}}}, "room_config.egress.room.streamOutputs"),
    ("room_config", "{}", "room_config"),
]


@settings(deadline=None, max_examples=len(FAULTS), suppress_health_check=LARGE)
@given(REQUESTS, st.sampled_from(FAULTS))
def test_one_fault_is_rejected_in_any_request(request: Request, fault: tuple[str, Any, str]) -> None:
    """One bad value in an otherwise good request is rejected before signing, with the name of its field."""
    place, value, field = fault
    who = request.participant
    keywords: dict[str, Any] = {
        "room_name": request.room,
        "agent_name": request.agent_name,
        "ttl": request.seconds,
        "grants": request.grants,
        "agents": request.agents,
        "room_config": request.room_config,
    }
    if place in ("identity", "name", "metadata", "attributes"):
        who = replace(who, **{place: value})
    else:
        keywords["room_name" if place == "room" else place] = value

    with pytest.raises(InvalidArgument) as caught:
        SERVER.create_participant_token(who, **keywords)

    assert field == caught.value.field.partition(" ")[0].partition("['")[0]
    assert str(caught.value).isprintable()
