"""Claims: the payload of a join token at a given moment, byte for byte and field by field."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import timedelta
from fractions import Fraction
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_voice_server._token.claims import DEFAULT_TTL, MAX_TTL, MIN_TTL, lifetime, payload
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import AgentDispatch, ParticipantGrants, ParticipantInfo

HEAD = '{"iss":"APIexample","nbf":'
NOW = 1_800_000_000.9
START = 1_800_000_000
JOIN = {"roomJoin": True, "canPublish": True, "canSubscribe": True, "canPublishData": True, "room": "lobby"}


class Label(str):
    """A text that is no plain str, so that nothing can take it at one look."""

    __slots__ = ()


class Role(str, enum.Enum):
    """A text that introduces itself by another name."""

    HOST = "host"


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


def refused(check: Callable[..., object], *args: Any, **keywords: Any) -> tuple[str, str]:
    """The field and the text of the error that a check raises."""
    with pytest.raises(InvalidArgument) as caught:
        check(*args, **keywords)
    return caught.value.field, str(caught.value)


# The whole.


def test_least_token_byte_for_byte() -> None:
    """Who joins which room, for 15 minutes from now: all that the simplest token says."""
    expected = (
        b'{"iss":"APIexample","nbf":1800000000,"exp":1800000900,"sub":"user-42",'
        b'"video":{"roomJoin":true,"canPublish":true,"canSubscribe":true,"canPublishData":true,"room":"lobby"}}'
    )

    assert expected == written()


def test_fullest_token() -> None:
    """Everything that a token may say, each in its claim."""
    expected = {
        "iss": "APIexample",
        "nbf": START,
        "exp": START + 3600,
        "sub": "user-42",
        "name": "Ada",
        "metadata": '{"plan": "pro"}',
        "attributes": {"role": "host"},
        "video": {
            "roomJoin": True,
            "canPublish": True,
            "canSubscribe": False,
            "canPublishData": False,
            "canPublishSources": ["microphone"],
            "canUpdateOwnMetadata": True,
            "canSubscribeMetrics": True,
            "canManageAgentSession": True,
            "hidden": True,
            "room": "lobby",
        },
        "roomConfig": {
            "agents": [{"agentName": "greeter"}, {"agentName": "scribe", "metadata": "notes"}],
            "emptyTimeout": 30,
        },
    }

    assert expected == claims(
        name="Ada",
        metadata='{"plan": "pro"}',
        attributes={"role": "host"},
        agent_name="greeter",
        agents=[AgentDispatch("scribe", "notes")],
        room_config={"empty_timeout": 30},
        ttl=3600,
        grants=ParticipantGrants(
            can_subscribe=False,
            can_publish_data=False,
            can_publish_sources=("microphone",),
            can_update_own_metadata=True,
            can_subscribe_metrics=True,
            can_manage_agent_session=True,
            hidden=True,
        ),
    )


def test_what_is_not_said_is_left_out() -> None:
    """None and empty texts leave no claim behind; empty attributes stay, as they do in livekit-api."""
    bare = claims()

    assert bare == claims(name="", metadata="", agent_name="", agents=[], grants=ParticipantGrants())
    assert {**bare, "attributes": {}} == claims(attributes={})


# Time.


def test_token_is_valid_from_now() -> None:
    """`nbf` is this very second, neither zero nor backdated: LiveKit Cloud revokes by it."""
    for now in (0.0, 0.999, 1_800_000_000, 1_800_000_000.999_999, 4_000_000_000.5):
        assert int(now) == claims(now=now)["nbf"]


TTLS = [
    (60, 60),
    (60.0, 60),
    (86_400, 86_400),
    (timedelta(hours=24), 86_400),
    (timedelta(minutes=15), 900),
    (90.05, 90),
]


def test_ttl_is_a_timedelta_or_seconds() -> None:
    """`exp` is `ttl` after now, down to the second that has begun by then."""
    for ttl, seconds in [*TTLS, (90.1, 91), (timedelta(seconds=90, microseconds=100_000), 91)]:
        assert START + seconds == claims(ttl=ttl)["exp"]


def test_ttl_is_15_minutes_by_default() -> None:
    """Without `ttl` a token can be used for 15 minutes; the same, given by hand, is the same."""
    assert (timedelta(minutes=15), START + 900) == (DEFAULT_TTL, claims()["exp"])
    assert written() == written(ttl=900) == written(ttl=timedelta(minutes=15)) == written(ttl=timedelta(seconds=900))


BAD_TTLS = [0, -1, 59, 59.999, -900, 86_400.001, 86_401, 10**400, -(10**400), float("nan"), float("inf"), float("-inf")]


def test_ttl_out_of_range_is_refused() -> None:
    """Less than a minute, more than a day, infinite and no number at all are refused with the range."""
    for ttl in BAD_TTLS:
        field, text = refused(written, ttl=ttl)

        assert ("ttl", True) == (field, "1 minute to 24 hours" in text)


def test_timedelta_out_of_range_is_refused() -> None:
    """A timedelta has the same range."""
    for ttl in [timedelta(0), timedelta(seconds=59.9), timedelta(days=1, microseconds=1), timedelta.max, timedelta.min]:
        assert "ttl" == refused(written, ttl=ttl)[0]


def test_ttl_of_another_type_is_refused() -> None:
    """A bool is no number of seconds, nor is anything else."""
    for ttl in [True, False, None, "900", b"9", 900j, Fraction(900), [900], object()]:
        expected = f"ttl must be a timedelta or a number of seconds, not {type(ttl).__name__}"

        assert ("ttl", expected) == refused(written, ttl=ttl)


class Span(timedelta):
    """A timedelta of somebody else's."""


