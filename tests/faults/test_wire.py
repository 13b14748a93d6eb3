"""Faults on the wire: each row of the table against real sockets, and both classes compared."""

from __future__ import annotations

import gc
import json
import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from moss_voice_server._http import client, faults
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.testing import FakeMoss
from tests.faults.conftest import Authority, fails, instant
from tests.faults.table import FAULTS, HIDDEN, KEY, MARK, Fault, Place, arguments_for, fake
from tests.support.errors import Facts, facts
from tests.support.fault_response import FaultResponse
from tests.support.secret_scan import logged
from tests.support.servers import ASYNC, SYNC, ServerClass
from tests.support.simulation import mint
from tests.support.sockets import black_hole, closed_port, good, listener, tls, trickle_handshake


class Sender(NamedTuple):
    """One of the three ways in which a fetch is sent."""

    server_class: ServerClass
    transport: Callable[[], Any] = lambda: None


SENDERS = {"sync": Sender(SYNC), "async": Sender(ASYNC), "async transport": Sender(ASYNC, httpx2.AsyncHTTPTransport)}


def reported(sender: Sender, fault: Fault, place: Place) -> Facts:
    """The fault, met by this sender."""
    with fault.serve(place) as target:
        policy = RefreshPolicy(attempts=2, attempt_timeout=fault.timeout, total_timeout=60)
        error = fails(sender.server_class, target.arguments, refresh=policy, transport=sender.transport())
        return facts(error, target.seen())


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
    assert [] == logged(caplog.records, HIDDEN)


@pytest.fixture(params=SENDERS)
def sender(request: pytest.FixtureRequest) -> Sender:
    """Each of the three."""
    return SENDERS[request.param]


def test_last_attempt_succeeds(sender: Sender, moss: FakeMoss) -> None:
    """Four bad responses out of five are not a failure."""
    moss.queue(503, FaultResponse(trickle=0.1), FaultResponse(reset="request"), FaultResponse(truncate=30))
    policy = RefreshPolicy(attempts=5, attempt_timeout=0.6, total_timeout=60)
    server = instant(sender.server_class, moss.arguments, refresh=policy, transport=sender.transport())
    sender.server_class.refresh(server)

    assert (5, moss.credentials["voice_agent_api_key"]) == (moss.count, mint(server))


def test_pauses_between_attempts(server_class: ServerClass, moss: FakeMoss) -> None:
    """503, 503, 200: three requests with growing pauses."""
    moss.queue(503, 503)
    server_class.create(**moss.arguments)

    first, second, third = (request.time for request in moss.requests)
    assert 0.25 <= second - first < 5
    assert 0.5 <= third - second < 5


@pytest.mark.parametrize(
    "to", ["http://localhost:{other}/", "http://localhost:{own}{path}?", f"https://{KEY}:{KEY}@h/"]
)
def test_redirect_is_not_followed(server_class: ServerClass, to: str) -> None:
    """Wherever it leads, the key is sent to no other place; of the URL only the host is shown."""
    with fake() as moss, FakeMoss() as other:
        ports = {name: each.url.rpartition(":")[2] for name, each in (("own", moss), ("other", other))}
        target = to.format(**ports, path="/api/voice-agent/get-voice-agent")
        moss.set_default(FaultResponse.redirect(target + MARK, 307))
        error = fails(server_class, moss.arguments)

        assert (1, 0) == (moss.count, other.count)
    assert f"HTTP 307, a redirect to {'h' if KEY in to else 'localhost'};" in str(error)


# --- deadlines, sockets, memory ----------------------------------------------------------------------------


def resolve(monkeypatch: pytest.MonkeyPatch, ports: list[int]) -> None:
    """Any host name has these addresses, which are tried one after the other."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)) for port in ports]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_keywords: found)


def test_handshake_after_a_dead_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first address is dead, the second trickles: both share one deadline."""
    sent: list[int] = []

    def trickle(client: socket.socket, done: threading.Event) -> None:
        client.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03")
        while not done.wait(0.05):
            client.sendall(b"\0")
            sent.append(1)

    with black_hole() as dead, listener(trickle) as (port, _):
        resolve(monkeypatch, [dead, port])
        fails(SYNC, arguments_for("https://moss.example"), refresh=RefreshPolicy(attempts=1, attempt_timeout=1))

    # The first address takes the whole second; twenty bytes would be another one.
    assert len(sent) < 10


