"""Claims: the payload of a join token at a given moment, byte for byte and field by field."""

from __future__ import annotations

import enum
import json
from datetime import timedelta
from fractions import Fraction
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest

from moss_voice_server._token.claims import DEFAULT_TTL, lifetime, payload
from moss_voice_server.grants import AgentDispatch, ParticipantGrants, ParticipantInfo
from tests.support.errors import refused

HEAD = '{"iss":"APIexample","nbf":'
NOW = 1_800_000_000.9
START = 1_800_000_000
JOIN = {"roomJoin": True, "canPublish": True, "canSubscribe": True, "canPublishData": True, "room": "lobby"}


def written(
    identity: Any = "user-42",
    room: Any = "lobby",
    *,
    name: Any = None,
    metadata: Any = None,
    attributes: Any = None,
    agent_name: Any = None,
    ttl: Any = DEFAULT_TTL,
    grants: Any = None,
    agents: Any = (),
    room_config: Any = None,
    now: float = NOW,
) -> bytes:
    """The payload's bytes."""
    participant = ParticipantInfo(identity, name, metadata, attributes)
    return payload(HEAD, now, participant, room, agent_name, ttl, grants, agents, room_config)


def claims(*args: Any, **keywords: Any) -> dict[str, Any]:
    """The payload, decoded."""
    decoded: dict[str, Any] = json.loads(written(*args, **keywords))
    return decoded


def test_least_token_byte_for_byte() -> None:
    """The simplest token: who joins which room, for 15 minutes from now."""
    expected = (
        b'{"iss":"APIexample","nbf":1800000000,"exp":1800000900,"sub":"user-42",'
        b'"video":{"roomJoin":true,"canPublish":true,"canSubscribe":true,"canPublishData":true,"room":"lobby"}}'
    )

    assert expected == written()


def test_absent_values_make_no_claims() -> None:
    """None and empty texts leave no claim behind; empty attributes stay, as they do in livekit-api."""
    bare = claims()

    assert bare == claims(name="", metadata="", agent_name="", agents=[], grants=ParticipantGrants())
    assert bare == claims(agents=[])
    assert {**bare, "attributes": {}} == claims(attributes={})


def test_token_is_valid_from_now() -> None:
    """`nbf` is this very second, neither zero nor backdated: LiveKit Cloud revokes by it."""
    for now in (0.0, 0.999, 1_800_000_000, 1_800_000_000.999_999, 4_000_000_000.5):
        assert int(now) == claims(now=now)["nbf"]


class Seconds(enum.IntEnum):
    """A number whose `str()` may be a name."""

    HOUR = 3600


TTLS: list[tuple[Any, int]] = [
    (DEFAULT_TTL, 900),
    (60, 60),
    (86_400, 86_400),
    (timedelta(hours=24), 86_400),
    (90.05, 90),
    (90.1, 91),
    (timedelta(seconds=90, microseconds=100_000), 91),
    (Seconds.HOUR, 3600),
]


def test_ttl_is_a_timedelta_or_seconds() -> None:
    """`exp` is `ttl` after the moment of creation, rounded down; by default 15 minutes."""
    assert timedelta(minutes=15) == DEFAULT_TTL
    for ttl, seconds in TTLS:
        assert START + seconds == claims(ttl=ttl)["exp"]


OUT_OF_RANGE: list[Any] = [-1, 59, 59.999, 86_400.001, 10**400, -(10**400), float("nan"), float("inf"), float("-inf")]
OUT_OF_RANGE += [timedelta(0), timedelta(seconds=59.9), timedelta(days=1, microseconds=1), timedelta.max, timedelta.min]


def test_bad_ttl_is_rejected() -> None:
    """Less than a minute, more than a day, and other types."""
    for ttl in OUT_OF_RANGE:
        field, text = refused(written, ttl=ttl)
        assert ("ttl", True) == (field, "1 minute to 24 hours" in text)
    for other in [True, None, "900", 900j, Fraction(900), [900]]:
        expected = f"ttl must be a timedelta or a number of seconds, not {type(other).__name__}"
        assert ("ttl", expected) == refused(written, ttl=other)
    assert "Admission.ttl" == refused(lifetime, 5, "Admission.ttl")[0]


def test_limits_in_bytes() -> None:
    """512 KiB of metadata, 64 KiB of attributes, in one piece or in many; a byte more does not pass."""
    for text in ("x" * 524_288, "é" * 262_144):
        assert text == claims(metadata=text)["metadata"]
        assert "metadata" == refused(written, metadata=text + "x")[0]
    for attributes in ({"key": "x" * (65_536 - 3)}, {f"{number:04}": "é" * 30 for number in range(1024)}):
        assert attributes == claims(attributes=attributes)["attributes"]
        assert "attributes" == refused(written, attributes={**attributes, "": "x"})[0]


