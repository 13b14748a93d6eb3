"""Both server classes: arguments, constructors, and the methods of a server."""

from __future__ import annotations

import asyncio
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import AsyncMock

import httpx2
import jwt
import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.credentials import CredentialsStatus, RefreshPolicy
from moss_voice_server.errors import (
    CredentialsNotLoaded,
    CredentialsRejected,
    CredentialsUnavailable,
    WeakSecretWarning,
)
from moss_voice_server.testing import FakeMoss
from tests.support import tokens
from tests.support.errors import refused
from tests.support.servers import SYNC, Server, ServerClass

ADA = ParticipantInfo("user-42", name="Ada")
VARIABLES = ("MOSS_PROJECT_ID", "MOSS_PROJECT_KEY", "MOSS_VOICE_AGENT_ID", "MOSS_PLATFORM_API_URL")


@pytest.fixture
def moss() -> Iterator[FakeMoss]:
    """A Moss API on a loopback port."""
    with FakeMoss() as fake:
        yield fake


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of our variables from the environment of the tests."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)


def by_hand(server_class: ServerClass, **changes: Any) -> Server:
    """A server that needs no API."""
    arguments = {"url": tokens.URL, "api_key": tokens.API_KEY, "api_secret": tokens.API_SECRET, **changes}
    return server_class.kind.from_livekit(**arguments)


def signed_by(token: str, credentials: dict[str, str]) -> bool:
    """Whether these credentials made the token."""
    try:
        jwt.decode(
            token,
            credentials["voice_agent_api_secret"],
            algorithms=["HS256"],
            issuer=credentials["voice_agent_api_key"],
            options={"require": ["exp", "nbf", "iss", "sub"]},
        )
    except jwt.InvalidTokenError:
        return False
    return True


def test_constructor_sends_no_request(server_class: ServerClass, moss: FakeMoss) -> None:
    """A server that is only constructed has sent no request and has no credentials."""
    server = server_class.kind(**moss.arguments)

    assert (CredentialsStatus("empty", None, None, None, None), 0) == (server.status(), moss.count)


USES: list[Callable[[Server], object]] = [
    lambda server: server.create_participant_token(ADA, "lobby"),
    lambda server: server.get_server_url(),
    lambda server: server.get_agent_name(),
]


@pytest.mark.parametrize("use", USES, ids=["mint", "url", "agent"])
def test_use_before_create(server_class: ServerClass, moss: FakeMoss, use: Callable[[Server], object]) -> None:
    """A RuntimeError that names the class and `from_env`; no request is sent."""
    with pytest.raises(CredentialsNotLoaded, match=rf"{server_class.kind.__name__}\.from_env\(") as caught:
        use(server_class.kind(**moss.arguments))

    assert (True, "credentials_not_loaded", None, 0) == (
        isinstance(caught.value, RuntimeError),
        caught.value.code,
        caught.value.retry_after,
        moss.count,
    )


BAD_ARGUMENTS = [("project_id", ""), ("project_key", b"key"), ("voice_agent_id", "a\n"), ("api_url", 5)]


@pytest.mark.parametrize(("name", "value"), BAD_ARGUMENTS)
def test_bad_argument_is_rejected(server_class: ServerClass, moss: FakeMoss, name: str, value: Any) -> None:
    """The constructor and `create` raise the same ValueError with the argument's name, before anything is sent."""
    arguments = {**moss.arguments, name: value}

    assert refused(server_class.kind, **arguments) == refused(server_class.create, **arguments)
    assert (name, 0) == (refused(server_class.kind, **arguments)[0], moss.count)


async def coroutine(status: CredentialsStatus) -> None:
    """A callback that would need an `await`."""


