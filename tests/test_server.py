"""The public surface of both classes: arguments, defaults, ways to make a server, and what it then does."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import AsyncMock

import httpx2
import jwt
import pytest

import moss_voice_server
from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.credentials import CredentialsStatus, RefreshPolicy
from moss_voice_server.errors import (
    CredentialsNotLoaded,
    CredentialsRejected,
    CredentialsUnavailable,
    InvalidArgument,
    WeakSecretWarning,
)
from moss_voice_server.grants import AgentDispatch, ParticipantGrants
from moss_voice_server.testing import FakeMoss
from tests.support import tokens
from tests.support.servers import ASYNC, SYNC, Server, ServerClass

ADA = ParticipantInfo("user-42", name="Ada")
VARIABLES = ("MOSS_PROJECT_ID", "MOSS_PROJECT_KEY", "MOSS_VOICE_AGENT_ID", "MOSS_PLATFORM_API_URL")


@pytest.fixture(params=[SYNC, ASYNC], ids=["sync", "async"])
def server_class(request: pytest.FixtureRequest) -> ServerClass:
    """Each of the two classes."""
    chosen: ServerClass = request.param
    return chosen


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


def refused(call: Callable[..., object], *args: Any, **keywords: Any) -> tuple[str, str]:
    """The field and the text of the error."""
    with pytest.raises(InvalidArgument) as caught:
        call(*args, **keywords)
    assert isinstance(caught.value, ValueError)
    return caught.value.field, str(caught.value)


# Names, positions and defaults.

NOTHING = inspect.Parameter.empty
POSITION, KEYWORD = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
CREATE = {
    "project_id": (POSITION, NOTHING),
    "project_key": (POSITION, NOTHING),
    "voice_agent_id": (POSITION, NOTHING),
    "api_url": (POSITION, None),
    "refresh": (KEYWORD, None),
    "transport": (KEYWORD, None),
    "on_change": (KEYWORD, None),
}
FROM_LIVEKIT = {
    "url": (POSITION, NOTHING),
    "api_key": (POSITION, NOTHING),
    "api_secret": (POSITION, NOTHING),
    "agent_name": (POSITION, ""),
}
MINT = {
    "self": (POSITION, NOTHING),
    "participant": (POSITION, NOTHING),
    "room_name": (POSITION, NOTHING),
    "agent_name": (POSITION, None),
    "ttl": (KEYWORD, timedelta(minutes=15)),
    "grants": (KEYWORD, None),
    "agents": (KEYWORD, ()),
    "room_config": (KEYWORD, None),
}


def parameters(function: Any) -> dict[str, tuple[Any, Any]]:
    """The kind and the default of each parameter."""
    return {name: (each.kind, each.default) for name, each in inspect.signature(function).parameters.items()}


def test_parameters(server_class: ServerClass) -> None:
    """Positions, names and defaults are those of 0.1.0; what was added comes behind and by name only."""
    assert CREATE == parameters(server_class.kind) == parameters(server_class.kind.create)
    assert FROM_LIVEKIT == parameters(server_class.kind.from_livekit)
    assert MINT == parameters(server_class.kind.create_participant_token)
    for method in (
        server_class.kind.get_server_url,
        server_class.kind.get_agent_name,
        server_class.kind.status,
        server_class.kind.refresh,
    ):
        assert ["self"] == [*parameters(method)]


def test_one_waits_and_the_other_is_awaited() -> None:
    """What fetches or closes is a coroutine function in one class and plain in the other; minting is plain in both."""
    waiting = ("create", "from_env", "refresh")
    for name in waiting:
        assert inspect.iscoroutinefunction(getattr(MossVoiceServer, name))
        assert not inspect.iscoroutinefunction(getattr(MossVoiceServerSync, name))
    for name in ("create_participant_token", "get_server_url", "get_agent_name", "status", "from_livekit"):
        for kind in (MossVoiceServer, MossVoiceServerSync):
            assert not inspect.iscoroutinefunction(getattr(kind, name))


def test_each_class_has_its_own_way_to_end() -> None:
    """The async class has no `with` and no `close` without `await`, the sync class nothing that must be awaited."""
    alone = {
        MossVoiceServer: {"aclose", "__aenter__", "__aexit__"},
        MossVoiceServerSync: {"close", "__enter__", "__exit__"},
    }
    every = set().union(*alone.values())

    assert alone == {kind: {name for name in every if hasattr(kind, name)} for kind in alone}


def test_public_names_have_docstrings(server_class: ServerClass) -> None:
    """Every public method says what it does."""
    public = [name for name, _ in inspect.getmembers(server_class.kind, callable) if not name.startswith("_")]

    assert [] == [name for name in public if not inspect.getdoc(getattr(server_class.kind, name))]


# Constructing.


def test_constructing_fetches_nothing(server_class: ServerClass, moss: FakeMoss) -> None:
    """A server that is only constructed has sent no request and has no credentials."""
    server = server_class.kind(**moss.arguments)

    assert (CredentialsStatus("empty", None, None, None, None), 0) == (server.status(), moss.count)


USES: list[Callable[[Server], object]] = [
    lambda server: server.create_participant_token(ADA, "lobby"),
    lambda server: server.get_server_url(),
    lambda server: server.get_agent_name(),
]


@pytest.mark.parametrize("use", USES, ids=["mint", "url", "agent"])
def test_using_before_create_says_to_call_create(
    server_class: ServerClass, moss: FakeMoss, use: Callable[[Server], object]
) -> None:
    """Using it is a RuntimeError that names the class and `create`, and starts no request."""
    with pytest.raises(CredentialsNotLoaded, match=rf"{server_class.kind.__name__}\.create\(") as caught:
        use(server_class.kind(**moss.arguments))

    assert (True, "credentials_not_loaded", None, 0) == (
        isinstance(caught.value, RuntimeError),
        caught.value.code,
        caught.value.retry_after,
        moss.count,
    )


@pytest.mark.parametrize("name", ["project_id", "project_key", "voice_agent_id", "api_url"])
@pytest.mark.parametrize("value", ["", None, 5, b"bytes", "line\nend"])
def test_bad_argument_is_refused_by_both_ways(server_class: ServerClass, moss: FakeMoss, name: str, value: Any) -> None:
    """A damaged argument is a ValueError with its name, at once and before anything is sent, from both ways in."""
    if name == "api_url" and value is None:
        pytest.skip("the default: MOSS_PLATFORM_API_URL, or Moss's own URL")
    arguments = {**moss.arguments, name: value}

    assert refused(server_class.kind, **arguments) == refused(server_class.create, **arguments)
    assert (name, 0) == (refused(server_class.kind, **arguments)[0], moss.count)


async def told_later(status: CredentialsStatus) -> None:
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
        ("on_change", told_later, "on_change must be a plain function"),
        ("on_change", AsyncMock(), "on_change must be a plain function"),
    ],
)
def test_bad_keyword_is_refused(server_class: ServerClass, moss: FakeMoss, name: str, value: Any, text: str) -> None:
    """A keyword argument of another type is refused with its name and what it must be."""
    for call in (server_class.kind, server_class.create):
        field, found = refused(call, **moss.arguments, **{name: value})
        assert (name, True) == (field, found.startswith(text))


def test_transport_of_the_other_kind_is_refused(moss: FakeMoss) -> None:
    """A sync transport cannot serve the async class, nor the other way round; the text names what it lacks."""
    sync, other = Halfway("handle_request"), Halfway("handle_async_request")

    assert "transport" == refused(MossVoiceServer, **moss.arguments, transport=sync)[0]
    assert "handle_async_request" in refused(MossVoiceServer, **moss.arguments, transport=sync)[1]
    assert "handle_request" in refused(MossVoiceServerSync, **moss.arguments, transport=other)[1]


# create.


def test_create_by_position(server_class: ServerClass, moss: FakeMoss) -> None:
    """`create(project_id, project_key, voice_agent_id, api_url)` fetches once and returns a server of its class."""
    server = server_class.create(*moss.arguments.values())

    assert (server_class.kind, 1) == (type(server), moss.count)
    assert ("wss://example.livekit.cloud", "example-agent") == (server.get_server_url(), server.get_agent_name())
    assert signed_by(server.create_participant_token(ADA, "lobby"), moss.credentials)


def test_create_with_a_transport(server_class: ServerClass) -> None:
    """A transport is asked in place of the network, whatever the address, also the default one."""
    moss = FakeMoss(project_id="project", project_key="key", voice_agent_id="agent")
    server = server_class.create("project", "key", "agent", transport=moss.transport())

    assert (1, "service.usemoss.dev") == (moss.count, moss.requests[0].headers["host"])
    assert signed_by(server.create_participant_token(ADA, "lobby"), moss.credentials)


def test_transport_that_fails_is_named(server_class: ServerClass, moss: FakeMoss) -> None:
    """When the caller's transport raises its own error, the text says whose it is and shows nothing else."""
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