class Seconds(enum.IntEnum):
    """A number that introduces itself by a name."""

    HOUR = 3600


def test_lifetime_is_in_seconds_and_names_its_field() -> None:
    """`lifetime` serves other arguments as well, and takes subclasses of its types."""
    assert (60, 86_400) == (MIN_TTL, MAX_TTL)
    assert [90.5, 3600, 60] == [lifetime(Span(seconds=90.5)), lifetime(Seconds.HOUR), lifetime(60)]
    assert b'"exp":1800003600' in written(ttl=Seconds.HOUR)
    assert "Admission.ttl" == refused(lifetime, 5, "Admission.ttl")[0]


# Texts.

STRANGE = [
    'quo"te',
    "back\\slash",
    "</script>",
    "a\u2028b\u2029c",
    "👩‍💻",
    "שלום",
    "é" * 128,
    " inner  space ",
    "\uffff",
    "\u0301",
]


def test_strange_texts_arrive_as_they_are() -> None:
    """Whatever text is allowed comes out of the JSON as it went in, in every place."""
    for text in STRANGE:
        agent = {"agentName": text, "metadata": text, "attributes": {text: text}}
        decoded = claims(
            text,
            text,
            name=text,
            metadata=text,
            attributes={text: text},
            agent_name=text,
            agents=[AgentDispatch(text, text, "", {text: text})],
        )

        assert (text, text, text, text) == (
            decoded["sub"],
            decoded["video"]["room"],
            decoded["name"],
            decoded["metadata"],
        )
        assert {text: text} == decoded["attributes"]
        assert {"agents": [{"agentName": text}, agent]} == decoded["roomConfig"]


def test_metadata_and_attributes_may_hold_control_characters_and_json() -> None:
    """Metadata and attributes are any text: the JSON around them stays whole."""
    text = '\0\x1f\x7f\x85\n","sub":"admin"},{"a":"\\u0000"}'
    decoded = claims(metadata=text, attributes={text: text, "": ""})

    assert (text, {text: text, "": ""}, "user-42") == (decoded["metadata"], decoded["attributes"], decoded["sub"])


class SortedLast(Mapping[str, str]):
    """A mapping that is no dict."""

    def __init__(self, content: dict[str, str]) -> None:
        self._content = content

    def __getitem__(self, key: str) -> str:
        return self._content[key]

    def __iter__(self) -> Any:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


@pytest.mark.parametrize("kind", [OrderedDict, MappingProxyType, SortedLast])
def test_attributes_are_any_mapping(kind: Callable[[dict[str, str]], Mapping[str, str]]) -> None:
    """Ordered, read-only and home-made mappings give the same bytes as a dict."""
    content = {"role": "host", "ünï": "🎤"}

    assert written(attributes=content) == written(attributes=kind(content))


