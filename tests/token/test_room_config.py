"""Room configuration: the claim `roomConfig`, field by field, and what a token must not say of a room."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict
from collections.abc import Iterable
from types import MappingProxyType
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from livekit.protocol.agent_dispatch import RoomAgentDispatch
from livekit.protocol.room import CreateRoomRequest, RoomConfiguration

from moss_voice_server._token.claims import agent_json
from moss_voice_server._token.room_config import room_config_json
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import AgentDispatch

NO_CREDENTIALS = "would put credentials into a token that the participant can read"


class Word(str, enum.Enum):
    """Texts that introduce themselves by other names."""

    AGENT = "greeter"
    NEVER = "JRP_NEVER"
    BLUE = "blue"


class Policy(enum.IntEnum):
    """A number that introduces itself by a name."""

    NEVER = 1


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


def test_nothing_asked_for_is_no_claim() -> None:
    """Without agents and without a room config there is no claim."""
    nobody: list[Any] = [(), [], iter([]), set(), {}.keys()]

    assert [None] * 5 == [claim(agents=agents) for agents in nobody]


def test_empty_room_config_is_an_empty_claim() -> None:
    """An empty room config stays in the token: that is what livekit-api does."""
    assert [{}, {}, {}] == [claim({}), claim(RoomConfiguration()), claim({"name": "", "agents": [], "tags": {}})]


def test_agents_come_in_the_order_of_the_arguments() -> None:
    """`agent_name` comes first, then `agents`, then the room config's own."""
    expected = [{"agentName": name} for name in ("first", "second", "third", "fourth")]

    for room_config in (
        {"agents": [{"agent_name": "third"}, AgentDispatch("fourth")]},
        RoomConfiguration(agents=[RoomAgentDispatch(agent_name="third"), RoomAgentDispatch(agent_name="fourth")]),
    ):
        assert {"agents": expected} == claim(room_config, [AgentDispatch("second")], "first")


def test_agent_of_one_name_is_written_alike_by_both_ways() -> None:
    """The short way for one agent by name writes what the long way writes."""
    for name in ("greeter", 'quo"te\\', "🎤", "שלום", Word.AGENT):
        assert room_config_json(name, (), None) == agent_json(name)


@pytest.mark.parametrize("kind", [list, tuple, iter, OrderedDict.fromkeys, lambda names: (name for name in names)])
def test_agents_are_any_iterable(kind: Any) -> None:
    """Agents may come from any iterable, a generator too."""
    agents = kind(["one", "two"])
    agents = agents.keys() if isinstance(agents, dict) else agents

    assert {"agents": [{"agentName": "one"}, {"agentName": "two"}]} == claim(agents=agents)


def test_agent_says_all_its_fields_and_no_empty_ones() -> None:
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


def test_same_agent_may_be_sent_for_twice() -> None:
    """What is asked for twice is sent for twice: LiveKit allows it."""
    assert {"agents": [{"agentName": "a"}] * 3} == claim({"agents": [{"agent_name": "a"}]}, ["a"], "a")


@pytest.mark.parametrize("agents", ["name", AgentDispatch("a"), None, 5, {"agent_name": "a"}, MappingProxyType({})])
def test_agents_that_are_no_list_are_refused(agents: Any) -> None:
    """One name, one dispatch or a mapping where a list belongs is refused: a name's letters would be names."""
    expected = f"agents must be a list of names and AgentDispatch values, not {type(agents).__name__}"

    assert ("agents", expected) == refused(agents=agents)


@pytest.mark.parametrize("agent", [None, 5, b"name", {"agent_name": "a"}, ["a"]])
def test_agent_of_another_type_is_refused_with_its_place(agent: Any) -> None:
    """What is neither a name nor a dispatch is refused with its place."""
    expected = f"agents[1] must be a name or an AgentDispatch, not {type(agent).__name__}"

    assert ("agents[1]", expected) == refused(agents=["good", agent])


def test_empty_agent_name_in_the_list_is_refused_with_the_way_out() -> None:
    """An empty name in the list is refused; who means the unnamed workers says so with a dispatch."""
    field, text = refused(agents=["good", ""])

    assert ("agents[1]", True) == (field, "AgentDispatch('')" in text)


@pytest.mark.parametrize("name", ["a\n", "\ud800", "é" * 129, "\x85"])
def test_bad_agent_name_in_the_list_is_refused_with_its_place(name: str) -> None:
    """A name that LiveKit could not take is refused with its place in the list."""
    field, text = refused(agents=["good", name])

    assert ("agents[1]", True) == (field, text.startswith("agents[1] "))


# A room config's fields.

FIELDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
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
    "defaults": (
        {"name": "", "empty_timeout": 0, "sync_streams": False, "metadata": "", "tags": {}, "agents": []},
        {},
    ),
}


@pytest.mark.parametrize(("given", "expected"), FIELDS.values(), ids=FIELDS.keys())
def test_field_is_written_as_protobuf_writes_it(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """Each field is written in camelCase, a default left out, just as protobuf's own JSON writes the message."""
    message = ParseDict(given, RoomConfiguration())

    assert expected == claim(given) == claim(message) == MessageToDict(message)


def test_table_of_fields_is_whole() -> None:
    """Every field of the message can be given, so that none is forgotten when LiveKit adds one."""
    _, room = refused({"?": 1})
    _, agent = refused({"agents": [{"?": 1}]})

    assert {field.name for field in RoomConfiguration.DESCRIPTOR.fields} == known(room)
    assert {field.name for field in RoomAgentDispatch.DESCRIPTOR.fields} == known(agent)


def known(text: str) -> set[str]:
    """The fields that an error lists."""
    return set(text.partition("it knows ")[2].split(", "))


def test_one_field_has_a_name_of_its_own() -> None:
    """The one field of an egress that protobuf itself spells in another way may be written like all others."""
    assert {"egress": {"tracks": {"aliOSS": {"bucket": "b"}}}} == claim(
        {"egress": {"tracks": {"ali_oss": {"bucket": "b"}}}}
    )


@pytest.mark.parametrize("kind", [OrderedDict, MappingProxyType])
def test_mapping_of_any_kind_is_taken_at_every_level(kind: Any) -> None:
    """A read-only or ordered mapping is as good as a dict, at every level."""
    given = kind({"tags": kind({"a": "b"}), "egress": kind({"room": kind({})}), "agents": (kind({"agent_name": "x"}),)})

    assert {"tags": {"a": "b"}, "egress": {"room": {}}, "agents": [{"agentName": "x"}]} == claim(given)


def test_subclasses_of_plain_types_count_by_their_content() -> None:
    """Members of enumerations are written by their values, never by their names."""
    given = {
        "max_participants": Policy.NEVER,
        "metadata": Word.BLUE,
        "agents": [{"agent_name": Word.AGENT, "restart_policy": Word.NEVER, "deployment": Word.BLUE}],
    }
    agents = [AgentDispatch(Word.AGENT, Word.BLUE, Word.BLUE, {Word.BLUE: Word.BLUE}), Word.AGENT]

    assert {
        "maxParticipants": 1,
        "metadata": "blue",
        "agents": [
            {"agentName": "greeter", "metadata": "blue", "deployment": "blue", "attributes": {"blue": "blue"}},
            {"agentName": "greeter"},
            {"agentName": "greeter", "restartPolicy": "JRP_NEVER", "deployment": "blue"},
        ],
    } == claim(given, agents)


def test_arguments_are_left_as_they_are() -> None:
    """Neither a mapping nor a message nor a list of agents is changed by making the claim."""
    given: dict[str, Any] = {"agents": [{"agent_name": "a"}], "egress": {"room": {"room_name": "r"}}}
    message = ParseDict(given, RoomConfiguration())
    agents = ["b"]
    copies = (json.dumps(given), message.SerializeToString(), list(agents))

    claim(given, agents)
    claim(message, agents)

    assert copies == (json.dumps(given), message.SerializeToString(), agents)


# What is refused in a room config.


@pytest.mark.parametrize(
    "room_config",
    [[], "{}", 5, True, False, 0, "", b"", object(), RoomConfiguration, RoomAgentDispatch(), CreateRoomRequest()],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__ + repr(value)[:8],
)
def test_room_config_of_another_type_is_refused(room_config: Any) -> None:
    """What is neither a mapping nor LiveKit's message is refused, the message's class and another message too."""
    field, text = refused(room_config)

    assert ("room_config", True) == (
        field,
        text.startswith("room_config must be a mapping or a livekit.RoomConfiguration message, not "),
    )


@pytest.mark.parametrize("key", ["emptyTimeout", "room_config", "Name", "", " name", 5, None, b"name", ("name",)])
def test_unknown_field_is_refused(key: Any) -> None:
    """A field that LiveKit does not have, or spelled otherwise than in snake_case, is refused and not ignored."""
    field, text = refused({"name": "a", key: 1})
    assert ("room_config", True) == (field, "it knows name, empty_timeout, " in text)

    field, text = refused({"agents": [{"agent_name": "a"}, {key: 1}]})
    assert ("room_config.agents[1]", True) == (field, "it knows agent_name, metadata, " in text)


NUMBERS = ("empty_timeout", "departure_timeout", "max_participants", "min_playout_delay", "max_playout_delay")


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize(
    "value", [-1, 2**32, 10**400, 1.0, float("nan"), True, False, "5", None, b"5"], ids=lambda v: repr(v)[:12]
)
def test_number_out_of_range_or_of_another_type_is_refused(field: str, value: Any) -> None:
    """A number must be an int that fits 32 bits without a sign; LiveKit would refuse the whole token."""
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
    ({"egress": []}, "room_config.egress"),
    ({"egress": None}, "room_config.egress"),
    ({"egress": {5: 1}}, "room_config.egress"),
    ({"egress": {"room": {5: 1}}}, "room_config.egress.room"),
    ({"egress": {"room": {"layout": "\ud800"}}}, "room_config.egress.room.layout"),
    ({"egress": {"room": {"\ud800": "a"}}}, "room_config.egress.room"),
    ({"egress": {"room": {"layout": b"a"}}}, "room_config.egress.room.layout"),
    ({"egress": {"room": {"layout": object()}}}, "room_config.egress.room.layout"),
    ({"egress": {"room": {"layout": {"a"}}}}, "room_config.egress.room.layout"),
    ({"egress": {"room": {"x": float("nan")}}}, "room_config.egress.room.x"),
    ({"egress": {"room": {"x": float("-inf")}}}, "room_config.egress.room.x"),
    ({"egress": {"room": {"x": 10**5000}}}, "room_config.egress.room.x"),
    ({"egress": {"room": {"x": 2**64}}}, "room_config.egress.room.x"),
    ({"egress": {"room": {"x": -(2**63) - 1}}}, "room_config.egress.room.x"),
    ({"egress": {"room": {"x": [0, float("inf")]}}}, "room_config.egress.room.x[1]"),
    ({"egress": {"room": {"file_outputs": [], "fileOutputs": []}}}, "room_config.egress.room.fileOutputs"),
]


