"""Faults on the wire: each row of the table against real sockets, and both classes compared."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server._credentials.runtime import Runtime
from moss_voice_server._http import drivers
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsError, CredentialsUnavailable
from moss_voice_server.testing import FakeMoss
from tests.faults.conftest import Authority
from tests.faults.table import FAULTS, MARK, Fault, Place, arguments_for
from tests.support.errors import caught, everything
from tests.support.fault_response import FaultResponse
from tests.support.servers import ASYNC, SYNC, Server, ServerClass
from tests.support.simulation import ADA
from tests.support.sockets import black_hole, closed_port, good, listener, tls, trickle_handshake
from tests.support.tokens import claims

ONCE = RefreshPolicy(attempts=1)
TWICE = RefreshPolicy(attempts=2, attempt_timeout=0.6, total_timeout=60)
BRIEF = RefreshPolicy(attempts=1, attempt_timeout=0.3)
# The pauses between attempts have no length.
PAUSELESS = Runtime(uniform=lambda _low, _high: 0.0)


class Sender(NamedTuple):
    """One of the three ways in which a fetch is sent."""

    server_class: ServerClass
    transport: Callable[[], Any] = lambda: None


SENDERS = {"sync": Sender(SYNC), "async": Sender(ASYNC), "async transport": Sender(ASYNC, httpx2.AsyncHTTPTransport)}


def key_of(server: Server) -> str:
    """The key that signs now."""
    return str(claims(server.create_participant_token(ADA, "room"))["iss"])


def fails(server_class: ServerClass, arguments: dict[str, str], **keywords: Any) -> CredentialsError:
    """The error of a refresh that has to fail; nothing is cached, and neither key nor body shows."""
    server = server_class.new(arguments, PAUSELESS, **keywords)
    error = caught(lambda: server_class.refresh(server))
    assert isinstance(error, CredentialsError), error
    assert "empty" == server.status().state
    for hidden in (arguments["project_key"], MARK):
        assert hidden not in everything(error)
    return error


# --- the table ---------------------------------------------------------------------------------------------


class Report(NamedTuple):
    """What a class reports of a fault; the same for all of them."""

    kind: type[CredentialsError]
    text: str
    remedy: str
    retry_after: str
    attempts: int


def reported(sender: Sender, fault: Fault, place: Place) -> Report:
    """The fault, met by this sender."""
    with fault.serve(place) as target:
        error = fails(sender.server_class, target.arguments, refresh=TWICE, transport=sender.transport())
        text = re.sub(r":[0-9]{4,5}\b", ":port", str(error))
        return Report(type(error), text, error.remedy, wait_of(error), target.seen())


def wait_of(error: CredentialsError) -> str:
    """`retry_after` by its class, since some milliseconds of it have passed already."""
    wait = error.retry_after
    return "none" if wait is None else next(name for name, most in WAITS.items() if wait <= most)


WAITS = {"a second": 1.0, "seconds": 5.0, "minutes": 300.0}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_fault_is_reported_alike(
    fault: Fault,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Kind, text, remedy, attempts and wait are those of the table, with either class and with an async transport."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    place = Place(authority.ca, tmp_path, monkeypatch)
    # Most of the time is spent on waiting for timeouts.
    with ThreadPoolExecutor(1 if fault.is_patched else len(SENDERS)) as threads:
        each = threads.map(lambda sender: reported(sender, fault, place), SENDERS.values())
        reports = dict(zip(SENDERS, each, strict=True))

    first = reports["sync"]
    assert (fault.kind, fault.attempts) == (first.kind, first.attempts)
    assert fault.message in first.text.replace("self signed", "self-signed")
    assert fault.remedy in first.remedy
    assert first.remedy
    assert first.text.endswith(f": {first.remedy}")
    if fault.is_racy:
        reports = {name: first._replace(kind=got.kind, attempts=got.attempts) for name, got in reports.items()}
    assert dict.fromkeys(SENDERS, first) == reports
    assert MARK not in caplog.text


@pytest.fixture(params=SENDERS)
def sender(request: pytest.FixtureRequest) -> Sender:
    """Each of the three."""
    return SENDERS[request.param]


TEMPORARY = {
    "status": FaultResponse(503),
    "trickle": FaultResponse(trickle=0.1),
    "reset": FaultResponse(reset="request"),
    "cut off": FaultResponse(truncate=30),
}


@pytest.mark.parametrize("answer", TEMPORARY.values(), ids=TEMPORARY)
def test_second_attempt_succeeds(sender: Sender, moss: FakeMoss, answer: FaultResponse) -> None:
    """One bad response out of two is not a failure."""
    moss.queue(answer)
    server = sender.server_class.new(moss.arguments, PAUSELESS, refresh=TWICE, transport=sender.transport())
    sender.server_class.refresh(server)

    assert 2 == moss.count
    assert moss.credentials["voice_agent_api_key"] == key_of(server)


# --- retries -----------------------------------------------------------------------------------------------


def test_two_failures_then_success(server_class: ServerClass, moss: FakeMoss) -> None:
    """503, 503, 200: three requests with growing pauses, then it mints."""
    moss.queue(503, 503)
    server = server_class.create(**moss.arguments)

    first, second, third = (request.time for request in moss.requests)
    assert 0.25 <= second - first < 5
    assert 0.5 <= third - second < 5
    assert moss.credentials["voice_agent_api_key"] == key_of(server)


# --- redirects ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["elsewhere", "same"])
def test_redirect_is_not_followed(server_class: ServerClass, moss: FakeMoss, target: str) -> None:
    """Wherever it leads, the key is sent to no other place."""
    status = 307
    with FakeMoss() as sink:
        goal = (sink if target == "elsewhere" else moss).url.replace("127.0.0.1", "localhost")
        moss.set_default(FaultResponse.redirect(f"{goal}/api/voice-agent/get-voice-agent?{MARK}", status))
        error = fails(server_class, moss.arguments)

        assert (1, 0) == (moss.count, sink.count)
    assert f"HTTP {status}, a redirect to localhost;" in str(error)


# --- deadlines, sockets, memory ----------------------------------------------------------------------------


def test_handshake_after_a_dead_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address is dead, the second trickles: both share one deadline."""
    sent: list[int] = []

    def trickle(client: socket.socket, done: threading.Event) -> None:
        client.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")
        while not done.wait(0.1):
            client.sendall(b"\0")
            sent.append(1)

    with black_hole() as dead, listener(trickle) as (port, _):
        both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", each)) for each in (dead, port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_keywords: both)
        policy = RefreshPolicy(attempts=1, attempt_timeout=2)
        fails(SYNC, arguments_for("https://moss.example"), refresh=policy)

    # The first address takes the whole two seconds; twenty bytes would be another two.
    assert len(sent) < 10


