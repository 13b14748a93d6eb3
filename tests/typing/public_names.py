"""Types of the public names, as a user's type checker sees them: read by mypy, never run.

`scripts/check` runs mypy over this folder with unused ignores as errors: so a line that must be refused is one that mypy
refuses, and each `assert_type` is what users get.
"""

from __future__ import annotations

from collections import OrderedDict
from datetime import timedelta
from types import MappingProxyType
from typing import Any

import httpx2
from livekit.protocol.room import RoomConfiguration
from typing_extensions import assert_type

import moss_voice_server
from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.credentials import CredentialsStatus, RefreshPolicy
from moss_voice_server.errors import CredentialsError, InvalidArgument, MossVoiceError
from moss_voice_server.grants import AgentDispatch, ApiGrants, ConnectionDetails, ParticipantGrants, RoomConfig
from moss_voice_server.testing import FakeMoss


class Mine(MossVoiceServer):
    """An application's own subclass."""


class MineSync(MossVoiceServerSync):
    """An application's own subclass."""


def changed(status: CredentialsStatus) -> None:
    """A callback."""


async def async_server() -> None:
    """The async class: what is awaited, and what comes of it."""
    assert_type(await MossVoiceServer.create("p", "k", "v", "https://h"), MossVoiceServer)
    assert_type(await Mine.create(project_id="p", project_key="k", voice_agent_id="v"), Mine)
    assert_type(await Mine.from_env({"MOSS_PROJECT_ID": "p"}), Mine)
    assert_type(Mine.from_livekit("wss://h", "k", "s"), Mine)
    async with Mine("p", "k", "v") as server:
        assert_type(server, Mine)
        assert_type(await server.refresh(), None)
        assert_type(await server.aclose(), None)

    policy = RefreshPolicy(refresh_after=60, expire_after=None, total_timeout=timedelta(seconds=8))
    transport = httpx2.AsyncHTTPTransport()
    await MossVoiceServer.create("p", "k", "v", refresh=policy, transport=transport, on_change=changed)

    MossVoiceServer.create("p", "k", "v").get_server_url()  # type: ignore[attr-defined]  # it was not awaited
    await MossVoiceServer.create("p", "k")  # type: ignore[call-arg]  # no voice agent
    await MossVoiceServer.create("p", "k", 5)  # type: ignore[arg-type]  # an id is a text
    await MossVoiceServer.create("p", "k", "v", "https://h", policy)  # type: ignore[call-arg]  # by name only
    await MossVoiceServer.create("p", "k", "v", transport=httpx2.HTTPTransport())  # type: ignore[arg-type]  # sync
    await MossVoiceServer.create("p", "k", "v", on_change=print.__name__)  # type: ignore[arg-type]  # no function
    with MossVoiceServer("p", "k", "v"):  # type: ignore[attr-defined]  # `async with`
        pass
    server.close()  # type: ignore[attr-defined]  # `aclose`


def sync_server() -> None:
    """The sync class: the same without waiting."""
    assert_type(MineSync.create("p", "k", "v", transport=httpx2.HTTPTransport()), MineSync)
    assert_type(MineSync.from_env(), MineSync)
    assert_type(MineSync.from_livekit("wss://h", "k", "s", "agent"), MineSync)
    with MineSync("p", "k", "v") as server:
        assert_type(server, MineSync)
        server.refresh()
    MossVoiceServerSync.create("p", "k", "v", transport=httpx2.AsyncHTTPTransport())  # type: ignore[arg-type]  # async
    server.aclose()  # type: ignore[attr-defined]  # `close`


