"""ASGI: bodies in parts and in time, threads and loops, exceptions, the start."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

import pytest
from starlette.exceptions import HTTPException

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server._endpoint import asgi as reader
from moss_voice_server.asgi import token_app
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.endpoint import Admission, Denied, TokenRequest, allow_guests
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.testing import FakeMoss
from tests.endpoint.calls import Message, asgi_answer, asgi_ask, asgi_call, ask_asgi, http_scope
from tests.support.tokens import API_KEY, API_SECRET, URL
from tests.support.wire import Request

SERVER = MossVoiceServer.from_livekit(URL, API_KEY, API_SECRET)
ADA = Admission(ParticipantInfo("ada"))


def chunk(body: bytes, more: bool) -> Message:
    """A part of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more}


async def ada(scope: Any, token_request: TokenRequest) -> Admission:
    """Admits every request as Ada."""
    return ADA


APP = token_app(SERVER, authorize=ada)

BODIES: dict[str, tuple[list[Message], int]] = {
    "at once": ([chunk(b"{}", False)], 201),
    "nothing": ([{"type": "http.request"}], 201),
    "None": ([{"type": "http.request", "body": None}], 201),
    "None in parts": (
        [chunk(b"{", True), {"type": "http.request", "body": None, "more_body": True}, chunk(b"}", False)],
        201,
    ),
    "in parts": ([chunk(b"{", True), chunk(b"", True), chunk(b"}", False)], 201),
    "byte by byte": ([*(chunk(b" ", True) for _ in range(16382)), chunk(b"{}", False)], 201),
    "byte by byte, too many": ([*(chunk(b" ", True) for _ in range(16383)), chunk(b"{}", False)], 413),
    "too long at once": ([chunk(b" " * 16385, False)], 413),
    "too long in parts": ([chunk(b" " * 16000, True), chunk(b" " * 385, True)], 413),
    "too long at first": ([chunk(b" " * 16385, True)], 413),
    "broken off": ([chunk(b"{", True), {"type": "http.disconnect"}], 400),
    "gone before": ([{"type": "http.disconnect"}], 400),
}


@pytest.mark.parametrize(("messages", "status"), BODIES.values(), ids=BODIES.keys())
def test_a_body_in_parts(messages: list[Message], status: int) -> None:
    """However a body is cut, it is read whole, up to the limit; one that breaks off is no request."""
    sent = asyncio.run(asgi_call(APP, http_scope(Request()), messages))
    assert status == asgi_answer(sent).status


def test_no_more_is_read_than_needed() -> None:
    """Reading ends with the part that is too much: memory is bounded by the limit and one part."""
    parts = iter([chunk(b" " * 8192, True)] * 10)

    async def receive() -> Message:
        return next(parts)

    assert 413 == asgi_answer(asyncio.run(asgi_call(APP, http_scope(Request()), receive))).status
    assert 7 == len(list(parts))


async def never() -> Message:
    """A client that has sent its headers and sends no more."""
    await asyncio.Event().wait()
    raise AssertionError


def slowly() -> Callable[[], Awaitable[Message]]:
    """A client that sends a part, and then no more."""
    parts = [chunk(b"{", True)]

    async def receive() -> Message:
        return parts.pop() if parts else await never()

    return receive


async def trickle() -> Message:
    """A client that sends empty parts without an end."""
    await asyncio.sleep(0)
    return chunk(b"", True)


