"""Room configuration: the claim `roomConfig`, field by field, and what a token must not say of a room."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import CreateRoomRequest, RoomConfiguration

from moss_voice_server._token.room_config import AGENT_FIELDS, FIELDS, room_config_json
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import AgentDispatch


def claim(room_config: Any = None, agents: Any = (), agent_name: str = "") -> Any:
    """The claim, decoded; None when there is none."""
    text = room_config_json(agent_name, agents, room_config)
    return json.loads(text) if text else None


def refused(room_config: Any = None, agents: Any = ()) -> tuple[str, str]:
    """The field and the text of the error."""
    with pytest.raises(InvalidArgument) as caught:
        room_config_json("", agents, room_config)
    return caught.value.field, str(caught.value)


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


def test_agent_of_another_type_is_refused_with_its_place() -> None:
    """What is neither a name nor a dispatch is refused with its place."""
    for agent in [None, 5, b"name", {"agent_name": "a"}, ["a"]]:
        expected = f"agents[1] must be a name or an AgentDispatch, not {type(agent).__name__}"

        assert ("agents[1]", expected) == refused(agents=["good", agent])


def test_empty_agent_name_in_the_list_is_refused_with_the_way_out() -> None:
    """An empty name in the list is rejected; the error names AgentDispatch('') for the unnamed workers."""
    field, text = refused(agents=["good", ""])

    assert ("agents[1]", True) == (field, "AgentDispatch('')" in text)


def test_bad_agent_name_in_the_list_is_refused_with_its_place() -> None:
    """A name that LiveKit could not take is refused with its place in the list."""
    for name in ["a\n", "\ud800", "é" * 129, "\x85"]:
        field, text = refused(agents=["good", name])

        assert ("agents[1]", True) == (field, text.startswith("agents[1] "))


# A room config's fields.

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "name": ({"name": "preset"}, {"name": "preset"}),
    "empty_timeout": ({"empty_timeout": 30}, {"emptyTimeout": 30}),
    "departure_timeout": ({"departure_timeout": 2**32 - 1}, {"departureTimeout": 2**32 - 1}),
    "max_participants": ({"max_participants": 2}, {"maxParticipants": 2}),
    "min_playout_delay": ({"min_playout_delay": 1}, {"minPlayoutDelay": 1}),
    "max_playout_delay": ({"max_playout_delay": 1}, {"maxPlayoutDelay": 1}),
    "sync_streams": ({"sync_streams": True}, {"syncStreams": True}),
    "metadata": ({"metadata": "a\n\0"}, {"metadata": "a\n\0"}),
    "tags": ({"tags": {"team": "", "": "x"}}, {"tags": {"team": "", "": "x"}}),
    "egress": (
        {"egress": {"room": {"room_name": "r", "file_outputs": [{"filepath": "a.mp4", "aliOSS": {"bucket": "b"}}]}}},
        {"egress": {"room": {"roomName": "r", "fileOutputs": [{"filepath": "a.mp4", "aliOSS": {"bucket": "b"}}]}}},
    ),
    "empty egress": ({"egress": {}}, {"egress": {}}),
    "agents": (
        {
            "agents": [
                {
                    "agent_name": "a",
                    "metadata": "m\n",
                    "restart_policy": "JRP_NEVER",
                    "deployment": "blue",
                    "attributes": {"k": "v"},
                }
            ]
        },
        {
            "agents": [
                {
                    "agentName": "a",
                    "metadata": "m\n",
                    "restartPolicy": "JRP_NEVER",
                    "deployment": "blue",
                    "attributes": {"k": "v"},
                }
            ]
        },
    ),
    "an agent of no name": ({"agents": [{}]}, {"agents": [{}]}),
    "number of the policy": ({"agents": [{"restart_policy": 1}]}, {"agents": [{"restartPolicy": "JRP_NEVER"}]}),
    "default policy": ({"agents": [{"restart_policy": "JRP_ON_FAILURE"}]}, {"agents": [{}]}),
    "number of the default policy": ({"agents": [{"restart_policy": 0}]}, {"agents": [{}]}),
    "defaults": ({"name": "", "empty_timeout": 0, "sync_streams": False, "metadata": "", "tags": {}, "agents": []}, {}),
}


def test_field_is_written_as_protobuf_writes_it() -> None:
    """Each field is written in camelCase, a default left out, just as protobuf's own JSON writes the message."""
    for given, expected in CASES.values():
        message = ParseDict(given, RoomConfiguration())

        assert expected == claim(given) == claim(message) == MessageToDict(message)


