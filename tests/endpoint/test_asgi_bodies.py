"""ASGI: how a body is read: in parts, in time, and whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Route

from moss_voice_server._endpoint import asgi as reader
from moss_voice_server.asgi import token_app
from moss_voice_server.endpoint import Admission, TokenRequest
from tests.endpoint.calls import ADA, EMPTY, SERVER, Message, asgi_ask, asgi_call, ask_asgi, chunk, http_scope


async def _ada(scope: Any, token_request: TokenRequest) -> Admission:
    return ADA


APP = token_app(SERVER, authorize=_ada)
CUT: dict[str, tuple[list[Message], int]] = {
    "nothing": ([{"type": "http.request"}], 201),
    "None": ([chunk(None)], 201),
    "None in parts": ([chunk(b"{", True), chunk(None, True), chunk(b"}")], 201),
    "byte by byte": ([*(chunk(b" ", True) for _ in range(16382)), chunk(b"{}")], 201),
    "byte by byte, too many": ([*(chunk(b" ", True) for _ in range(16383)), chunk(b"{}")], 413),
    "too long at once": ([chunk(b" " * 16385)], 413),
    "too long at first": ([chunk(b" " * 16385, True)], 413),
    "broken off": ([chunk(b"{", True), {"type": "http.disconnect"}], 400),
    "gone before": ([{"type": "http.disconnect"}], 400),
}


@pytest.mark.parametrize(("messages", "status"), CUT.values(), ids=CUT)
def test_a_body_in_parts(messages: list[Message], status: int) -> None:
    """However a body is cut, it is read whole, up to the limit; one that breaks off is no request."""
    assert status == ask_asgi(APP, receive=messages).status


def test_no_more_is_read_than_needed() -> None:
    """Reading ends with the part that is too much: memory is bounded by the limit and one part."""
    parts = iter([chunk(b" " * 8192, True)] * 10)

    async def receive() -> Message:
        return next(parts)

    assert 413 == ask_asgi(APP, receive=receive).status
    assert 7 == len(list(parts))


async def never() -> Message:
    """A client that has sent its headers and sends no more."""
    await asyncio.Event().wait()
    raise AssertionError


def half_a_body() -> Callable[[], Awaitable[Message]]:
    """A client that sends a part, and then no more."""
    parts = [chunk(b"{", True)]

    async def receive() -> Message:
        return parts.pop() if parts else await never()

    return receive


async def trickle() -> Message:
    """A client that sends empty parts without an end."""
    await asyncio.sleep(0)
    return chunk(b"", True)


@pytest.mark.parametrize("receive", [half_a_body(), trickle], ids=["half a body", "a trickle"])
def test_reading_ends_in_time(monkeypatch: pytest.MonkeyPatch, receive: Callable[[], Awaitable[Message]]) -> None:
    """A body that does not end is given up after a time, and the caller's own waits are not cancelled by that."""
    monkeypatch.setattr(reader, "READ_TIMEOUT", 0.05)

    async def scenario() -> None:
        answer = await asgi_ask(APP, receive=receive)
        assert (400, "body_incomplete") == (answer.status, answer.json["error"])
        await asyncio.wait_for(asyncio.sleep(0), 30)
        assert not getattr(asyncio.current_task(), "cancelling", int)()

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_trio_gives_up_in_time_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time limit is the running loop's own."""
    trio = pytest.importorskip("trio")
    monkeypatch.setattr(reader, "READ_TIMEOUT", 0.05)
    parts = [chunk(b"{", True)]

    async def stuck() -> Message:
        return parts.pop() if parts else await trio.sleep_forever()

    assert 400 == trio.run(asgi_call, APP, http_scope(), stuck)[0]["status"]


def test_below_a_middleware_that_waits_in_scopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starlette's middleware receives in its own task groups: a body may be late, or never end, there as well."""

    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    app = Starlette(routes=[Route("/", APP)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)])
    late = iter([chunk(b"{", True), chunk(b"}")])

    async def receive() -> Message:
        await asyncio.sleep(0.01)
        return next(late, None) or await never()

    assert 201 == asyncio.run(asyncio.wait_for(asgi_ask(app, receive=receive), 30)).status
    monkeypatch.setattr(reader, "READ_TIMEOUT", 0.05)
    assert 400 == asyncio.run(asyncio.wait_for(asgi_ask(app, receive=half_a_body()), 30)).status


def test_a_server_that_gives_up_is_obeyed() -> None:
    """A request that the server cancels while its body is awaited ends at once, and not as a timeout."""

    async def scenario() -> None:
        waiting = asyncio.Event()

        async def receive() -> Message:
            waiting.set()
            return await never()

        task = asyncio.ensure_future(asgi_ask(APP, receive=receive))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_error_of_the_server_while_reading(caplog: pytest.LogCaptureFixture) -> None:
    """It goes back to the server unchanged, and is not logged as one of the application."""

    async def receive() -> Message:
        raise OSError("of the server")

    with pytest.raises(OSError, match="of the server"):
        ask_asgi(APP, receive=receive)
    assert [] == [record for record in caplog.records if record.name == "moss_voice_server.endpoint"]


def test_headers_that_come_twice() -> None:
    """The last of two types counts; a header that we do not read may hold any bytes."""
    headers = [*http_scope()["headers"], (b"x-unknown", b"\xff\xfe"), (b"content-type", b"text/plain")]
    assert 415 == ask_asgi(APP, headers=headers).status


# By what arrives: HTTP version, announced length, other headers, body, and the status.
ANNOUNCED: dict[str, tuple[str, dict[str, str | None], bytes, int]] = {
    "nothing of a length": ("1.1", {"content-length": "26"}, b"", 400),
    "less than the length": ("1.1", {"content-length": "26"}, b"{}", 400),
    "nothing in chunks": ("1.1", {"transfer-encoding": "chunked"}, b"", 400),
    "nothing over HTTP/2": ("2", {}, b"", 400),
    "nothing over HTTP/3": ("3", {}, b"", 400),
    "nothing over HTTP/2, as announced by browsers": ("2", {"content-length": "0"}, b"", 201),
    "a body over HTTP/2 without a length": ("2", {}, b"{}", 201),
}


@pytest.mark.parametrize(("version", "headers", "body", "status"), ANNOUNCED.values(), ids=ANNOUNCED)
def test_announced_body(version: str, headers: dict[str, str | None], body: bytes, status: int) -> None:
    """A request whose body was lost on its way, as to a middleware that read it, gets no token for another room."""
    answer = ask_asgi(APP, EMPTY._replace(headers=headers), receive=[chunk(body)], http_version=version)
    assert (status, status == 400) == (answer.status, b"body_incomplete" in answer.body)
