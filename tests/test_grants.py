"""Grants: who joins, what they may do and which agents are dispatched; checked when made, fixed from then on."""

from __future__ import annotations

import copy
import dataclasses
import enum
import inspect
import pickle
from collections import OrderedDict
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import pytest

from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import PUBLISH_SOURCES, AgentDispatch, ParticipantGrants, ParticipantInfo

VALUES: list[Any] = [
    ParticipantInfo("user-42", "Ada", "m"),
    ParticipantGrants(can_publish=False, can_publish_sources=("camera",)),
    AgentDispatch("greeter", "m", "blue", {"a": "b"}),
]


def refused(make: Callable[..., object], *args: Any, **keywords: Any) -> tuple[str, str]:
    """The field and the text of the error."""
    with pytest.raises(InvalidArgument) as caught:
        make(*args, **keywords)
    return caught.value.field, str(caught.value)


class Word(str, enum.Enum):
    """Texts that introduce themselves by other names."""

    CAMERA = "camera"
    AGENT = "greeter"


# What all three have in common.

SIGNATURES: dict[type, dict[str, Any]] = {
    ParticipantInfo: {"identity": inspect.Parameter.empty, "name": None, "metadata": None, "attributes": None},
    ParticipantGrants: {
        "can_publish": True,
        "can_subscribe": True,
        "can_publish_data": None,
        "can_publish_sources": (),
        "can_update_own_metadata": False,
        "can_subscribe_metrics": False,
        "can_manage_agent_session": False,
        "hidden": False,
    },
}


