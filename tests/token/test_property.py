"""Accepted requests are signed unchanged: any request, in unusual types, with or without a mistake.

Each text may be a subclass, a member of an enumeration or a proxy; each mapping a proxy or a mapping of another kind.
A run tries 200 requests; CI tries 20,000 in a step of its own.
"""

from __future__ import annotations

import enum
import itertools
import json
import os
from collections import ChainMap, OrderedDict, UserDict, defaultdict
from collections.abc import Callable, Iterator, Mapping
from random import Random
from types import MappingProxyType
from typing import Any

import pytest
from django.utils import datastructures, functional
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from livekit.api import TokenVerifier
from werkzeug.local import LocalProxy

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import AgentDispatch, ApiGrants, ParticipantGrants
from moss_voice_server.identity import TenantRooms, identity_from_sub
from moss_voice_server.testing import FakeMoss, assert_token
from tests.support.token_requests import REQUESTS, SERVER, Request, theirs
from tests.support.tokens import API_KEY, API_SECRET, URL, claims, untimed

pytestmark = pytest.mark.once

EXAMPLES = int(os.environ.get("PROPERTY_EXAMPLES", "200"))
CROSSINGS = 8  # requests of each pair that Hypothesis makes
VERIFIER = TokenVerifier(API_KEY, API_SECRET)


# Django has no types.
SimpleLazyObject: Any = functional.SimpleLazyObject
MultiValueDict: Any = datastructures.MultiValueDict


class Label(str):
    """A subclass that answers wrongly to everything a check may ask."""

    def __len__(self) -> int:
        return 1

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return "other"

    def isascii(self) -> bool:
        """A lie, as the others."""
        return True

    def strip(self, *_args: Any) -> str:
        return "other"

    def encode(self, *_args: Any) -> bytes:
        return b"other"


class Member(str, enum.Enum):
    """An enumeration of texts."""


def enumerated(value: str) -> str:
    """A member of an enumeration; `str()` of it is another text. To make a class for each text is slow."""
    member = str.__new__(Member, value)
    member._name_, member._value_ = "ONE", value
    return member


TEXT_TYPES: list[Callable[[str], Any]] = [
    str,
    Label,
    enumerated,
    lambda value: LocalProxy(lambda: value),
    lambda value: SimpleLazyObject(lambda: value),
    lambda value: LocalProxy(lambda: enumerated(value)),
    lambda value: SimpleLazyObject(lambda: LocalProxy(lambda: Label(value))),
]
MAPPING_TYPES: list[Callable[[dict[Any, Any]], Any]] = [
    dict,
    OrderedDict,
    MappingProxyType,
    UserDict,
    lambda value: ChainMap({}, value),
    lambda value: defaultdict(str, value),
    lambda value: LocalProxy(lambda: value),
    lambda value: SimpleLazyObject(lambda: value),
    lambda value: MultiValueDict({key: [item] for key, item in value.items()}),
]
NUMBER_TYPES: list[Callable[[int], Any]] = [int, lambda value: LocalProxy(lambda: value)]
# What takes the place of one text: `None` where nothing does.
MISTAKES: list[Any] = ["\ud800", "a\n", "\x7f", "\x1b[31m", "", " ", "x" * 257]
MISTAKES += [None, 5, b"a", ["a"], {"a": 1}, LocalProxy(lambda: 5)]


class Odd:
    """Turns plain values into random odd types, and one text into a mistake."""

    def __init__(self, random: Random, mistake_at: int | None) -> None:
        self._choose = random.choice
        self._left = mistake_at

    def __call__(self, value: Any) -> Any:
        """The value in another type."""
        if isinstance(value, str):
            if self._left is not None:
                self._left -= 1
                if self._left == -1:
                    return self._choose(MISTAKES)
            return self._choose(TEXT_TYPES)(value)
        if isinstance(value, Mapping):
            keys = value if self._left is not None else map(self, value)
            return self._choose(MAPPING_TYPES)(dict(zip(keys, map(self, value.values()), strict=True)))
        if isinstance(value, list):
            return [self(item) for item in value]
        if isinstance(value, int) and not isinstance(value, bool):
            return self._choose(NUMBER_TYPES)(value)
        return value

    def mint(self, request: Request) -> str:
        """A token for the request in odd types."""
        who = request.participant
        agents = [
            self(each)
            if isinstance(each, str)
            else AgentDispatch(self(each.agent_name), self(each.metadata), self(each.deployment), self(each.attributes))
            for each in request.agents
        ]
        return SERVER.create_participant_token(
            ParticipantInfo(self(who.identity), self(who.name), self(who.metadata), self(who.attributes)),
            self(request.room),
            self(request.agent_name),
            ttl=self(request.seconds),
            grants=request.grants,
            agents=agents,
            room_config=self(request.room_config),
        )


def crossings(parents: tuple[Request, Request], random: Random) -> Iterator[Request]:
    """Requests of which each argument comes from one of two: to make another is slow, and to combine them is not."""
    for _ in range(CROSSINGS):
        yield Request._make(map(random.choice, zip(*parents, strict=True)))