def test_other_types_are_rejected() -> None:
    """Each label is a str; a falsy value of another type does not count as absent. Identity and room are required."""
    for field in ["identity", "room", "name", "metadata", "agent_name"]:
        expected = "room_name" if field == "room" else field
        for value in [5, 0, False, b"", b"user", [], {}]:
            name, text = refused(written, **{field: value})
            assert (expected, True) == (name, text.startswith(f"{expected} must be a str, not {type(value).__name__}"))
        if field in ("identity", "room"):
            assert [expected] * 4 == [refused(written, **{field: value})[0] for value in (None, "", " ", "\u00a0")]


BAD_ATTRIBUTES: list[tuple[Any, str]] = [
    ([("a", "b")], "attributes"),
    (False, "attributes"),
    ({None: "a"}, "attributes"),
    ({"a": 5}, "attributes['a']"),
    ({"a": None}, "attributes['a']"),
    ({"a": "\ud800"}, "attributes['a']"),
    ({"\ud800": "a"}, "attributes"),
    (MappingProxyType({"a": 5}), "attributes['a']"),
]


def test_bad_attributes_are_refused_with_their_key() -> None:
    """Attributes of any other shape would make LiveKit refuse the whole token."""
    for value, field in BAD_ATTRIBUTES:
        assert field == refused(written, attributes=value)[0]


def test_participant_of_another_type_is_rejected() -> None:
    """The error has the type that was passed, and how to write a participant; 0.1.0's shape is accepted."""
    for participant in [None, "user-42", {"identity": "user-42"}]:
        found = refused(payload, HEAD, NOW, participant, "lobby", None, DEFAULT_TTL, None, (), None)

        expected = f"participant must be a ParticipantInfo, not {type(participant).__name__}: write ParticipantInfo(identity=...)"
        assert ("participant", expected) == found
    alike: Any = SimpleNamespace(identity="user-42", name=None, metadata=None, attributes=None)
    assert written() == payload(HEAD, NOW, alike, "lobby", None, DEFAULT_TTL, None, (), None)


def test_grants_of_another_type_are_refused() -> None:
    """Grants are a ParticipantGrants only: a mapping could contain a server's grants."""
    for grants in [{}, (), True, {"can_publish": False}, ParticipantGrants]:
        expected = f"grants must be a ParticipantGrants, not {type(grants).__name__}"
        assert ("grants", expected) == refused(written, grants=grants)


@pytest.mark.parametrize("publish", [True, False])
def test_data_follows_publish(publish: bool) -> None:
    """Unless it is set, the data grant equals `can_publish`, as in the LiveKit server."""
    for data, expected in [(None, publish), (True, True), (False, False)]:
        video = claims(grants=ParticipantGrants(can_publish=publish, can_publish_data=data))["video"]
        assert {**JOIN, "canPublish": publish, "canPublishData": expected} == video


def test_no_server_grants() -> None:
    """A token with every participant grant has no claim or grant of a server."""
    grants = ParticipantGrants(True, True, True, ("camera",), True, True, True, True)
    everything = claims(grants=grants, room_config={"name": "x"}, attributes={"roomAdmin": "true"})

    assert {"iss", "nbf", "exp", "sub", "video", "attributes", "roomConfig"} == set(everything)
    more = "canPublishSources canUpdateOwnMetadata canSubscribeMetrics canManageAgentSession hidden"
    assert {*JOIN, *more.split()} == set(everything["video"])


def test_agents_may_be_a_generator() -> None:
    """A generator of agents is read once, to its end; `agent_name` and a room config go with it."""
    agents = (name for name in ("one", "two"))
    expected = {"agents": [{"agentName": name} for name in ("greeter", "one", "two")], "metadata": "m"}

    assert expected == claims(agent_name="greeter", agents=agents, room_config={"metadata": "m"})["roomConfig"]
    assert [] == list(agents)


def test_blank_agent_name_is_refused() -> None:
    """A blank name would dispatch an agent that no worker can be."""
    assert ["agent_name", "agents[0]", "agent_name", "room_config.agents[0].agent_name"] == [
        refused(written, agent_name=" ")[0],
        refused(written, agents=[" "])[0],
        refused(AgentDispatch, " ")[0],
        refused(written, room_config={"agents": [{"agent_name": " "}]})[0],
    ]
