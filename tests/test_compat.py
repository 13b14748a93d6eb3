"""Version 0.1.0: code for it runs unchanged, and its tests pass with `httpx2` in place of `httpx`.

The expected requests and claims were recorded from 0.1.0.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import runpy
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

import moss_voice_server
from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.testing import FakeMoss, MockResponse
from tests.livekit.needs import absent
from tests.support import tokens
from tests.support.servers import ServerClass

CREDENTIALS = {
    "voice_agent_url": tokens.URL,
    "voice_agent_api_key": tokens.API_KEY,
    "voice_agent_api_secret": tokens.API_SECRET,
    "voice_agent_name": "example-agent",
}
PROJECT = ("project-1", "key-1", "va_1")
Handler = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture
def answered_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], None]:
    """Gives the clients of the module `httpx2` another transport, as 0.1.0's own tests do."""

    def answer(transport: Any) -> None:
        for name in ("Client", "AsyncClient"):
            original = getattr(httpx2, name)

            def patched(*args: Any, original: Any = original, **keywords: Any) -> Any:
                return original(*args, **{**keywords, "transport": transport})

            monkeypatch.setattr(httpx2, name, patched)

    return answer


def answer(content: Any, status: int = 200) -> httpx2.MockTransport:
    """A transport that always gives this JSON."""
    return httpx2.MockTransport(lambda request: httpx2.Response(status, json=content))


# 0.1.0's own tests.


def test_exports() -> None:
    """The package exports the three names of 0.1.0."""
    assert ["MossVoiceServer", "MossVoiceServerSync", "ParticipantInfo"] == sorted(moss_voice_server.__all__)


def test_empty_arguments(server_class: ServerClass) -> None:
    """Constructing with an empty id or key is a ValueError."""
    for empty in ["project_id", "project_key", "voice_agent_id"]:
        arguments: dict[str, Any] = {"project_id": "p", "project_key": "k", "voice_agent_id": "v", empty: ""}

        with pytest.raises(ValueError, match=empty):
            server_class.kind(**arguments)


@pytest.mark.parametrize("missing", CREDENTIALS)
def test_missing_field(server_class: ServerClass, answered_by: Callable[[Any], None], missing: str) -> None:
    """An answer that lacks a field is a RuntimeError that names it."""
    answered_by(answer({name: value for name, value in CREDENTIALS.items() if name != missing}))

    with pytest.raises(RuntimeError, match=missing):
        server_class.create(project_id="p", project_key="k", voice_agent_id="v")


def test_create_is_plain_in_the_sync_class() -> None:
    """`create` is awaited in the async class only."""
    assert [True, False] == [
        inspect.iscoroutinefunction(each.create) for each in (MossVoiceServer, MossVoiceServerSync)
    ]


def test_patched_client_serves(server_class: ServerClass, answered_by: Callable[[Any], None]) -> None:
    """A client that is patched on the module is the one that is used; it sees the two headers and the agent's id."""
    seen: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json=CREDENTIALS)

    answered_by(httpx2.MockTransport(handle))
    server = server_class.create(project_id="p", project_key="k", voice_agent_id="v")
    token = server.create_participant_token(ParticipantInfo(identity="user-42", name="Ada"), room_name="lobby")

    assert ["GET"] == [request.method for request in seen]
    assert "https://service.usemoss.dev/api/voice-agent/get-voice-agent?voice_agent_id=v" == str(seen[0].url)
    assert ("p", "k") == (seen[0].headers["X-Project-Id"], seen[0].headers["X-Project-Key"])
    assert (tokens.URL, "example-agent") == (server.get_server_url(), server.get_agent_name())
    assert (str, 2) == (type(token), token.count("."))
    claims = tokens.claims(token)
    assert ("user-42", "Ada") == (claims["sub"], claims["name"])
    assert ("lobby", True) == (claims["video"]["room"], claims["video"]["roomJoin"])