@pytest.mark.parametrize(("room_config", "field"), BAD_VALUES, ids=[f"{i}-{f}" for i, (_, f) in enumerate(BAD_VALUES)])
def test_bad_value_is_refused_with_its_path(room_config: dict[str, Any], field: str) -> None:
    """A value that LiveKit would reject or misread is refused, with the path to it as field and in the text."""
    found = refused(room_config)

    assert (field, True) == (found[0], found[1].startswith(field))
    assert found[1].isascii()


@pytest.mark.parametrize("value", [None, True, 0, -(2**63), 2**64 - 1, 1.5, "", "a\n", [], [1, ["a"]], {"a": {}}])
def test_egress_takes_any_plain_data(value: Any) -> None:
    """Plain data that JSON and protobuf can carry goes through an egress unchanged."""
    assert {"egress": {"x": value}} == claim({"egress": {"x": value}})


def test_deepest_egress_of_livekit_is_taken() -> None:
    """The deepest egress that LiveKit itself knows passes."""
    deepest = {"room": {"file_outputs": [{"s3": {"proxy": {"url": "http://proxy"}, "metadata": {"a": "b"}}}]}}
    message = ParseDict({"egress": deepest}, RoomConfiguration())

    assert MessageToDict(message) == claim({"egress": deepest}) == claim(message)


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, float("inf")], ids=["2**64", "below int64", "inf"])
def test_number_that_protobuf_cannot_carry_is_called_so(value: float) -> None:
    """A number is told to be out of range, and not to be of a wrong type."""
    assert refused({"egress": {"x": value}})[1].endswith(f"{type(value).__name__} out of its range")


@pytest.mark.parametrize("limit", [20, 500, 100_000])
def test_egress_that_is_nested_too_deeply_is_refused(limit: int) -> None:
    """An egress of absurd depth is refused like any other mistake, as mappings and as lists."""
    mapping: Any = {}
    items: Any = []
    for _ in range(limit):
        mapping, items = {"a": mapping}, [items]

    try:
        for egress in (mapping, {"a": items}):
            field, text = refused({"egress": egress})
            assert (True, True) == (field.startswith("room_config.egress"), "nested" in text)
            assert len(text) < 1000
    finally:
        while mapping:  # taken apart by hand: the interpreter itself would go as deep
            mapping = mapping.pop("a")
        while items:
            items = items.pop()


def test_egress_that_holds_itself_is_refused() -> None:
    """A mapping or a list that holds itself is refused like any other mistake."""
    ring: dict[str, Any] = {}
    ring["a"] = ring
    knot: list[Any] = []
    knot.append(knot)

    assert [True, True] == ["nested" in refused({"egress": egress})[1] for egress in (ring, {"a": knot})]


# Credentials.

