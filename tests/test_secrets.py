"""Secrets of a server: no error, log record or frame shows the key, the secret or a response.

`faults/test_wire.py` looks for them after every fault of its table.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server._credentials.runtime import Runtime
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsError, InvalidArgument, MossVoiceError, WeakSecretWarning
from moss_voice_server.testing import FakeMoss
from tests.support.errors import caught
from tests.support.fault_response import FaultResponse
from tests.support.secret_scan import BODY, KEY, SECRET, SECRETS, logged, spilled
from tests.support.servers import SYNC, Server, ServerClass
from tests.support.simulation import ADA
from tests.support.threads import refuse_threads, settled

# One quick attempt: what is looked at is what remains of it.
POLICY = RefreshPolicy(attempts=1, attempt_timeout=0.2, total_timeout=0.3)


@pytest.fixture
def moss() -> Iterator[FakeMoss]:
    """A Moss API on a loopback port, with the secrets that are looked for."""
    with FakeMoss(project_key=KEY, api_secret=SECRET) as fake:
        yield fake


@pytest.fixture(autouse=True)
def no_secret_in_logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Every logger at DEBUG; after each test no secret is in the records or on the terminal."""
    caplog.set_level(logging.DEBUG)
    yield
    assert [] == logged([*caplog.get_records("setup"), *caplog.get_records("call")], SECRETS)
    terminal = "".join(capfd.readouterr())
    assert [] == [value for value in SECRETS if value in terminal]


@pytest.fixture(autouse=True)
def no_secret_in_last_words(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Exceptions that threads and destructors could not raise; they contain no secret either."""
    heard: list[BaseException] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda args: heard.append(args.exc_value))
    yield
    settled()
    assert [] == [place for error in heard for place in spilled(emptied(error), SECRETS)]


def emptied(error: BaseException) -> BaseException:
    """The error without the text that the test put into it, unless it is one of ours."""
    if not isinstance(error, MossVoiceError):
        error.args = ()
    return error


def test_scan_finds_the_key(moss: FakeMoss) -> None:
    """The counter-check: it is in the HTTP client's own frames, though `from None` hides them from a traceback."""

    def fail() -> None:
        try:
            httpx2.get(moss.url, headers={"X-Project-Key": KEY})
        except httpx2.HTTPError:
            raise RuntimeError from None

    moss.set_default(FaultResponse(reset="request"))
    assert [KEY] == sorted({place.rpartition(": ")[2] for place in spilled(caught(fail), SECRETS)})


def test_swapped_arguments(server_class: ServerClass, moss: FakeMoss) -> None:
    """ID and key in the wrong order: the rejection shows neither, in no variable."""
    moss.set_default(401)
    for arguments in ((KEY, "project", "agent"), ("project", "agent", KEY), (KEY, KEY, KEY)):
        error = caught(server_class.create, *arguments, moss.url)
        assert isinstance(error, CredentialsError)
        assert [] == spilled(error, SECRETS)


def test_warning_about_a_short_secret_raised_as_an_error(server_class: ServerClass, moss: FakeMoss) -> None:
    """Where warnings are errors, the one about a short secret shows it nowhere."""
    short = SECRET[:20]
    moss.rotate(api_secret=short)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        errors = [
            caught(server_class.kind.from_livekit, "wss://h.example", "APIkey", short),
            caught(server_class.create, **moss.arguments),
            caught(server_class.from_env, moss.environ),
        ]

    assert [WeakSecretWarning] * 3 == [type(error) for error in errors]
    assert [] == [place for error in errors for place in spilled(error, (*SECRETS, short))]


def test_log_of_a_fetch(server_class: ServerClass, moss: FakeMoss, caplog: pytest.LogCaptureFixture) -> None:
    """We and the client log a fetch at DEBUG, without headers and bodies; the application's own requests as ever."""
    moss.set_default(FaultResponse(json={**moss.credentials, "note": BODY}, headers={"Set-Cookie": BODY}))
    server_class.create(**moss.arguments)
    names = {record.name for record in caplog.records}
    assert {"moss_voice_server", "httpx2"} < names
    assert [name for name in names if name.startswith("httpcore2")]
    before = len(caplog.records)
    moss.reset()
    httpx2.get(moss.url, headers={"X-Mine": "mine"})
    own = "\n".join(record.getMessage() for record in caplog.records[before:])
    assert "send_request_headers.started request=" in own
    assert "receive_response_headers.complete return_value=" in own


def test_asyncio_debug_mode(moss: FakeMoss) -> None:
    """asyncio's own debug log, with its representations of tasks and callbacks, shows nothing."""

    async def create() -> Server:
        return await MossVoiceServer.create(**moss.arguments, refresh=POLICY)

    assert "fresh" == asyncio.run(create(), debug=True).status().state
    moss.set_default(FaultResponse(hang=True))
    assert [] == spilled(caught(lambda: asyncio.run(create(), debug=True)), SECRETS)


def test_callback_that_raises(server_class: ServerClass, moss: FakeMoss) -> None:
    """When the application's `on_change` raises, the renewal counts, and the log has the kind of error only."""

    def fail(_status: object) -> None:
        raise ValueError(f"{KEY} {BODY}")

    assert "fresh" == server_class.create(**moss.arguments, on_change=fail).status().state


# Interruptions and transports that raise.


class Stop(BaseException):
    """An exception that `except Exception` does not catch."""


FAILURES = (ValueError, httpx2.ConnectError, MemoryError, RecursionError, StopIteration)
INTERRUPTIONS = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit, Stop)