# Call shapes.


@pytest.mark.parametrize(
    "way",
    [
        lambda server_class: server_class.create(*PROJECT),
        lambda server_class: server_class.create(*PROJECT, "https://moss.example"),
        lambda server_class: server_class.create(*PROJECT, api_url="https://moss.example/"),
        lambda server_class: server_class.create(voice_agent_id="va_1", project_key="key-1", project_id="project-1"),
    ],
    ids=["three", "four", "keyword", "keywords"],
)
def test_ways_to_call_create(
    server_class: ServerClass, answered_by: Callable[[Any], None], way: Callable[[ServerClass], Any]
) -> None:
    """`create` takes its arguments by position and by name."""
    answered_by(answer(CREDENTIALS))

    assert server_class.kind is type(way(server_class))


ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((ParticipantInfo("u"), "r", "a"), {}),
    ((ParticipantInfo("u"), "r"), {"agent_name": "a"}),
    ((ParticipantInfo("u"),), {"room_name": "r", "agent_name": "a"}),
    ((), {"agent_name": "a", "room_name": "r", "participant": ParticipantInfo(identity="u")}),
]


def test_ways_to_call_create_participant_token(server_class: ServerClass) -> None:
    """`create_participant_token` takes its arguments by position and by name."""
    for positions, names in ARGUMENTS:
        server = server_class.kind.from_livekit(tokens.URL, tokens.API_KEY, tokens.API_SECRET)
        token = server.create_participant_token(*positions, **names)

        assert tokens.untimed(server.create_participant_token(ParticipantInfo("u"), "r", "a")) == tokens.untimed(token)


# Claims, as 0.1.0 makes them.

JOIN = {"roomJoin": True, "room": "lobby", "canPublish": True, "canSubscribe": True, "canPublishData": True}
MADE: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((ParticipantInfo("user-42"), "lobby"), {"sub": "user-42", "video": JOIN}),
    (
        (ParticipantInfo("user-42", "Ada", '{"plan": "pro"}', {"role": "host"}), "lobby", "greeter"),
        {
            "sub": "user-42",
            "name": "Ada",
            "metadata": '{"plan": "pro"}',
            "attributes": {"role": "host"},
            "video": JOIN,
            "roomConfig": {"agents": [{"agentName": "greeter"}]},
        },
    ),
    (
        (ParticipantInfo("user-42", name="", metadata="", attributes={}), "lobby", ""),
        {"sub": "user-42", "attributes": {}, "video": JOIN},
    ),
    ((ParticipantInfo("üser", "🎤"), "räum", None), {"sub": "üser", "name": "🎤", "video": {**JOIN, "room": "räum"}}),
]


def test_claims(server_class: ServerClass) -> None:
    """The claims are those of 0.1.0, and the token is valid for 15 minutes from now."""
    for arguments, expected in MADE:
        server = server_class.kind.from_livekit(tokens.URL, tokens.API_KEY, tokens.API_SECRET, "example-agent")
        token = server.create_participant_token(*arguments)
        claims = tokens.claims(token)

        assert {"alg": "HS256", "typ": "JWT"} == tokens.header(token)
        assert {"iss": tokens.API_KEY, **expected} == tokens.untimed(token)
        assert 900 == claims["exp"] - claims["nbf"]


# Other event loops, and subclasses.


def test_create_under_trio() -> None:
    """0.1.0 ran under trio, and so does this: `create`, `async with` and `refresh`, and what they raise."""
    if importlib.util.find_spec("trio") is None:
        absent("trio is not installed")
    import trio

    async def main(moss: FakeMoss) -> tuple[str, bool]:
        async with await MossVoiceServer.create(**moss.arguments) as server:
            await server.refresh()
            moss.set_default(401)
            with pytest.raises(RuntimeError, match="HTTP 401"):
                await server.refresh()
            moss.set_default(MockResponse(hang=True))
            with trio.move_on_after(0.05) as patience:
                await MossVoiceServer.create(**moss.arguments, refresh=RefreshPolicy(attempts=1))
            return server.get_agent_name(), patience.cancelled_caught

    with FakeMoss() as moss:
        assert (moss.credentials["voice_agent_name"], True) == trio.run(main, moss)
        # The abandoned fetch must not reach into the next test.
        moss.wait_for(4)
        moss.release()
        for thread in threading.enumerate():
            if thread.name.startswith("moss-voice-server"):
                thread.join(5)