@settings(
    deadline=None,
    max_examples=EXAMPLES // CROSSINGS,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(st.tuples(REQUESTS, REQUESTS), st.integers(0, 2**32))
def test_accepted_requests_are_signed_unchanged(parents: tuple[Request, Request], seed: int) -> None:
    """A good request of any types makes livekit-api's claims; a bad one is rejected with its field."""
    random = Random(seed)
    for request in crossings(parents, random):
        expected = untimed(theirs(request))
        for mistake_at in (None, random.randint(0, 12)):
            token = field = text = ""
            try:
                token = Odd(random, mistake_at).mint(request)
            except InvalidArgument as error:
                field, text = error.field, str(error)
            if not token:
                assert field
                assert text.isprintable()
                assert mistake_at is not None
                continue
            verified = VERIFIER.verify(token)
            assert verified.video is not None
            assert claims(token)["exp"] - claims(token)["nbf"] == request.seconds
            if mistake_at is None:
                assert untimed(token) == expected
                assert (verified.identity, verified.video.room) == (request.participant.identity, request.room)


# The witnesses, by name.

GOLD = [LocalProxy(lambda: "gold"), SimpleLazyObject(lambda: "gold"), Label("gold"), enumerated("gold")]


def test_proxies_are_signed_as_their_text() -> None:
    """In every place that a text can have."""
    for gold in GOLD:
        token = SERVER.create_participant_token(
            ParticipantInfo(gold, gold, gold, {gold: gold, "plan": gold}),
            gold,
            gold,
            agents=[gold, AgentDispatch(gold, gold, gold, {gold: gold})],
            room_config={"metadata": gold, "tags": {gold: gold}, "egress": {"room": {"layout": gold}}},
            grants=ParticipantGrants(can_publish_sources=(LocalProxy(lambda: "camera"),)),  # type: ignore[arg-type]
        )
        said = claims(token)

        assert [said["sub"], said["name"], said["metadata"], said["video"]["room"]] == ["gold"] * 4
        assert said["attributes"] == {"gold": "gold", "plan": "gold"}
        assert said["video"]["canPublishSources"] == ["camera"]
        assert said["roomConfig"] == {
            "metadata": "gold",
            "tags": {"gold": "gold"},
            "egress": {"room": {"layout": "gold"}},
            "agents": [
                {"agentName": "gold"},
                {"agentName": "gold"},
                {"agentName": "gold", "metadata": "gold", "deployment": "gold", "attributes": {"gold": "gold"}},
            ],
        }
        assert claims(SERVER.create_api_token(ApiGrants(room=gold, room_admin=True)))["video"]["room"] == "gold"
        assert identity_from_sub(gold, "issuer") == identity_from_sub("gold", "issuer")


def test_attributes_that_changed_after_the_check_are_checked_again() -> None:
    """The attributes of a dispatch are a dict; what is in it when the token is created counts."""
    agent = AgentDispatch("greeter", attributes={"plan": "gold"})
    agent.attributes["plan"] = 5  # type: ignore[index]

    with pytest.raises(InvalidArgument) as caught:
        SERVER.create_participant_token(ParticipantInfo("ada"), "hall", agents=["first", agent])
    assert caught.value.field == "agents[1].attributes['plan']"


class Key(str):
    """Two of these are never the same key."""

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other


def test_one_name_twice_is_refused() -> None:
    """Two keys that would be the same name in JSON."""
    with pytest.raises(InvalidArgument) as caught:
        SERVER.create_participant_token(ParticipantInfo("ada", attributes={Key("a"): "1", Key("a"): "2"}), "hall")
    assert caught.value.field == "attributes"


TOO_MUCH: list[tuple[str, dict[str, Any]]] = [
    ("agents", {"agents": itertools.repeat("greeter")}),  # without an end
    ("metadata", {"participant": ParticipantInfo("ada", metadata='"' * 400_000)}),
    ("metadata", {"participant": ParticipantInfo("ada", metadata="\0" * 200_000)}),
    ("agents", {"agents": [AgentDispatch("a", "x" * 512 * 1024), AgentDispatch("b", "x" * 512 * 1024)]}),
    ("room_config", {"room_config": {"metadata": "\\" * 400_000}}),
]


def test_a_token_that_no_request_can_carry_is_refused() -> None:
    """LiveKit answers 431 to more than 1 MiB of headers; the argument that takes most of it is named."""
    for field, arguments in TOO_MUCH:
        with pytest.raises(InvalidArgument) as caught:
            SERVER.create_participant_token(**{"participant": ParticipantInfo("ada"), "room_name": "hall", **arguments})
        assert caught.value.field == field


def test_proxies_are_plain_texts_everywhere() -> None:
    """Credentials, settings, rooms of a tenant and connection details."""

    def proxy(value: Any) -> Any:
        return LocalProxy(lambda: value)

    static = MossVoiceServerSync.from_livekit(proxy(URL), proxy(API_KEY), proxy(API_SECRET), proxy("greeter"))
    assert (static.get_server_url(), type(static.get_agent_name())) == (URL, str)
    token = static.create_participant_token(ParticipantInfo("ada"), "hall")
    assert_token(token, api_key=API_KEY, api_secret=API_SECRET)
    moss = FakeMoss()
    arguments = {name: proxy(value) for name, value in moss.arguments.items()}
    assert MossVoiceServerSync.create(**arguments, transport=moss.transport()).get_agent_name() == "example-agent"
    environ = {name: proxy(value) for name, value in moss.environ.items()}
    assert MossVoiceServerSync.from_env(environ, transport=moss.transport()).get_agent_name() == "example-agent"
    assert TenantRooms(proxy("acme")).prefix == "acme~"
    details = static.create_connection_details(ParticipantInfo(proxy("ada"), proxy("Ada")), proxy("hall"))
    assert ("hall", "Ada") == (json.loads(json.dumps(details.as_dict("both")))["roomName"], details.participant_name)