def test_table_of_fields_is_whole() -> None:
    """Every field of the message can be given, so that none is forgotten when LiveKit adds one."""
    assert {field.name for field in RoomConfiguration.DESCRIPTOR.fields} == {*FIELDS}
    # A newer protocol has `thread_id`, the thread that the agent continues.
    assert {field.name for field in RoomAgentDispatch.DESCRIPTOR.fields} | {"thread_id"} == {*AGENT_FIELDS}


# What is refused in a room config.


def test_room_config_of_another_type_is_refused() -> None:
    """What is neither a mapping nor LiveKit's message is refused, the message's class and another message too."""
    for room_config in [
        [],
        "{}",
        5,
        True,
        False,
        0,
        "",
        b"",
        object(),
        RoomConfiguration,
        RoomAgentDispatch(),
        CreateRoomRequest(),
    ]:
        field, text = refused(room_config)

        assert ("room_config", True) == (
            field,
            text.startswith("room_config must be a mapping or a livekit.RoomConfiguration message, not "),
        )


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
    ({"sync_streams": 1}, "room_config.sync_streams"),
    ({"sync_streams": "true"}, "room_config.sync_streams"),
    ({"sync_streams": None}, "room_config.sync_streams"),
    ({"name": "a\n"}, "room_config.name"),
    ({"name": "é" * 129}, "room_config.name"),
    ({"name": None}, "room_config.name"),
    ({"metadata": {"a": 1}}, "room_config.metadata"),
    ({"metadata": "\ud800"}, "room_config.metadata"),
    ({"metadata": "x" * (512 * 1024 + 1)}, "room_config.metadata"),
    ({"tags": ["a"]}, "room_config.tags"),
    ({"tags": {"a": 1}}, "room_config.tags['a']"),
    ({"tags": {1: "a"}}, "room_config.tags"),
    ({"agents": {}}, "room_config.agents"),
    ({"agents": None}, "room_config.agents"),
    ({"agents": "name"}, "room_config.agents"),
    ({"agents": ["name"]}, "room_config.agents[0]"),
    ({"agents": [None]}, "room_config.agents[0]"),
    ({"agents": [{}, {"agent_name": 5}]}, "room_config.agents[1].agent_name"),
    ({"agents": [{"agent_name": "a\x85"}]}, "room_config.agents[0].agent_name"),
    ({"agents": [{"agent_name": "x" * 257}]}, "room_config.agents[0].agent_name"),
    ({"agents": [{"metadata": {}}]}, "room_config.agents[0].metadata"),
    ({"agents": [{"metadata": "\udfff"}]}, "room_config.agents[0].metadata"),
    ({"agents": [{"deployment": "a_b"}]}, "room_config.agents[0].deployment"),
    ({"agents": [{"deployment": "x" * 65}]}, "room_config.agents[0].deployment"),
    ({"agents": [{"attributes": {"a": None}}]}, "room_config.agents[0].attributes['a']"),
    ({"agents": [{"restart_policy": "NEVER"}]}, "room_config.agents[0].restart_policy"),
    ({"agents": [{"restart_policy": 2}]}, "room_config.agents[0].restart_policy"),
    ({"agents": [{"restart_policy": -1}]}, "room_config.agents[0].restart_policy"),
    ({"agents": [{"restart_policy": True}]}, "room_config.agents[0].restart_policy"),
    ({"agents": [{"restart_policy": False}]}, "room_config.agents[0].restart_policy"),
    ({"agents": [{"restart_policy": None}]}, "room_config.agents[0].restart_policy"),
    ({"agents": [{"restart_policy": ["JRP_NEVER"]}]}, "room_config.agents[0].restart_policy"),
]


def test_bad_value_is_refused_with_its_path() -> None:
    """A value that LiveKit would reject or misread is refused, with the path to it as field and in the text."""
    for room_config, field in BAD_VALUES:
        found = refused(room_config)

        assert (field, True) == (found[0], found[1].startswith(field))
        assert found[1].isascii()