def test_subclass_with_the_init_of_0_1_0(server_class: ServerClass, answered_by: Callable[[Any], None]) -> None:
    """A subclass whose `__init__` knows the four arguments of 0.1.0 and no other can be created."""
    answered_by(answer(CREDENTIALS))

    class Extended(server_class.kind):  # type: ignore[name-defined,misc]  # a class that is chosen at run time
        def __init__(self, project_id: str, project_key: str, voice_agent_id: str, api_url: str = "https://h") -> None:
            super().__init__(project_id, project_key, voice_agent_id, api_url)
            self.asked = api_url.rstrip("/")

    server: Any = ServerClass(Extended).create(*PROJECT, "https://moss.example/")
    assert "https://moss.example" == server.asked


FAILURES: dict[str, tuple[int, bytes]] = {
    "HTTP 401": (401, b"{}"),
    "HTTP 404": (404, b"{}"),
    "HTTP 500": (500, b"{}"),
    "no JSON": (200, b"<html>"),
    "array": (200, b"[]"),
    "empty object": (200, b"{}"),
}


@pytest.mark.parametrize(("status", "body"), FAILURES.values(), ids=FAILURES.keys())
def test_failed_fetch_is_a_runtime_error(
    server_class: ServerClass, answered_by: Callable[[Any], None], status: int, body: bytes
) -> None:
    """A fetch that fails is a RuntimeError, with an HTTP error's status in its text."""
    answered_by(httpx2.MockTransport(lambda request: httpx2.Response(status, content=body)))

    with pytest.raises(RuntimeError, match=str(status) if status > 200 else None):
        server_class.create(*PROJECT, refresh=RefreshPolicy(attempts=1))


# On the wire.


@pytest.fixture
def wire() -> Iterator[tuple[int, list[bytes]]]:
    """A port on which every request gets the credentials, and the requests as they came, byte for byte."""
    body = json.dumps(CREDENTIALS).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    heard: list[bytes] = []
    over = threading.Event()

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            with connection:
                if over.is_set():
                    return
                connection.settimeout(5)
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(65_536) or b"\r\n\r\n"
                heard.append(request)
                connection.sendall(head + body)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], heard
        over.set()
        socket.create_connection(listener.getsockname()).close()
        thread.join(5)


PATH = "/api/voice-agent/get-voice-agent?voice_agent_id="
# The voice agent's ID, the path of the URL, and the request's target, as 0.1.0 sends it.
TARGETS: list[tuple[str, str, str]] = [
    ("va_1", "", f"{PATH}va_1"),
    ("va_1", "/", f"{PATH}va_1"),
    ("va_1", "//", f"{PATH}va_1"),
    ("va_1", "/base", f"/base{PATH}va_1"),
    ("va_1", "/base/", f"/base{PATH}va_1"),
    ("va_1", "/Base/%20x", f"/Base/%20x{PATH}va_1"),
    ("a b/c", "", f"{PATH}a%20b/c"),
    ("ü&x=1#?%", "", f"{PATH}%C3%BC%26x%3D1%23%3F%25"),
    ("~._-", "", f"{PATH}~._-"),
    ("a+b", "", f"{PATH}a%2Bb"),
    ("日本", "", f"{PATH}%E6%97%A5%E6%9C%AC"),
    ("'\"<>[]{}|\\^`", "", f"{PATH}%27%22%3C%3E%5B%5D%7B%7D%7C%5C%5E%60"),
    ("a,b;c:d@e!$*()", "", f"{PATH}a%2Cb%3Bc%3Ad%40e%21%24%2A%28%29"),
]


