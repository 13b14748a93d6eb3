"""WSGI: the interface, inputs of all kinds, threads, and async functions."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.validate import validator

import pytest
from werkzeug.exceptions import abort
from werkzeug.utils import redirect

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.endpoint import Admission, Denied, TokenRequest
from moss_voice_server.wsgi import token_app
from tests.endpoint.calls import ask_wsgi, environ
from tests.support.green import GREEN, run_green
from tests.support.tokens import API_KEY, API_SECRET, URL
from tests.support.wire import Request, ask, bearer, exchange

SERVER = MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET)
ADA = Admission(ParticipantInfo("ada"))
APP = token_app(SERVER, authorize=lambda environ, token_request: ADA)


@pytest.mark.parametrize(
    "request_", [Request(), Request(body=b"x"), Request(method="GET"), Request({"content-type": ""})]
)
def test_interface(request_: Request) -> None:
    """The standard library's validator accepts the application (PEP 3333)."""
    answer = ask_wsgi(validator(APP), environ(request_))
    assert answer.status in (201, 400, 405, 415)
    assert str(len(answer.body)) == answer.header("content-length")


@pytest.mark.parametrize(
    ("name", "status"),
    [("CONTENT_TYPE", 415), ("CONTENT_LENGTH", 201), ("SCRIPT_NAME", 201), ("PATH_INFO", 201), ("HTTP_ORIGIN", 201)],
)
def test_none_is_an_absent_value(name: str, status: int) -> None:
    """Test clients write `None` for a header that is not sent."""
    assert status == ask_wsgi(APP, environ(Request()) | {name: None}).status


def test_head_has_no_body() -> None:
    """The response to HEAD has no body, since not every server removes it (RFC 9110, section 9.3.2)."""
    answer = ask_wsgi(APP, environ(Request(method="HEAD")))
    assert (405, b"", "63") == (answer.status, answer.body, answer.header("content-length"))


class Broken(io.BytesIO):
    """A connection that breaks while it is read."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file's."""
        raise OSError("reset")


class Malformed(io.BytesIO):
    """Invalid chunks: servers raise their own exceptions for them, and gunicorn's is no OSError."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file's."""
        raise Exception("Invalid chunk size")  # a server may raise any class


class Slow(io.BytesIO):
    """A connection that gives one byte at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        """As a file's."""
        return super().read(1)


class Endless:
    """A connection that never ends, and counts what was read from it."""

    def __init__(self) -> None:
        self.taken = 0

    def read(self, size: int) -> bytes:
        """As a file's."""
        self.taken += size
        return b" " * size