class Halfway:
    """A transport for one kind of client only."""

    def __init__(self, name: str) -> None:
        setattr(self, name, print)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("refresh", 3600, "refresh must be a RefreshPolicy, not int"),
        ("refresh", {"attempts": 1}, "refresh must be a RefreshPolicy, not dict"),
        ("on_change", "print", "on_change must be a plain function"),
        ("transport", "proxy", "transport must be an httpx2 transport with"),
        ("transport", object(), "transport must be an httpx2 transport with"),
        ("transport", httpx2.MockTransport, "transport must be an httpx2 transport with"),
        ("on_change", coroutine, "on_change must be a plain function"),
        ("on_change", AsyncMock(), "on_change must be a plain function"),
    ],
)
def test_bad_keyword_is_refused(server_class: ServerClass, moss: FakeMoss, name: str, value: Any, text: str) -> None:
    """A keyword argument of another type: the error has its name and the expected type."""
    for call in (server_class.kind, server_class.create):
        field, found = refused(call, **moss.arguments, **{name: value})
        assert (name, True) == (field, found.startswith(text))


def test_transport_of_the_other_kind_is_refused(moss: FakeMoss) -> None:
    """A sync transport cannot serve the async class, nor the other way round; the text names the missing method."""
    sync, other = Halfway("handle_request"), Halfway("handle_async_request")

    assert "transport" == refused(MossVoiceServer, **moss.arguments, transport=sync)[0]
    assert "handle_async_request" in refused(MossVoiceServer, **moss.arguments, transport=sync)[1]
    assert "handle_request" in refused(MossVoiceServerSync, **moss.arguments, transport=other)[1]


def test_create_with_a_transport(server_class: ServerClass) -> None:
    """A transport replaces the network for any URL, the default one included."""
    moss = FakeMoss(project_id="project", project_key="key", voice_agent_id="agent")
    server = server_class.create("project", "key", "agent", transport=moss.transport())

    assert (1, "service.usemoss.dev") == (moss.count, moss.requests[0].headers["host"])
    assert signed_by(server.create_participant_token(ADA, "lobby"), moss.credentials)


def test_transport_that_fails_is_named(server_class: ServerClass, moss: FakeMoss) -> None:
    """An error of the caller's transport is reported as such, without its text."""
    transport = Halfway("handle_request" if server_class is SYNC else "handle_async_request")
    with pytest.raises(CredentialsUnavailable) as caught:
        server_class.create(**moss.arguments, transport=transport)

    assert "request to the Moss API failed: the custom transport raised " in str(caught.value)


def test_create_of_a_subclass(server_class: ServerClass, moss: FakeMoss) -> None:
    """`create`, `from_env` and `from_livekit` of an application's subclass return that subclass."""
    kind: Any = type("Mine", (server_class.kind,), {"__slots__": ()})
    mine = ServerClass(kind)

    made = [mine.create(**moss.arguments), mine.from_env(moss.environ), by_hand(mine)]

    assert [kind] * 3 == [type(server) for server in made]


def test_create_fails(server_class: ServerClass, moss: FakeMoss) -> None:
    """A rejection is a RuntimeError that names the variables to check."""
    moss.set_default(401)

    with pytest.raises(CredentialsRejected, match="check MOSS_PROJECT_ID and MOSS_PROJECT_KEY") as caught:
        server_class.create(**moss.arguments)

    assert (True, 1) == (isinstance(caught.value, RuntimeError), moss.count)


