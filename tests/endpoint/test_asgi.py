"""ASGI: what only the ASGI application can get wrong: reading in time, threads and loops, the start."""

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
from tests.endpoint.wire import Request
from tests.support.tokens import API_KEY, API_SECRET, URL

SERVER = MossVoiceServer.from_livekit(URL, API_KEY, API_SECRET)
ADA = Admission(ParticipantInfo("ada"))


def chunk(body: bytes, more: bool) -> Message:
    """A part of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more}


async def ada(scope: Any, token_request: TokenRequest) -> Admission:
    """Everybody is Ada."""
    return ADA


APP = token_app(SERVER, authorize=ada)

BODIES: dict[str, tuple[list[Message], int]] = {
    "at once": ([chunk(b"{}", False)], 201),
    "nothing": ([{"type": "http.request"}], 201),
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
    """Reading ends with the part that is too much: memory is bound by the limit and one part."""
    read: list[int] = []

    async def receive() -> Message:
        read.append(1)
        return chunk(b" " * 8192, True)

    assert 413 == asgi_answer(asyncio.run(asgi_call(APP, http_scope(Request()), receive))).status
    assert 3 == len(read)


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


def dripping() -> Callable[[], Awaitable[Message]]:
    """A client that sends nothing again and again, and each time a little late."""

    async def receive() -> Message:
        await asyncio.sleep(0)
        return chunk(b"", True)

    return receive


@pytest.mark.parametrize("receive", [slowly(), dripping()], ids=["half a body", "a body that drips"])
def test_reading_ends_in_time(monkeypatch: pytest.MonkeyPatch, receive: Callable[[], Awaitable[Message]]) -> None:
    """A body that does not come to an end is given up, so that nobody can hold a place for ever by sending slowly."""
    monkeypatch.setattr(reader, "READ_TIMEOUT", 0.05)
    answer = asyncio.run(asyncio.wait_for(asgi_call(APP, http_scope(Request()), receive), 30))
    assert (400, "body_incomplete") == (asgi_answer(answer).status, asgi_answer(answer).json["error"])


def test_time_that_ran_out_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a body timeout, the caller's own waits are not cancelled."""
    monkeypatch.setattr(reader, "READ_TIMEOUT", 0.01)

    async def scenario() -> None:
        assert 400 == asgi_answer(await asgi_call(APP, http_scope(Request()), slowly())).status
        await asyncio.sleep(0)
        await asyncio.wait_for(asyncio.sleep(0), 30)
        task = asyncio.current_task()
        assert not getattr(task, "cancelling", int)()

    asyncio.run(scenario())


def test_below_a_middleware_that_waits_in_scopes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starlette's middleware receives in task groups of its own: a body that is late, or never comes, is no trouble there."""
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
    """A request that the server cancels while its body is awaited ends at once, and not as if time were up."""

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


def test_an_error_while_reading_is_the_servers() -> None:
    """What the server itself raises while we wait goes back to it unchanged."""

    async def receive() -> Message:
        await asyncio.sleep(0)
        raise OSError("of the server's own")

    with pytest.raises(OSError, match="of the server's own"):
        asyncio.run(asgi_call(APP, http_scope(Request()), receive))


WHO: ContextVar[str] = ContextVar("who", default="nobody")


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
        WHO.set("somebody")
        app = token_app(SERVER, authorize=waiting if asynchronous else plain)
        assert 201 == (await asgi_ask(app, Request(), "/x")).status
        assert [asynchronous, "somebody", "/x"] == [seen[0] == threading.get_ident(), *seen[1:]]

    asyncio.run(scenario())


def test_a_plain_authorize_that_waits_holds_nobody_up() -> None:
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

    async def method(self, scope: Any, token_request: TokenRequest) -> Admission:
        """As authorize."""
        return ADA


def later(scope: Any, token_request: TokenRequest) -> Awaitable[Admission]:
    """Not async by itself."""
    return ada(scope, token_request)


AUTHORIZERS: dict[str, tuple[Callable[..., Any], int]] = {
    "an async function": (ada, 201),
    "an object": (Async(), 201),
    "a method": (Async().method, 201),
    "a plain function that returns a coroutine": (later, 201),
    "a plain function that returns a refusal": (lambda scope, token_request: Denied(), 403),
    "guests": (allow_guests(), 201),
    "a function with other parameters": (lambda scope: ADA, 500),
}


@pytest.mark.parametrize(("authorize", "status"), AUTHORIZERS.values(), ids=AUTHORIZERS.keys())
def test_every_kind_of_function(authorize: Callable[..., Any], status: int) -> None:
    """Whatever can be called and awaited can decide."""
    assert status == ask_asgi(token_app(SERVER, authorize=authorize), Request()).status