def test_enumeration_counts_by_its_value() -> None:
    """A member of an enumeration of texts is its value, never its name, in every place."""
    plain = written(
        "host", "host", name="host", metadata="host", attributes={"host": "host"}, agent_name="host", agents=["host"]
    )

    assert plain == written(
        Role.HOST,
        Role.HOST,
        name=Role.HOST,
        metadata=Role.HOST,
        attributes={Role.HOST: Role.HOST},
        agent_name=Role.HOST,
        agents=[Role.HOST],
    )


# The short way and the careful one.

LABELS = st.one_of(st.text(max_size=300), st.text(st.characters(codec="ascii"), max_size=120))
TEXTS = st.one_of(st.none(), st.text(max_size=20), st.text(st.characters(codec="ascii"), max_size=20))


def outcome(*args: Any, **keywords: Any) -> bytes | tuple[str, str]:
    """The payload, or the error's field and text."""
    try:
        return written(*args, **keywords)
    except InvalidArgument as error:
        return error.field, str(error)


def careful(value: Any) -> Any:
    """The same value as a type that no short cut takes."""
    if isinstance(value, str):
        return Label(value)
    if isinstance(value, dict):
        return MappingProxyType({Label(key): Label(text) for key, text in value.items()})
    return value


@settings(deadline=None, max_examples=300)
@given(LABELS, LABELS, TEXTS, TEXTS, st.none() | st.dictionaries(st.text(max_size=9), st.text(max_size=9), max_size=3))
def test_short_and_careful_way_agree(
    identity: str, room: str, name: str | None, metadata: str | None, attributes: dict[str, str] | None
) -> None:
    """Whatever the short way takes, the careful way takes with the same bytes; both refuse with the same words."""
    values = {"name": name, "metadata": metadata, "attributes": attributes}
    slowly = {key: careful(value) for key, value in values.items()}

    assert outcome(identity, room, **values) == outcome(careful(identity), careful(room), **slowly)


@pytest.mark.parametrize("size", [255, 256, 257])
def test_length_of_one_label_is_not_taken_from_another(size: int) -> None:
    """Labels are limited one by one: two of 256 bytes pass, one of 257 does not, whatever the others are."""
    label = "x" * size
    if size <= 256:
        assert label == claims(label, label, name=label)["name"]
    else:
        found = (
            refused(written, label)[0],
            refused(written, room=label)[0],
            refused(written, name=label)[0],
        )
        assert ("identity", "room_name", "name") == found


def test_metadata_limit_in_bytes() -> None:
    """512 KiB of metadata pass, as one-byte and as two-byte characters; a byte more does not."""
    for text in ("x" * 524_288, "é" * 262_144):
        assert text == claims(metadata=text)["metadata"]
        assert "metadata" == refused(written, metadata=text + "x")[0]


def test_attributes_limit_in_bytes() -> None:
    """64 KiB of keys and values pass; a byte more does not, nor does it in many small pieces."""
    fits = {"key": "x" * (65_536 - 3)}
    small = {f"{number:04}": "é" * 30 for number in range(1024)}  # 64 bytes each

    assert [fits, small] == [claims(attributes=fits)["attributes"], claims(attributes=small)["attributes"]]
    for content in (fits, small):
        assert "attributes" == refused(written, attributes={**content, "": "x"})[0]


# What is refused.

NO_TEXT: list[Any] = [5, 0, True, False, b"", b"user", ["user"], {}, object()]


def test_other_types_are_refused_by_name() -> None:
    """Only texts are texts; also what counts as false is refused and not taken for "nothing"."""
    for value in NO_TEXT:
        for field in ["identity", "room", "name", "metadata", "agent_name"]:
            name, text = refused(written, **{field: value})

            expected = "room_name" if field == "room" else field
            assert (expected, True) == (name, text.startswith(f"{expected} must be a str, not {type(value).__name__}"))


@pytest.mark.parametrize("field", ["identity", "room"])
def test_missing_identity_and_room_are_refused(field: str) -> None:
    """None and blank are refused for the identity and for the room."""
    expected = "room_name" if field == "room" else field

    assert [expected] * 5 == [refused(written, **{field: value})[0] for value in (None, "", " ", "\u00a0", Label("\t"))]


