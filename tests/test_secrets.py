"""Secrets stay where they are: no error, object, log or frame shows the key, the secret, the environment or an answer."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import gc
import inspect
import json
import logging
import os
import pickle
import pprint
import pydoc
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

import httpx2
import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server._credentials.config import config
from moss_voice_server._credentials.fetch import fetch
from moss_voice_server._http.model import Response
from moss_voice_server._secret import Sealed, Secret
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsError, InvalidArgument, MossVoiceError, WeakSecretWarning
from moss_voice_server.testing import FakeMoss
from tests.support.fault_response import FaultResponse
from tests.support.secret_scan import logged, shown, spilled
from tests.support.servers import ASYNC, SYNC, Server, ServerClass
from tests.support.threads import refuse_threads

# Put together so that no line of source code, which tracebacks show, holds them.
KEY = "-".join(["moss", "key", "0123456789"])
SECRET = "-".join(["livekit", "secret", "0123456789", "long", "enough"])
API_KEY = "-".join(["APIkey", "0123456789"])
BODY = "-".join(["body", "0123456789"])
HEADER = "-".join(["header", "0123456789"])
OTHER = "-".join(["other", "variable", "0123456789"])
SECRETS = (KEY, SECRET, API_KEY, BODY, HEADER, OTHER)

ADA = ParticipantInfo("user-42")
# One quick attempt: what is looked at is what remains of it.
POLICY = RefreshPolicy(attempts=1, attempt_timeout=0.2, total_timeout=0.3)


@pytest.fixture(params=[SYNC, ASYNC], ids=["sync", "async"])
def server_class(request: pytest.FixtureRequest) -> ServerClass:
    """Each of the two classes."""
    chosen: ServerClass = request.param
    return chosen


@pytest.fixture
def moss() -> Iterator[FakeMoss]:
    """A Moss API on a loopback port, with the secrets that are looked for."""
    with FakeMoss(project_key=KEY, api_key=API_KEY, api_secret=SECRET) as fake:
        yield fake


@pytest.fixture(autouse=True)
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[str]]]:
    """Everything at DEBUG, of every logger; at the end of every test nothing secret is in it, nor on the terminal."""
    caplog.set_level(logging.DEBUG)
    yield lambda: [record.name for record in caplog.records]
    assert [] == logged(caplog.records, SECRETS)
    terminal = "".join(capfd.readouterr())
    assert [] == [value for value in SECRETS if value in terminal]


@pytest.fixture(autouse=True)
def last_words(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """What threads and destructors could not raise; it contains no secret either."""
    heard: list[BaseException] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: heard.append(args.exc_value))
    monkeypatch.setattr(sys, "unraisablehook", lambda args: heard.append(args.exc_value))
    yield heard
    for thread in threading.enumerate():
        if thread.name.startswith("moss-voice-server"):
            thread.join(5)
    assert [] == [place for error in heard for place in spilled(emptied(error), SECRETS)]


def emptied(error: BaseException) -> BaseException:
    """The error without the text that a test itself has put into it, unless it is one of ours."""
    if not isinstance(error, MossVoiceError):
        error.args = ()
    return error


def caught(call: Callable[..., object], *args: Any, **keywords: Any) -> BaseException:
    """What the call raises, whatever it is."""
    try:
        call(*args, **keywords)
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is looked at
        return error
    raise AssertionError("nothing was raised")


# The scan sees what it should see.


def test_scan_sees_the_key_in_the_client(moss: FakeMoss) -> None:
    """The client alone keeps the key in its frames when it fails: so the scan would see it if we let it through."""
    moss.set_default(FaultResponse(reset="request"))
    with httpx2.Client() as client:
        error = caught(client.get, moss.url, headers={"X-Project-Key": KEY})

    assert [KEY] == sorted({place.rpartition(": ")[2] for place in spilled(error, SECRETS)})


def test_scan_sees_a_context_that_is_hidden() -> None:
    """`raise ... from None` hides a context from a traceback, and not from the scan."""

    def fail() -> None:
        try:
            json.loads(f'{{"{SECRET}"')
        except ValueError:
            raise RuntimeError("something") from None

    assert SECRET not in "".join(traceback.format_exception(caught(fail)))
    assert [] != spilled(caught(fail), SECRETS)


def test_scan_sees_attributes_and_containers() -> None:
    """A value in a list in an attribute, or in a mapping that is no dict, is seen."""
    holder = Exception()
    holder.details = [{"headers": httpx2.Headers({"X-Project-Key": KEY})}]  # type: ignore[attr-defined]

    assert [[KEY], [f"Exception: {KEY}"]] == [shown(holder, SECRETS), spilled(holder, SECRETS)]


# Arguments.

BAD_KEYS: list[Any] = [
    f"{KEY}\n",
    f" {KEY}",
    f"{KEY}\0",
    f"é{KEY}",
    f"{KEY}\ud800",
    KEY * 50,
    KEY.encode(),
    [KEY],
    {KEY: 1},
]


def test_damaged_key(server_class: ServerClass) -> None:
    """A damaged project key is refused and shown nowhere."""
    for key in BAD_KEYS:
        for way in ["constructor", "create"]:
            call = server_class.kind if way == "constructor" else server_class.create

            for error in (
                caught(call, "project", key, "agent"),
                caught(call, "project", project_key=key, voice_agent_id="agent"),
            ):
                assert ("project_key", []) == (getattr(error, "field", error), spilled(error, SECRETS))


BESIDE: list[dict[str, Any]] = [
    {"project_id": ""},
    {"project_id": 5},
    {"voice_agent_id": "a\n"},
    {"voice_agent_id": None},
    {"api_url": "http://moss.example"},
    {"refresh": 5},
    {"transport": 5},
    {"on_change": 5},
]


def test_good_key_beside_a_bad_argument(server_class: ServerClass) -> None:
    """When another argument is refused, the good key is shown nowhere."""
    for change in BESIDE:
        for way in ["constructor", "create"]:
            arguments = {"project_id": "project", "project_key": KEY, "voice_agent_id": "agent", **change}
            error = caught(server_class.kind if way == "constructor" else server_class.create, **arguments)

            assert isinstance(error, InvalidArgument)
            assert [] == spilled(error, SECRETS)


def test_password_in_the_url(server_class: ServerClass) -> None:
    """A URL that may contain a password is refused and never shown, though it is not a secret argument."""
    for url in [
        f"https://user:{OTHER}@moss.example",
        f"https://moss.example?key={OTHER}",
        f"https://moss.example/#{OTHER}",
    ]:
        environ = {"MOSS_PROJECT_ID": "project", "MOSS_PROJECT_KEY": KEY, "MOSS_VOICE_AGENT_ID": "agent"}
        for error in (
            caught(server_class.kind, "project", KEY, "agent", url),
            caught(server_class.create, "project", KEY, "agent", api_url=url),
            caught(server_class.from_env, {**environ, "MOSS_PLATFORM_API_URL": url}),
            caught(server_class.kind.lazy_from_env, {**environ, "MOSS_PLATFORM_API_URL": url}),
        ):
            assert ("api_url", []) == (getattr(error, "field", error), spilled(error, SECRETS))


ENVIRONS: list[dict[str, str]] = [
    {"MOSS_PROJECT_KEY": KEY},
    {"MOSS_PROJECT_ID": "project", "MOSS_PROJECT_KEY": KEY},
    {"MOSS_PROJECT_ID": "project", "MOSS_VOICE_AGENT_ID": "agent"},
    {"MOSS_PROJECT_ID": "project", "MOSS_VOICE_AGENT_ID": "agent", "MOSS_PROJECT_KEY": f"{KEY}\n"},
    {"MOSS_PROJECT_ID": "project", "MOSS_VOICE_AGENT_ID": "", "MOSS_PROJECT_KEY": KEY},
    {"MOSS_PROJECT_ID": "project", "MOSS_VOICE_AGENT_ID": "a\n", "MOSS_PROJECT_KEY": KEY},
    {"MOSS_PROJECT_ID": "project", "MOSS_PROJECT_KEY": KEY, "MOSS_PROJECT_KEY_FILE": "/nowhere"},
    {"MOSS_PROJECT_ID": "project", "MOSS_PROJECT_KEY_FILE": "/nowhere"},
    {"MOSS_PROJECT_ID": "project", "MOSS_PROJECT_KEY_FILE": os.devnull},
    {
        "MOSS_PROJECT_ID": "project",
        "MOSS_VOICE_AGENT_ID": "agent",
        "MOSS_PROJECT_KEY": KEY,
        "MOSS_PLATFORM_API_URL": "ftp://moss.example",
    },
]


@pytest.mark.parametrize("environ", ENVIRONS, ids=range(len(ENVIRONS)))
@pytest.mark.parametrize("own", [True, False], ids=["os.environ", "a mapping"])
@pytest.mark.parametrize("way", ["from_env", "lazy_from_env"])
def test_environment_with_something_wrong(
    server_class: ServerClass, environ: dict[str, str], own: bool, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a variable is missing or damaged, neither the key nor any other variable is shown."""
    environ = {**environ, "DATABASE_PASSWORD": OTHER}
    if own:
        for name in ("MOSS_PROJECT_ID", "MOSS_PROJECT_KEY", "MOSS_VOICE_AGENT_ID", "MOSS_PLATFORM_API_URL"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
    make = server_class.from_env if way == "from_env" else server_class.kind.lazy_from_env
    error = caught(make) if own else caught(make, environ)

    assert isinstance(error, InvalidArgument)
    assert [] == spilled(error, SECRETS)


def test_file_that_cannot_be_decoded(server_class: ServerClass, tmp_path: Any) -> None:
    """A secret's file in another encoding is refused; the decoder's error, which holds the whole file, is dropped."""
    (tmp_path / "key").write_bytes(KEY.encode() + b"\xff")
    environ = {"MOSS_PROJECT_ID": "project", "MOSS_PROJECT_KEY_FILE": str(tmp_path / "key")}
    error = caught(server_class.from_env, environ)

    assert ("MOSS_PROJECT_KEY", []) == (getattr(error, "field", error), spilled(error, SECRETS))


def test_key_as_a_keyword_of_from_env(server_class: ServerClass) -> None:
    """A key that is passed by name, beside something that is wrong, is shown nowhere."""
    wrong: Any
    for wrong in [{}, {"project_id": ""}, {"nonsense": 1}]:
        environ = (
            {"MOSS_PROJECT_ID": "project"} if wrong == {} else {"MOSS_PROJECT_ID": "p", "MOSS_VOICE_AGENT_ID": "a"}
        )
        for make in (server_class.from_env, server_class.kind.lazy_from_env):
            error = caught(make, environ, project_key=KEY, **wrong)

            assert isinstance(error, (TypeError, ValueError))
            assert [] == spilled(error, SECRETS)


def test_help_does_not_print_the_environment(server_class: ServerClass, monkeypatch: pytest.MonkeyPatch) -> None:
    """`help()`, documentation generators and editors show signatures: no default value in them is the environment."""
    monkeypatch.setenv("DATABASE_PASSWORD", OTHER)
    signatures = [
        str(inspect.signature(each))
        for _, each in inspect.getmembers(server_class.kind, callable)
        if hasattr(each, "__func__")
    ]

    assert [] == [text for text in (*signatures, pydoc.render_doc(server_class.kind)) if OTHER in text]


BAD_SECRETS: list[Any] = [f"{SECRET}\n", f"\t{SECRET}", f"{SECRET}\udfff", SECRET.encode(), [SECRET], {SECRET: 1}]


def test_damaged_secret_by_hand(server_class: ServerClass) -> None:
    """A damaged LiveKit secret is refused and shown nowhere."""
    for secret in BAD_SECRETS:
        make = server_class.kind.from_livekit
        for error in (
            caught(make, "wss://h.example", "APIkey", secret),
            caught(make, url="wss://h.example", api_key="APIkey", api_secret=secret),
        ):
            assert ("api_secret", []) == (getattr(error, "field", error), spilled(error, SECRETS))


def test_good_secret_beside_a_bad_argument(server_class: ServerClass) -> None:
    """When another argument is refused, the good secret is shown nowhere."""
    change: Any
    for change in [{"url": "h"}, {"url": "ws://h.example"}, {"api_key": ""}, {"agent_name": 5}]:
        arguments = {"url": "wss://h.example", "api_key": "APIkey", "api_secret": SECRET, **change}
        error = caught(server_class.kind.from_livekit, **arguments)

        assert isinstance(error, InvalidArgument)
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


# Answers and faults on the wire.

ERROR_BODY = {"error": f"no: {BODY} {KEY} {SECRET}", "voice_agent_api_secret": SECRET, "voice_agent_api_key": API_KEY}
WHOLE = {
    "voice_agent_url": "wss://h.example",
    "voice_agent_api_key": API_KEY,
    "voice_agent_api_secret": SECRET,
    "voice_agent_name": "agent",
    "note": BODY,
}
HEADERS = {"X-Internal": HEADER, "Set-Cookie": f"session={HEADER}", "X-Echo": KEY}


def answered(status: int = 200, json: Any = ..., **fields: Any) -> FaultResponse:
    """An answer that is full of what must not be shown."""
    headers = {**HEADERS, **fields.pop("headers", {})}
    return FaultResponse(status, json=ERROR_BODY if json is ... and not fields else json, headers=headers, **fields)


def without(name: str) -> dict[str, str]:
    """The whole answer but for one field."""
    return {key: value for key, value in WHOLE.items() if key != name}


FAULTS: dict[str, FaultResponse] = {
    **{str(status): answered(status) for status in (400, 401, 403, 404, 410, 418, 429, 500, 501, 503)},
    "redirect": answered(302, headers={"Location": f"https://evil.example/{BODY}?key={KEY}"}),
    "redirect to the key": answered(307, headers={"Location": f"https://{KEY}/"}),
    "redirect with the key as user": answered(308, headers={"Location": f"https://{KEY}:{KEY}@evil.example/"}),
    "redirect nowhere": answered(301, headers={"Location": f"https://[{BODY}"}),
    "not modified": answered(304),
    "retry after": answered(503, headers={"Retry-After": f"{HEADER}"}),
    "missing url": answered(json=without("voice_agent_url")),
    "missing secret": answered(json=without("voice_agent_api_secret")),
    "null": answered(json={**WHOLE, "voice_agent_name": None}),
    "wrong type": answered(json={**WHOLE, "voice_agent_api_secret": [SECRET]}),
    "padded secret": answered(json={**WHOLE, "voice_agent_api_secret": f" {SECRET}"}),
    "surrogate": answered(json={**WHOLE, "voice_agent_api_secret": f"{SECRET}\ud800"}),
    "bad key": answered(json={**WHOLE, "voice_agent_api_key": f"{API_KEY}\n{BODY}"}),
    "bad url": answered(json={**WHOLE, "voice_agent_url": f"ws://{BODY}.example"}),
    "array": answered(json=[WHOLE]),
    "text": answered(json=BODY),
    "not JSON": answered(body=f"<html>{BODY} {SECRET}".encode()),
    "half": answered(body=json.dumps(WHOLE).encode()[:-1]),
    "not UTF-8": answered(body=json.dumps(WHOLE).encode() + b"\xff"),
    "duplicates": answered(body=f'{{"{BODY}": 1, "{BODY}": "{SECRET}"}}'.encode()),
    "NaN": answered(body=f'{{"{BODY}": NaN}}'.encode()),
    "deep": answered(body=f'"{BODY}"'.encode().join([b'{"a":' * 9000, b"}" * 9000])),
    "too long": answered(body=json.dumps(WHOLE).encode() + b" " * 70_000),
    "compressed": answered(body=json.dumps(WHOLE).encode(), headers={"Content-Encoding": "gzip"}),
    "gzip bomb": answered(gzip_bomb=10_000_000),
    "broken off": answered(body=json.dumps(WHOLE).encode(), truncate=100),
    "wrong length": answered(body=json.dumps(WHOLE).encode(), content_length=5000),
    "chunked garbage": answered(chunked_garbage=True),
    "not HTTP": FaultResponse(raw=f"{BODY} {SECRET}\r\n\r\n".encode()),
    "broken headers": FaultResponse(raw=f"HTTP/1.1 200 OK\r\n{HEADER}\0: {BODY}\r\n\r\n".encode()),
    "broken status": FaultResponse(raw=f"HTTP/1.1 {BODY} OK\r\n\r\n".encode()),
    "reset on accept": FaultResponse(reset="accept"),
    "reset on request": FaultResponse(reset="request"),
    "reset after headers": answered(json=WHOLE, reset="headers"),
    "silence": FaultResponse(hang=True),
    "silence after headers": answered(json=WHOLE, hang_after_headers=True),
    "trickle": answered(json=WHOLE, trickle=0.02),
    "trickle in the body": answered(json=WHOLE, trickle=0.02, trickle_from="body"),
    "endless headers": answered(endless_headers=True),
    "endless body": answered(endless_body=True),
}


@pytest.mark.parametrize("answer", FAULTS.values(), ids=FAULTS.keys())
def test_fault_on_a_socket(server_class: ServerClass, moss: FakeMoss, answer: FaultResponse) -> None:
    """Whatever goes wrong on the wire, the error, its frames and the logs show neither request nor answer."""
    moss.set_default(answer)
    error = caught(server_class.create, **moss.arguments, refresh=POLICY)

    assert isinstance(error, CredentialsError)
    assert [] == spilled(error, SECRETS)
    assert (None, None) == (error.__cause__, error.__context__)


@pytest.mark.parametrize(
    "name", ["401", "missing secret", "not JSON", "reset on request", "redirect", "broken off", "silence"]
)
def test_fault_in_memory(server_class: ServerClass, moss: FakeMoss, name: str) -> None:
    """The same through a transport of the caller."""
    moss.set_default(FAULTS[name])
    error = caught(server_class.create, **moss.arguments, refresh=POLICY, transport=moss.transport())

    assert isinstance(error, CredentialsError)
    assert [] == spilled(error, SECRETS)


def test_no_tls_where_tls_is_expected(server_class: ServerClass, moss: FakeMoss) -> None:
    """A TLS handshake that fails shows nothing."""
    arguments = {**moss.arguments, "api_url": moss.url.replace("http:", "https:")}
    error = caught(server_class.create, **arguments, refresh=POLICY)

    assert isinstance(error, CredentialsError)
    assert [] == spilled(error, SECRETS)


def test_connection_refused(server_class: ServerClass, moss: FakeMoss) -> None:
    """A connection that is refused shows nothing."""
    moss.close()
    error = caught(server_class.create, **moss.arguments, refresh=POLICY)

    assert isinstance(error, CredentialsError)
    assert [] == spilled(error, SECRETS)


def test_several_attempts_and_remembered_failures(server_class: ServerClass, moss: FakeMoss) -> None:
    """Neither the third attempt's error nor the one that is remembered for a moment shows anything."""
    moss.queue(FAULTS["503"], FAULTS["not JSON"], FAULTS["503"])
    server = server_class.kind(**moss.arguments, refresh=RefreshPolicy(attempts=3, total_timeout=5))
    errors = [
        caught(server_class.refresh, server),
        caught(server_class.refresh, server),
        caught(server.create_participant_token, ADA, "r"),
    ]

    assert [True] * 3 == [isinstance(error, CredentialsError) for error in errors]
    assert [] == [place for error in errors for place in spilled(error, SECRETS)]
    assert 3 == moss.count


def test_success_logs_nothing_secret(server_class: ServerClass, moss: FakeMoss, logs: Callable[[], list[str]]) -> None:
    """A fetch that succeeds is logged by us and by the client at DEBUG; headers and bodies are in neither."""
    moss.set_default(answered(json=WHOLE))
    server_class.create(**moss.arguments)

    assert {"moss_voice_server", "httpx2"} <= {*logs()}
    assert [name for name in logs() if name.startswith("httpcore2")]


def test_asyncio_debug_mode_logs_nothing_secret(moss: FakeMoss) -> None:
    """asyncio's own debug log, with its representations of tasks and callbacks, shows nothing."""

    async def create() -> Server:
        return await MossVoiceServer.create(**moss.arguments)

    server = asyncio.run(create(), debug=True)
    moss.set_default(FAULTS["silence after headers"])
    fresh = MossVoiceServer(**moss.arguments, refresh=POLICY)
    error = caught(lambda: asyncio.run(fresh.refresh(), debug=True))

    assert ("fresh", []) == (server.status().state, spilled(error, SECRETS))


def test_log_of_other_requests_is_left_alone(
    server_class: ServerClass, moss: FakeMoss, caplog: pytest.LogCaptureFixture
) -> None:
    """The client's log is shortened for our requests only: the application's own are logged as ever."""
    server_class.create(**moss.arguments)
    before = len(caplog.records)
    with httpx2.Client() as client:
        client.get(moss.url, headers={"X-Mine": "mine"})
    own = [record.getMessage() for record in caplog.records[before:]]

    assert [line for line in own if line.startswith("send_request_headers.started request=")]
    assert [line for line in own if line.startswith("receive_response_headers.complete return_value=")]


# Interruptions and transports that raise.


class Stop(BaseException):
    """What no `except Exception` catches."""


RAISED: list[Callable[[str], BaseException]] = [
    ValueError,
    httpx2.ConnectError,
    OSError,
    MemoryError,
    RecursionError,
    StopIteration,
    asyncio.CancelledError,
    KeyboardInterrupt,
    SystemExit,
    GeneratorExit,
    Stop,
]


class Raising(httpx2.BaseTransport, httpx2.AsyncBaseTransport):
    """A transport that raises, with the request in its frame and the key in its text; without an error while `calm` is set."""

    def __init__(self, make: Callable[[str], BaseException], calm: Any = None) -> None:
        self._make = make
        self.calm = calm

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises."""
        if self.calm is not None:
            response: httpx2.Response = self.calm.handle_request(request)
            return response
        headers = dict(request.headers)
        raise self._make(f"{headers}")

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Raises."""
        if self.calm is not None:
            response: httpx2.Response = await self.calm.handle_async_request(request)
            return response
        headers = dict(request.headers)
        raise self._make(f"{headers}")


def test_transport_that_raises(server_class: ServerClass) -> None:
    """Whatever a transport raises, the caller gets an error of ours without its text, and no frame shows the key."""
    for make in RAISED:
        error = caught(server_class.create, "project", KEY, "agent", transport=Raising(make), refresh=POLICY)
        gc.collect()

        assert isinstance(error, CredentialsError)
        assert [] == spilled(error, SECRETS)


@pytest.mark.parametrize("make", RAISED, ids=lambda make: make.__name__)
def test_transport_that_raises_where_no_thread_runs(
    make: Callable[[str], BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the caller's own thread an interruption goes through as it is, without the client's frames."""
    refuse_threads(monkeypatch)
    error = caught(SYNC.create, "project", KEY, "agent", transport=Raising(make), refresh=POLICY)

    assert isinstance(error, CredentialsError if isinstance(make("x"), Exception) else type(make("x")))
    assert [] == spilled(emptied(error), SECRETS)


@pytest.mark.parametrize("make", RAISED, ids=lambda make: make.__name__)
def test_renewal_in_line_that_is_interrupted(
    server_class: ServerClass,
    make: Callable[[str], BaseException],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A renewal on the minting thread that is interrupted leaves neither the key nor the client's frames behind."""
    moss = FakeMoss(project_id="project", project_key=KEY, voice_agent_id="agent", api_key=API_KEY, api_secret=SECRET)
    transport = Raising(make, moss.transport())
    policy = RefreshPolicy(refresh_after=0.000_001, attempts=1)
    server = server_class.create("project", KEY, "agent", transport=transport, refresh=policy)
    transport.calm = None
    refuse_threads(monkeypatch)
    error: BaseException | None = None
    try:
        server.create_participant_token(ADA, "lobby")
    except BaseException as raised:  # noqa: BLE001  # whatever it is, it is looked at
        error = raised
    gc.collect()
    # What asyncio logs of an abandoned task contains the test's own text; its frames count.
    for record in caplog.records:
        if record.exc_info and record.exc_info[1] is not None:
            emptied(record.exc_info[1])
            record.exc_text = None

    assert (type(None) if isinstance(make("x"), Exception) else type(make("x"))) is type(error)
    assert [] == ([] if error is None else spilled(emptied(error), SECRETS))


def interrupt(moss: FakeMoss) -> None:
    """Ctrl-C, as soon as a request has arrived."""
    moss.wait_for(1)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


def test_ctrl_c_while_waiting(server_class: ServerClass, moss: FakeMoss) -> None:
    """Ctrl-C in the middle of `create` comes through, and no frame that it passes shows the key."""
    moss.set_default(FAULTS["silence after headers"])
    thread = threading.Thread(target=interrupt, args=[moss])
    thread.start()
    error = caught(server_class.create, **moss.arguments, refresh=RefreshPolicy(attempts=1, attempt_timeout=5))
    moss.release()
    thread.join()

    assert isinstance(error, KeyboardInterrupt)
    assert [] == spilled(error, SECRETS)


async def cancelled(moss: FakeMoss) -> BaseException:
    """What is raised when a task is cancelled in the middle of `create`."""
    task = asyncio.ensure_future(MossVoiceServer.create(**moss.arguments, refresh=POLICY))
    await asyncio.to_thread(moss.wait_for, 1)
    task.cancel()
    try:
        await task
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is looked at
        return error
    raise AssertionError("nothing was raised")


async def timed_out(moss: FakeMoss) -> BaseException:
    """What is raised when an application's own deadline ends `create`."""
    try:
        await asyncio.wait_for(MossVoiceServer.create(**moss.arguments, refresh=POLICY), 0.1)
    except BaseException as error:  # noqa: BLE001  # whatever it is, it is looked at
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(("way", "kind"), [(cancelled, asyncio.CancelledError), (timed_out, asyncio.TimeoutError)])
def test_cancelled_while_waiting(moss: FakeMoss, way: Callable[[FakeMoss], Any], kind: type[BaseException]) -> None:
    """A task that is cancelled, or times out, in the middle of `create` shows the key in no frame that it passes."""
    moss.set_default(FAULTS["silence after headers"])
    error = asyncio.run(way(moss))
    moss.release()

    assert isinstance(error, kind)
    assert [] == spilled(error, SECRETS)


def test_callback_that_raises(server_class: ServerClass, moss: FakeMoss) -> None:
    """When the application's `on_change` raises, the log tells the kind of error and nothing else."""

    def fail(_status: object) -> None:
        raise ValueError(f"{KEY} {BODY}")

    server = server_class.create(**moss.arguments, on_change=fail)

    assert "fresh" == server.status().state


# Minting.

MINTS: list[Callable[[Server], object]] = [
    lambda server: server.create_participant_token(ParticipantInfo(""), "lobby"),
    lambda server: server.create_participant_token(ADA, "lobby", ttl=5),
    lambda server: server.create_participant_token(ADA, "lobby", agents=[5]),  # type: ignore[list-item]
    lambda server: server.create_participant_token(ADA, "lobby", room_config={"egress": {"room": {"secret": BODY}}}),
    lambda server: server.create_participant_token(ADA, "lobby", room_config=5),  # type: ignore[arg-type]
    lambda server: server.create_participant_token("ada", "lobby"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("mint", MINTS, ids=range(len(MINTS)))
def test_refused_request(server_class: ServerClass, moss: FakeMoss, mint: Callable[[Server], object]) -> None:
    """A request that is refused shows neither key nor secret in any frame."""
    for server in (
        server_class.create(**moss.arguments),
        server_class.kind.from_livekit("wss://h.example", "APIkey", SECRET),
    ):
        error = caught(mint, server)

        assert isinstance(error, InvalidArgument)
        assert [] == spilled(error, (KEY, SECRET))


# Objects.


def reachable(root: object) -> list[object]:
    """Every object of ours that can be reached from one, through attributes, containers and closures."""
    found: list[object] = []
    seen: set[int] = set()
    todo: list[object] = [root]
    while todo:
        each = todo.pop()
        ours = type(each).__module__.startswith("moss_voice_server")
        if id(each) in seen or not (ours or isinstance(each, (dict, list, tuple, CellType, FunctionType, MethodType))):
            continue
        seen.add(id(each))
        if ours:
            found.append(each)
        if isinstance(each, FunctionType):
            todo += each.__closure__ or ()
        else:
            todo += gc.get_referents(each)
    return found


def as_dict(thing: Any) -> object:
    """`dataclasses.asdict`, or the refusal of a secret inside."""
    try:
        return dataclasses.asdict(thing)
    except TypeError as error:
        return error


RENDERINGS: dict[str, Callable[[Any], str]] = {
    "repr": repr,
    "str": str,
    "format": lambda each: f"{each} {each!r} {each!a}",
    "percent": lambda each: "%s %r" % ((each,) * 2),
    "vars": lambda each: repr(getattr(each, "__dict__", {})),
    "slots": lambda each: repr(
        [getattr(each, name, None) for name in dir(each) if not name.startswith("__") and name != "_value"]
    ),
    "json": lambda each: json.dumps([each], default=str),
    "pprint": pprint.pformat,
    "dataclass": lambda each: repr(as_dict(each)) if dataclasses.is_dataclass(each) else "",
    "named tuple": lambda each: repr(getattr(each, "_asdict", dict)()),
}


def servers(server_class: ServerClass, moss: FakeMoss) -> list[Server]:
    """A server of every kind: constructed, created, failed, from the environment, by hand."""
    failed = server_class.kind(**moss.arguments)
    moss.queue(FAULTS["401"])
    caught(server_class.refresh, failed)
    return [
        server_class.kind(**moss.arguments),
        server_class.create(**moss.arguments),
        failed,
        server_class.from_env(moss.environ),
        server_class.kind.lazy_from_env(moss.environ),
        server_class.kind.from_livekit("wss://h.example", API_KEY, SECRET),
    ]


def test_no_object_shows_a_secret(server_class: ServerClass, moss: FakeMoss) -> None:
    """No object that a server is made of shows the key or the secret in any rendering."""
    objects = [each for server in servers(server_class, moss) for each in reachable(server)]

    assert {"Secret", "CredentialsCache", "Credentials", "Signer", "Config"} <= {
        type(each).__name__ for each in objects
    }
    for name, render in RENDERINGS.items():
        leaks = [type(each).__name__ for each in objects if KEY in render(each) or SECRET in render(each)]
        assert ([], name) == (leaks, name)


CARRIERS: dict[str, Callable[[Any], object]] = {"copy": copy.copy, "deepcopy": copy.deepcopy}
CARRIERS.update({f"pickle {each}": partial(pickle.dumps, protocol=each) for each in range(pickle.HIGHEST_PROTOCOL + 1)})


def test_no_object_leaves_the_process(server_class: ServerClass, moss: FakeMoss) -> None:
    """Whatever contains a secret refuses to be copied or pickled, with a TypeError that names the remedy."""
    objects = [each for server in servers(server_class, moss) for each in reachable(server) if isinstance(each, Sealed)]
    assert objects
    for carry in CARRIERS.values():
        for each in objects:
            error = caught(carry, each)
            assert isinstance(error, TypeError)
            assert f"{type(each).__name__} contains a secret and cannot be pickled or copied" in str(error)
            assert [] == spilled(error, SECRETS)


def test_pickling_what_holds_a_server_is_refused(server_class: ServerClass, moss: FakeMoss) -> None:
    """An application's own object with a server in it, as multiprocessing would send it, is refused the same way."""
    error = caught(pickle.dumps, {"server": server_class.create(**moss.arguments)})

    assert isinstance(error, TypeError)
    assert "another process" in str(error)


def test_messages_of_the_fetch_show_nothing() -> None:
    """What travels between the rules and the driver shows neither the key nor the answer's body."""
    policy = RefreshPolicy()
    asked = config(Secret("project"), Secret(KEY), Secret("agent"), Secret("https://moss.example"))
    exchange = fetch(
        asked, policy, attempts=3, budget=8, etag="", mono=lambda: 0.0, wall=lambda: 0.0, uniform=lambda low, high: low
    )
    attempt = next(exchange)
    response = Response(503, {}, Secret(json.dumps(ERROR_BODY).encode()))
    again = exchange.send(response)

    assert [] == shown([attempt, attempt.request, response, again, asked], SECRETS)


def test_two_servers_are_equal_only_to_themselves(moss: FakeMoss) -> None:
    """Comparing two servers does not tell whether they have the same secret."""
    one, other = (MossVoiceServerSync.from_livekit("wss://h.example", API_KEY, SECRET) for _ in range(2))

    assert [True, False] == [one == one, one == other]
