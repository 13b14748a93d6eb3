"""Version 0.1.0: the same request on the wire, byte for byte (recorded), and programs that were written for it."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import runpy
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from moss_voice_server.testing import FakeMoss
from tests.compat.conftest import CREDENTIALS
from tests.livekit.needs import absent
from tests.support import tokens
from tests.support.servers import ServerClass


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
    runpy.run_path(str(Path(__file__).parent / "sync_script.py"), run_name="__main__")
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