def test_from_env_reads_the_environment(
    server_class: ServerClass, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an argument the process's environment is read at the call."""
    for name, value in moss.environ.items():
        monkeypatch.setenv(name, value)

    assert moss.credentials["voice_agent_url"] == server_class.from_env().get_server_url()
    assert 1 == moss.count


@pytest.mark.parametrize("kind", [dict, MappingProxyType])
def test_from_env_reads_a_mapping(
    server_class: ServerClass, moss: FakeMoss, kind: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a mapping nothing is read from the process's environment; a missing variable is named."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "not this one")

    assert "fresh" == server_class.from_env(kind(moss.environ)).status().state
    assert ("MOSS_PROJECT_ID", 1) == (refused(server_class.from_env, kind({}))[0], moss.count)


def test_from_env_reads_all_from_files(server_class: ServerClass, moss: FakeMoss, tmp_path: Path) -> None:
    """Each variable may name a file instead, as Docker and Kubernetes mount secrets."""
    for number, (name, value) in enumerate(moss.environ.items()):
        (tmp_path / name).write_bytes(value.encode() + (b"", b"\n", b"\r\n", b"\n\n")[number])

    assert "fresh" == server_class.from_env({f"{name}_FILE": str(tmp_path / name) for name in VARIABLES}).status().state


def test_from_env_passes_keywords_on(server_class: ServerClass) -> None:
    """`from_env` takes the keywords of `create`; the URL has its default."""
    moss = FakeMoss(project_id="project", project_key="key", voice_agent_id="agent")
    reported: list[CredentialsStatus] = []
    environ = dict(zip(VARIABLES, ("project", "key", "agent"), strict=False))
    moss.queue(503)

    with pytest.raises(CredentialsUnavailable):
        server_class.from_env(
            environ, transport=moss.transport(), refresh=RefreshPolicy(attempts=1), on_change=reported.append
        )

    assert (["CredentialsUnavailable"], 1) == ([status.last_error for status in reported], moss.count)
    assert "service.usemoss.dev" == moss.requests[0].headers["host"]


@pytest.mark.parametrize("setting", ["project_id", "project_key", "voice_agent_id", "api_url"])
def test_from_env_prefers_keywords(server_class: ServerClass, moss: FakeMoss, setting: str) -> None:
    """A keyword takes precedence over its variable, whether that is set, set twice or unset."""
    name = VARIABLES[[*moss.arguments].index(setting)]
    given = {setting: moss.arguments[setting]}
    without = {key: value for key, value in moss.environ.items() if key != name}

    for environ in ({**without, name: "https://other.example"}, {**moss.environ, f"{name}_FILE": os.devnull}, without):
        assert "fresh" == server_class.from_env(environ, **given).status().state
        assert "empty" == server_class.kind.lazy_from_env(environ, **given).status().state


def test_lazy_from_env_sends_no_request(
    server_class: ServerClass, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`lazy_from_env` reads what `from_env` reads, from the process or a mapping, and leaves the fetching for later."""
    by_mapping = server_class.kind.lazy_from_env(moss.environ)
    for name, value in moss.environ.items():
        monkeypatch.setenv(name, value)
    by_process = server_class.kind.lazy_from_env()

    for server in (by_mapping, by_process):
        assert (server_class.kind, "empty") == (type(server), server.status().state)
        with pytest.raises(CredentialsNotLoaded, match="create"):
            server.create_participant_token(ADA, "lobby")
    assert 0 == moss.count
    server_class.refresh(by_process)
    assert signed_by(by_process.create_participant_token(ADA, "lobby"), moss.credentials)


def test_lazy_from_env_checks_its_arguments(server_class: ServerClass) -> None:
    """A missing variable and a bad keyword are errors when the server is created, not at its first use."""
    assert "MOSS_PROJECT_ID" == refused(server_class.kind.lazy_from_env, {})[0]
    environ = dict(zip(VARIABLES, ("project", "key", "agent"), strict=False))
    assert "refresh" == refused(server_class.kind.lazy_from_env, environ, refresh=5)[0]


def test_from_livekit(server_class: ServerClass) -> None:
    """LiveKit credentials by hand make a server at once: no network, nothing to renew."""
    server = server_class.kind.from_livekit(tokens.URL, tokens.API_KEY, tokens.API_SECRET, "greeter")

    assert server_class.kind is type(server)
    assert (tokens.URL, "greeter") == (server.get_server_url(), server.get_agent_name())
    token = server.create_participant_token(ADA, "lobby")
    assert signed_by(token, {"voice_agent_api_key": tokens.API_KEY, "voice_agent_api_secret": tokens.API_SECRET})
    assert "" == by_hand(server_class).get_agent_name()


def test_from_livekit_on_this_machine(server_class: ServerClass) -> None:
    """`livekit-server --dev` is reached without TLS, on this machine only."""
    with pytest.warns(WeakSecretWarning):
        server = server_class.kind.from_livekit("ws://127.0.0.1:7880", "devkey", "secret")

    assert "ws://127.0.0.1:7880" == server.get_server_url()
    assert "url" == refused(server_class.kind.from_livekit, "ws://livekit.example", "devkey", tokens.API_SECRET)[0]


def test_from_livekit_rejects_bad_arguments(server_class: ServerClass, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error begins with the argument's name; LiveKit's variables do not replace empty arguments."""
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        monkeypatch.setenv(name, "x" * 40)
    for name, values in {
        "url": ("", None, "livekit.example", "ws://livekit.example"),
        "api_key": ("", None, "API key"),
        "api_secret": ("", None, b"bytes", "secret\n", "\ud800"),
        "agent_name": (None, 5, " greeter"),
    }.items():
        for value in values:
            field, text = refused(by_hand, server_class, **{name: value})
            assert (name, True) == (field, text.startswith(f"{name} "))


def test_from_livekit_sends_no_request(server_class: ServerClass) -> None:
    """Refreshing, closing and blocks do nothing to credentials that were given."""
    server = by_hand(server_class)
    server_class.refresh(server)
    server_class.close(server)
    server_class.close(server)
    server_class.refresh(server)
    inside = server_class.within(server, lambda entered: entered.create_participant_token(ADA, "lobby"))

    assert tokens.untimed(inside) == tokens.untimed(server.create_participant_token(ADA, "lobby"))
    status = server.status()
    assert ("fresh", None, None, None) == (status.state, status.age, status.last_error, status.next_attempt_in)


@pytest.mark.parametrize(("secret", "weak"), [("x" * 31, 1), ("x" * 32, 0), ("é" * 15, 1), ("é" * 16, 0)])
def test_short_secret_is_one_warning(server_class: ServerClass, moss: FakeMoss, secret: str, weak: int) -> None:
    """A secret under 32 bytes is accepted with one `WeakSecretWarning`, whether passed or fetched."""
    moss.rotate(api_secret=secret)
    ways: list[Callable[[], Server]] = [
        lambda: by_hand(server_class, api_secret=secret),
        lambda: server_class.create(**moss.arguments),
    ]
    for make in ways:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            server = make()
            server.create_participant_token(ADA, "lobby")
            server_class.refresh(server)

        assert [WeakSecretWarning] * weak == [warning.category for warning in caught]
        assert [] == [warning for warning in caught if secret in str(warning.message)]


async def each_way(moss: FakeMoss) -> None:
    """Every way to a warning, each from a line of this function."""
    MossVoiceServer.from_livekit(tokens.URL, tokens.API_KEY, "secret")
    await MossVoiceServer.create(**moss.arguments)
    await MossVoiceServer.from_env(moss.environ)
    await MossVoiceServer(**moss.arguments).refresh()
    async with MossVoiceServer.lazy_from_env(moss.environ):
        pass


def each_way_without_waiting(moss: FakeMoss) -> None:
    """The same for the other class."""
    MossVoiceServerSync.from_livekit(tokens.URL, tokens.API_KEY, "secret")
    MossVoiceServerSync.create(**moss.arguments)
    MossVoiceServerSync.from_env(moss.environ)
    MossVoiceServerSync(**moss.arguments).refresh()
    with MossVoiceServerSync.lazy_from_env(moss.environ):
        pass


def test_short_secret_warning_points_at_the_caller(server_class: ServerClass, moss: FakeMoss) -> None:
    """The warning names the application's line, so that it can be found, however the server was made."""
    moss.rotate(api_secret="secret")
    ways: Callable[[FakeMoss], Any] = each_way_without_waiting if server_class is SYNC else each_way
    with pytest.warns(WeakSecretWarning, match="fewer than 32 bytes") as caught:
        server_class._done(ways, moss)

    first = ways.__code__.co_firstlineno
    assert [(__file__, first + line) for line in (2, 3, 4, 5, 6)] == [
        (warning.filename, warning.lineno) for warning in caught
    ]


def test_another_short_secret_is_another_warning(server_class: ServerClass, moss: FakeMoss) -> None:
    """When a rotation brings another short secret, there is one more warning."""
    moss.rotate(api_key="APIone", api_secret="short one")
    with pytest.warns(WeakSecretWarning):
        server = server_class.create(**moss.arguments)

    moss.rotate(api_key="APItwo", api_secret="short two")
    with pytest.warns(WeakSecretWarning):
        server_class.refresh(server)


def test_bad_request_is_refused_and_the_next_one_served(server_class: ServerClass) -> None:
    """A bad request is a ValueError with the field, and the next token is created."""
    server = by_hand(server_class)

    assert "identity" == refused(server.create_participant_token, ParticipantInfo(""), "lobby")[0]
    assert "room_name" == refused(server.create_participant_token, ADA, "")[0]
    assert "participant" == refused(server.create_participant_token, "user-42", "lobby")[0]
    assert "user-42" == tokens.claims(server.create_participant_token(ADA, "lobby"))["sub"]


def test_minting_sends_no_request(server_class: ServerClass, moss: FakeMoss) -> None:
    """A thousand tokens are no request: only `create` fetched."""
    server = server_class.create(**moss.arguments)
    for _ in range(1000):
        server.create_participant_token(ADA, "lobby")

    assert 1 == moss.count


def test_minting_on_an_event_loop_and_off_it(moss: FakeMoss) -> None:
    """An async server mints anywhere: on its loop, after it, on another loop, in a thread."""
    server = asyncio.run(MossVoiceServer.create(**moss.arguments))

    async def mint() -> list[str]:
        here = server.create_participant_token(ADA, "lobby")
        return [here, await asyncio.to_thread(server.create_participant_token, ADA, "lobby")]

    made = [*asyncio.run(mint()), *asyncio.run(mint()), server.create_participant_token(ADA, "lobby")]
    assert [True] * 5 == [signed_by(token, moss.credentials) for token in made]


def test_arguments_are_copied(server_class: ServerClass) -> None:
    """A token has the arguments' values at the call; the arguments are not changed."""
    attributes: dict[str, str] = {"a": "b"}
    config: dict[str, Any] = {"metadata": "old", "agents": [{"agent_name": "two"}]}
    participant, before = ParticipantInfo("user-42", attributes=attributes), repr((attributes, config))
    server = by_hand(server_class)
    first = tokens.claims(server.create_participant_token(participant, "lobby", "one", room_config=config))
    assert before == repr((attributes, config))
    attributes["a"], config["metadata"] = "c", "new"
    second = tokens.claims(server.create_participant_token(participant, "lobby", "one", room_config=config))

    assert ({"a": "b"}, "old") == (first["attributes"], first["roomConfig"]["metadata"])
    assert ({"a": "c"}, "new") == (second["attributes"], second["roomConfig"]["metadata"])


def test_threads_get_their_own_tokens(server_class: ServerClass) -> None:
    """Eight threads create tokens on one server: each token has its caller's values."""
    server = by_hand(server_class)

    def mint(worker: int) -> list[bool]:
        names = [f"user-{worker}-{number}" for number in range(150)]
        made = [server.create_participant_token(ParticipantInfo(name, metadata=name), f"r-{name}") for name in names]
        found = [tokens.claims(token) for token in made]
        return [
            (each["sub"], each["metadata"], each["video"]["room"]) == (name, name, f"r-{name}")
            for name, each in zip(names, found, strict=True)
        ]

    with ThreadPoolExecutor(8) as pool:
        assert [True] * 8 * 150 == [each for made in pool.map(mint, range(8)) for each in made]


def test_refresh(server_class: ServerClass, moss: FakeMoss) -> None:
    """After a rotation `refresh` fetches, and tokens, URL and agent name are the new ones."""
    server = server_class.create(**moss.arguments)
    before = server.status().fingerprint
    new = moss.rotate(url="wss://other.livekit.cloud", agent_name="other")
    server_class.refresh(server)

    assert (2, "wss://other.livekit.cloud", "other") == (moss.count, server.get_server_url(), server.get_agent_name())
    assert signed_by(server.create_participant_token(ADA, "lobby"), new)
    assert before != server.status().fingerprint


def test_failed_refresh_leaves_the_old_credentials(server_class: ServerClass, moss: FakeMoss) -> None:
    """When a refresh fails, the error is raised and in the status, and minting goes on."""
    server = server_class.create(**moss.arguments)
    moss.set_default(403)
    with pytest.raises(CredentialsRejected):
        server_class.refresh(server)

    assert ("stale", "CredentialsRejected") == (server.status().state, server.status().last_error)
    assert signed_by(server.create_participant_token(ADA, "lobby"), moss.credentials)
    server_class.close(server)


def test_status_is_for_health_pages(server_class: ServerClass, moss: FakeMoss) -> None:
    """The status describes the credentials and contains neither key nor secret."""
    status = server_class.create(**moss.arguments).status()

    assert ("fresh", None, None) == (status.state, status.last_error, status.next_attempt_in)
    assert status.age is not None
    assert 0 <= status.age < 60
    hidden = [*moss.credentials.values(), *moss.arguments.values()]
    assert [] == [value for value in hidden if value in repr(status)]


def test_closed_server_mints_on_and_fetches_no_more(server_class: ServerClass, moss: FakeMoss) -> None:
    """After `close`, even twice, nothing is fetched; tokens are still created from the cached credentials."""
    server = server_class.create(**moss.arguments)
    server_class.close(server)
    server_class.close(server)

    assert signed_by(server.create_participant_token(ADA, "lobby"), moss.credentials)
    with pytest.raises(CredentialsUnavailable, match=f"this {server_class.kind.__name__} is closed") as caught:
        server_class.refresh(server)
    assert (None, 1) == (caught.value.retry_after, moss.count)


def test_with(server_class: ServerClass, moss: FakeMoss) -> None:
    """`with` fetches only what is not fetched yet, yields the server itself, and closes it."""
    constructed = server_class.kind(**moss.arguments)
    token = server_class.within(constructed, lambda entered: entered.create_participant_token(ADA, "lobby"))
    assert (True, 1) == (signed_by(token, moss.credentials), moss.count)
    server = server_class.create(**moss.arguments)

    assert server is server_class.within(server, lambda entered: entered)
    assert 2 == moss.count
    with pytest.raises(CredentialsUnavailable, match="closed"):
        server_class.refresh(server)


def test_block_that_cannot_fetch_is_not_entered(server_class: ServerClass, moss: FakeMoss) -> None:
    """When the first fetch fails the block is not entered, and nothing is left running."""
    moss.set_default(404)
    entered: list[Server] = []

    with pytest.raises(CredentialsRejected, match="MOSS_VOICE_AGENT_ID"):
        server_class.within(server_class.kind(**moss.arguments), entered.append)

    assert [] == entered


def test_exception_in_a_with_block(server_class: ServerClass, moss: FakeMoss) -> None:
    """An exception leaves the block unchanged, and the server is closed."""
    server = server_class.create(**moss.arguments)

    def fail(_server: Server) -> None:
        raise LookupError("the application's")

    with pytest.raises(LookupError, match="the application's"):
        server_class.within(server, fail)
    with pytest.raises(CredentialsUnavailable, match="closed"):
        server_class.refresh(server)


def test_log_of_a_fetch(server_class: ServerClass, moss: FakeMoss, caplog: pytest.LogCaptureFixture) -> None:
    """One line at INFO says that credentials were fetched, with a hash of the key id only."""
    with caplog.at_level(logging.DEBUG, "moss_voice_server"):
        server = server_class.create(**moss.arguments)
    lines = [record.getMessage() for record in caplog.records if record.name == "moss_voice_server"]

    assert [f"LiveKit credentials fetched, key {server.status().fingerprint}"] == lines