class Raising(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """A transport that raises, with the request in its frame and the key in its text; with `kind=None` it works."""

    def __init__(self, kind: Callable[[str], BaseException] | None) -> None:
        self.kind = kind
        fake = FakeMoss(project_id="project", project_key=KEY, voice_agent_id="agent", api_secret=SECRET)
        self._works = fake.transport()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises."""
        if self.kind is None:
            return self._works.handle_request(request)
        headers = dict(request.headers)
        raise self.kind(f"{headers}")

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises."""
        if self.kind is None:
            return await self._works.handle_async_request(request)
        headers = dict(request.headers)
        raise self.kind(f"{headers}")


ARGUMENTS = {"project_id": "project", "project_key": KEY, "voice_agent_id": "agent", "api_url": "https://moss.example"}


def raising(server_class: ServerClass, kind: Any, policy: RefreshPolicy = POLICY) -> tuple[Server, Raising]:
    """A server over such a transport; the pauses after a failure have no length."""
    transport = Raising(kind)
    instant = Runtime(uniform=lambda _low, _high: 0.0)
    return server_class.new(ARGUMENTS, instant, transport=transport, refresh=policy), transport


def test_transport_that_raises(server_class: ServerClass) -> None:
    """Any exception of a transport becomes an error of ours without its text or frames, and the next fetch may begin."""
    for kind in (*FAILURES, *INTERRUPTIONS):
        server, transport = raising(server_class, kind)
        error = caught(server_class.refresh, server)
        assert isinstance(error, CredentialsError)
        assert [] == spilled(error, SECRETS)
        transport.kind = None
        server_class.refresh(server)
        assert server.status().last_error is None
    gc.collect()  # destructors report to `no_secret_in_last_words`


def test_transport_that_raises_where_no_thread_runs(
    server_class: ServerClass, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """On the caller's own thread an interruption is raised unchanged, without the client's frames; the next fetch works."""
    for kind in (*FAILURES, *INTERRUPTIONS):
        server, transport = raising(server_class, None, RefreshPolicy(refresh_after=0.000_001, attempts=1))
        server_class.refresh(server)
        mint = server.create_participant_token
        with monkeypatch.context() as patch:
            refuse_threads(patch)
            transport.kind = kind
            if kind in INTERRUPTIONS:
                errors = [caught(mint, ADA, "lobby")]
            else:
                assert mint(ADA, "lobby")
                errors = []
            if server_class is SYNC:
                errors.append(caught(server_class.refresh, server))
                assert isinstance(errors[-1], CredentialsError if kind in FAILURES else kind)
            assert ("stale", "CredentialsUnavailable") == (server.status().state, server.status().last_error)
            transport.kind = None
            assert mint(ADA, "lobby")
            assert server.status().last_error is None
        assert [kind] * len(errors) == [type(error) for error in errors] or kind in FAILURES
        assert [] == [place for error in errors for place in spilled(emptied(error), SECRETS)]
    gc.collect()
    # asyncio logs an abandoned task with the test's own text; its frames count.
    for record in caplog.records:
        if record.exc_info and record.exc_info[1] is not None:
            emptied(record.exc_info[1])
            record.exc_text = None


def test_ctrl_c_while_waiting(server_class: ServerClass, moss: FakeMoss) -> None:
    """Ctrl-C in the middle of `create` comes through, and no frame that it passes shows the key."""

    def interrupt() -> None:
        moss.wait_for(1)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    moss.set_default(FaultResponse(json={}, hang_after_headers=True))
    thread = threading.Thread(target=interrupt)
    thread.start()
    error = caught(server_class.create, **moss.arguments, refresh=RefreshPolicy(attempts=1, attempt_timeout=5))
    moss.release()
    thread.join()

    assert isinstance(error, KeyboardInterrupt)
    assert [] == spilled(error, SECRETS)


def test_cancelled_while_waiting(moss: FakeMoss) -> None:
    """A task that times out, and so is cancelled, in the middle of `create` shows the key in no frame that it passes."""

    async def create() -> None:
        await asyncio.wait_for(MossVoiceServer.create(**moss.arguments), 0.1)

    moss.set_default(FaultResponse(json={}, hang_after_headers=True))
    error = caught(lambda: asyncio.run(create()))
    moss.release()

    assert isinstance(error, asyncio.TimeoutError)
    assert isinstance(error.__cause__ or error.__context__, asyncio.CancelledError)
    assert [] == spilled(error, SECRETS)


def test_refused_request(server_class: ServerClass, moss: FakeMoss) -> None:
    """A request that is refused shows neither key nor secret in any frame."""
    who: Any
    options: Any
    for who, options in [
        (ParticipantInfo(""), {}),
        ("ada", {}),
        (ADA, {"ttl": 5}),
        (ADA, {"agents": [5]}),
        (ADA, {"room_config": {"egress": {"room": {"secret": BODY}}}}),
        (ADA, {"room_config": 5}),
    ]:
        for server in (
            server_class.create(**moss.arguments),
            server_class.kind.from_livekit("wss://h.example", "APIkey", SECRET),
        ):
            error = caught(server.create_participant_token, who, "lobby", **options)
            assert isinstance(error, InvalidArgument)
            assert [] == spilled(error, (KEY, SECRET))
