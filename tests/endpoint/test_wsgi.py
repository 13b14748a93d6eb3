"""WSGI: the interface, inputs of all kinds, threads, and async functions."""

from __future__ import annotations

import asyncio
import io
import sys
import types
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any
from wsgiref.validate import validator

import pytest
from werkzeug.exceptions import abort
from werkzeug.utils import redirect

from moss_voice_server import ParticipantInfo
from moss_voice_server.endpoint import Admission, Denied, TokenRequest
from moss_voice_server.wsgi import token_app
from tests.endpoint.calls import ADA, SERVER, ask_wsgi, environ
from tests.support.green import GREEN, run_green
from tests.support.wire import Request

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
    assert status == ask_wsgi(APP, environ() | {name: None}).status


def test_head_has_no_body() -> None:
    """The response to HEAD has no body, since not every server removes it (RFC 9110, section 9.3.2)."""
    answer = ask_wsgi(APP, environ(Request(method="HEAD")))
    assert (405, b"", "63") == (answer.status, answer.body, answer.header("content-length"))


class _Broken(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise OSError("reset")


class _Malformed(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise Exception("Invalid chunk size")  # servers raise their own exceptions, and gunicorn's is no OSError


class _Slow(io.BytesIO):
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(1)


class _Endless:
    taken = 0

    def read(self, size: int) -> bytes:
        self.taken += size
        return b" " * size


BODY = b'{"room_name":"r"}'
ENDS = {"CONTENT_LENGTH": None, "wsgi.input_terminated": True}  # a server that says where a body ends
INPUTS: dict[str, tuple[Any, dict[str, Any], int]] = {
    "with a length": (io.BytesIO(BODY), {"CONTENT_LENGTH": "17"}, 403),
    "more than the length": (io.BytesIO(b"{}" + BODY), {"CONTENT_LENGTH": "2"}, 201),
    "less than the length": (io.BytesIO(BODY), {"CONTENT_LENGTH": "18"}, 400),
    "byte by byte": (_Slow(BODY), {"CONTENT_LENGTH": "17"}, 403),
    "broken": (_Broken(), {"CONTENT_LENGTH": "17"}, 400),
    "malformed": (_Malformed(), ENDS, 400),
    "no length, and an end": (io.BytesIO(BODY), ENDS, 403),
    "an empty length, and an end": (io.BytesIO(BODY), ENDS | {"CONTENT_LENGTH": ""}, 403),
    "no length, byte by byte": (_Slow(BODY), ENDS, 403),
    "no length, no end": (_Endless(), ENDS, 413),
    "no length, no known end": (_Endless(), {"CONTENT_LENGTH": None}, 201),
    "in chunks, below a server that cannot decode them": (
        _Endless(), {"CONTENT_LENGTH": None, "HTTP_TRANSFER_ENCODING": "chunked"}, 411
    ),
    "over HTTP/2 without a length, below a server that does not deliver it": (
        _Endless(), {"CONTENT_LENGTH": None, "SERVER_PROTOCOL": "HTTP/2"}, 411
    ),
    "nothing over HTTP/2": (io.BytesIO(), ENDS | {"SERVER_PROTOCOL": "HTTP/2.0"}, 400),
    "nothing over HTTP/2, as announced": (io.BytesIO(), {"CONTENT_LENGTH": "0", "SERVER_PROTOCOL": "HTTP/2"}, 201),
    "nothing in chunks": (io.BytesIO(), ENDS | {"HTTP_TRANSFER_ENCODING": "chunked"}, 400),
}  # fmt: skip


@pytest.mark.parametrize(("body", "more", "status"), INPUTS.values(), ids=INPUTS)
def test_every_kind_of_input(body: Any, more: dict[str, Any], status: int) -> None:
    """A body is read up to its end and no further; 403 is a request for a room that was read and refused."""
    assert status == ask_wsgi(APP, environ(**{"wsgi.input": body, **more})).status
    assert getattr(body, "taken", 0) in (0, 16385)


WHO: ContextVar[str] = ContextVar("who", default="-")


async def _waiting(environ: Any, token_request: TokenRequest) -> Admission:
    await asyncio.sleep(0)
    return Admission(ParticipantInfo("ada", None, WHO.get()))


def _returns_coroutine(environ: Any, token_request: TokenRequest) -> Any:
    return _waiting(environ, token_request)


@pytest.mark.parametrize("authorize", [_waiting, _returns_coroutine])
@pytest.mark.parametrize("has_loop", [True, False])
def test_async_authorize(authorize: Callable[..., Any], has_loop: bool) -> None:
    """An async authorize sees the context's variables, also where a coroutine calls the application and blocks its loop."""

    def call() -> None:
        WHO.set("trace-7")
        assert "trace-7" == ask_wsgi(token_app(SERVER, authorize=authorize), environ()).claims["metadata"]

    async def call_on_loop() -> None:
        call()

    if has_loop:
        asyncio.run(call_on_loop())
    else:
        copy_context().run(call)


GREENLETS = """
import asyncio
from tests.endpoint.test_wsgi import ADA, SERVER, WHO, ask_wsgi, environ, token_app

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
    return ask_wsgi(app, environ(who=who)).status

assert [201] * 3 == list(run(ask, "abc"))
"""


@pytest.mark.parametrize("package", GREEN)
def test_async_authorize_on_green_threads(package: str) -> None:
    """They share one thread, and a thread has one loop: each call gets another loop, with its own context."""
    run_green(package, GREENLETS)


@pytest.mark.parametrize(("parts", "status"), [([b'{"room_name"', b':"r"}'], 403), ([], 400), ([b" " * 9000] * 2, 413)])
def test_chunks_below_uwsgi(monkeypatch: pytest.MonkeyPatch, parts: list[bytes], status: int) -> None:
    """uWSGI offers a chunked body only through its own module."""
    module = types.ModuleType("uwsgi")
    left = [*parts, b""]
    module.chunked_read = lambda: left.pop(0)  # type: ignore[attr-defined]  # as uWSGI's own
    monkeypatch.setitem(sys.modules, "uwsgi", module)
    assert status == ask_wsgi(APP, environ(CONTENT_LENGTH=None, HTTP_TRANSFER_ENCODING="chunked")).status


def test_refusals_of_the_application() -> None:
    """A response that an exception carries is sent as it is; a 401 names the scheme that the application sets."""

    def authorize(environ: Any, token_request: TokenRequest) -> Admission:
        if environ["PATH_INFO"] == "/redirect":
            abort(redirect("/login"))
        raise Denied(401, scheme='Basic realm="voice"')

    app = token_app(SERVER, authorize=authorize)
    answer = ask_wsgi(app, environ(path="/redirect"))
    assert (302, "/login") == (answer.status, answer.header("location"))
    answer = ask_wsgi(app, environ())
    assert (401, 'Basic realm="voice"') == (answer.status, answer.header("www-authenticate"))
