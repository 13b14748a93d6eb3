"""Secrets: no error, object, log record or frame shows the key, the secret, the environment or a response."""

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
from pathlib import Path
from types import CellType, FunctionType, MethodType
from typing import Any

import httpx2
import pytest

from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server._credentials.config import config
from moss_voice_server._credentials.fetch import fetch, limits
from moss_voice_server._http.flow import Timing
from moss_voice_server._http.model import Response
from moss_voice_server._secret import Sealed, Secret
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsError, InvalidArgument, MossVoiceError, WeakSecretWarning
from moss_voice_server.testing import FakeMoss
from tests.support.fault_response import FaultResponse
from tests.support.secret_scan import logged, shown, spilled
from tests.support.servers import SYNC, Server, ServerClass
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


@pytest.fixture
def moss() -> Iterator[FakeMoss]:
    """A Moss API on a loopback port, with the secrets that are looked for."""
    with FakeMoss(project_key=KEY, api_key=API_KEY, api_secret=SECRET) as fake:
        yield fake


@pytest.fixture(autouse=True)
def logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[Callable[[], list[str]]]:
    """Every logger at DEBUG; after each test no secret is in the records or on the terminal."""
    caplog.set_level(logging.DEBUG)
    yield lambda: [record.name for record in caplog.records]
    assert [] == logged([*caplog.get_records("setup"), *caplog.get_records("call")], SECRETS)
    terminal = "".join(capfd.readouterr())
    assert [] == [value for value in SECRETS if value in terminal]


@pytest.fixture(autouse=True)
def last_words(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """Exceptions that threads and destructors could not raise; they contain no secret either."""
    heard: list[BaseException] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: heard.append(args.exc_value))
    monkeypatch.setattr(sys, "unraisablehook", lambda args: heard.append(args.exc_value))
    yield heard
    for thread in threading.enumerate():
        if thread.name.startswith("moss-voice-server"):
            thread.join(5)
    assert [] == [place for error in heard for place in spilled(emptied(error), SECRETS)]


def emptied(error: BaseException) -> BaseException:
    """The error without the text that the test put into it, unless it is one of ours."""
    if not isinstance(error, MossVoiceError):
        error.args = ()
    return error


def caught(call: Callable[..., object], *args: Any, **keywords: Any) -> BaseException:
    """The exception that the call raises."""
    try:
        call(*args, **keywords)
    except BaseException as error:  # noqa: BLE001  # any exception is examined
        return error
    raise AssertionError("nothing was raised")


def test_scan_sees_the_key_in_the_client(moss: FakeMoss) -> None:
    """httpx2's own frames contain the key when a request fails, and the scan finds it there."""
    moss.set_default(FaultResponse(reset="request"))
    with httpx2.Client() as client:
        error = caught(client.get, moss.url, headers={"X-Project-Key": KEY})

    assert [KEY] == sorted({place.rpartition(": ")[2] for place in spilled(error, SECRETS)})


def test_scan_sees_a_context_that_is_hidden() -> None:
    """`raise ... from None` hides a context from a traceback, but not from the scan."""

    def fail() -> None:
        try:
            json.loads(f'{{"{SECRET}"')
        except ValueError:
            raise RuntimeError("something") from None

    assert SECRET not in "".join(traceback.format_exception(caught(fail)))
    assert [] != spilled(caught(fail), SECRETS)


# Arguments. What is wrong, and the field of the error.

GOOD = {"project_id": "project", "project_key": KEY, "voice_agent_id": "agent"}
BAD_KEYS = (f"{KEY}\n", f" {KEY}", f"{KEY}\0", f"é{KEY}", f"{KEY}\ud800", KEY * 50, KEY.encode(), [KEY], {KEY: 1})
BAD_URLS = (f"https://user:{OTHER}@moss.example", f"https://moss.example?key={OTHER}", f"https://moss.example/#{OTHER}")
PROJECTS: list[tuple[str, Any]] = [
    *(("project_key", key) for key in BAD_KEYS),
    *(("api_url", url) for url in (*BAD_URLS, "http://moss.example")),
    *(("project_id", value) for value in ("", 5)),
    *(("voice_agent_id", value) for value in ("a\n", None)),
    ("refresh", 5),
    ("transport", 5),
    ("on_change", 5),
]


