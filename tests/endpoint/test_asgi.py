"""ASGI: threads and loops, exceptions, the start, and what is logged; `test_asgi_bodies.py` has the bodies."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server.asgi import token_app
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.endpoint import Admission, Denied, TokenRequest, allow_guests
from moss_voice_server.testing import FakeMoss
from tests.endpoint.calls import ADA, SERVER, START, STARTED, asgi_ask, asgi_call, ask_asgi, chunk, http_scope
from tests.support.wire import Request

WHO: ContextVar[str] = ContextVar("who", default="-")


async def ada(scope: Any, token_request: TokenRequest) -> Admission:
    """Admits every request as Ada."""
    return ADA


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
        assert 201 == (await asgi_ask(app, path="/x")).status
        assert [asynchronous, "trace-7", "/x"] == [seen[0] == threading.get_ident(), *seen[1:]]

    asyncio.run(scenario())


class _Async:
    async def __call__(self, scope: Any, token_request: TokenRequest) -> Admission:
        return ADA


AUTHORIZERS: dict[str, tuple[Callable[..., Any], int]] = {
    "an object": (_Async(), 201),
    "a plain function that returns a coroutine": (lambda *arguments: ada(*arguments), 201),  # noqa: PLW0108
    "a plain function that returns a refusal": (lambda scope, token_request: Denied(), 403),
    "guests": (allow_guests(), 201),
    "a function with other parameters": (lambda scope: ADA, 500),
}


@pytest.mark.parametrize(("authorize", "status"), AUTHORIZERS.values(), ids=AUTHORIZERS)
def test_every_kind_of_function(authorize: Callable[..., Any], status: int) -> None:
    """Whatever can be called and awaited can decide."""
    assert status == ask_asgi(token_app(SERVER, authorize=authorize)).status


def test_websocket_is_closed() -> None:
    """A websocket at this path is closed before it opens."""
    app = token_app(SERVER, authorize=ada)
    sent = asyncio.run(asgi_call(app, {"type": "websocket"}, [{"type": "websocket.connect"}]))
    assert [{"type": "websocket.close", "code": 1000}] == sent


@pytest.mark.parametrize("kind", [MossVoiceServer, MossVoiceServerSync])
def test_the_start_fetches(kind: Any) -> None:
    """A server that was only constructed has its credentials when the application has started, without a request."""
    with FakeMoss() as moss:
        app = token_app(kind(**moss.arguments), authorize=ada)
        for _worker in range(2):
            assert STARTED == asyncio.run(asgi_call(app, {"type": "lifespan"}, START))
            assert 1 == moss.count
        assert (201, 1) == (ask_asgi(app).status, moss.count)


def test_a_start_without_credentials() -> None:
    """An outage of Moss does not keep the application from starting: this endpoint says 503 meanwhile."""
    with FakeMoss() as moss:
        moss.set_default(503)
        app = token_app(MossVoiceServer(**moss.arguments, refresh=RefreshPolicy(attempts=1)), authorize=ada)
        assert STARTED == asyncio.run(asgi_call(app, {"type": "lifespan"}, START))
        assert 503 == ask_asgi(app).status


def test_start_without_a_fetch() -> None:
    """Nothing is fetched at the start for a server that is ready, and for a function that finds one for each request."""
    for server in (SERVER, lambda scope: SERVER):
        app = token_app(server, authorize=ada)
        assert STARTED == asyncio.run(asgi_call(app, {"type": "lifespan"}, START))


def test_below_trio() -> None:
    """trio serves the endpoint as asyncio does: plain and async functions, and the start."""
    trio = pytest.importorskip("trio")
    with FakeMoss() as moss:
        for server in (SERVER, MossVoiceServer(**moss.arguments), MossVoiceServerSync(**moss.arguments)):
            for authorize in (ada, lambda scope, token_request: ADA):
                app: Any = token_app(server, authorize=authorize)
                sent = trio.run(asgi_call, app, http_scope(), [chunk(b"{}")])
                assert 201 == sent[0]["status"]
                assert STARTED == trio.run(asgi_call, app, {"type": "lifespan"}, START)


class Known(Exception):
    """An exception of the application."""


@pytest.mark.parametrize(("failure", "status"), [(Known(), 418), (HTTPException(503), 503), (HTTPException(404), 404)])
def test_exceptions_that_starlette_knows(failure: Exception, status: int) -> None:
    """What the application around it has a handler for is answered by that handler, other than Starlette's own 4xx."""

    async def authorize(scope: Any, token_request: TokenRequest) -> Admission:
        raise failure

    handlers: Any = {Known: lambda request, error: PlainTextResponse("mine", 418)}
    app = Starlette(routes=[Route("/", token_app(SERVER, authorize=authorize))], exception_handlers=handlers)
    answer = ask_asgi(app)
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
    ask_asgi(token_app(SERVER, authorize=ada), request_, "/voice/token")
    (line,) = [record.getMessage() for record in caplog.records if record.name == "moss_voice_server.endpoint"]
    assert [] == [part for part in (subject, hint, "'/voice/token'", "r-1") if part not in line]
    assert [] == [word for word in ("s3cret", "secret", "\n") if word in line]