BODY = b'{"room_name":"r"}'
INPUTS: dict[str, tuple[dict[str, Any], int]] = {
    "with a length": ({"wsgi.input": io.BytesIO(BODY), "CONTENT_LENGTH": "17"}, 403),
    "more than the length": ({"wsgi.input": io.BytesIO(b"{}" + BODY), "CONTENT_LENGTH": "2"}, 201),
    "less than the length": ({"wsgi.input": io.BytesIO(BODY), "CONTENT_LENGTH": "18"}, 400),
    "byte by byte": ({"wsgi.input": Slow(BODY), "CONTENT_LENGTH": "17"}, 403),
    "broken": ({"wsgi.input": Broken(), "CONTENT_LENGTH": "17"}, 400),
    "malformed": ({"wsgi.input": Malformed(), "CONTENT_LENGTH": None, "wsgi.input_terminated": True}, 400),
    "no length, and an end": ({"wsgi.input": io.BytesIO(BODY), "CONTENT_LENGTH": None, "wsgi.input_terminated": True}, 403),
    "an empty length, and an end": ({"wsgi.input": io.BytesIO(BODY), "CONTENT_LENGTH": "", "wsgi.input_terminated": True}, 403),
    "no length, byte by byte": ({"wsgi.input": Slow(BODY), "CONTENT_LENGTH": None, "wsgi.input_terminated": True}, 403),
    "no length, no end": ({"wsgi.input": Endless(), "CONTENT_LENGTH": None, "wsgi.input_terminated": True}, 413),
    "no length, no known end": ({"wsgi.input": Endless(), "CONTENT_LENGTH": None}, 201),
    "in chunks, below a server that cannot decode them": (
        {"wsgi.input": Endless(), "CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"},
        411,
    ),
    "over HTTP/2 without a length, below a server that does not deliver it": (
        {"wsgi.input": Endless(), "CONTENT_LENGTH": None, "SERVER_PROTOCOL": "HTTP/2"},
        411,
    ),
    "nothing over HTTP/2": (
        {"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": None, "SERVER_PROTOCOL": "HTTP/2.0", "wsgi.input_terminated": True},
        400,
    ),
    "nothing over HTTP/2, as announced": (
        {"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": "0", "SERVER_PROTOCOL": "HTTP/2"},
        201,
    ),
    "nothing in chunks": (
        {"wsgi.input": io.BytesIO(), "CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
        400,
    ),
    "no number": ({"wsgi.input": io.BytesIO(BODY), "CONTENT_LENGTH": "²"}, 400),
}  # fmt: skip


@pytest.mark.parametrize(("given", "status"), INPUTS.values(), ids=INPUTS.keys())
def test_every_kind_of_input(given: dict[str, Any], status: int) -> None:
    """A body is read up to its end and no further; 403 is a request for a room that was read and refused."""
    assert status == ask_wsgi(APP, environ(Request(), **given)).status
    if isinstance(given["wsgi.input"], Endless):
        assert given["wsgi.input"].taken in (0, 16385)


WHO: ContextVar[str] = ContextVar("who", default="-")


async def waiting(environ: Any, token_request: TokenRequest) -> Admission:
    """An async authorize that needs a loop, and shows the context's variable."""
    await asyncio.sleep(0)
    return Admission(ParticipantInfo("ada", None, WHO.get()))


def later(environ: Any, token_request: TokenRequest) -> Any:
    """A plain function that returns a coroutine."""
    return waiting(environ, token_request)


@pytest.mark.parametrize("authorize", [waiting, later])
@pytest.mark.parametrize("has_loop", [True, False])
def test_async_authorize(authorize: Callable[..., Any], has_loop: bool) -> None:
    """An async authorize sees the context's variables, also where a coroutine calls the application and blocks its loop."""

    def call() -> None:
        WHO.set("trace-7")
        answer = ask_wsgi(token_app(SERVER, authorize=authorize), environ(Request()))
        assert "trace-7" == answer.claims["metadata"]

    async def call_on_loop() -> None:
        call()

    if has_loop:
        asyncio.run(call_on_loop())
    else:
        copy_context().run(call)


GREENLETS = """
import asyncio
from tests.endpoint.test_wsgi import ADA, SERVER, WHO, Request, ask_wsgi, environ, token_app

inside = []

async def authorize(environ, request):
    assert WHO.get() == environ["who"]
    inside.append(1)
    for _ in range(3000):  # until all of them wait here, each on another loop
        if len(inside) == 3:
            return ADA
        await asyncio.sleep(0.01)

app = token_app(SERVER, authorize=authorize)

def ask(who):
    WHO.set(who)
    return ask_wsgi(app, environ(Request(), who=who)).status

assert [201] * 3 == list(run(ask, "abc"))
"""


@pytest.mark.parametrize("package", GREEN)
def test_async_authorize_on_green_threads(package: str) -> None:
    """They share one thread, and a thread has one loop: each call gets another loop, with its own context."""
    run_green(package, GREENLETS)


class Quiet(WSGIRequestHandler):
    """Writes nothing to standard error."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the standard library's own name
        """As the standard library's."""


def test_server_of_the_standard_library() -> None:
    """wsgiref's server knows neither HEAD nor chunks."""
    with WSGIServer(("127.0.0.1", 0), Quiet) as server:
        server.set_app(APP)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            port = server.server_port
            assert 201 == ask(port, "/", Request(bearer("ada"))).status
            answer = ask(port, "/", Request(method="HEAD"))
            assert (405, b"") == (answer.status, answer.body)
            assert 413 == exchange(port, [Request({"content-length": "1073741824"}, b"").as_sent("/")]).status
        finally:
            server.shutdown()
            thread.join(30)


def test_threads_share_an_application() -> None:
    """Each of many requests on several threads gets a token for a new room."""
    rooms: list[str] = []

    def work() -> None:
        rooms.extend(ask_wsgi(APP, environ(Request())).claims["video"]["room"] for _ in range(25))

    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(work)
    assert 100 == len(set(rooms))


@pytest.mark.parametrize(("parts", "status"), [([b'{"room_name"', b':"r"}'], 403), ([], 400), ([b" " * 9000] * 2, 413)])
def test_chunks_below_uwsgi(monkeypatch: pytest.MonkeyPatch, parts: list[bytes], status: int) -> None:
    """uWSGI offers a chunked body only through its own module."""
    module = types.ModuleType("uwsgi")
    left = [*parts, b""]
    module.chunked_read = lambda: left.pop(0)  # type: ignore[attr-defined]  # as uWSGI's own
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    more: dict[str, Any] = {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input": io.BytesIO()}
    assert status == ask_wsgi(APP, environ(Request(), **more)).status


def refuses(environ: Any, token_request: TokenRequest) -> Admission:
    """With the status and the headers of the application."""
    if environ["PATH_INFO"] == "/redirect":
        abort(redirect("/login"))
    raise Denied(401, scheme='Basic realm="voice"')


def test_refusals_of_the_application() -> None:
    """A response that an exception carries is sent as it is; a 401 names the scheme that the application sets."""
    app = token_app(SERVER, authorize=refuses)
    answer = ask_wsgi(app, environ(Request(), "/redirect"))
    assert (302, "/login") == (answer.status, answer.header("location"))
    answer = ask_wsgi(app, environ(Request()))
    assert (401, 'Basic realm="voice"') == (answer.status, answer.header("www-authenticate"))