def test_rejected_argument(server_class: ServerClass) -> None:
    """A rejected argument is not shown, nor is the good key beside it; by position and by name."""
    for field, value in PROJECTS:
        arguments = {**GOOD, field: value}
        names = list(GOOD) + [field] * (field == "api_url")
        positions = [arguments[name] for name in names]
        rest = {name: each for name, each in arguments.items() if name not in names}
        for call in (server_class.kind, server_class.create):
            for error in (caught(call, **arguments), caught(call, *positions, **rest)):
                assert (field, []) == (getattr(error, "field", error), spilled(error, SECRETS))


BAD_SECRETS = (f"{SECRET}\n", f"\t{SECRET}", f"{SECRET}\udfff", SECRET.encode(), [SECRET], {SECRET: 1})
BY_HAND = {"url": "wss://h.example", "api_key": "APIkey", "api_secret": SECRET}
PAIRS: list[tuple[str, Any]] = [
    *(("api_secret", secret) for secret in BAD_SECRETS),
    ("url", "h"),
    ("url", "ws://h.example"),
    ("api_key", ""),
    ("agent_name", 5),
]


def test_rejected_livekit_credentials(server_class: ServerClass) -> None:
    """The same for `from_livekit`."""
    for field, value in PAIRS:
        arguments = {**BY_HAND, field: value}
        make = server_class.kind.from_livekit
        for error in (caught(make, **arguments), caught(make, *arguments.values())):
            assert (field, []) == (getattr(error, "field", error), spilled(error, SECRETS))


MOSS = {"MOSS_PROJECT_ID": "project", "MOSS_PROJECT_KEY": KEY, "MOSS_VOICE_AGENT_ID": "agent"}
# Changes to the environment; `None` removes a variable.
ENVIRONS: list[dict[str, str | None]] = [
    {"MOSS_PROJECT_ID": None, "MOSS_VOICE_AGENT_ID": None},
    {"MOSS_PROJECT_KEY": None},
    {"MOSS_PROJECT_KEY": f"{KEY}\n"},
    {"MOSS_VOICE_AGENT_ID": "a\n"},
    {"MOSS_PROJECT_KEY_FILE": "/nowhere"},
    {"MOSS_PROJECT_KEY": None, "MOSS_PROJECT_KEY_FILE": "/nowhere"},
    {"MOSS_PROJECT_KEY": None, "MOSS_PROJECT_KEY_FILE": os.devnull},
    {"MOSS_PROJECT_KEY": None, "MOSS_PROJECT_KEY_FILE": "NOT_UTF8"},
    {"MOSS_PLATFORM_API_URL": BAD_URLS[0]},
]