CREDENTIALS = {
    "S3 secret": ("room.file_outputs[0].s3", "secret"),
    "S3 session token": ("room.file_outputs[0].s3", "session_token"),
    "S3 external id": ("tracks.s3", "assume_role_external_id"),
    "proxy password": ("participant.file_outputs[0].s3.proxy", "password"),
    "GCP": ("room.segment_outputs[0].gcp", "credentials"),
    "Azure": ("room.image_outputs[0].azure", "account_key"),
    "AliOSS": ("room.file_outputs[0].ali_oss", "secret"),
    "stream outputs": ("room", "stream_outputs"),
    "stream": ("room", "stream"),
    "stream's addresses": ("room.other[0]", "urls"),
    "webhooks": ("room", "webhooks"),
    "webhook's key": ("room.other[0]", "signing_key"),
}


def spellings(name: str) -> list[str]:
    """All ways to write a field that end as the same field for LiveKit, or are read as it by people."""
    first, *rest = name.split("_")
    camel = first + "".join(part.title() for part in rest)
    written = [name, camel, camel[0].upper() + camel[1:], f"{name}_", f"{name}__", f"_{name}", name.replace("_", "__")]
    return [*written, name.upper(), camel.lower()]


def nest(path: str, leaf: dict[str, Any]) -> dict[str, Any]:
    """The leaf at the path."""
    for part in reversed(path.split(".")):
        name, bracket, _ = part.partition("[")
        leaf = {name: [leaf] if bracket else leaf}
    return leaf


@pytest.mark.parametrize(("path", "name"), CREDENTIALS.values(), ids=CREDENTIALS.keys())
@pytest.mark.parametrize("value", ["hunter2", ["hunter2"], {"urls": "hunter2"}], ids=["text", "list", "mapping"])
def test_credentials_in_an_egress_are_refused(path: str, name: str, value: Any) -> None:
    """Credentials are refused at any depth, in any spelling, with the way out and without their value."""
    for spelling in dict.fromkeys(spellings(name)):
        for where in (path, "x", f"a.b.{path}"):
            field, text = refused({"egress": nest(where, {spelling: value})})

            assert f"room_config.egress.{where}.{spelling}" == field
            assert (True, True, False) == (NO_CREDENTIALS in text, "on the LiveKit server" in text, "hunter2" in text)


def test_credentials_in_a_message_are_refused() -> None:
    """Credentials in LiveKit's own message are refused too."""
    message = RoomConfiguration()
    message.egress.room.file_outputs.add().s3.secret = "hunter2"

    field, text = refused(message)

    assert ("room_config.egress.room.file_outputs[0].s3.secret", False) == (field, "hunter2" in text)


@pytest.mark.parametrize("url", ["http://user:hunter2@proxy.example", "https://hunter2@proxy.example:8080/"])
def test_credentials_in_an_address_are_refused(url: str) -> None:
    """A user name or password inside an address is as readable as any other."""
    field, text = refused({"egress": {"room": {"file_outputs": [{"s3": {"proxy": {"url": url}}}]}}})

    assert "room_config.egress.room.file_outputs[0].s3.proxy.url" == field
    assert (True, False) == (NO_CREDENTIALS in text, "hunter2" in text)


@pytest.mark.parametrize("value", ["", None, [], {}])
def test_empty_credentials_are_no_credentials(value: Any) -> None:
    """A field for credentials with nothing in it is what protobuf's JSON with defaults looks like."""
    assert {"egress": {"tracks": {"secret": value}}} == claim({"egress": {"tracks": {"secret": value}}})


def egress_fields(message: Any, seen: Iterable[str] = ()) -> set[str]:
    """The names of all fields that can be in a message, at any depth."""
    names: set[str] = set()
    for field in message.fields:
        names.add(field.name)
        if field.message_type is not None and field.message_type.full_name not in seen:
            names |= egress_fields(field.message_type, {*seen, message.full_name})
    return names


def test_no_field_for_credentials_is_forgotten() -> None:
    """Every field of LiveKit's egress whose name smells of credentials is refused, so that a new one is noticed."""
    suspicious = ("secret", "password", "token", "credential", "signing", "private", "auth", "external_id")
    names = egress_fields(RoomConfiguration.DESCRIPTOR.fields_by_name["egress"].message_type)
    secret = {name for name in names if any(word in name for word in suspicious) or name.endswith("_key")}
    # Names a key pair, as a user name names a password; of no use alone.
    secret.discard("access_key")

    assert {"secret", "session_token", "assume_role_external_id", "password", "credentials", "account_key"} <= secret
    for name in secret:
        assert f"room_config.egress.{name}" == refused({"egress": {name: "hunter2"}})[0]