@pytest.mark.parametrize("receive", [slowly(), trickle], ids=["half a body", "a trickle"])
def test_reading_ends_in_time(monkeypatch: pytest.MonkeyPatch, receive: Callable[[], Awaitable[Message]]) -> None:
    """A body that does not end is given up after a time, and the caller's own waits are not cancelled by that."""
    monkeypatch.setattr(reader, "READ_TIMEOUT", 0.05)

    async def scenario() -> None:
        answer = asgi_answer(await asgi_call(APP, http_scope(Request()), receive))
        assert (400, "body_incomplete") == (answer.status, answer.json["error"])
        await asyncio.wait_for(asyncio.sleep(0), 30)
        assert not getattr(asyncio.current_task(), "cancelling", int)()

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_below_a_middleware_that_waits_in_scopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starlette's middleware receives in its own task groups: a body may be late, or never end, there as well."""
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.base import BaseHTTPMiddleware
    from starlette.routing import Route

    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    app = Starlette(routes=[Route("/", APP)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=pass_on)])
    late = iter([chunk(b"{", True), chunk(b"}", False)])

    async def receive() -> Message:
        await asyncio.sleep(0.01)
        return next(late, None) or await never()

    assert 201 == asgi_answer(asyncio.run(asyncio.wait_for(asgi_call(app, http_scope(Request()), receive), 30))).status
    monkeypatch.setattr(reader, "READ_TIMEOUT", 0.05)
    assert 400 == asgi_answer(asyncio.run(asyncio.wait_for(asgi_call(app, http_scope(Request()), slowly()), 30))).status


def test_a_server_that_gives_up_is_obeyed() -> None:
    """A request that the server cancels while its body is awaited ends at once, and not as a timeout."""

    async def scenario() -> None:
        waiting = asyncio.Event()

        async def receive() -> Message:
            waiting.set()
            return await never()

        task = asyncio.ensure_future(asgi_call(APP, http_scope(Request()), receive))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_error_of_the_server_while_reading() -> None:
    """It goes back to the server unchanged."""

    async def receive() -> Message:
        raise OSError("of the server")

    with pytest.raises(OSError, match="of the server"):
        asyncio.run(asgi_call(APP, http_scope(Request()), receive))


WHO: ContextVar[str] = ContextVar("who", default="-")


@pytest.mark.parametrize("asynchronous", [True, False])
def test_where_authorize_runs(asynchronous: bool) -> None:
    """An async authorize runs on the loop, a plain one on another thread; both see the context's variables."""
    seen: list[Any] = []

    def plain(scope: Any, token_request: TokenRequest) -> Admission:
        seen.extend([threading.get_ident(), WHO.get(), scope["path"]])
        return ADA

    async def waiting(scope: Any, token_request: TokenRequest) -> Admission:
        return plain(scope, token_request)

    async def scenario() -> None:
        WHO.set("trace-7")
        app = token_app(SERVER, authorize=waiting if asynchronous else plain)
        assert 201 == (await asgi_ask(app, Request(), "/x")).status
        assert [asynchronous, "trace-7", "/x"] == [seen[0] == threading.get_ident(), *seen[1:]]

    asyncio.run(scenario())


def test_plain_authorize_that_waits_does_not_block_the_loop() -> None:
    """While one request's authorize waits for a database, the loop serves others."""
    go_on = threading.Event()

    def authorize(scope: Any, token_request: TokenRequest) -> Admission:
        if scope["path"] == "/slow":
            assert go_on.wait(30)
        return ADA

    async def scenario() -> None:
        app = token_app(SERVER, authorize=authorize)
        slow = asyncio.ensure_future(asgi_ask(app, Request(), "/slow"))
        quick = await asgi_ask(app, Request(), "/quick")
        assert not slow.done()
        go_on.set()
        assert [201, 201] == [quick.status, (await slow).status]

    asyncio.run(asyncio.wait_for(scenario(), 60))


class Async:
    """An object whose call is async."""

    async def __call__(self, scope: Any, token_request: TokenRequest) -> Admission:
        """As authorize."""
        return ADA


AUTHORIZERS: dict[str, tuple[Callable[..., Any], int]] = {
    "an object": (Async(), 201),
    "a method": (Async().__call__, 201),
    "a plain function that returns a coroutine": (lambda *arguments: ada(*arguments), 201),  # noqa: PLW0108
    "a plain function that returns a refusal": (lambda scope, token_request: Denied(), 403),
    "guests": (allow_guests(), 201),
    "a function with other parameters": (lambda scope: ADA, 500),
}


@pytest.mark.parametrize(("authorize", "status"), AUTHORIZERS.values(), ids=AUTHORIZERS)
def test_every_kind_of_function(authorize: Callable[..., Any], status: int) -> None:
    """Whatever can be called and awaited can decide."""
    assert status == ask_asgi(token_app(SERVER, authorize=authorize), Request()).status


