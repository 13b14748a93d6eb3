"""Both server classes: arguments, constructors, and the methods of a server."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import AsyncMock

import httpx2
import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.credentials import CredentialsStatus, RefreshPolicy
from moss_voice_server.errors import (
    CredentialsError,
    CredentialsNotLoaded,
    CredentialsRejected,
    CredentialsUnavailable,
)
from moss_voice_server.testing import FakeMoss
from tests.support import tokens
from tests.support.errors import caught, refused
from tests.support.servers import SYNC, Server, ServerClass, signed_by

ADA = ParticipantInfo("user-42", name="Ada")
VARIABLES = ("MOSS_PROJECT_ID", "MOSS_PROJECT_KEY", "MOSS_VOICE_AGENT_ID", "MOSS_PLATFORM_API_URL")
# Of a server whose Moss API is a transport, at the default URL.
PROJECT = dict(zip(VARIABLES, ("project", "key", "agent"), strict=False))
EMPTY = CredentialsStatus("empty", None, None, None, None)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of our variables from the environment of the tests."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def closed_error(server_class: ServerClass, server: Server) -> CredentialsUnavailable:
    """The error of a refresh of a closed server, which sends no request."""
    with pytest.raises(CredentialsUnavailable, match=f"this {server_class.kind.__name__} is closed") as caught:
        server_class.refresh(server)
    return caught.value


# --- the constructor and `create` --------------------------------------------------------------------------

USES: list[Callable[[Server], object]] = [
    lambda server: server.create_participant_token(ADA, "lobby"),
    lambda server: server.get_server_url(),
    lambda server: server.get_agent_name(),
]


def test_use_before_create(server_class: ServerClass, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is only constructed has sent no request; its error names the class and `from_env`."""
    made = [server_class.kind(**moss.arguments), server_class.kind.lazy_from_env(moss.environ)]
    for name, value in moss.environ.items():
        monkeypatch.setenv(name, value)
    made.append(server_class.kind.lazy_from_env())

    for server in made:
        assert (server_class.kind, EMPTY) == (type(server), server.status())
        for use in USES:
            with pytest.raises(CredentialsNotLoaded, match=rf"{server_class.kind.__name__}\.from_env\(") as caught:
                use(server)
            assert caught.value.retry_after is None
    assert 0 == moss.count
    server_class.refresh(made[2])
    assert signed_by(made[2], moss.credentials)


async def coroutine(status: CredentialsStatus) -> None:
    """A callback that would need an `await`."""


class Halfway:
    """A transport for one kind of client only."""

    def __init__(self, name: str) -> None:
        setattr(self, name, print)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("project_key", b"key"),
        ("refresh", {"attempts": 1}),
        ("on_change", "print"),
        ("on_change", coroutine),
        ("on_change", AsyncMock()),
        ("transport", object()),
        ("transport", httpx2.MockTransport),
    ],
)
def test_bad_argument_is_refused(server_class: ServerClass, moss: FakeMoss, name: str, value: Any) -> None:
    """The constructor, `create` and the variants that read the environment raise the same ValueError with its name."""
    arguments = {**moss.arguments, name: value}
    calls = (server_class.kind, server_class.create, server_class.from_env, server_class.kind.lazy_from_env)
    found = {refused(call, **arguments) for call in calls}

    assert [name] == [field for field, text in found if text.startswith(name)]
    assert 0 == moss.count


def test_transport_of_the_other_kind_is_refused(moss: FakeMoss) -> None:
    """A sync transport cannot serve the async class, nor the other way round; the text names the missing method."""
    for kind, has, needs in (
        (MossVoiceServer, "handle_request", "handle_async_request"),
        (MossVoiceServerSync, "handle_async_request", "handle_request"),
    ):
        field, text = refused(kind, **moss.arguments, transport=Halfway(has))
        assert ("transport", True) == (field, f"with {needs}," in text)


