"""Participants, grants and dispatches: values that are checked when they are created."""

from __future__ import annotations

import copy
import dataclasses
import enum
import pickle
from collections import OrderedDict
from types import MappingProxyType
from typing import Any

import pytest

from moss_voice_server.grants import PUBLISH_SOURCES, AgentDispatch, ParticipantGrants, ParticipantInfo
from tests.support.errors import refused

VALUES: list[Any] = [
    ParticipantInfo("user-42", "Ada", "m"),
    ParticipantGrants(can_publish=False, can_publish_sources=("camera",)),
    AgentDispatch("greeter", "m", "blue", {"a": "b"}),
]


class Word(str, enum.Enum):
    """Texts whose `str()` is another text."""

    CAMERA = "camera"
    AGENT = "greeter"


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_values_are_values(value: Any) -> None:
    """They are frozen, compare and hash by their content, can be copied, replaced and pickled, and name their fields."""
    fields = [field.name for field in dataclasses.fields(value)]
    changes: list[tuple[Any, ...]] = [(setattr, fields[0], "x"), (setattr, "other", "x"), (delattr, fields[0])]
    for change, *arguments in changes:
        with pytest.raises(dataclasses.FrozenInstanceError):
            change(value, *arguments)
    copies = [copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value)), dataclasses.replace(value)]
    copies.append(type(value)(**{name: getattr(value, name) for name in fields}))

    assert [value] * 5 == copies
    assert {value} == {*copies}
    assert all(f"{name}=" in repr(value) for name in fields)


def test_participant_is_the_dataclass_of_0_1_0() -> None:
    """A participant reads, compares, prints, unpacks and matches as in 0.1.0."""
    ada = ParticipantInfo("user-42", "Ada", None, {"role": "host"})

    assert "ParticipantInfo(identity='user-42', name='Ada', metadata=None, attributes={'role': 'host'})" == repr(ada)
    said = {"identity": "user-42", "name": "Ada", "metadata": None, "attributes": {"role": "host"}}
    assert said == dataclasses.asdict(ada)
    assert tuple(said) == ParticipantInfo.__match_args__
    assert ("user-7", "Ada") == (dataclasses.replace(ada, identity="user-7").identity, ada.name)
    assert [True, False] == [ada == dataclasses.replace(ada), ada == ParticipantInfo("user-42")]
    match ada:
        case ParticipantInfo(identity, name):
            assert ("user-42", "Ada") == (identity, name)
    # Creating a participant never fails: a bad value is an error when a token is created.
    assert (5, 5, 5, 5) == dataclasses.astuple(ParticipantInfo(*[5] * 4))  # type: ignore[arg-type]


BOOLS = [each.name for each in dataclasses.fields(ParticipantGrants) if isinstance(each.default, bool)]


def test_grants_are_booleans() -> None:
    """Each grant is True or False; None is allowed for data only, and means "as can_publish"."""
    for name in [*BOOLS, "can_publish_data"]:
        for value in [1, 0, "true", "", (), 1.0, object(), *([] if name == "can_publish_data" else [None])]:
            expected = f"{name} must be True or False, not {type(value).__name__}"
            assert (name, expected) == refused(ParticipantGrants, **{name: value})
    assert ParticipantGrants(can_publish_data=None).can_publish_data is None
    with pytest.raises(TypeError, match="room_admin"):
        ParticipantGrants(room_admin=True)  # type: ignore[call-arg]  # a server's grant


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


def test_bad_sources_are_refused() -> None:
    """A source that LiveKit does not know, or spells otherwise, would silently grant nothing; one name is no list."""
    source: Any
    for source in ["Camera", " camera", "", "screen-share", None, 5, b"camera", ["camera"], {}]:
        field, text = refused(ParticipantGrants, can_publish_sources=("camera", source))
        ending = "use camera, microphone, screen_share, screen_share_audio"
        assert ("can_publish_sources", True) == (field, text.endswith(ending))
    for sources in ["camera", None, {"camera": True}, iter(["camera"]), 5]:
        field, text = refused(ParticipantGrants, can_publish_sources=sources)
        assert ("can_publish_sources", True) == (field, "('microphone',)" in text)


def test_agent_names() -> None:
    """Any label is an agent's name; the empty one means the workers without a name."""
    for name in ["", "greeter", "🎤" * 64, 'quo"te\\', Word.AGENT]:
        assert name == AgentDispatch(name).agent_name


@pytest.mark.parametrize("kind", [dict, OrderedDict, MappingProxyType])
def test_dispatch_copies_attributes(kind: Any) -> None:
    """What was checked is what will be signed: a mapping that changes afterwards changes nothing."""
    source = {"a": "b"}
    agent = AgentDispatch("greeter", attributes=kind(source))
    source["c"] = "\ud800"

    assert ({"a": "b"}, dict) == (agent.attributes, type(agent.attributes))


BAD_DISPATCHES: list[tuple[dict[str, Any], str]] = [
    *(({"agent_name": value}, "agent_name") for value in (None, 5, b"greeter", "a\n", "\ud800", "x" * 257)),
    *(({"metadata": value}, "metadata") for value in (None, {"a": 1}, b"m", "\ud800", "x" * (512 * 1024 + 1))),
    *(({"deployment": value}, "deployment") for value in (None, "a_b", "x" * 65)),
    *(({"attributes": value}, "attributes") for value in (None, [("a", "b")], {5: "a"}, {"a": "x" * 65_536})),
    *(({"attributes": {"a": value}}, "attributes['a']") for value in (5, "\ud800")),
]


def test_bad_dispatch_is_rejected() -> None:
    """The error has the field that LiveKit would reject."""
    for given, field in BAD_DISPATCHES:
        name, text = refused(AgentDispatch, **{"agent_name": "greeter", **given})
        assert (field, True) == (name, text.startswith(field))