@pytest.mark.parametrize("value", ["a\n", "\0", "\x85", "\x7f", "\ud800", "x" * 257, "é" * 129])
@pytest.mark.parametrize("field", ["identity", "room", "name", "agent_name"])
def test_bad_labels_are_refused_by_name(field: str, value: str) -> None:
    """Control characters, lone surrogates and too many bytes are refused in every label."""
    expected = "room_name" if field == "room" else field

    assert [expected] * 2 == [refused(written, **{field: value})[0] for value in (value, Label(value))]


BAD_ATTRIBUTES: list[tuple[Any, str]] = [
    ([("a", "b")], "attributes"),
    (False, "attributes"),
    ("", "attributes"),
    ({5: "a"}, "attributes"),
    ({None: "a"}, "attributes"),
    ({"a": 5}, "attributes['a']"),
    ({"a": None}, "attributes['a']"),
    ({"a": True}, "attributes['a']"),
    ({"a": b"b"}, "attributes['a']"),
    ({"a": {"b": "c"}}, "attributes['a']"),
    ({"a": "\ud800"}, "attributes['a']"),
    ({"\ud800": "a"}, "attributes"),
    (MappingProxyType({"a": 5}), "attributes['a']"),
    (OrderedDict({"a": "\ud800"}), "attributes['a']"),
]


def test_bad_attributes_are_refused_with_their_key() -> None:
    """Attributes of any other shape would make LiveKit refuse the whole token."""
    for value, field in BAD_ATTRIBUTES:
        assert field == refused(written, attributes=value)[0]


@pytest.mark.parametrize("value", ["\ud800", "a" * 5000 + "\udfff", "🎤\udc00"])
def test_lone_surrogate_in_metadata_is_refused(value: str) -> None:
    """A lone surrogate in the metadata is refused, also in long ones."""
    assert "metadata" == refused(written, metadata=value)[0]


def test_what_is_no_participant_is_refused_with_the_way_out() -> None:
    """Something else in the participant's place is refused with its type and how to write it."""
    for participant in [None, "user-42", 5, {"identity": "user-42"}, object()]:
        found = refused(payload, HEAD, NOW, participant, "lobby", None, DEFAULT_TTL, None, (), None)

        expected = f"participant must be a ParticipantInfo, not {type(participant).__name__}: write ParticipantInfo(identity=...)"
        assert ("participant", expected) == found


def test_participant_of_0_1_0_shape_is_taken() -> None:
    """What has the four attributes of a participant is one, as in 0.1.0."""
    alike: Any = SimpleNamespace(identity="user-42", name=None, metadata=None, attributes=None)

    assert written() == payload(HEAD, NOW, alike, "lobby", None, DEFAULT_TTL, None, (), None)


def test_grants_of_another_type_are_refused() -> None:
    """Grants are a ParticipantGrants and nothing else: a mapping could name a server's powers."""
    for grants in [{}, (), True, "all", {"can_publish": False}, ParticipantGrants, object()]:
        expected = f"grants must be a ParticipantGrants, not {type(grants).__name__}"

        assert ("grants", expected) == refused(written, grants=grants)


# Grants.

BOOLS = ("can_update_own_metadata", "can_subscribe_metrics", "can_manage_agent_session", "hidden")


def test_grant_that_must_be_asked_for_is_only_said_when_it_is() -> None:
    """What LiveKit denies by default is in the token when granted, and absent otherwise."""
    for name in BOOLS:
        first, *rest = name.split("_")
        camel = first + "".join(part.title() for part in rest)

        assert {**JOIN, camel: True} == claims(grants=ParticipantGrants(**{name: True}))["video"]  # type: ignore[arg-type]
        assert JOIN == claims(grants=ParticipantGrants(**{name: False}))["video"]  # type: ignore[arg-type]


def test_data_follows_publish_unless_it_is_said() -> None:
    """Whether data may be sent follows whether audio and video may, which is the LiveKit server's own rule."""
    for publish, data, expected in [
        (True, None, True),
        (True, True, True),
        (True, False, False),
        (False, None, False),
        (False, True, True),
    ]:
        video = claims(grants=ParticipantGrants(can_publish=publish, can_publish_data=data))["video"]

        assert {**JOIN, "canPublish": publish, "canPublishData": expected} == video