@pytest.mark.parametrize(("kind", "expected"), SIGNATURES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_fields_positions_and_defaults(kind: type, expected: dict[str, Any]) -> None:
    """Each field can be given by position or by name, with the documented defaults."""
    parameters = inspect.signature(kind).parameters

    assert expected == {name: each.default for name, each in parameters.items()}
    assert {inspect.Parameter.POSITIONAL_OR_KEYWORD} == {each.kind for each in parameters.values()}
    assert [*expected] == [field.name for field in dataclasses.fields(kind)]


def test_fields_of_a_dispatch() -> None:
    """A dispatch has a name and three more fields, by position or by name; each has its own attributes."""
    bare = AgentDispatch("greeter")
    full = AgentDispatch("greeter", "m", "blue", {"a": "b"})

    assert ("greeter", "", "", {}) == dataclasses.astuple(bare)
    assert full == AgentDispatch(agent_name="greeter", metadata="m", deployment="blue", attributes={"a": "b"})
    assert bare.attributes is not AgentDispatch("greeter").attributes


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_cannot_be_changed(value: Any) -> None:
    """They are frozen: neither a field nor a new attribute can be set, nor a field removed."""
    first = dataclasses.fields(value)[0].name

    for name in (first, "other"):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, name, "x")
    with pytest.raises(dataclasses.FrozenInstanceError):
        delattr(value, first)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_are_values(value: Any) -> None:
    """They compare and hash by their content, can be copied, replaced and pickled, and name their fields."""
    copies = [copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value)), dataclasses.replace(value)]

    assert [value] * 4 == copies
    assert {value} == {*copies}
    assert value == type(value)(**{field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    assert all(f"{field.name}=" in repr(value) for field in dataclasses.fields(value))


# Who joins.


def test_participant_is_the_dataclass_of_0_1_0() -> None:
    """A participant reads, compares, prints, unpacks and matches as in 0.1.0."""
    ada = ParticipantInfo("user-42", "Ada", None, {"role": "host"})

    assert "ParticipantInfo(identity='user-42', name='Ada', metadata=None, attributes={'role': 'host'})" == repr(ada)
    assert {
        "identity": "user-42",
        "name": "Ada",
        "metadata": None,
        "attributes": {"role": "host"},
    } == dataclasses.asdict(ada)
    assert ("identity", "name", "metadata", "attributes") == ParticipantInfo.__match_args__
    assert ("user-7", "Ada") == (dataclasses.replace(ada, identity="user-7").identity, ada.name)
    assert [True, False] == [ada == dataclasses.replace(ada), ada == ParticipantInfo("user-42")]
    match ada:
        case ParticipantInfo(identity, name):
            assert ("user-42", "Ada") == (identity, name)


def test_participant_needs_an_identity() -> None:
    """Without an identity Python itself says what is missing."""
    with pytest.raises(TypeError, match="identity"):
        ParticipantInfo()  # type: ignore[call-arg]  # that is what is tested


def test_participant_is_checked_when_a_token_is_made() -> None:
    """Making a participant never fails, as in 0.1.0: whatever is wrong is an error when it is signed."""
    odd: Any = 5

    assert (odd, odd, odd, odd) == dataclasses.astuple(ParticipantInfo(odd, odd, odd, odd))


def test_participant_can_be_extended() -> None:
    """An application's own dataclass may be a participant with more fields."""

    @dataclasses.dataclass(frozen=True)
    class Guest(ParticipantInfo):
        """A participant with a seat."""

        seat: int = 0

    guest = Guest("user-42", seat=7)

    assert ("user-42", None, 7) == (guest.identity, guest.name, guest.seat)
    assert isinstance(guest, ParticipantInfo)


# What they may do.

BOOLS = [name for name, default in SIGNATURES[ParticipantGrants].items() if isinstance(default, bool)]


def test_grant_that_is_no_bool_is_refused() -> None:
    """A grant is True or False: LiveKit would refuse a token with anything else."""
    for name in [*BOOLS, "can_publish_data"]:
        for value in [1, 0, "true", "", (), 1.0, object()]:
            expected = f"{name} must be True or False, not {type(value).__name__}"

            assert (name, expected) == refused(ParticipantGrants, **{name: value})


def test_only_data_can_be_left_open() -> None:
    """None means "as can_publish" for data, and nothing for the others."""
    for name in BOOLS:
        assert name == refused(ParticipantGrants, **{name: None})[0]
        assert ParticipantGrants(can_publish_data=None).can_publish_data is None


SERVER_POWERS = ["room_admin", "room_create", "room_list", "room_record", "ingress_admin", "recorder", "agent", "kind"]


def test_powers_of_a_server_cannot_be_given() -> None:
    """What only a server may do has no name here."""
    for name in [*SERVER_POWERS, "room", "room_join", "destination_room"]:
        with pytest.raises(TypeError, match=name):
            ParticipantGrants(**{name: True})  # type: ignore[arg-type]  # mypy refuses it as well


def test_sources_are_those_of_livekit() -> None:
    """The four sources are spelled as LiveKit's server compares them."""
    assert ("camera", "microphone", "screen_share", "screen_share_audio") == PUBLISH_SOURCES


def test_sources_become_a_tuple() -> None:
    """A list or a set of sources is as good as a tuple; a set is put in LiveKit's order, so that tokens are alike."""
    given: Any
    for given, expected in [
        ((), ()),
        ([], ()),
        (["microphone", "camera"], ("microphone", "camera")),
        (("camera", "camera"), ("camera", "camera")),
        ({"screen_share_audio", "camera"}, ("camera", "screen_share_audio")),
        (frozenset(PUBLISH_SOURCES), PUBLISH_SOURCES),
        ((Word.CAMERA,), ("camera",)),
    ]:
        grants = ParticipantGrants(can_publish_sources=given)

        assert (expected, tuple) == (grants.can_publish_sources, type(grants.can_publish_sources))
        assert grants == ParticipantGrants(can_publish_sources=expected)
        assert hash(grants) == hash(ParticipantGrants(can_publish_sources=expected))


BAD_SOURCES: list[Any] = [
    "Camera",
    "CAMERA",
    " camera",
    "",
    "unknown",
    "screen-share",
    "video",
    None,
    5,
    b"camera",
    ["camera"],
    {},
]


def test_unknown_source_is_refused() -> None:
    """A source that LiveKit does not know, or spells otherwise, would silently grant nothing."""
    for source in BAD_SOURCES:
        field, text = refused(ParticipantGrants, can_publish_sources=("camera", source))

        assert ("can_publish_sources", True) == (
            field,
            text.endswith("use camera, microphone, screen_share, screen_share_audio"),
        )


def test_sources_that_are_no_list_are_refused() -> None:
    """One name, a mapping or an iterator is no list of sources."""
    for sources in ["camera", None, {"camera": True}, iter(["camera"]), 5, b"camera", object()]:
        field, text = refused(ParticipantGrants, can_publish_sources=sources)

        assert ("can_publish_sources", True) == (field, "('microphone',)" in text)


def test_sources_are_fixed_when_given() -> None:
    """A list that changes afterwards changes nothing."""
    sources = ["camera"]
    grants = ParticipantGrants(can_publish_sources=sources)  # type: ignore[arg-type]  # lists are taken too
    sources.append("microphone")

    assert ("camera",) == grants.can_publish_sources


# Which agents.


def test_agent_names() -> None:
    """Any label is an agent's name; the empty one means the workers without a name."""
    for name in ["", "greeter", "🎤" * 64, 'quo"te\\', Word.AGENT]:
        assert name == AgentDispatch(name).agent_name


@pytest.mark.parametrize("kind", [dict, OrderedDict, MappingProxyType])
def test_dispatch_has_its_own_attributes(kind: Any) -> None:
    """What was checked is what will be signed: a mapping that changes afterwards changes nothing."""
    source = {"a": "b"}
    agent = AgentDispatch("greeter", attributes=kind(source))
    source["c"] = "\ud800"

    assert ({"a": "b"}, dict) == (agent.attributes, type(agent.attributes))


def test_dispatch_takes_any_text_as_metadata() -> None:
    """Metadata and attributes may hold control characters, look like JSON, and be as large as LiveKit's limits."""
    agent = AgentDispatch("greeter", "\0\n" + "x" * (512 * 1024 - 2), "v2-canary", {"\n": '{"a": 1}', "": ""})

    assert ("\0\n", {"\n": '{"a": 1}', "": ""}) == (agent.metadata[:2], agent.attributes)


BAD_DISPATCHES: list[tuple[dict[str, Any], str]] = [
    ({"agent_name": None}, "agent_name"),
    ({"agent_name": 5}, "agent_name"),
    ({"agent_name": b"greeter"}, "agent_name"),
    ({"agent_name": "a\n"}, "agent_name"),
    ({"agent_name": "a\x85"}, "agent_name"),
    ({"agent_name": "\ud800"}, "agent_name"),
    ({"agent_name": "x" * 257}, "agent_name"),
    ({"agent_name": "é" * 129}, "agent_name"),
    ({"metadata": None}, "metadata"),
    ({"metadata": {"a": 1}}, "metadata"),
    ({"metadata": b"m"}, "metadata"),
    ({"metadata": "\ud800"}, "metadata"),
    ({"metadata": "x" * (512 * 1024 + 1)}, "metadata"),
    ({"deployment": None}, "deployment"),
    ({"deployment": "a_b"}, "deployment"),
    ({"deployment": "a b"}, "deployment"),
    ({"deployment": "x" * 65}, "deployment"),
    ({"attributes": None}, "attributes"),
    ({"attributes": [("a", "b")]}, "attributes"),
    ({"attributes": {"a": 5}}, "attributes['a']"),
    ({"attributes": {5: "a"}}, "attributes"),
    ({"attributes": {"a": "\ud800"}}, "attributes['a']"),
    ({"attributes": {"a": "x" * 65_536}}, "attributes"),
]


def test_bad_dispatch_is_refused_with_the_field() -> None:
    """What LiveKit would refuse or skip is refused at once"""
    for given, field in BAD_DISPATCHES:
        name, text = refused(AgentDispatch, **{"agent_name": "greeter", **given})

        assert (field, True) == (name, text.startswith(field))