def test_many_dead_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trying them one after the other ends at the total timeout."""
    with black_hole() as dead:
        resolve(monkeypatch, [dead] * 30)
        policy = RefreshPolicy(attempts=1, attempt_timeout=0.3, total_timeout=0.3)
        started = time.monotonic()
        error = fails(ASYNC, arguments_for(f"https://moss.example:{dead}"), refresh=policy)
        took = time.monotonic() - started

    assert took < 0.8 + 5  # one after the other they would take nine seconds
    assert "firewall" in error.remedy


def test_connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is three seconds, less than the whole attempt may take."""
    assert 3.0 == faults.CONNECT_TIMEOUT
    for module in (client, faults):
        monkeypatch.setattr(module, "CONNECT_TIMEOUT", 0.2)
    with black_hole() as port:
        error = fails(SYNC, arguments_for(f"http://127.0.0.1:{port}"), refresh=RefreshPolicy(attempts=1))

    assert "connection timed out after 0.2 seconds" in str(error)


def test_no_socket_stays_open(sender: Sender, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an attempt was doing at its deadline, its socket is closed, and not left to the garbage collector."""
    gc.collect()
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: lost.append(found.exc_value))
    moss.queue(FaultResponse(hang=True), FaultResponse(trickle=0.1, trickle_from="body"), FaultResponse(size=10**9))
    with listener(trickle_handshake) as (port, _):
        for arguments in [moss.arguments] * 3 + [arguments_for(f"https://127.0.0.1:{port}")]:
            fails(
                sender.server_class,
                arguments,
                refresh=RefreshPolicy(attempts=1, attempt_timeout=0.3),
                transport=sender.transport(),
            )
    gc.collect()

    assert [] == lost


# --- programs ----------------------------------------------------------------------------------------------

_FETCH = """
import asyncio, json, logging, sys
import httpx2
from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsError

logging.disable()
cases = json.loads(sys.argv[1])

def fetch(arguments, way):
    policy = RefreshPolicy(attempts=1)
    try:
        if way == "sync":
            MossVoiceServerSync.create(**arguments, refresh=policy)
        else:
            transport = httpx2.AsyncHTTPTransport() if way == "async transport" else None
            asyncio.run(MossVoiceServer.create(**arguments, refresh=policy, transport=transport))
    except CredentialsError:
        pass
"""


def printed(program: str, *cases: dict[str, str]) -> str:
    """What a program prints that fetches by `fetch(case, way)`."""
    command = [sys.executable, "-c", _FETCH + program, json.dumps(cases)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert ("", 0) == (done.stderr, done.returncode)
    return done.stdout


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.once
@pytest.mark.parametrize("way", ["sync", "async transport"])
def test_memory(way: str, moss: FakeMoss) -> None:
    """A gigabyte, and two hundred megabytes compressed into two hundred kilobytes, cost less than 8 MB of memory."""
    moss.queue(*[FaultResponse()] * 2, *[FaultResponse(size=10**9), FaultResponse(gzip_bomb=200 * 10**6)] * 3)
    program = (
        f"way = {way!r}"
        + """
def peak():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

for _ in range(2):
    fetch(cases[0], way)
before = peak()
for _ in range(6):
    fetch(cases[0], way)
print(peak() - before)
"""
    )
    assert int(printed(program, moss.arguments)) < 8 * 1024  # kB
    assert 8 == moss.count


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
    moss.queue(*(answer for answer in answers for _ in SENDERS))
    with FakeMoss(ssl_context=tls(good(authority.ca))) as secure:
        cases = [
            *[moss.arguments] * len(answers),
            secure.arguments,
            {**moss.arguments, "api_url": moss.url.replace("127.0.0.1", "localhost")},
            *({**moss.arguments, "api_url": f"{scheme}://127.0.0.1:{closed_port()}"} for scheme in ("http", "https")),
        ]
        program = f"""
import moss_voice_server._credentials.cache
from moss_voice_server._credentials.fetch import MossSource

MossSource.prepare(None)
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
for case in cases:
    for way in {list(SENDERS)}:
        fetch(case, way)
print(sorted(during))
"""
        assert "[]\n" == printed(program, *cases)
        assert (len(SENDERS) * (len(answers) + 1), len(SENDERS)) == (moss.count, secure.count)