def test_generator_is_refused() -> None:
    """Only FastAPI would run it."""

    def generates(scope: Any, token_request: TokenRequest) -> Any:
        yield ADA

    with pytest.raises(InvalidArgument) as caught:
        token_app(SERVER, authorize=generates)
    assert "authorize" == caught.value.field


def test_headers_that_come_twice() -> None:
    """The last of two types counts; a header that we do not read may hold any bytes."""
    scope = http_scope(Request())
    scope["headers"] += [(b"x-unknown", b"\xff\xfe"), (b"content-type", b"text/plain")]
    assert 415 == asgi_answer(asyncio.run(asgi_call(APP, scope, [chunk(b"{}", False)]))).status


def test_websocket_is_closed() -> None:
    """A websocket at this path is closed before it opens."""
    sent = asyncio.run(asgi_call(APP, {"type": "websocket"}, [{"type": "websocket.connect"}]))
    assert [{"type": "websocket.close", "code": 1000}] == sent


START = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
STARTED = [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


@pytest.mark.parametrize("kind", [MossVoiceServer, MossVoiceServerSync])
def test_the_start_fetches(kind: Any) -> None:
    """A server that was only constructed has its credentials when the application has started, without a request."""
    with FakeMoss() as moss:
        server = kind(**moss.arguments)
        app = token_app(server, authorize=ada)

        async def scenario() -> None:
            assert STARTED == await asgi_call(app, {"type": "lifespan"}, START)
            assert 1 == moss.count
            assert 201 == (await asgi_ask(app, Request())).status

        asyncio.run(scenario())
        assert (1, "fresh") == (moss.count, server.status().state)
        assert STARTED == asyncio.run(asgi_call(app, {"type": "lifespan"}, START))  # another worker's start
        assert 1 == moss.count


@pytest.mark.parametrize("status", [401, 503])
def test_a_start_without_credentials(status: int) -> None:
    """An outage of Moss does not keep the application from starting: this endpoint says 503 meanwhile."""
    with FakeMoss() as moss:
        moss.set_default(status)
        app = token_app(MossVoiceServer(**moss.arguments, refresh=RefreshPolicy(attempts=1)), authorize=ada)
        assert STARTED == asyncio.run(asgi_call(app, {"type": "lifespan"}, START))
        assert 503 == ask_asgi(app, Request()).status


def test_start_without_a_fetch() -> None:
    """Nothing is fetched at the start for a server that is ready, and for a function that finds one for each request."""
    for server in (SERVER, lambda scope: SERVER):
        app = token_app(server, authorize=ada)
        assert STARTED == asyncio.run(asgi_call(app, {"type": "lifespan"}, START))


NOT_ARRIVED: dict[str, tuple[str, dict[str, str | None], bytes]] = {
    "nothing of a length": ("1.1", {"content-length": "26"}, b""),
    "less than the length": ("1.1", {"content-length": "26"}, b"{}"),
    "nothing in chunks": ("1.1", {"content-length": None, "transfer-encoding": "chunked"}, b""),
    "nothing after an upgrade": ("1.1", {"content-length": "2", "upgrade": "h2c"}, b""),
    "nothing over HTTP/2": ("2", {"content-length": None}, b""),
    "nothing over HTTP/3": ("3", {"content-length": None}, b""),
}


@pytest.mark.parametrize(("version", "headers", "body"), NOT_ARRIVED.values(), ids=NOT_ARRIVED)
def test_announced_body_that_did_not_arrive(version: str, headers: dict[str, str | None], body: bytes) -> None:
    """A request that was lost on its way, as to a middleware that read it, gets no token for another room."""
    scope = http_scope(Request(headers), http_version=version)
    answer = asgi_answer(asyncio.run(asgi_call(APP, scope, [chunk(body, False)])))
    assert (400, "body_incomplete") == (answer.status, answer.json["error"])


@pytest.mark.parametrize(("length", "body"), [("0", b""), (None, b"{}")])
def test_http2(length: str | None, body: bytes) -> None:
    """Browsers announce an empty body with a length of 0; a body without a length arrives whole."""
    scope = http_scope(Request({"content-length": length}), http_version="2")
    assert 201 == asgi_answer(asyncio.run(asgi_call(APP, scope, [chunk(body, False)]))).status


def test_below_trio(monkeypatch: pytest.MonkeyPatch) -> None:
    """trio serves the endpoint as asyncio does: plain and async functions, the start, slow bodies."""
    trio = pytest.importorskip("trio")
    monkeypatch.setattr(reader, "READ_TIMEOUT", 0.05)

    async def stuck() -> Message:
        return parts.pop() if parts else await trio.sleep_forever()

    parts = [chunk(b"{", True)]
    with FakeMoss() as moss:
        for server in (SERVER, MossVoiceServer(**moss.arguments), MossVoiceServerSync(**moss.arguments)):
            for authorize in (ada, lambda scope, token_request: ADA):
                app = token_app(server, authorize=authorize)
                assert 201 == asgi_answer(trio.run(asgi_call, app, http_scope(Request()), [chunk(b"{}", False)])).status
    assert STARTED == trio.run(asgi_call, APP, {"type": "lifespan"}, START)
    assert 400 == asgi_answer(trio.run(asgi_call, APP, http_scope(Request()), stuck)).status


class Known(Exception):
    """An exception of the application."""


@pytest.mark.parametrize(("failure", "status"), [(Known(), 418), (HTTPException(503), 503), (HTTPException(404), 404)])
def test_exceptions_that_starlette_knows(failure: Exception, status: int) -> None:
    """What the application around it has a handler for is answered by that handler, other than Starlette's own 4xx."""
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def authorize(scope: Any, token_request: TokenRequest) -> Admission:
        raise failure

    handlers: Any = {Known: lambda request, error: PlainTextResponse("mine", 418)}
    app = Starlette(routes=[Route("/", token_app(SERVER, authorize=authorize))], exception_handlers=handlers)
    answer = ask_asgi(app, Request())
    assert (status, status == 404) == (answer.status, b"refused" in answer.body)


def test_values_beyond_the_limits_together() -> None:
    """Values that are each within the limits, and together beyond LiveKit's, are the client's error and not the app's."""

    async def authorize(scope: Any, token_request: TokenRequest) -> Admission:
        return Admission(
            ParticipantInfo("ada", attributes={"app": "x" * (64 * 1024 - 10)}), client_may_set=("attributes",)
        )

    app = token_app(SERVER, authorize=authorize)
    added = Request(json={"participant_attributes": {"client": "y" * 100}})
    assert [201, 422] == [ask_asgi(app, request).status for request in (Request(), added)]


LOGGED: dict[str, tuple[Request, str, str]] = {
    "an agent": (Request(json={"room_config": {"agents": [{"agent_name": "x\n" + "y" * 90}]}}), "", "invalid_value"),
    "another agent": (Request(json={"room_config": {"agents": [{"agent_name": "other"}]}}), "'other'", "allowed_agents"),
    "a preflight": (
        Request({"origin": "https://a.example", "access-control-request-method": "POST"}, method="OPTIONS"),
        "'https://a.example'",
        "allow_origins",
    ),
    "a type": (Request({"content-type": "text/plain"}), "'text/plain'", "Content-Type: application/json"),
    "a field": (Request(json={"roomName": "secret"}), "'roomName'", "unknown_field"),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "subject", "hint"), LOGGED.values(), ids=LOGGED.keys())
def test_refusals_are_logged(request_: Request, subject: str, hint: str, caplog: pytest.LogCaptureFixture) -> None:
    """One line says what was refused, where, and what to change; nothing of the body or the credentials is in it."""
    caplog.set_level("DEBUG", "moss_voice_server")
    request_ = request_._replace(headers={**request_.headers, "authorization": "Bearer s3cret", "x-request-id": "r-1"})
    ask_asgi(APP, request_, "/voice/token")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "moss_voice_server.endpoint"]
    for part in (subject, hint, "'/voice/token'", "r-1"):
        assert part in line
    assert "\n" not in line
    assert not any(word in line for word in ("s3cret", "secret"))
