"""Room configuration: the claim `roomConfig`, field by field, and what a token must not say of a room."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

from google.protobuf.json_format import MessageToDict, ParseDict
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import RoomConfiguration

from moss_voice_server._token.room_config import AGENT_FIELDS, FIELDS, room_config_json
from moss_voice_server.grants import AgentDispatch
from tests.support import errors


def claim(room_config: Any = None, agents: Any = (), agent_name: str = "") -> Any:
    """The claim, decoded; None when there is none."""
    text = room_config_json(agent_name, agents, room_config)
    return json.loads(text) if text else None


def refused(room_config: Any = None, agents: Any = ()) -> tuple[str, str]:
    """The field and the text of the error."""
    return errors.refused(room_config_json, "", agents, room_config)


# Which agents, in which order.


def test_empty_room_config_is_an_empty_claim() -> None:
    """An empty room config stays in the token: that is what livekit-api does."""
    assert [{}, {}, {}] == [claim({}), claim(RoomConfiguration()), claim({"name": "", "agents": [], "tags": {}})]


def test_order_of_agents() -> None:
    """`agent_name` comes first, then `agents`, then the room config's own."""
    expected = [{"agentName": name} for name in ("first", "second", "third", "fourth")]

    for room_config in (
        {"agents": [{"agent_name": "third"}, AgentDispatch("fourth")]},
        RoomConfiguration(agents=[RoomAgentDispatch(agent_name="third"), RoomAgentDispatch(agent_name="fourth")]),
    ):
        assert {"agents": expected} == claim(room_config, [AgentDispatch("second")], "first")


def test_fields_of_an_agent() -> None:
    """An agent's metadata, deployment and attributes are in the claim when they say something."""
    full = AgentDispatch("a", '{"x": 1}', "blue", {"k": ""})

    assert {
        "agents": [
            {"agentName": "a", "metadata": '{"x": 1}', "deployment": "blue", "attributes": {"k": ""}},
            {"agentName": "b"},
            {},
            {"metadata": "for the unnamed"},
        ]
    } == claim(agents=[full, AgentDispatch("b"), AgentDispatch(""), AgentDispatch("", "for the unnamed")])


def test_agents_that_are_no_list_are_refused() -> None:
    """One name, one dispatch or a mapping where a list belongs is refused: a name's letters would be names."""
    for agents in ["name", AgentDispatch("a"), None, 5, {"agent_name": "a"}, MappingProxyType({})]:
        expected = f"agents must be a list of names and AgentDispatch values, not {type(agents).__name__}"

        assert ("agents", expected) == refused(agents=agents)


def test_bad_agent_is_refused_with_its_place() -> None:
    """What is neither a name nor a dispatch, an empty name, and a name that LiveKit could not take."""
    for agent in [None, 5, b"name", {"agent_name": "a"}, ["a"]]:
        expected = f"agents[1] must be a name or an AgentDispatch, not {type(agent).__name__}"
        assert ("agents[1]", expected) == refused(agents=["good", agent])
    for name in ["", "a\n", "\ud800", "é" * 129, "\x85"]:
        field, text = refused(agents=["good", name])
        assert ("agents[1]", True) == (field, text.startswith("agents[1] "))
        assert (not name.strip()) is ("AgentDispatch('')" in text)


# A room config's fields.

FULL_AGENT = {
    "agent_name": "a",
    "metadata": "m\n",
    "restart_policy": "JRP_NEVER",
    "deployment": "blue",
    "attributes": {"k": "v"},
}
CASES: list[dict[str, Any]] = [
    {"name": "preset", "metadata": "a\n\0", "tags": {"team": "", "": "x"}, "sync_streams": True},
    {"empty_timeout": 30, "departure_timeout": 2**32 - 1, "max_participants": 2},
    {"min_playout_delay": 1, "max_playout_delay": 1},
    {"egress": {"room": {"room_name": "r", "file_outputs": [{"filepath": "a.mp4", "aliOSS": {"bucket": "b"}}]}}},
    {"egress": {}},
    {"agents": [FULL_AGENT, {}, {"restart_policy": 1}, {"restart_policy": "JRP_ON_FAILURE"}, {"restart_policy": 0}]},
    {"name": "", "empty_timeout": 0, "sync_streams": False, "metadata": "", "tags": {}, "agents": []},
]