def test_create_raises_what_went_wrong(server_class: ServerClass, moss: FakeMoss) -> None:
    """A refusal is a RuntimeError of its own class, with the variables to check."""
    moss.set_default(401)

    with pytest.raises(CredentialsRejected, match="check MOSS_PROJECT_ID and MOSS_PROJECT_KEY") as caught:
        server_class.create(**moss.arguments)

    assert (True, 1) == (isinstance(caught.value, RuntimeError), moss.count)


def test_policy_is_obeyed(server_class: ServerClass, moss: FakeMoss) -> None:
    """The caller's policy counts: one attempt is one request."""
    moss.set_default(503)

    with pytest.raises(CredentialsUnavailable):
        server_class.create(**moss.arguments, refresh=RefreshPolicy(attempts=1))

    assert 1 == moss.count


def test_on_change_is_called(server_class: ServerClass, moss: FakeMoss) -> None:
    """`on_change` is called with the status when the credentials have come."""
    reported: list[CredentialsStatus] = []
    server = server_class.create(**moss.arguments, on_change=reported.append)

    assert ["fresh"] == [status.state for status in reported]
    assert server.status().fingerprint == reported[0].fingerprint


# from_env.


def test_from_env_reads_the_environment(
    server_class: ServerClass, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an argument the process's own environment counts, as it is at that moment."""
    for name, value in moss.environ.items():
        monkeypatch.setenv(name, value)

    assert moss.credentials["voice_agent_url"] == server_class.from_env().get_server_url()
    assert 1 == moss.count


@pytest.mark.parametrize("kind", [dict, MappingProxyType])
def test_from_env_reads_a_mapping(
    server_class: ServerClass, moss: FakeMoss, kind: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mapping in its place counts alone: nothing is taken from the process's environment."""
    for name in VARIABLES:
        monkeypatch.setenv(name, "not this one")

    assert "fresh" == server_class.from_env(kind(moss.environ)).status().state
    assert ("MOSS_PROJECT_ID", 1) == (refused(server_class.from_env, kind({}))[0], moss.count)


@pytest.mark.parametrize("name", VARIABLES)
def test_from_env_reads_files(server_class: ServerClass, moss: FakeMoss, tmp_path: Path, name: str) -> None:
    """Each variable may name a file instead, as Docker and Kubernetes hand secrets over."""
    environ = dict(moss.environ)
    secret = tmp_path / "secret"
    secret.write_text(environ.pop(name) + "\n", encoding="utf-8")

    assert "fresh" == server_class.from_env({**environ, f"{name}_FILE": str(secret)}).status().state


def test_from_env_reads_all_from_files(server_class: ServerClass, moss: FakeMoss, tmp_path: Path) -> None:
    """All variables may be files at once, with whatever line ends."""
    for number, (name, value) in enumerate(moss.environ.items()):
        (tmp_path / name).write_bytes(value.encode() + (b"", b"\n", b"\r\n", b"\n\n")[number])

    assert "fresh" == server_class.from_env({f"{name}_FILE": str(tmp_path / name) for name in VARIABLES}).status().state


@pytest.mark.parametrize("name", VARIABLES[:3])
def test_from_env_names_what_is_missing(server_class: ServerClass, moss: FakeMoss, name: str) -> None:
    """A missing variable is named."""
    environ = {key: value for key, value in moss.environ.items() if key != name}

    assert (name, True) == (
        refused(server_class.from_env, environ)[0],
        f"{name}_FILE" in refused(server_class.from_env, environ)[1],
    )


def test_from_env_passes_keywords_on(server_class: ServerClass) -> None:
    """What `create` takes by name, `from_env` takes too; the address has its default."""
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
def test_from_env_takes_what_is_given_by_name(server_class: ServerClass, moss: FakeMoss, setting: str) -> None:
    """A setting that is given by name goes before its variable, be that set, set twice or not at all."""
    name = VARIABLES[[*moss.arguments].index(setting)]
    given = {setting: moss.arguments[setting]}
    without = {key: value for key, value in moss.environ.items() if key != name}

    for environ in ({**without, name: "https://other.example"}, {**moss.environ, f"{name}_FILE": os.devnull}, without):
        assert "fresh" == server_class.from_env(environ, **given).status().state
        assert "empty" == server_class.kind.lazy_from_env(environ, **given).status().state


# lazy_from_env.


def test_unfetched_reads_the_environment_without_a_request(
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


def test_unfetched_names_what_is_wrong_at_once(server_class: ServerClass) -> None:
    """A missing variable and a bad keyword are errors when the server is created, not at its first use."""
    assert "MOSS_PROJECT_ID" == refused(server_class.kind.lazy_from_env, {})[0]
    environ = dict(zip(VARIABLES, ("project", "key", "agent"), strict=False))
    assert "refresh" == refused(server_class.kind.lazy_from_env, environ, refresh=5)[0]


# from_livekit.


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


BY_HAND: list[tuple[str, Any]] = [
    ("url", ""),
    ("url", None),
    ("url", "livekit.example"),
    ("url", "ws://livekit.example"),
    ("api_key", ""),
    ("api_key", None),
    ("api_key", "API key"),
    ("api_secret", ""),
    ("api_secret", None),
    ("api_secret", b"bytes"),
    ("api_secret", "secret\n"),
    ("api_secret", "\ud800"),
    ("agent_name", None),
    ("agent_name", 5),
    ("agent_name", " greeter"),
]


def test_from_livekit_names_the_bad_argument(server_class: ServerClass) -> None:
    """A bad argument is a ValueError that begins with its name."""
    for name, value in BY_HAND:
        field, text = refused(by_hand, server_class, **{name: value})

        assert (name, True) == (field, text.startswith(f"{name} "))


def test_from_livekit_takes_nothing_from_the_environment(
    server_class: ServerClass, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Empty credentials are refused, also where LiveKit's own variables are set."""
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        monkeypatch.setenv(name, "x" * 40)

    assert ["api_key", "api_secret"] == [
        refused(by_hand, server_class, **{name: ""})[0] for name in ("api_key", "api_secret")
    ]


def test_from_livekit_has_nothing_to_fetch(server_class: ServerClass) -> None:
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


# Short secrets.


@pytest.mark.parametrize(("secret", "weak"), [("x" * 31, 1), ("x" * 32, 0), ("é" * 15, 1), ("é" * 16, 0)])
def test_short_secret_is_one_warning(server_class: ServerClass, moss: FakeMoss, secret: str, weak: int) -> None:
    """A secret under 32 bytes is one warning of our own category, by hand or from the API, and never a refusal."""
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


# Minting.


def test_token_of_all_arguments(server_class: ServerClass) -> None:
    """Every argument is in the token, agents in the order of the arguments."""
    token = by_hand(server_class).create_participant_token(
        ParticipantInfo("user-42", "Ada", "m", {"a": "b"}),
        "lobby",
        "first",
        ttl=timedelta(hours=1),
        grants=ParticipantGrants(can_publish=False),
        agents=["second", AgentDispatch("third", deployment="blue")],
        room_config={"agents": [{"agent_name": "fourth"}], "max_participants": 2},
    )
    claims = tokens.claims(token)

    assert {"alg": "HS256", "typ": "JWT"} == tokens.header(token)
    assert 3600 == claims["exp"] - claims["nbf"]
    assert {
        "iss": tokens.API_KEY,
        "sub": "user-42",
        "name": "Ada",
        "metadata": "m",
        "attributes": {"a": "b"},
        "video": {
            "roomJoin": True,
            "room": "lobby",
            "canPublish": False,
            "canSubscribe": True,
            "canPublishData": False,
        },
        "roomConfig": {
            "maxParticipants": 2,
            "agents": [
                {"agentName": "first"},
                {"agentName": "second"},
                {"agentName": "third", "deployment": "blue"},
                {"agentName": "fourth"},
            ],
        },
    } == tokens.untimed(token)


def test_no_agent_is_no_dispatch(server_class: ServerClass) -> None:
    """Without an agent's name the token dispatches no agent, also when the server knows a name, as in 0.1.0."""
    for name in [None, ""]:
        server = by_hand(server_class, agent_name="greeter")

        assert "roomConfig" not in tokens.claims(server.create_participant_token(ADA, "lobby", name))


def test_bad_request_is_refused_and_the_next_one_served(server_class: ServerClass) -> None:
    """A refused request is a ValueError with the field, and leaves the server as it was."""
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


def test_eight_threads_mint_what_they_ask_for(server_class: ServerClass) -> None:
    """One server serves eight threads at once: each token says what was asked for it and nothing of another's."""
    server = by_hand(server_class)

    def mint(worker: int) -> list[tuple[str, str, Any]]:
        made = []
        for number in range(150):
            who = f"user-{worker}-{number}"
            room_config = {"metadata": who} if number % 3 else None
            participant = ParticipantInfo(who, metadata=who, attributes={who: who})
            grants = ParticipantGrants(hidden=bool(worker % 2), can_publish_sources=("camera",) * (number % 2))
            claims = tokens.claims(
                server.create_participant_token(participant, f"room-{who}", grants=grants, room_config=room_config)
            )
            expected = {who: who}, who, f"room-{who}", bool(worker % 2), number % 2, who if number % 3 else None
            found = (
                claims["attributes"],
                claims["metadata"],
                claims["video"]["room"],
                claims["video"].get("hidden", False),
                len(claims["video"].get("canPublishSources", ())),
                claims.get("roomConfig", {}).get("metadata"),
            )
            made.append((who, claims["sub"], expected == found))
        return made

    with ThreadPoolExecutor(8) as pool:
        rows = [row for made in pool.map(mint, range(8)) for row in made]

    assert [] == [row for row in rows if row[0] != row[1] or row[2] is not True]
    assert 8 * 150 == len(rows)


def test_arguments_may_change_after_the_call(server_class: ServerClass) -> None:
    """A token says what its arguments said when it was made, whatever becomes of them; the next one says the new."""
    attributes, config = {"a": "b"}, {"metadata": "old"}
    participant = ParticipantInfo("user-42", attributes=attributes)
    server = by_hand(server_class)
    first = server.create_participant_token(participant, "lobby", room_config=config)
    attributes["a"] = "c"
    config["metadata"] = "new"
    second = server.create_participant_token(participant, "lobby", room_config=config)

    assert ({"a": "b"}, "old") == (tokens.claims(first)["attributes"], tokens.claims(first)["roomConfig"]["metadata"])
    assert ({"a": "c"}, "new") == (tokens.claims(second)["attributes"], tokens.claims(second)["roomConfig"]["metadata"])


def test_arguments_are_not_changed(server_class: ServerClass) -> None:
    """Minting changes nothing that it is given."""
    attributes, agents = {"a": "b"}, ["one"]
    config: dict[str, Any] = {"agents": [{"agent_name": "two"}], "egress": {"room": {"room_name": "x"}}}
    before = repr((attributes, agents, config))
    by_hand(server_class).create_participant_token(
        ParticipantInfo("user-42", attributes=attributes), "lobby", agents=agents, room_config=config
    )

    assert before == repr((attributes, agents, config))


# Refreshing, status, closing, blocks.


def test_refresh_brings_the_new_credentials(server_class: ServerClass, moss: FakeMoss) -> None:
    """After a rotation `refresh` fetches, and tokens, address and name are the new ones."""
    server = server_class.create(**moss.arguments)
    before = server.status().fingerprint
    new = moss.rotate(url="wss://other.livekit.cloud", agent_name="other")
    server_class.refresh(server)

    assert (2, "wss://other.livekit.cloud", "other") == (moss.count, server.get_server_url(), server.get_agent_name())
    assert signed_by(server.create_participant_token(ADA, "lobby"), new)
    assert before != server.status().fingerprint


def test_constructed_server_can_be_refreshed(server_class: ServerClass, moss: FakeMoss) -> None:
    """Constructing and `refresh` is another way to `create`."""
    server = server_class.kind(**moss.arguments)
    server_class.refresh(server)

    assert (1, "fresh") == (moss.count, server.status().state)


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
    """The status tells how the credentials are, and shows neither key nor secret."""
    status = server_class.create(**moss.arguments).status()

    assert ("fresh", None, None) == (status.state, status.last_error, status.next_attempt_in)
    assert status.age is not None
    assert 0 <= status.age < 60
    hidden = [*moss.credentials.values(), *moss.arguments.values()]
    assert [] == [value for value in hidden if value in repr(status)]


def test_closed_server_mints_on_and_fetches_no_more(server_class: ServerClass, moss: FakeMoss) -> None:
    """Closing, even twice, ends the fetching; minting goes on with the cached credentials."""
    server = server_class.create(**moss.arguments)
    server_class.close(server)
    server_class.close(server)

    assert signed_by(server.create_participant_token(ADA, "lobby"), moss.credentials)
    with pytest.raises(CredentialsUnavailable, match=f"this {server_class.kind.__name__} is closed") as caught:
        server_class.refresh(server)
    assert (None, 1) == (caught.value.retry_after, moss.count)


def test_block_over_a_created_server(server_class: ServerClass, moss: FakeMoss) -> None:
    """A block over a created server fetches nothing more, gives the server itself, and closes it."""
    server = server_class.create(**moss.arguments)

    assert server is server_class.within(server, lambda entered: entered)
    assert 1 == moss.count
    with pytest.raises(CredentialsUnavailable, match="closed"):
        server_class.refresh(server)


def test_block_over_a_constructed_server(server_class: ServerClass, moss: FakeMoss) -> None:
    """A block over a constructed server fetches first."""
    server = server_class.kind(**moss.arguments)

    token = server_class.within(server, lambda entered: entered.create_participant_token(ADA, "lobby"))

    assert (True, 1) == (signed_by(token, moss.credentials), moss.count)


def test_block_that_cannot_fetch_is_not_entered(server_class: ServerClass, moss: FakeMoss) -> None:
    """When the first fetch fails the block is not entered, and nothing is left running."""
    moss.set_default(404)
    entered: list[Server] = []

    with pytest.raises(CredentialsRejected, match="MOSS_VOICE_AGENT_ID"):
        server_class.within(server_class.kind(**moss.arguments), entered.append)

    assert [] == entered


def test_error_in_a_block_goes_through(server_class: ServerClass, moss: FakeMoss) -> None:
    """What is raised inside a block comes out of it, and the server is closed."""
    server = server_class.create(**moss.arguments)

    def fail(_server: Server) -> None:
        raise LookupError("the application's")

    with pytest.raises(LookupError, match="the application's"):
        server_class.within(server, fail)
    with pytest.raises(CredentialsUnavailable, match="closed"):
        server_class.refresh(server)


def test_log_tells_the_fetch_without_the_key(
    server_class: ServerClass, moss: FakeMoss, caplog: pytest.LogCaptureFixture
) -> None:
    """One line at INFO says that credentials were fetched, with a hash of the key id only."""
    with caplog.at_level(logging.DEBUG, "moss_voice_server"):
        server = server_class.create(**moss.arguments)
    lines = [record.getMessage() for record in caplog.records if record.name == "moss_voice_server"]

    assert [f"LiveKit credentials fetched, key {server.status().fingerprint}"] == lines


# The front door.


def test_front_door_gives_three_names_and_no_more() -> None:
    """The package gives its three names, lists them, and says plainly that it has no other."""
    assert ["MossVoiceServer", "MossVoiceServerSync", "ParticipantInfo"] == moss_voice_server.__all__
    assert {*moss_voice_server.__all__} <= {*dir(moss_voice_server)}
    with pytest.raises(AttributeError, match="module 'moss_voice_server' has no attribute 'AccessToken'"):
        moss_voice_server.AccessToken  # noqa: B018  # asking for it is what is tested


def test_unfetched_needs_no_network(server_class: ServerClass, moss: FakeMoss) -> None:
    """`lazy_from_env` reads what `from_env` reads, at once and in either class; `refresh` then brings the credentials."""
    server = server_class.kind.lazy_from_env(moss.environ)
    assert (0, "empty") == (moss.count, server.status().state)
    server_class.refresh(server)
    assert signed_by(server.create_participant_token(ADA, "lobby"), moss.credentials)


def test_unfetched_names_what_is_missing(server_class: ServerClass) -> None:
    """As with `from_env`, the error is about the variable."""
    assert "MOSS_PROJECT_ID" == refused(server_class.kind.lazy_from_env, {})[0]