@pytest.mark.parametrize(
    ("agent", "base", "target"), TARGETS, ids=[f"{i}-{a!a}" for i, (a, _, _) in enumerate(TARGETS)]
)
def test_request_on_the_wire(
    server_class: ServerClass, wire: tuple[int, list[bytes]], agent: str, base: str, target: str
) -> None:
    """One GET with the target of 0.1.0, its two headers spelled as there, and no body."""
    port, heard = wire
    server_class.create("proj-1", "key-~!@#$%^&*()", agent, f"http://127.0.0.1:{port}{base}")
    request = heard[0]
    lines = request.split(b"\r\n")

    assert 1 == len(heard)
    assert f"GET {target} HTTP/1.1".encode() == lines[0]
    expected = [f"Host: 127.0.0.1:{port}", "Accept: */*", "Connection: keep-alive"]
    expected += ["X-Project-Id: proj-1", "X-Project-Key: key-~!@#$%^&*()"]
    # Different from 0.1.0: no compressed response is accepted, and the client's name.
    own = {"Accept-Encoding: identity", f"User-Agent: python-httpx2/{httpx2.__version__}"}
    assert {*expected, *own} == {line.decode() for line in lines[1:] if line}
    assert request.endswith(b"\r\n\r\n")


# Whole programs.


@pytest.fixture
def moss(answered_by: Callable[[Any], None], monkeypatch: pytest.MonkeyPatch) -> FakeMoss:
    """A Moss API at 0.1.0's default URL, and the three variables of 0.1.0's documentation."""
    moss = FakeMoss(project_id="p", project_key="k", voice_agent_id="v")
    answered_by(moss.transport())
    for name, value in (("MOSS_PROJECT_ID", "p"), ("MOSS_PROJECT_KEY", "k"), ("MOSS_VOICE_AGENT_ID", "v")):
        monkeypatch.setenv(name, value)
    return moss


def test_sync_script_runs_unchanged(moss: FakeMoss, capsys: pytest.CaptureFixture[str]) -> None:
    """A script for 0.1.0 prints URL, agent and a token that the fetched secret has signed."""
    runpy.run_path(str(Path(__file__).parent / "compat" / "sync_script.py"), run_name="__main__")
    url, agent, token = capsys.readouterr().out.splitlines()
    claims = tokens.claims(token)

    assert ("wss://example.livekit.cloud", "example-agent", 1) == (url, agent, moss.count)
    assert ("caller-7", "Ada", "desk-3") == (claims["sub"], claims["name"], claims["video"]["room"])
    assert moss.credentials["voice_agent_api_key"] == claims["iss"]


def test_fastapi_application_runs_unchanged(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """An application for 0.1.0 fetches at its start and answers every request with a token."""
    if importlib.util.find_spec("fastapi") is None:
        absent("FastAPI is not installed: pip install -e '.[dev]'")
    original = httpx2.AsyncClient
    moss: FakeMoss = request.getfixturevalue("moss")
    application = importlib.import_module("tests.compat.fastapi_app").application

    async def ask() -> list[httpx2.Response]:
        async with application.router.lifespan_context(application):
            transport = httpx2.ASGITransport(app=application)
            async with original(transport=transport, base_url="http://testserver") as client:
                return [await client.post("/join", params={"user": who, "room": "lobby"}) for who in ("ada", "bob")]

    answers = asyncio.run(ask())

    assert ([200, 200], 1) == ([each.status_code for each in answers], moss.count)
    assert ["ada", "bob"] == [tokens.claims(each.json()["token"])["sub"] for each in answers]
    assert {"wss://example.livekit.cloud"} == {each.json()["url"] for each in answers}