def test_transport_that_fails_is_named(server_class: ServerClass, moss: FakeMoss) -> None:
    """An error of the caller's transport is reported as such, without its text."""
    transport = Halfway("handle_request" if server_class is SYNC else "handle_async_request")
    error = caught(lambda: server_class.create(**moss.arguments, transport=transport))
    assert isinstance(error, CredentialsUnavailable)
    assert "request to the Moss API failed: the custom transport raised " in str(error)


def test_constructors_of_a_subclass(server_class: ServerClass, moss: FakeMoss) -> None:
    """`create`, `from_env` and `from_livekit` of an application's subclass return that subclass."""
    kind: Any = type("Mine", (server_class.kind,), {"__slots__": ()})
    mine = ServerClass(kind)
    made = [mine.create(**moss.arguments), mine.from_env(moss.environ), mine.by_hand()]
    assert [kind] * 3 == [type(server) for server in made]


# --- the environment ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [dict, MappingProxyType])
def test_from_env(
    server_class: ServerClass, moss: FakeMoss, kind: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads the process's environment at the call; with a mapping, even an empty one, nothing of it."""
    for name, value in moss.environ.items():
        monkeypatch.setenv(name, value)
    assert "fresh" == server_class.from_env().status().state

    for name in VARIABLES:
        monkeypatch.setenv(name, "not this one")
    assert "fresh" == server_class.from_env(kind(moss.environ)).status().state
    for make in (server_class.from_env, server_class.kind.lazy_from_env):
        assert "MOSS_PROJECT_ID" == refused(make, kind({}))[0]
    assert 2 == moss.count


def test_from_env_reads_all_from_files(server_class: ServerClass, moss: FakeMoss, tmp_path: Path) -> None:
    """Each variable may name a file instead, as Docker and Kubernetes mount secrets."""
    for name, value in moss.environ.items():
        (tmp_path / name).write_text(f"{value}\n")
    assert "fresh" == server_class.from_env({f"{name}_FILE": str(tmp_path / name) for name in VARIABLES}).status().state


def test_from_env_passes_keywords_on(server_class: ServerClass) -> None:
    """`from_env` takes the keywords of `create`; a transport replaces the network also for the default URL."""
    moss = FakeMoss(project_id="project", project_key="key", voice_agent_id="agent")
    options: dict[str, Any] = {"transport": moss.transport(), "refresh": RefreshPolicy(attempts=1)}
    reported: list[CredentialsStatus] = []
    moss.queue(503)
    with pytest.raises(CredentialsUnavailable):
        server_class.from_env(PROJECT, **options, on_change=reported.append)

    assert (["CredentialsUnavailable"], 1) == ([status.last_error for status in reported], moss.count)
    assert "service.usemoss.dev" == moss.requests[0].headers["host"]
    assert signed_by(server_class.create("project", "key", "agent", **options), moss.credentials)


@pytest.mark.parametrize("setting", ["project_id", "project_key", "voice_agent_id", "api_url"])
def test_from_env_prefers_keywords(server_class: ServerClass, moss: FakeMoss, setting: str) -> None:
    """A keyword takes precedence over its variable, whether that is set, set twice or unset."""
    name = VARIABLES[[*moss.arguments].index(setting)]
    given = {setting: moss.arguments[setting]}
    without = {key: value for key, value in moss.environ.items() if key != name}

    for environ in ({**without, name: "https://other.example"}, {**moss.environ, f"{name}_FILE": os.devnull}, without):
        assert "fresh" == server_class.from_env(environ, **given).status().state
        assert EMPTY == server_class.kind.lazy_from_env(environ, **given).status()


# --- tokens ------------------------------------------------------------------------------------------------


def test_arguments_are_copied(server_class: ServerClass) -> None:
    """A token has the arguments' values at the call; the arguments are not changed."""
    attributes: dict[str, str] = {"a": "b"}
    config: dict[str, Any] = {"metadata": "old", "agents": [{"agent_name": "two"}]}
    participant, before = ParticipantInfo("user-42", attributes=attributes), repr((attributes, config))
    server = server_class.by_hand()
    first = tokens.claims(server.create_participant_token(participant, "lobby", "one", room_config=config))
    assert before == repr((attributes, config))
    attributes["a"], config["metadata"] = "c", "new"
    second = tokens.claims(server.create_participant_token(participant, "lobby", "one", room_config=config))

    assert ({"a": "b"}, "old") == (first["attributes"], first["roomConfig"]["metadata"])
    assert ({"a": "c"}, "new") == (second["attributes"], second["roomConfig"]["metadata"])


def test_threads_get_their_own_tokens(server_class: ServerClass) -> None:
    """Eight threads create tokens on one server: each token has its caller's values."""
    server = server_class.by_hand()

    def mint(worker: int) -> None:
        for name in (f"user-{worker}-{number}" for number in range(150)):
            made = tokens.claims(server.create_participant_token(ParticipantInfo(name, metadata=name), f"r-{name}"))
            assert (name, name, f"r-{name}") == (made["sub"], made["metadata"], made["video"]["room"])

    with ThreadPoolExecutor(8) as pool:
        assert [None] * 8 == list(pool.map(mint, range(8)))


# --- the methods -------------------------------------------------------------------------------------------


def test_refresh(server_class: ServerClass, moss: FakeMoss) -> None:
    """After a rotation tokens, URL and agent name are the new ones. A refresh that fails leaves them in use."""
    server = server_class.create(**moss.arguments)
    before = server.status().fingerprint
    new = moss.rotate(url="wss://other.livekit.cloud", agent_name="other")
    server_class.refresh(server)
    assert (2, "wss://other.livekit.cloud", "other") == (moss.count, server.get_server_url(), server.get_agent_name())
    assert signed_by(server, new)
    assert before != server.status().fingerprint

    moss.set_default(403)
    error = caught(lambda: server_class.refresh(server))
    assert isinstance(error, CredentialsRejected)
    assert ("stale", "CredentialsRejected") == (server.status().state, server.status().last_error)
    server_class.close(server)
    assert signed_by(server, new)


def test_status_is_for_health_pages(server_class: ServerClass, moss: FakeMoss) -> None:
    """The status describes the credentials and contains neither key nor secret."""
    status = server_class.create(**moss.arguments).status()

    assert ("fresh", None, None) == (status.state, status.last_error, status.next_attempt_in)
    assert 0 <= (-1 if status.age is None else status.age) < 60
    hidden = [*moss.credentials.values(), *moss.arguments.values()]
    assert [] == [value for value in hidden if value in repr(status)]


def test_with(server_class: ServerClass, moss: FakeMoss) -> None:
    """`with` fetches only what is not fetched yet, yields the server itself, and closes it, also after an exception."""
    constructed, created = server_class.kind(**moss.arguments), server_class.create(**moss.arguments)
    assert server_class.within(constructed, lambda entered: signed_by(entered, moss.credentials))
    assert created is server_class.within(created, lambda entered: entered)
    raising = server_class.create(**moss.arguments)

    def fail(_server: Server) -> None:
        raise LookupError("the application's")

    with pytest.raises(LookupError, match="the application's"):
        server_class.within(raising, fail)
    for server in (constructed, created, raising):
        assert closed_error(server_class, server).retry_after is None
    assert 3 == moss.count


def test_block_that_cannot_fetch_is_not_entered(server_class: ServerClass, moss: FakeMoss) -> None:
    """When the first fetch fails, its error is raised."""
    moss.set_default(404)
    entered: list[Server] = []
    with pytest.raises(CredentialsError, match="MOSS_VOICE_AGENT_ID"):
        server_class.within(server_class.kind(**moss.arguments), entered.append)
    assert [] == entered