@pytest.mark.parametrize("changes", ENVIRONS, ids=range(len(ENVIRONS)))
@pytest.mark.parametrize("own", [True, False], ids=["os.environ", "a mapping"])
def test_wrong_environment(
    server_class: ServerClass,
    changes: dict[str, str | None],
    own: bool,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """When a variable is missing or damaged, neither the key nor any other variable is shown."""
    (tmp_path / "key").write_bytes(KEY.encode() + b"\xff")
    environ = {name: value for name, value in {**MOSS, "DATABASE_PASSWORD": OTHER, **changes}.items() if value}
    if "NOT_UTF8" in changes.values():
        environ["MOSS_PROJECT_KEY_FILE"] = str(tmp_path / "key")
    if own:
        for name in (*MOSS, "MOSS_PLATFORM_API_URL"):
            monkeypatch.delenv(name, raising=False)
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
    for make in (server_class.from_env, server_class.kind.lazy_from_env):
        error = caught(make) if own else caught(make, environ)
        assert isinstance(error, InvalidArgument)
        assert [] == spilled(error, SECRETS)


def test_key_as_a_keyword_of_from_env(server_class: ServerClass) -> None:
    """A key that is passed by name, beside a wrong argument, is not shown."""
    wrong: Any
    for wrong in [{"environ": {}}, {"project_id": ""}, {"nonsense": 1}]:
        arguments = {"environ": {"MOSS_PROJECT_ID": "p", "MOSS_VOICE_AGENT_ID": "a"}, "project_key": KEY, **wrong}
        for make in (server_class.from_env, server_class.kind.lazy_from_env):
            error = caught(make, **arguments)
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
    """A response full of secrets."""
    headers = {**HEADERS, **fields.pop("headers", {})}
    return FaultResponse(status, json=ERROR_BODY if json is ... and not fields else json, headers=headers, **fields)


def without(name: str) -> dict[str, str]:
    """The whole answer but for one field."""
    return {key: value for key, value in WHOLE.items() if key != name}


FAULTS: dict[str, FaultResponse] = {
    **{str(status): answered(status) for status in (400, 401, 404, 429, 503)},
    "redirect": answered(302, headers={"Location": f"https://evil.example/{BODY}?key={KEY}"}),
    "redirect to the key": answered(307, headers={"Location": f"https://{KEY}/"}),
    "redirect with the key as user": answered(308, headers={"Location": f"https://{KEY}:{KEY}@evil.example/"}),
    "retry after": answered(503, headers={"Retry-After": f"{HEADER}"}),
    "missing secret": answered(json=without("voice_agent_api_secret")),
    "wrong type": answered(json={**WHOLE, "voice_agent_api_secret": [SECRET]}),
    "padded secret": answered(json={**WHOLE, "voice_agent_api_secret": f" {SECRET}"}),
    "surrogate": answered(json={**WHOLE, "voice_agent_api_secret": f"{SECRET}\ud800"}),
    "bad key": answered(json={**WHOLE, "voice_agent_api_key": f"{API_KEY}\n{BODY}"}),
    "bad url": answered(json={**WHOLE, "voice_agent_url": f"ws://{BODY}.example"}),
    "not JSON": answered(body=f"<html>{BODY} {SECRET}".encode()),
    "duplicates": answered(body=f'{{"{BODY}": 1, "{BODY}": "{SECRET}"}}'.encode()),
    "deep": answered(body=f'"{BODY}"'.encode().join([b'{"a":' * 9000, b"}" * 9000])),
    "too long": answered(body=json.dumps(WHOLE).encode() + b" " * 70_000),
    "gzip bomb": answered(gzip_bomb=10_000_000),
    "broken off": answered(body=json.dumps(WHOLE).encode(), truncate=100),
    "wrong length": answered(body=json.dumps(WHOLE).encode(), content_length=5000),
    "not HTTP": FaultResponse(raw=f"{BODY} {SECRET}\r\n\r\n".encode()),
    "broken headers": FaultResponse(raw=f"HTTP/1.1 200 OK\r\n{HEADER}\0: {BODY}\r\n\r\n".encode()),
    "broken status": FaultResponse(raw=f"HTTP/1.1 {BODY} OK\r\n\r\n".encode()),
    "reset on request": FaultResponse(reset="request"),
    "reset after headers": answered(json=WHOLE, reset="headers"),
    "silence": FaultResponse(hang=True),
    "silence after headers": answered(json=WHOLE, hang_after_headers=True),
    "trickle in the body": answered(json=WHOLE, trickle=0.02, trickle_from="body"),
    "endless body": answered(endless_body=True),
}


@pytest.mark.parametrize("answer", FAULTS.values(), ids=FAULTS.keys())
def test_fault_on_a_socket(server_class: ServerClass, moss: FakeMoss, answer: FaultResponse) -> None:
    """After any fault on the wire, the error, its frames and the logs show neither the request nor the response."""
    moss.set_default(answer)
    error = caught(server_class.create, **moss.arguments, refresh=POLICY)

    assert isinstance(error, CredentialsError)
    assert [] == spilled(error, SECRETS)
    assert (None, None) == (error.__cause__, error.__context__)


def test_fault_without_a_response(server_class: ServerClass, moss: FakeMoss) -> None:
    """A fault of the caller's transport, a failed TLS handshake and a refused connection show nothing either."""
    moss.queue(FAULTS["silence"])
    errors = [caught(server_class.create, **moss.arguments, refresh=POLICY, transport=moss.transport())]
    tls = {**moss.arguments, "api_url": moss.url.replace("http:", "https:")}
    errors.append(caught(server_class.create, **tls, refresh=POLICY))
    moss.close()
    errors.append(caught(server_class.create, **moss.arguments, refresh=POLICY))

    assert [True] * 3 == [isinstance(error, CredentialsError) for error in errors]
    assert [] == [place for error in errors for place in spilled(error, SECRETS)]


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


def test_log_of_a_success(server_class: ServerClass, moss: FakeMoss, logs: Callable[[], list[str]]) -> None:
    """A fetch that succeeds is logged by us and by the client at DEBUG; headers and bodies are in neither."""
    moss.set_default(answered(json=WHOLE))
    server_class.create(**moss.arguments)

    assert {"moss_voice_server", "httpx2"} <= {*logs()}
    assert [name for name in logs() if name.startswith("httpcore2")]


def test_asyncio_debug_mode(moss: FakeMoss) -> None:
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
    """An exception that `except Exception` does not catch."""


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
    """Any exception of a transport becomes an error of ours without its text, and no frame shows the key."""
    for make in RAISED:
        error = caught(server_class.create, "project", KEY, "agent", transport=Raising(make), refresh=POLICY)

        assert isinstance(error, CredentialsError)
        assert [] == spilled(error, SECRETS)
    gc.collect()  # destructors report to `last_words`


@pytest.mark.parametrize("make", RAISED, ids=lambda make: make.__name__)
def test_transport_that_raises_where_no_thread_runs(
    make: Callable[[str], BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the caller's own thread an interruption is raised unchanged, without the client's frames."""
    refuse_threads(monkeypatch)
    error = caught(SYNC.create, "project", KEY, "agent", transport=Raising(make), refresh=POLICY)

    assert isinstance(error, CredentialsError if isinstance(make("x"), Exception) else type(make("x")))
    assert [] == spilled(emptied(error), SECRETS)


def test_interrupted_refresh_while_minting(
    server_class: ServerClass, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An interrupted refresh on the minting thread leaves neither the key nor the client's frames behind."""
    policy = RefreshPolicy(refresh_after=0.000_001, attempts=1)
    for make in RAISED:
        moss = FakeMoss(
            project_id="project", project_key=KEY, voice_agent_id="agent", api_key=API_KEY, api_secret=SECRET
        )
        transport = Raising(make, moss.transport())
        server = server_class.create("project", KEY, "agent", transport=transport, refresh=policy)
        transport.calm = None
        error: BaseException | None = None
        with monkeypatch.context() as patch:
            refuse_threads(patch)
            try:
                server.create_participant_token(ADA, "lobby")
            except BaseException as raised:  # noqa: BLE001  # any exception is examined
                error = raised
        assert (type(None) if isinstance(make("x"), Exception) else type(make("x"))) is type(error)
        assert [] == ([] if error is None else spilled(emptied(error), SECRETS))
    gc.collect()
    # asyncio logs an abandoned task with the test's own text; its frames count.
    for record in caplog.records:
        if record.exc_info and record.exc_info[1] is not None:
            emptied(record.exc_info[1])
            record.exc_text = None


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
    except BaseException as error:  # noqa: BLE001  # any exception is examined
        return error
    raise AssertionError("nothing was raised")


async def timed_out(moss: FakeMoss) -> BaseException:
    """What is raised when an application's own deadline ends `create`."""
    try:
        await asyncio.wait_for(MossVoiceServer.create(**moss.arguments, refresh=POLICY), 0.1)
    except BaseException as error:  # noqa: BLE001  # any exception is examined
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
    """When the application's `on_change` raises, the log has the kind of error only."""

    def fail(_status: object) -> None:
        raise ValueError(f"{KEY} {BODY}")

    assert "fresh" == server_class.create(**moss.arguments, on_change=fail).status().state


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
    """An object with a secret cannot be copied or pickled; the TypeError has the remedy."""
    objects = [each for server in servers(server_class, moss) for each in reachable(server) if isinstance(each, Sealed)]
    assert objects
    for carry in CARRIERS.values():
        for each in objects:
            error = caught(carry, each)
            assert isinstance(error, TypeError)
            assert f"{type(each).__name__} contains a secret and cannot be pickled or copied" in str(error)
            assert [] == spilled(error, SECRETS)


def test_values_of_the_fetch() -> None:
    """The values between the rules and the HTTP client show neither the key nor the response's body."""
    asked = config(Secret("project"), Secret(KEY), Secret("agent"), Secret("https://moss.example"))
    timing = Timing(lambda: 0.0, lambda: 0.0, lambda low, _high: low)
    exchange = fetch(asked, limits(RefreshPolicy(), 3, 8), timing)
    attempt = next(exchange)
    response = Response(503, {}, Secret(json.dumps(ERROR_BODY).encode()))
    again = exchange.send(response)

    assert [] == shown([attempt, attempt.request, response, again, asked], SECRETS)