def test_many_dead_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trying them one after the other ends at the total timeout."""
    with black_hole() as dead:
        all_dead = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", dead))] * 30
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_keywords: all_dead)
        policy = RefreshPolicy(attempts=1, attempt_timeout=0.3, total_timeout=0.3)
        started = time.monotonic()
        error = fails(ASYNC, arguments_for(f"https://moss.example:{dead}"), refresh=policy)
        took = time.monotonic() - started

    assert took < 0.8 + 5  # one after the other they would take nine seconds
    assert "firewall" in str(error)


def test_connect_timeout_is_three_seconds() -> None:
    """Less than a whole attempt, and the remedy names the firewall."""
    with black_hole() as port:
        error = fails(SYNC, arguments_for(f"http://127.0.0.1:{port}"), refresh=ONCE)

    assert "connection timed out after 3 seconds" in str(error)
    assert "firewall" in error.remedy


def test_no_socket_stays_open(sender: Sender, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an attempt was doing at its deadline, its socket is closed, and not left to the garbage collector."""
    gc.collect()
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: lost.append(found.exc_value))
    for answer in (
        FaultResponse(hang=True),
        FaultResponse(trickle=0.1, trickle_from="body"),
        FaultResponse(size=10**9),
    ):
        moss.queue(answer)
        fails(sender.server_class, moss.arguments, refresh=BRIEF, transport=sender.transport())
    with listener(trickle_handshake) as (port, _):
        arguments = arguments_for(f"https://127.0.0.1:{port}")
        fails(sender.server_class, arguments, refresh=BRIEF, transport=sender.transport())
    gc.collect()

    assert [] == lost


_MEASURE = """
import asyncio, json, logging, sys
from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsError

logging.disable()

def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

def ask(arguments):
    policy = RefreshPolicy(attempts=1)
    if sys.argv[1] == "MossVoiceServer":
        import httpx2
        asyncio.run(MossVoiceServer.create(**arguments, refresh=policy, transport=httpx2.AsyncHTTPTransport()))
    else:
        MossVoiceServerSync.create(**arguments, refresh=policy)

well, *ill = json.loads(sys.argv[2])
ask(well)
ask(well)
before = peak()
for arguments in ill * 3:
    try:
        ask(arguments)
    except CredentialsError:
        pass
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.once
def test_memory(server_class: ServerClass, moss: FakeMoss) -> None:
    """A gigabyte, and two hundred megabytes compressed into two hundred kilobytes, cost less than 8 MB of memory."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    packed = b"".join(packer.compress(b" " * 10**6) for _ in range(200)) + packer.flush()
    with FakeMoss() as huge, FakeMoss() as bomb:
        huge.set_default(FaultResponse(size=10**9))
        bomb.set_default(FaultResponse(body=packed, headers={"Content-Encoding": "gzip"}))
        sent = json.dumps([moss.arguments, huge.arguments, bomb.arguments])
        command = [sys.executable, "-c", _MEASURE, server_class.kind.__name__, sent]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        assert ("", 0) == (done.stderr, done.returncode)
        assert (3, 3) == (huge.count, bomb.count)
    assert int(done.stdout) < 8 * 1024  # kB