@pytest.mark.parametrize("length", ["\xb2", "-1", "1_0", "", "99999999999999999999", "0"])
def test_an_odd_length_breaks_nothing(length: str) -> None:
    """A length that no server should let through is refused or ignored, and never an exception."""
    answer = ask_asgi(APP, Request({"content-length": length}))
    assert (201 if length in ("", "0") else 413) == answer.status


def test_headers_that_come_twice() -> None:
    """A type that is there twice is what it says at the last place, and a header that we do not know is nobody's business."""
    scope = http_scope(Request())
    scope["headers"] += [(b"x-unknown", b"\xff\xfe"), (b"content-type", b"text/plain")]
    assert 415 == asgi_answer(asyncio.run(asgi_call(APP, scope, [chunk(b"{}", False)]))).status


def test_a_websocket_is_turned_away() -> None:
    """A websocket at this path is closed before it is open."""
    sent = asyncio.run(asgi_call(APP, {"type": "websocket"}, [{"type": "websocket.connect"}]))
    assert [{"type": "websocket.close", "code": 1000}] == sent


START = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
STARTED = [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]


@pytest.mark.parametrize("face", [MossVoiceServer, MossVoiceServerSync])
def test_the_start_fetches(face: Any) -> None:
    """A server that was only constructed has its credentials when the application has started, without a request."""
    with FakeMoss() as moss:
        server = face(**moss.arguments)
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


def test_the_start_of_an_app_with_a_server_that_is_ready() -> None:
    """Where there is nothing to fetch, or nobody knows for which server, the start does nothing."""
    for server in (SERVER, lambda scope: SERVER):
        app = token_app(server, authorize=ada)
        assert STARTED == asyncio.run(asgi_call(app, {"type": "lifespan"}, START))


NOT_ARRIVED: dict[str, tuple[dict[str, str | None], bytes]] = {
    "nothing of a length": ({"content-length": "26"}, b""),
    "less than the length": ({"content-length": "26"}, b"{}"),
    "nothing in chunks": ({"content-length": None, "transfer-encoding": "chunked"}, b""),
    "nothing after an upgrade": ({"content-length": "2", "upgrade": "h2c"}, b""),
    "nothing over HTTP/2": ({"content-length": None, "http_version": "2"}, b""),
    "nothing over HTTP/3": ({"content-length": None, "http_version": "3"}, b""),
}


@pytest.mark.parametrize(("headers", "body"), NOT_ARRIVED.values(), ids=NOT_ARRIVED.keys())
def test_a_body_that_was_announced_and_did_not_arrive(headers: dict[str, str | None], body: bytes) -> None:
    """A request that was lost on its way, as to a middleware that has read it, gets no token for another room."""
    version = headers.get("http_version") or "1.1"
    sent_headers = {name: value for name, value in headers.items() if name != "http_version"}
    scope = http_scope(Request(sent_headers)) | {"http_version": version}
    answer = asgi_answer(asyncio.run(asgi_call(APP, scope, [chunk(body, False)])))
    assert (400, "body_incomplete") == (answer.status, answer.json["error"])


@pytest.mark.parametrize(("length", "body"), [("0", b""), (None, b"{}")])
def test_http2(length: str | None, body: bytes) -> None:
    """Browsers announce an empty body with a length of 0; a body without a length arrives whole."""
    scope = http_scope(Request({"content-length": length})) | {"http_version": "2"}
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


@pytest.mark.parametrize("server_class", [MossVoiceServer, MossVoiceServerSync])
def test_a_mounted_application_fetches_at_its_first_request(server_class: Any) -> None:
    """Where no start is announced, the first request waits for the credentials."""
    with FakeMoss() as moss:
        app = token_app(server_class(**moss.arguments), authorize=ada)
        assert [201, 201] == [ask_asgi(app, Request()).status for _ in range(2)]
        assert 1 == moss.count


class Known(Exception):
    """An exception of the application's own."""


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


def test_a_client_cannot_cause_an_error() -> None:
    """Values that are each within the limits, and together beyond LiveKit's, are the client's fault and not the app's."""

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


def generates(scope: Any, token_request: TokenRequest) -> Any:
    """An authorize with a slip."""
    yield ADA


def test_a_generator_is_refused() -> None:
    """Nobody but FastAPI would run it."""
    with pytest.raises(InvalidArgument) as caught:
        token_app(SERVER, authorize=generates)
    assert "authorize" == caught.value.field
