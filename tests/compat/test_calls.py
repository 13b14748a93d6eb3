"""Version 0.1.0: its tests pass with `httpx2` in place of `httpx`, and its call shapes and claims are the same (recorded)."""

from __future__ import annotations

import importlib.util
import inspect
import json
import threading
from collections.abc import Callable
from typing import Any

import httpx2
import pytest

import moss_voice_server
from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.testing import FakeMoss, MockResponse
from tests.compat.conftest import CREDENTIALS
from tests.livekit.needs import absent
from tests.support import tokens
from tests.support.servers import ServerClass

PROJECT = ("project-1", "key-1", "va_1")


def answer(content: Any) -> httpx2.MockTransport:
    """A transport that always gives this JSON."""
    return httpx2.MockTransport(lambda request: httpx2.Response(200, json=content))


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


def without(name: str) -> dict[str, str]:
    """The credentials but for one field."""
    return {each: value for each, value in CREDENTIALS.items() if each != name}


# Status, body, and what the text of the RuntimeError has.
FAILURES: dict[str, tuple[int, bytes, str]] = {
    **{f"no {name}": (200, json.dumps(without(name)).encode(), name) for name in CREDENTIALS},
    **{f"HTTP {status}": (status, b"{}", str(status)) for status in (401, 404, 500)},
    "no JSON": (200, b"<html>", ""),
    "array": (200, b"[]", ""),
    "empty object": (200, b"{}", "voice_agent_url"),
}


@pytest.mark.parametrize(("status", "body", "text"), FAILURES.values(), ids=FAILURES)
def test_failed_fetch_is_a_runtime_error(
    server_class: ServerClass, answered_by: Callable[[Any], None], status: int, body: bytes, text: str
) -> None:
    """With the status of an HTTP error, or the name of a field that the response lacks, in its text."""
    answered_by(httpx2.MockTransport(lambda request: httpx2.Response(status, content=body)))
    with pytest.raises(RuntimeError, match=text or None):
        server_class.create(*PROJECT, refresh=RefreshPolicy(attempts=1))


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


CREATE: list[tuple[tuple[str, ...], dict[str, str]]] = [
    (PROJECT, {}),
    ((*PROJECT, "https://moss.example"), {}),
    (PROJECT, {"api_url": "https://moss.example/"}),
    ((), {"voice_agent_id": "va_1", "project_key": "key-1", "project_id": "project-1"}),
]


def test_ways_to_call_create(server_class: ServerClass, answered_by: Callable[[Any], None]) -> None:
    """`create` takes its arguments by position and by name."""
    answered_by(answer(CREDENTIALS))
    for positions, names in CREATE:
        assert server_class.kind is type(server_class.create(*positions, **names))


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
