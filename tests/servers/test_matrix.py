"""Matrix: the same requests to every framework under every server get the same answers, and never a token for another room.

A server may refuse by itself what its parser does not accept; `REFUSED_BY_SERVER` lists these, and docs/deploying.md names what a
server cannot do.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.livekit.needs import absent
from tests.servers.programs import SERVERS, is_installed
from tests.support.server_programs import running
from tests.support.wire import Answer, Request, exchange

pytestmark = pytest.mark.once

NEW = "a new room"
ADA = {"authorization": "Bearer ada"}
UPGRADE = {"connection": "Upgrade, HTTP2-Settings, close", "upgrade": "h2c", "http2-settings": "AAMAAABk"}
LOBBY = b'{"room_name": "lobby"}'
TOO_LARGE = b'{"room_name": "' + b"x" * 20_000 + b'"}'


class Case(NamedTuple):
    """A request, the status and the room or error code that answer it."""

    request: Request
    status: int
    result: str


def _both(name: str, body: bytes, status: int, result: str, **headers: str) -> dict[str, Case]:
    """The same body with its length announced and in chunks."""
    sent = {**ADA, **headers}
    return {
        f"{name}, length": Case(Request(sent, body), status, result),
        f"{name}, chunked": Case(Request(sent, body, chunked=True), status, result),
    }


CASES: dict[str, Case] = {
    **_both("a room", LOBBY, 201, "lobby"),
    **_both("an empty object", b"{}", 201, NEW),
    **_both("a room that is not allowed", b'{"room_name": "vault"}', 403, "room_not_allowed"),
    **_both("not UTF-8", b'{"room_name": "\xff"}', 400, "invalid_json"),
    **_both("a body that is too large", TOO_LARGE, 413, "body_too_large"),
    **_both("another content type", LOBBY, 415, "unsupported_media_type", **{"content-type": "text/plain"}),
    **_both("a compressed body", LOBBY, 415, "unsupported_encoding", **{"content-encoding": "gzip"}),
    "no body": Case(Request(ADA, b""), 201, NEW),
    "no credentials": Case(Request({}, LOBBY), 401, "unauthenticated"),
    "GET": Case(Request(ADA, b"", method="GET"), 405, "method_not_allowed"),
    "PUT": Case(Request(ADA, LOBBY, method="PUT"), 405, "method_not_allowed"),
    "an offer of HTTP/2": Case(Request(ADA | UPGRADE, LOBBY), 201, "lobby"),
    "a body shorter than announced": Case(Request({**ADA, "content-length": "400"}, LOBBY), 400, "body_incomplete"),
}

CHUNKED = {name for name, case in CASES.items() if case.request.chunked}
HANGS_UP = 0
SHORT = "a body shorter than announced"
TOO_LARGE_CASE = "a body that is too large, length"
REFUSED_BY_SERVER: dict[str, dict[str, set[int]]] = {
    # Most servers drop a connection whose body ends early; granian reports Django's own error for it.
    "uvicorn-h11": {SHORT: {HANGS_UP}},
    # It takes the offer for an upgrade and does not deliver the body.
    "uvicorn-httptools": {SHORT: {HANGS_UP}, "an offer of HTTP/2": {400}},
    "hypercorn-asyncio": {SHORT: {HANGS_UP, 400}},
    "hypercorn-trio": {SHORT: {HANGS_UP, 400}},
    "granian-asgi": {SHORT: {500}},
    "daphne": {SHORT: {HANGS_UP}},
    "waitress": {SHORT: {HANGS_UP}},
    # Development servers: wsgiref does not decode chunks, and both reset a connection whose body is not read.
    "runserver": {**{name: {411} for name in CHUNKED}, TOO_LARGE_CASE: {HANGS_UP}},
    "flask-run": {TOO_LARGE_CASE: {HANGS_UP}},
}
"""What a server refuses before the endpoint sees it, or we refuse because the server cannot do it: the statuses by case."""


def _ask(port: int, path: str, case: Case) -> Answer | None:
    """The answer, or `None` where the server closes the connection without one."""
    is_short = "content-length" in case.request.headers  # the rest never comes
    try:
        return exchange(port, [case.request.as_sent(path)], case.request.method, ends=is_short)
    except ConnectionError:
        return None


def _deviation(server: str, framework: str, name: str, answer: Answer | None) -> str:
    """What is wrong with an answer; empty if it is as it should be."""
    case = CASES[name]
    status = answer.status if answer else HANGS_UP
    if answer is not None and status == 201:
        room = answer.claims["video"]["room"]
        kind = room if room == "lobby" else NEW
        return "" if (case.status, case.result) == (201, kind) else f"{framework}, {name}: a token for {room}"
    if answer is not None and status == case.status and answer.body and case.result == answer.json.get("error"):
        return ""
    if status in REFUSED_BY_SERVER.get(server, {}).get(name, set()):
        return ""
    return f"{framework}, {name}: {status} {answer.body[:80] if answer else b''!r}, not {case.status} {case.result}"


@pytest.mark.parametrize("name", SERVERS)
def test_server(name: str, tmp_path: Path) -> None:
    """Under this server, every framework answers each request like all the others."""
    server = SERVERS[name]
    if not is_installed(server):
        absent(f"{name} is not installed")
    asked = [(framework, case) for framework in server.frameworks for case in CASES]
    environ = {"TEST_APPLICATION": server.application, "PYTHONWARNINGS": "ignore"}
    with running(server.command, tmp_path / "output.txt", environ) as program, ThreadPoolExecutor(4) as threads:
        answers = threads.map(lambda each: _ask(program.port, f"/{each[0]}", CASES[each[1]]), asked)
        deviations = [_deviation(name, *each, answer) for each, answer in zip(asked, answers, strict=True)]
    assert [] == [deviation for deviation in deviations if deviation]