def test_publish_sources_are_written_in_their_order() -> None:
    """Publish sources are in the token as given; none means all and is left out."""
    sources = ("screen_share_audio", "camera", "microphone", "screen_share")

    assert list(sources) == claims(grants=ParticipantGrants(can_publish_sources=sources))["video"]["canPublishSources"]
    assert JOIN == claims(grants=ParticipantGrants(can_publish_sources=()))["video"]


def test_a_token_never_says_more_than_a_participant_may() -> None:
    """No claim and no grant of a server's is ever there, whatever is granted to a participant."""
    everything = claims(
        grants=ParticipantGrants(True, True, True, ("camera",), True, True, True, True),
        room_config={"name": "x"},
        attributes={"roomAdmin": "true"},
    )

    assert {"iss", "nbf", "exp", "sub", "video", "attributes", "roomConfig"} == set(everything)
    assert {
        *JOIN,
        "canPublishSources",
        "canUpdateOwnMetadata",
        "canSubscribeMetrics",
        "canManageAgentSession",
        "hidden",
    } == set(everything["video"])


# Agents.


def test_no_agent_is_no_room_config() -> None:
    """Without an agent nothing is said of the room, so that LiveKit's own dispatch rules apply."""
    for name in (None, ""):
        assert {"roomConfig"}.isdisjoint(claims(agent_name=name))
        assert {"roomConfig"}.isdisjoint(claims(agent_name=name, agents=[]))


def test_agent_by_name() -> None:
    """`agent_name` sends for that agent."""
    assert {"agents": [{"agentName": "greeter"}]} == claims(agent_name="greeter")["roomConfig"]


@pytest.mark.parametrize("agents", [(), [], ["scribe"]], ids=["none", "empty", "one"])
def test_agent_by_name_and_a_room_config(agents: list[str]) -> None:
    """`agent_name` and a room config go together, with other agents and without."""
    expected = {"agents": [{"agentName": name} for name in ("greeter", *agents)], "metadata": "m"}

    assert expected == claims(agent_name="greeter", agents=agents, room_config={"metadata": "m"})["roomConfig"]


@pytest.mark.parametrize("name", [" ", "\u00a0", "\u2003 \u3000"])
def test_name_may_be_blank(name: str) -> None:
    """A name of blanks is only what is shown: it is written as it is."""
    assert name == claims(name=name)["name"]


def test_every_visible_beginning_is_fine() -> None:
    """A label may begin with any visible character, or a space before one, in each place."""
    for text in ["!", "!first", '"', '"#', "\\", " x", "#", "~", "$"]:
        decoded = claims(text, text, name=text, agent_name=text)

        assert [text] * 4 == [
            decoded["sub"],
            decoded["video"]["room"],
            decoded["name"],
            decoded["roomConfig"]["agents"][0]["agentName"],
        ]


def test_agents_are_asked_for_once() -> None:
    """A generator of agents is read once, to its end."""
    agents = (name for name in ("one", "two"))

    assert {"agents": [{"agentName": "one"}, {"agentName": "two"}]} == claims(agents=agents)["roomConfig"]
    assert [] == list(agents)


def test_error_in_a_generator_of_agents_goes_through() -> None:
    """What the caller's own generator raises is the caller's."""

    def agents() -> Any:
        yield "one"
        raise LookupError("the caller's")

    with pytest.raises(LookupError, match="the caller's"):
        written(agents=agents())


def test_blank_agent_name_is_refused() -> None:
    """A blank name would dispatch an agent that no worker can be."""
    assert ["agent_name", "agents[0]", "agent_name", "room_config.agents[0].agent_name"] == [
        refused(written, agent_name=" ")[0],
        refused(written, agents=[" "])[0],
        refused(AgentDispatch, " ")[0],
        refused(written, room_config={"agents": [{"agent_name": " "}]})[0],
    ]


def test_agents_error_names_the_place() -> None:
    """A mistake in one of several agents is named with its index."""
    assert "agents[2]" == refused(written, agent_name="good", agents=["good", "good", "bad\n"])[0]