def minting(server: MossVoiceServer | MossVoiceServerSync) -> None:
    """A token, by every argument."""
    ada = ParticipantInfo("user-42", name="Ada", metadata="m", attributes=MappingProxyType({"a": "b"}))
    assert_type(server.create_participant_token(ada, "lobby", "greeter", ttl=timedelta(hours=1)), str)
    server.create_participant_token(participant=ada, room_name="lobby", agent_name=None, ttl=900.5)
    details = server.create_connection_details(ada, "lobby")
    assert_type(details, ConnectionDetails)
    assert_type(details.as_dict("both"), "dict[str, str]")
    assert_type(server.create_api_token(ApiGrants(room_list=True), ttl=10), str)
    server.create_api_token({"room_list": True})  # type: ignore[arg-type]  # no grants
    config: RoomConfig = {"max_participants": 2, "egress": {"tracks": {}}}
    server.create_participant_token(ada, "lobby", room_config=config)
    server.create_participant_token(ada, "lobby", room_config="{}")  # type: ignore[arg-type]  # no mapping
    server.create_participant_token(ada, "lobby", agents=["one", AgentDispatch("two")])
    server.create_participant_token(ada, "lobby", agents=(name for name in ("one", "two")))
    server.create_participant_token(ada, "lobby", room_config=OrderedDict(metadata="m"))
    server.create_participant_token(ada, "lobby", room_config=RoomConfiguration(name="r"))
    assert_type(server.get_server_url(), str)
    assert_type(server.get_agent_name(), str)
    assert_type(server.status(), CredentialsStatus)

    server.create_participant_token("user-42", "lobby")  # type: ignore[arg-type]  # no participant
    server.create_participant_token(ada)  # type: ignore[call-arg]  # no room
    server.create_participant_token(ada, None)  # type: ignore[arg-type]  # no room either
    server.create_participant_token(ada, "lobby", "greeter", 900)  # type: ignore[call-arg]  # by name only
    server.create_participant_token(ada, "lobby", ttl="900")  # type: ignore[arg-type]  # no time
    server.create_participant_token(ada, "lobby", grants={"can_publish": False})  # type: ignore[arg-type]  # no grants
    server.create_participant_token(ada, "lobby", agents=[5])  # type: ignore[list-item]  # neither name nor dispatch


def values() -> None:
    """The values: their fields' types, and that they are frozen."""
    ada = ParticipantInfo("user-42")
    assert_type(ada.identity, str)
    assert_type(ada.name, "str | None")
    ada.identity = "user-7"  # type: ignore[misc]  # frozen
    ParticipantInfo()  # type: ignore[call-arg]  # no identity
    ParticipantInfo("user-42", attributes={"a": 5})  # type: ignore[dict-item]  # attributes are texts

    grants = ParticipantGrants(can_publish_sources=("camera",))
    assert_type(grants.can_publish_sources, "tuple[str, ...]")
    assert_type(grants.can_publish_data, "bool | None")
    grants.hidden = True  # type: ignore[misc]  # frozen
    ParticipantGrants(room_admin=True)  # type: ignore[call-arg]  # a server's power

    agent = AgentDispatch("greeter", attributes={"a": "b"})
    assert_type(agent.agent_name, str)
    agent.metadata = "m"  # type: ignore[misc]  # frozen


def status(of: CredentialsStatus) -> None:
    """A status has one of five states, which a type checker can tell apart."""
    assert_type(of.age, "float | None")
    assert_type(of.last_error, "str | None")
    assert_type(of.next_attempt_in, "float | None")
    assert_type(of.fingerprint, "str | None")
    if of.state == "stale":
        raise AssertionError


def errors(credentials: CredentialsError, argument: InvalidArgument, either: MossVoiceError) -> None:
    """What errors carry."""
    assert_type(credentials.retry_after, "float | None")
    assert_type(argument.field, str)
    assert_type(either.code, str)
    runtime: RuntimeError = credentials
    value: ValueError = argument
    both: list[Exception] = [runtime, value]
    raise either from both[0]


def fake() -> None:
    """What the fake Moss API hands over fits."""
    with FakeMoss() as moss:
        MossVoiceServerSync.create(**moss.arguments)
        MossVoiceServerSync.create(**moss.arguments, transport=moss.transport())
        MossVoiceServerSync.from_env(moss.environ)


def front_door() -> Any:
    """The package has three names for a type checker."""
    assert_type(moss_voice_server.ParticipantInfo("user-42"), ParticipantInfo)
    return moss_voice_server.MossVoiceServer