# --- TLS and proxies from the environment ------------------------------------------------------------------


@pytest.fixture
def secure(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMoss]:
    """A Moss API over TLS that is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with FakeMoss(ssl_context=tls(good(authority.ca))) as fake:
        yield fake


@pytest.mark.parametrize("variable", ["https_proxy", "ALL_PROXY"])
def test_dead_proxy(
    server_class: ServerClass, secure: FakeMoss, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message and the remedy name the variable that sets it."""
    monkeypatch.setenv(variable, f"http://user:{MARK}@127.0.0.1:{closed_port()}")
    error = fails(server_class, secure.arguments, refresh=ONCE)

    assert f"connection refused (proxy from {variable})" in str(error)
    assert f"host and port in {variable};" in error.remedy
    assert "NO_PROXY" in error.remedy
    assert 0 == secure.count


def test_proxy_that_refuses(
    server_class: ServerClass, secure: FakeMoss, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets a CONNECT request, with neither the key nor the path."""
    monkeypatch.setenv("HTTPS_PROXY", moss.url)
    moss.set_default(403)
    error = fails(server_class, secure.arguments, refresh=ONCE)

    assert "the proxy refused" in str(error)
    assert ["CONNECT"] == [request.method for request in moss.requests]
    assert "X-Project-Key" not in moss.requests[0].headers
    assert "voice" not in moss.requests[0].path


@pytest.mark.parametrize("entry", ["*", "example.com, 127.0.0.1"])
def test_no_proxy(server_class: ServerClass, secure: FakeMoss, entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY and SSL_CERT_FILE are obeyed."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", entry)

    assert "fresh" == server_class.create(**secure.arguments).status().state


def test_damaged_no_proxy(server_class: ServerClass, secure: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quotation marks that an env file kept make its entries useless."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", '"127.0.0.1"')
    error = fails(server_class, secure.arguments, refresh=ONCE)

    assert "remove the quotation marks from NO_PROXY" in error.remedy


def test_plain_http_uses_no_proxy(server_class: ServerClass, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is allowed only because it stays on this machine: a proxy would see the key. Nor does it need a trust store."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with FakeMoss() as proxy:
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        server = server_class.create(**moss.arguments)

        assert 0 == proxy.count
    assert "fresh" == server.status().state


def test_custom_transport_ignores_the_environment(
    server_class: ServerClass, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a proxy nor a trust store of the environment applies to it."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    trusting = ssl.create_default_context(cafile=str(authority.file))
    kind = httpx2.HTTPTransport if server_class.kind is MossVoiceServerSync else httpx2.AsyncHTTPTransport
    with FakeMoss(ssl_context=tls(good(authority.ca))) as moss:
        server = server_class.create(**moss.arguments, transport=kind(verify=trusting, trust_env=False))
    assert "fresh" == server.status().state


BAD_PROXIES = {
    "a word as port": "http://proxy:port",
    "a port too high": "http://127.0.0.1:99999",
    "another scheme": "ftp://proxy:1",
    "quotes": '"http://proxy:3128"',
    "half an IPv6 address": "http://[::1",
    "a blank": "http://pro xy:3128",
    "no host": "http://",
    "SOCKS without its package": "socks5://proxy:1080",
}


@pytest.mark.parametrize("value", BAD_PROXIES.values(), ids=BAD_PROXIES)
def test_bad_proxy_variable_is_named(
    server_class: ServerClass, secure: FakeMoss, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent and nothing is retried; the error names the variable, without its value."""
    variable = "HTTPS_PROXY" if server_class is SYNC else "all_proxy"
    monkeypatch.setitem(sys.modules, "socksio", None)
    monkeypatch.setenv(variable, value)
    error = fails(server_class, secure.arguments)

    assert CredentialsUnavailable is type(error)
    assert str(error).count(variable) > 1
    assert variable in error.remedy
    assert ("socksio" in error.remedy) is value.startswith("socks")
    assert value not in str(error)
    # Some are sent: as a name that DNS does not know, or as a port that the system reduces.
    assert ("attempts" in str(error)) is (" " in value or "99999" in value or value == "http://")
    assert 0 == secure.count


@pytest.mark.parametrize(
    ("variable", "content"),
    [
        *(("SSL_CERT_FILE", content) for content in (None, "", "no certificate\n", "directory")),
        ("SSLKEYLOGFILE", "directory"),  # any file will do for a log that is written
    ],
)
def test_bad_tls_variable_is_named(
    server_class: ServerClass,
    secure: FakeMoss,
    content: str | None,
    variable: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A file that cannot be used: the error names the variable and does not blame the server."""
    file = tmp_path / "file.pem"
    if content == "directory":
        file.mkdir()
    elif content is not None:
        file.write_text(content)
    monkeypatch.setenv(variable, str(file))
    error = fails(server_class, secure.arguments)

    assert CredentialsUnavailable is type(error)
    assert variable in str(error)
    assert variable in error.remedy
    assert "attempts" not in str(error)
    assert 0 == secure.count


@pytest.mark.skipif(sys.platform == "win32", reason="sets a limit that only Unix has")
@pytest.mark.parametrize("what", ["trust store", "socket"])
def test_too_many_open_files(moss: FakeMoss, what: str, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a certificate nor Moss is at fault: the remedy names the limit, and with files to open it works."""
    import resource

    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with FakeMoss(ssl_context=tls(good(authority.ca))) as secure:
        fake = secure if what == "trust store" else moss
        server = SYNC.new(fake.arguments, PAUSELESS)
        SYNC.refresh(server)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        with open(os.devnull, "rb") as lowest:
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest.fileno(), before[1]))
        try:
            error = caught(lambda: SYNC.refresh(server))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert CredentialsUnavailable is type(error)
        assert "too many open files" in str(error)
        assert "ulimit" in error.remedy
        SYNC.refresh(server)
        assert 2 == fake.count