def test_field_is_written_as_protobuf_writes_it() -> None:
    """Each field is written in camelCase, a default left out, just as protobuf's own JSON writes the message."""
    for given in CASES:
        message = ParseDict(given, RoomConfiguration())
        assert MessageToDict(message) == claim(given) == claim(message)


def test_table_of_fields_is_whole() -> None:
    """Every field of the message can be given, so that none is forgotten when LiveKit adds one."""
    assert {field.name for field in RoomConfiguration.DESCRIPTOR.fields} == {*FIELDS}
    # A newer protocol has `thread_id`, the thread that the agent continues.
    assert {field.name for field in RoomAgentDispatch.DESCRIPTOR.fields} | {"thread_id"} == {*AGENT_FIELDS}


# What is refused in a room config.


def test_room_config_of_another_type_is_refused() -> None:
    """What is neither a mapping nor LiveKit's message is refused, the message's class and another message too."""
    expected = "room_config must be a mapping or a livekit.RoomConfiguration message, not "
    for room_config in [[], "{}", 5, False, "", RoomConfiguration, RoomAgentDispatch()]:
        field, text = refused(room_config)
        assert ("room_config", True) == (field, text.startswith(expected))


def test_unknown_field_is_refused() -> None:
    """A field that LiveKit does not have, or spelled otherwise than in snake_case, is refused and not ignored."""
    shown = {"a\x1b": r".a\x1b", "x" * 65: f".{'x' * 64}..."}
    for key in ["emptyTimeout", "room_config", "Name", "", " name", *shown, 5, None, b"name", ("name",)]:
        named = shown.get(key, f".{key}") if isinstance(key, str) else ""
        for where, config in (
            ("room_config", {"name": "a", key: 1}),
            ("room_config.agents[1]", {"agents": [{"agent_name": "a"}, {key: 1}]}),
        ):
            field, text = refused(config)
            assert (where + named, True) == (field, "in snake_case" in text if named else "must have str keys" in text)


NUMBERS = ("empty_timeout", "departure_timeout", "max_participants", "min_playout_delay", "max_playout_delay")


def test_number_out_of_range_or_of_another_type_is_refused() -> None:
    """A number must be an int that fits 32 bits without a sign; LiveKit would refuse the whole token."""
    for field in NUMBERS:
        for value in [-1, 2**32, 10**400, 1.0, float("nan"), True, False, "5", None, b"5"]:
            expected = f"room_config.{field} must be a whole number from 0 to 4294967295"

            assert (f"room_config.{field}", expected) == refused({field: value})


BAD_VALUES: list[tuple[dict[str, Any], str]] = [
    *(({"sync_streams": value}, "sync_streams") for value in (1, "true", None)),
    *(({"name": value}, "name") for value in ("a\n", "é" * 129, None)),
    *(({"metadata": value}, "metadata") for value in ({"a": 1}, "\ud800", "x" * (512 * 1024 + 1))),
    ({"tags": ["a"]}, "tags"),
    ({"tags": {"a": 1}}, "tags['a']"),
    *(({"agents": value}, "agents") for value in ({"a": 1}, None, "name")),
    *(({"agents": [value]}, "agents[0]") for value in ("name", None)),
    ({"agents": [{}, {"agent_name": 5}]}, "agents[1].agent_name"),
    *(({"agents": [{"agent_name": value}]}, "agents[0].agent_name") for value in ("a\x85", "x" * 257)),
    *(({"agents": [{"metadata": value}]}, "agents[0].metadata") for value in ({"a": 1}, "\udfff")),
    *(({"agents": [{"deployment": value}]}, "agents[0].deployment") for value in ("a_b", "x" * 65)),
    ({"agents": [{"attributes": {"a": None}}]}, "agents[0].attributes['a']"),
    *(
        ({"agents": [{"restart_policy": value}]}, "agents[0].restart_policy")
        for value in ("NEVER", 2, -1, True, False, None, ["JRP_NEVER"])
    ),
]


def test_bad_value_is_refused_with_its_path() -> None:
    """A value that LiveKit would reject or misread is refused, with the path to it as field and in the text."""
    for room_config, field in BAD_VALUES:
        found, text = refused(room_config)

        assert (f"room_config.{field}", True) == (found, text.startswith(f"room_config.{field}"))
        assert text.isascii()