def test_too_many_open_files_for_a_loop(moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where an async transport gets its loop. Not by the system's limit: CPython would report half a loop."""

    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def story() -> None:
        monkeypatch.setattr(drivers, "_Loop", refuse)
        await MossVoiceServer(**moss.arguments, transport=httpx2.AsyncHTTPTransport(verify=False)).refresh()

    error = caught(lambda: asyncio.run(story()))
    assert CredentialsUnavailable is type(error)
    assert "too many open files" in str(error)


# --- what is imported when ---------------------------------------------------------------------------------

_IMPORTS = """
import asyncio, json, logging, sys
from moss_voice_server import MossVoiceServer, MossVoiceServerSync
import moss_voice_server._credentials.cache
from moss_voice_server._credentials.fetch import MossSource
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsError

logging.disable()
MossSource.prepare(None)
import httpx2

before = set(sys.modules)
during = set()

def watched(kind):
    run = kind._run
    def outer(flow, transport):
        known = set(sys.modules)
        try:
            return run(flow, transport)
        finally:
            during.update(set(sys.modules) - known)
    kind._run = staticmethod(outer)

for kind in (MossVoiceServer, MossVoiceServerSync):
    watched(kind)

policy = RefreshPolicy(attempts=1)
for name, arguments in json.loads(sys.argv[1]):
    for transport in (None, httpx2.AsyncHTTPTransport, "sync"):
        try:
            if transport == "sync":
                MossVoiceServerSync.create(**arguments, refresh=policy)
            else:
                asyncio.run(MossVoiceServer.create(**arguments, refresh=policy, transport=transport and transport()))
        except CredentialsError:
            pass
print(json.dumps(sorted(during)))
"""


def test_no_import_during_a_fetch(moss: FakeMoss, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the response, all is loaded before the thread starts: a fork meanwhile inherits no import lock."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    answers = [
        FaultResponse(),
        FaultResponse.retry_after(formatdate(usegmt=True)),
        FaultResponse.redirect("https://h"),
        FaultResponse(401),
        FaultResponse(gzip_bomb=1000),
        FaultResponse(body=b"\xff"),
        FaultResponse(reset="headers"),
        FaultResponse(chunked_garbage=True),
        FaultResponse(raw=b"nonsense\r\n\r\n"),
        FaultResponse(headers={"Content-Type": "application/json; charset=latin-1"}),
    ]
    fakes = [FakeMoss().start() for _ in answers]
    secure = FakeMoss(ssl_context=tls(good(authority.ca))).start()
    try:
        for fake, answer in zip(fakes, answers, strict=True):
            fake.set_default(answer)
        port = closed_port()
        cases = [
            *((repr(answer), fake.arguments) for fake, answer in zip(fakes, answers, strict=True)),
            ("tls", secure.arguments),
            ("name", {**moss.arguments, "api_url": moss.url.replace("127.0.0.1", "localhost")}),
            ("refused", {**moss.arguments, "api_url": f"http://127.0.0.1:{port}"}),
            ("refused tls", {**moss.arguments, "api_url": f"https://127.0.0.1:{port}"}),
        ]
        command = [sys.executable, "-c", _IMPORTS, json.dumps(cases)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    finally:
        for fake in (*fakes, secure):
            fake.close()

    assert ("[]\n", "", 0) == (done.stdout, done.stderr, done.returncode)
