"""What goes wrong on the wire: the fault table's rows 1 to 14, 26 and 27, against real sockets, for both classes."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta, timezone
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx2
import pytest
import trustme

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server._credentials.cache import World
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import (
    CredentialsError,
    CredentialsInvalid,
    CredentialsRejected,
    CredentialsUnavailable,
    InvalidArgument,
    WeakSecretWarning,
)
from moss_voice_server.testing import Answer, FakeMoss
from tests.faults.conftest import Authority
from tests.support.faces import ASYNC, SYNC, Face, Server, caught, everything
from tests.support.world import ADA, FakeWorld, claims

MARK = "a-mark-in-the-body"
ONCE = RefreshPolicy(attempts=1)
TWICE = RefreshPolicy(attempts=2)
HASTY = RefreshPolicy(attempts=1, attempt_timeout=0.6)
# Where it is only about how often, the pauses between attempts are of no length.
PAUSELESS = World(uniform=lambda _low, _high: 0.0)


def key_of(server: Server) -> str:
    """The key that signs now."""
    return str(claims(server.create_participant_token(ADA, "room"))["iss"])


def fails(face: Face, arguments: dict[str, str], **keywords: Any) -> CredentialsError:
    """The error of a `create` that has to fail; nothing is cached, and neither key nor body shows."""
    server = face.make(arguments, PAUSELESS, **keywords)
    error = caught(lambda: face.refresh(server))
    assert isinstance(error, CredentialsError), error
    assert "empty" == server.status().state
    for hidden in (arguments["project_key"], MARK):
        assert hidden not in everything(error)
    return error


# --- rows 1 to 3: trouble that passes ----------------------------------------------------------------------


def test_row_01_two_failures_then_success(face: Face, moss: FakeMoss) -> None:
    """503, 503, 200: three requests with growing pauses, then it mints."""
    moss.script(503, 503)
    server = face.create(moss.arguments)

    first, second, third = (request.time for request in moss.requests)
    assert 0.25 <= second - first < 5
    assert 0.5 <= third - second < 5
    assert "fresh" == server.status().state
    assert moss.credentials["voice_agent_api_key"] == key_of(server)


def test_row_02_down_at_the_start(face: Face, moss: FakeMoss) -> None:
    """503 for ever: three requests, one error; the next thousand calls in its window get the same one without asking."""
    moss.always(503)
    world = FakeWorld()
    started = time.monotonic()
    server = face.make(moss.arguments, world.world)

    first = caught(lambda: face.refresh(server))
    assert time.monotonic() - started < 8
    assert 3 == moss.count
    again = [caught(server._keeper.renew) for _ in range(1000)]
    minted = [caught(lambda: server.create_participant_token(ADA, "room")) for _ in range(1000)]

    assert 3 == moss.count
    assert {(CredentialsUnavailable, str(first))} == {(type(each), str(each)) for each in again}
    assert {CredentialsUnavailable} == {type(each) for each in minted}
    assert 1000 == len(set(map(id, again)))
    world.advance(0.5)
    caught(lambda: face.refresh(server))
    assert 6 == moss.count


def test_row_03_retry_after_that_fits(face: Face, moss: FakeMoss) -> None:
    """429 with `Retry-After: 2`: two seconds later it works."""
    moss.script(Answer.retry_after("2"))
    face.create(moss.arguments)

    first, second = (request.time for request in moss.requests)
    assert 2 <= second - first < 7


def test_row_03_retry_after_of_an_hour(face: Face, moss: FakeMoss) -> None:
    """429 with `Retry-After: 3600`: raised at once, and nobody asks again for five minutes."""
    moss.always(Answer.retry_after("3600"))
    server = face.make(moss.arguments)
    error = caught(lambda: face.refresh(server))

    assert isinstance(error, CredentialsUnavailable)
    assert 1 == moss.count
    assert error.retry_after is not None
    assert 290 < error.retry_after <= 300
    again = caught(lambda: face.refresh(server))
    assert isinstance(again, CredentialsUnavailable)
    assert again.retry_after is not None
    assert 290 < again.retry_after <= error.retry_after
    assert 1 == moss.count


@pytest.mark.parametrize("value", ["-1", "NaN", "1e400", "garbage \x80", formatdate(0, usegmt=True)])
def test_row_03_retry_after_that_means_nothing(face: Face, moss: FakeMoss, value: str) -> None:
    """Negative, no number, beyond all numbers, past or nonsense: our own pause, no crash."""
    moss.script(Answer.retry_after(value))
    face.refresh(face.make(moss.arguments, World(uniform=min)))

    first, second = (request.time for request in moss.requests)
    assert 0.25 <= second - first < 5


# --- rows 4 and 5: refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_row_04_refused_at_the_start(face: Face, moss: FakeMoss, status: int, caplog: pytest.LogCaptureFixture) -> None:
    """One request, `CredentialsRejected`, and what the answer said is nowhere to be seen."""
    caplog.set_level(logging.DEBUG)
    moss.always(Answer(status, json={"error": MARK}))
    error = fails(face, moss.arguments)

    assert CredentialsRejected is type(error)
    assert 1 == moss.count
    assert f"HTTP {status}" in str(error)
    assert MARK not in caplog.text
    assert moss.arguments["project_key"] not in caplog.text


def test_row_04_wrong_key(face: Face, moss: FakeMoss) -> None:
    """A key that the API does not know gets the same, by the API's own judgement."""
    error = fails(face, {**moss.arguments, "project_key": "some-other-key"})

    assert CredentialsRejected is type(error)
    assert "MOSS_PROJECT_KEY" in str(error)


def test_row_05_refused_while_serving(face: Face, moss: FakeMoss) -> None:
    """One refusal: it serves on. Three over ten minutes: it stops. A success: it serves again, without a restart."""
    world = FakeWorld(random=1.0)
    server = face.make(moss.arguments, world.world)
    face.refresh(server)
    key = key_of(server)

    world.advance(3601)
    moss.always(Answer(401, json={"error": MARK}))
    for _ in range(2):
        assert key == key_of(server)
        assert "stale" == server.status().state
        world.advance(301)
    assert 3 == moss.count
    error = caught(lambda: key_of(server))
    assert isinstance(error, CredentialsRejected)
    assert MARK not in everything(error)
    assert "rejected" == server.status().state
    assert 4 == moss.count

    moss.normal()
    new = moss.rotate()["voice_agent_api_key"]
    world.advance(59)
    assert isinstance(caught(lambda: key_of(server)), CredentialsRejected)
    assert 4 == moss.count
    world.advance(1)
    assert new == key_of(server)
    assert "fresh" == server.status().state
    assert 5 == moss.count


# --- row 6: redirects --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("target", ["elsewhere", "same"])
def test_row_06_redirect(face: Face, moss: FakeMoss, status: int, target: str) -> None:
    """No redirect is followed, wherever it leads: the key goes nowhere else."""
    with FakeMoss() as sink:
        goal = (sink if target == "elsewhere" else moss).url.replace("127.0.0.1", "localhost")
        moss.always(Answer.redirect(f"{goal}/api/voice-agent/get-voice-agent?{MARK}", status))
        error = fails(face, moss.arguments)

        assert 1 == moss.count
        assert 0 == sink.count
    assert f"HTTP {status}, a redirect to localhost;" in str(error)


def test_row_06_redirect_downgrade(
    face: Face, authority: Authority, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From https to http: not followed either."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    context, _ = tls(authority.ca.issue_cert("127.0.0.1"))
    with FakeMoss(ssl_context=context) as secure:
        secure.always(Answer.redirect(moss.url))
        error = fails(face, secure.arguments)

        assert 1 == secure.count
        assert 0 == moss.count
    assert "a redirect to 127.0.0.1;" in str(error)


# --- row 7: answers without end ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Answer(drip=0.1),
        Answer(drip=0.1, drip_from="body"),
        Answer(drip=0.1, endless_headers=True),
        Answer(drip=0.1, drip_from="body", endless_body=True),
        Answer(hang=True),
        Answer(hang_after_headers=True),
    ],
    ids=["headers", "body", "endless-headers", "endless-body", "silence", "silence-after-headers"],
)
def test_row_07_drip(face: Face, moss: FakeMoss, answer: Answer) -> None:
    """A byte now and then satisfies every read's time-out; our own clock ends it while the server is still at it."""
    moss.always(answer)
    started = time.monotonic()
    error = fails(face, moss.arguments, refresh=HASTY)

    assert CredentialsUnavailable is type(error)
    assert "response timed out after 0.6 seconds" in str(error)
    assert time.monotonic() - started >= 0.6
    # The whole would take more than fifteen seconds; the head alone ten, and is sent at once where the body drips.
    assert moss.bytes_sent < 250
    assert 1 == moss.count


def test_row_07_each_attempt_has_its_deadline(face: Face, moss: FakeMoss) -> None:
    """The second attempt is made, and may work: one server of many that hangs is no outage."""
    moss.script(Answer(drip=0.1))
    server = face.make(moss.arguments, PAUSELESS, refresh=RefreshPolicy(attempt_timeout=0.6))
    face.refresh(server)

    assert 2 == moss.count
    assert moss.credentials["voice_agent_api_key"] == key_of(server)


def test_row_07_endless_at_full_speed(face: Face, moss: FakeMoss) -> None:
    """Headers and bodies that come without end as fast as they can are cut off by size."""
    for endless in (Answer(endless_headers=True), Answer(endless_body=True)):
        moss.always(endless)
        fails(face, moss.arguments, refresh=ONCE)
    moss.wait_idle(30)
    assert moss.bytes_sent < 50e6


def test_row_07_endless_early_hints(face: Face) -> None:
    """Interim answers (103) without end, as fast as they can: none of them is too long, and yet the time is up."""

    def hint(client: socket.socket, done: threading.Event) -> None:
        client.recv(65536)
        while not done.is_set():
            client.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)

    with listener(hint) as (port, accepted):
        error = fails(face, arguments_for(f"http://127.0.0.1:{port}"), refresh=HASTY)

        assert 1 == len(accepted)
    assert CredentialsUnavailable is type(error)
    assert "response timed out after 0.6 seconds" in str(error)


def test_row_07_handshake_after_a_dead_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two addresses one is dead and one drips: what the first has cost is not given to the second once more.

    Sync only, whose client tries one address after the other.
    """
    dripped: list[int] = []

    def drip(client: socket.socket, done: threading.Event) -> None:
        client.sendall(_RECORD)
        while not done.wait(0.1):
            client.sendall(b"\0")
            dripped.append(1)

    with black_hole() as dead, listener(drip) as (port, _):
        both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", each)) for each in (dead, port)]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_keywords: both)
        policy = RefreshPolicy(attempts=1, attempt_timeout=2)
        error = fails(SYNC, arguments_for("https://moss.example"), refresh=policy)

    assert CredentialsUnavailable is type(error)
    # The first address takes the whole two seconds; twenty bytes would be another two.
    assert len(dripped) < 10


def test_row_07_drip_in_the_handshake(face: Face) -> None:
    """A TLS handshake that never comes to an end is ended by the same clock."""
    with listener(drip_handshake) as (port, accepted):
        error = fails(face, arguments_for(f"https://127.0.0.1:{port}"), refresh=HASTY)

        assert 1 == len(accepted)
    assert CredentialsUnavailable is type(error)


def test_row_07_no_socket_stays_open(face: Face, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an attempt was doing when its time was up, its socket is closed, and not left to the garbage collector."""
    gc.collect()
    lost: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda found: lost.append(found.exc_value))
    for answer in (Answer(hang=True), Answer(drip=0.1, drip_from="body"), Answer(size=10**9)):
        moss.script(answer)
        fails(face, moss.arguments, refresh=RefreshPolicy(attempts=1, attempt_timeout=0.3))
    with listener(drip_handshake) as (port, _):
        fails(face, arguments_for(f"https://127.0.0.1:{port}"), refresh=RefreshPolicy(attempts=1, attempt_timeout=0.3))
    gc.collect()

    assert [] == lost


# --- row 8: broken and enormous answers --------------------------------------------------------------------

BROKEN = {
    "huge": (Answer(size=10**9), CredentialsInvalid, 1),
    "bomb": (Answer(gzip_bomb=200 * 10**6), CredentialsInvalid, 1),
    "bomb-unsaid": (Answer(gzip_bomb=10**6, headers={"Content-Encoding": "x-gzip, gzip"}), CredentialsInvalid, 1),
    "length-too-long": (Answer(content_length=10_000), CredentialsUnavailable, 2),
    "length-too-short": (Answer(content_length=20), CredentialsInvalid, 2),
    "length-negative": (Answer(content_length=-1), CredentialsUnavailable, 2),
    "cut": (Answer(truncate=30), CredentialsUnavailable, 2),
    "empty": (Answer(truncate=0), CredentialsUnavailable, 2),
    "chunked-garbage": (Answer(chunked_garbage=True), CredentialsUnavailable, 2),
    "no-http": (Answer(raw=b"220 mail.example ESMTP\r\n\r\n"), CredentialsUnavailable, 2),
    "nothing": (Answer(raw=b""), CredentialsUnavailable, 2),
    "reset-on-accept": (Answer(reset="accept"), CredentialsUnavailable, 2),
    "reset-on-request": (Answer(reset="request"), CredentialsUnavailable, 2),
    "reset-after-headers": (Answer(reset="headers"), CredentialsUnavailable, 2),
}


@pytest.mark.parametrize(("answer", "kind", "requests"), BROKEN.values(), ids=BROKEN)
def test_row_08_broken_answer(
    face: Face, moss: FakeMoss, answer: Answer, kind: type[CredentialsError], requests: int
) -> None:
    """An error of ours, asked again where that may help, and nothing cached."""
    moss.always(answer)
    error = fails(face, moss.arguments, refresh=TWICE)

    assert kind is type(error)
    assert requests == moss.count
    moss.normal()


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
        asyncio.run(MossVoiceServer.create(**arguments, refresh=policy))
    else:
        MossVoiceServerSync.create(**arguments, refresh=policy)

well, ill = json.loads(sys.argv[2])
ask(well)
ask(well)
before = peak()
for _ in range(3):
    try:
        ask(ill)
    except CredentialsError:
        pass
print(peak() - before)
"""


def bomb() -> bytes:
    """Two hundred megabytes of blanks, packed, and sent at once."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    return b"".join(packer.compress(b" " * 10**6) for _ in range(200)) + packer.flush()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.once
@pytest.mark.parametrize("what", ["huge", "bomb"])
def test_row_08_memory(face: Face, moss: FakeMoss, what: str) -> None:
    """A gigabyte, or two hundred megabytes packed into two hundred kilobytes, costs less than 5 MB of memory."""
    answer = Answer(size=10**9) if what == "huge" else Answer(body=bomb(), headers={"Content-Encoding": "gzip"})
    with FakeMoss() as ill:
        ill.always(answer)
        told = json.dumps([moss.arguments, ill.arguments])
        command = [sys.executable, "-c", _MEASURE, face.kind.__name__, told]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        assert ("", 0) == (done.stderr, done.returncode)
        assert 3 == ill.count
    assert int(done.stdout) < 5 * 1024  # kB


# --- rows 9 to 12: bodies and fields -----------------------------------------------------------------------

BODIES = {
    "html": f"<html>{MARK}</html>".encode(),
    "empty": b"",
    "array": f'["{MARK}"]'.encode(),
    "null": b"null",
    "string": f'"{MARK}"'.encode(),
    "bom": b"\xef\xbb\xbf" + json.dumps({"voice_agent_url": MARK}).encode(),
    "twice": f'{{"voice_agent_url": "{MARK}", "voice_agent_url": "{MARK}"}}'.encode(),
    "nan": f'{{"{MARK}": NaN}}'.encode(),
    "infinity": f'{{"{MARK}": -Infinity}}'.encode(),
    "deep": b"[" * 10_000 + f'"{MARK}"'.encode() + b"]" * 10_000,
    "utf-8": b'{"' + MARK.encode() + b'\xff": 1}',
    "utf-16": json.dumps({"voice_agent_url": MARK}).encode("utf-16"),
    "digits": b'{"' + MARK.encode() + b'": ' + b"1" * 10_000 + b"}",
    "two": f'{{}} {{"{MARK}": 1}}'.encode(),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_row_09_unusable_body(face: Face, moss: FakeMoss, body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """The old credentials stay and mint, and nothing of the answer is repeated."""
    caplog.set_level(logging.DEBUG)
    server = face.create(moss.arguments, refresh=ONCE)
    moss.always(Answer(body=body))
    error = caught(lambda: face.refresh(server))

    assert CredentialsInvalid is type(error)
    assert MARK not in everything(error)
    assert MARK not in caplog.text
    assert moss.credentials["voice_agent_api_key"] == key_of(server)
    assert "CredentialsInvalid" == server.status().last_error


FIELDS = ("voice_agent_url", "voice_agent_api_key", "voice_agent_api_secret", "voice_agent_name")


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "value",
    [None, "", 7, [MARK], {"a": MARK}, True, f" {MARK}", f"{MARK}\n", f"{MARK}\ud800"],
    ids=["null", "blank", "int", "list", "object", "bool", "space-before", "line-end", "surrogate"],
)
def test_row_10_field(face: Face, moss: FakeMoss, field: str, value: object) -> None:
    """The error names the field, and not what was in it; the same answer is not asked for twice."""
    moss.always(Answer(json={**moss.credentials, field: value}))
    error = fails(face, moss.arguments)

    assert CredentialsInvalid is type(error)
    assert field in str(error)
    assert 1 == moss.count


@pytest.mark.parametrize("field", FIELDS)
def test_row_10_missing_field(face: Face, moss: FakeMoss, field: str) -> None:
    """A field that is not there is named."""
    moss.always(Answer(json={name: value for name, value in moss.credentials.items() if name != field}))
    error = fails(face, moss.arguments)

    assert CredentialsInvalid is type(error)
    assert field in str(error)
    assert 1 == moss.count


def test_row_10_unknown_field(face: Face, moss: FakeMoss) -> None:
    """What a later API adds is ignored."""
    moss.always(Answer(json={**moss.credentials, "voice_agent_region": [{"eu": None}], "": 1e300}))
    assert moss.credentials["voice_agent_api_key"] == key_of(face.create(moss.arguments))


@pytest.mark.parametrize(
    ("secret", "weak"), [("s" * 31, True), ("s" * 32, False), ("ß" * 16, False), ("ß" * 32, False), ("s", True)]
)
def test_row_11_secret_length(face: Face, moss: FakeMoss, secret: str, weak: bool) -> None:
    """Under 32 bytes, counted in UTF-8, is one warning and never a refusal."""
    moss.rotate(api_secret=secret)
    if weak:
        with pytest.warns(WeakSecretWarning) as told:
            server = face.create(moss.arguments)
        assert 1 == len(told)
    else:
        server = face.create(moss.arguments)
    assert moss.credentials["voice_agent_api_key"] == key_of(server)


@pytest.mark.parametrize(
    "url",
    [
        "http://prod",
        "ws://prod",
        "wss://u:p@h",
        "javascript:alert(1)",
        "wss://h/?x",
        "wss://h/#x",
        "wss://",
        "h",
        "file:///etc",
        "wss://h:0",
        "wss://h\\@evil",
        "ws://localhost.evil.test",
        "ws://127.0.0.1.evil.test",
    ],
)
def test_row_12_livekit_address_refused(face: Face, moss: FakeMoss, url: str) -> None:
    """The address that browsers are sent to is wss or https, or on this machine, without user, query or fragment."""
    moss.rotate(url=url)
    error = fails(face, moss.arguments)

    assert CredentialsInvalid is type(error)
    assert "voice_agent_url" in str(error)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("WSS://H", "wss://h"),
        ("wss://H.example/Path", "wss://h.example/Path"),
        ("ws://localhost:7880", "ws://localhost:7880"),
        ("ws://127.0.0.1:7880", "ws://127.0.0.1:7880"),
        ("ws://[::1]:7880", "ws://[::1]:7880"),
        ("https://h", "https://h"),
    ],
)
def test_row_12_livekit_address_taken(face: Face, moss: FakeMoss, url: str, expected: str) -> None:
    """What is taken is put into normal form."""
    moss.rotate(url=url)
    assert expected == face.create(moss.arguments).get_server_url()


# --- rows 13 and 14: what is refused before anything is sent -----------------------------------------------


@pytest.mark.parametrize(
    "api_url",
    [
        "http://localhost.evil.test",
        "http://localhost@evil.test",
        "http://127.0.0.1.evil.test",
        "http://moss.example",
        "https://a@b",
        "https://a\\@b",
        " https://a",
        "https://a ",
        "https://a\n",
        "file:///etc/passwd",
        "//h",
        "https://h?a=b",
        "https://h#a",
        "httpsx://h",
        "https://",
        "https://h:0",
        "https://h:65536",
        "https://h:",
        "https://[::1",
        "https://ö.example",
        "",
        None,
        7,
    ],
)
def test_row_13_api_url_refused(face: Face, api_url: Any) -> None:
    """https, or http to a loopback host that is compared whole; nothing that could lead elsewhere."""
    with pytest.raises(InvalidArgument) as caught:
        face.make({**arguments_for("https://h"), "api_url": api_url})
    assert "api_url" == caught.value.field


@pytest.mark.parametrize(
    "api_url", ["http://127.0.0.1:1", "http://[::1]:1", "http://LOCALHOST:1", "https://h", "HTTPS://H/"]
)
def test_row_13_api_url_taken(face: Face, api_url: str) -> None:
    """These are fine; constructing asks nobody."""
    assert "empty" == face.make(arguments_for(api_url)).status().state


@pytest.mark.parametrize(
    "key",
    [
        "moss-key\n",
        " moss-key",
        "moss-key ",
        "moss\0key",
        "moss-köy",
        "moss key",
        "",
        None,
        7,
        b"moss-key",
        "moss-key" * 1250,
    ],
    ids=["line-end", "space", "space-after", "nul", "non-ascii", "inside", "empty", "none", "int", "bytes", "10kB"],
)
def test_row_14_project_key(face: Face, moss: FakeMoss, key: Any) -> None:
    """A damaged key is refused at construction: no request, and it shows in no text, variable or cause."""
    for call in (face.make, face.create):
        error = caught(lambda call=call: call({**moss.arguments, "project_key": key}))  # type: ignore[misc]

        assert isinstance(error, InvalidArgument)
        assert "project_key" == error.field
        if key not in ("", None, 7):
            assert "moss-k" not in everything(error).replace(moss.arguments["project_key"], "")
            assert "moss\\x00k" not in everything(error)
    assert 0 == moss.count


# --- row 26: names, connections, certificates --------------------------------------------------------------


def arguments_for(api_url: str) -> dict[str, str]:
    """Arguments that lead there."""
    return {"project_id": "project", "project_key": "moss-key-of-row-26", "voice_agent_id": "agent", "api_url": api_url}


def test_row_26_name_not_found(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS has no such name: asked again, and the text says so."""
    asked = []

    def nowhere(*arguments: Any, **_keywords: Any) -> Any:
        asked.append(arguments[0])
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    error = fails(face, arguments_for("https://moss.example"), refresh=TWICE)

    assert CredentialsUnavailable is type(error)
    assert 2 == len(asked)
    assert "host name" in str(error)
    assert "DNS" in str(error)


def test_row_26_name_look_up_hangs(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS says nothing: no time-out reaches into the resolver, and yet nobody waits beyond the budget."""
    answered, asked, over = threading.Event(), threading.Event(), threading.Event()

    def hang(*_arguments: Any, **_keywords: Any) -> Any:
        asked.set()
        answered.wait(30)
        over.set()
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    policy = RefreshPolicy(attempt_timeout=0.3, total_timeout=0.5)
    try:
        error = fails(face, arguments_for("https://moss.example"), refresh=policy)

        assert asked.is_set()
        assert not over.is_set()
        assert CredentialsUnavailable is type(error)
    finally:
        answered.set()


def test_row_26_connection_refused(face: Face) -> None:
    """Nobody listens: asked again, and the text says so."""
    with FakeMoss() as moss:
        arguments = moss.arguments
    error = fails(face, arguments, refresh=TWICE)

    assert CredentialsUnavailable is type(error)
    assert "connection refused" in str(error)
    assert "(2 attempts)" in str(error)


def test_row_26_black_hole() -> None:
    """Packets vanish: three seconds are given to a connection, and the text thinks of a firewall."""
    with black_hole() as port, ThreadPoolExecutor(2) as threads:
        arguments = arguments_for(f"http://127.0.0.1:{port}")
        asked = [threads.submit(fails, face, arguments, refresh=ONCE) for face in (SYNC, ASYNC)]
        errors = [each.result() for each in asked]

    for error in errors:
        assert CredentialsUnavailable is type(error)
        assert "connection timed out after 3 seconds" in str(error)


def test_row_26_black_hole_is_retried(face: Face) -> None:
    """The next attempt may reach another machine behind the same name."""
    with black_hole() as port:
        policy = RefreshPolicy(attempts=2, attempt_timeout=0.4)
        error = fails(face, arguments_for(f"http://127.0.0.1:{port}"), refresh=policy)

    assert CredentialsUnavailable is type(error)
    assert "after 0.4 seconds" in str(error)
    assert "(2 attempts)" in str(error)


def test_row_26_many_dead_addresses(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with several addresses, all of them dead: nobody waits for one after the other."""
    with black_hole() as dead:
        all_dead = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", dead))] * 30
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_keywords: all_dead)
        policy = RefreshPolicy(attempts=1, attempt_timeout=0.3, total_timeout=0.3)
        started = time.monotonic()
        error = fails(face, arguments_for(f"https://moss.example:{dead}"), refresh=policy)
        took = time.monotonic() - started

    assert CredentialsUnavailable is type(error)
    assert took < 0.8 + 5  # one after the other they would take nine seconds
    assert "firewall" in str(error) or "response timed out after 0.3 seconds" in str(error)


class Counting(ssl.SSLContext):
    """A server's TLS context that counts the connections."""

    connections = 0

    def wrap_socket(self, *arguments: Any, **keywords: Any) -> ssl.SSLSocket:
        """As the original."""
        self.connections += 1
        return super().wrap_socket(*arguments, **keywords)


def tls(certificate: trustme.LeafCert) -> tuple[Counting, trustme.LeafCert]:
    """A server's context with that certificate."""
    context = Counting(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context, certificate


def expired(ca: trustme.CA) -> trustme.LeafCert:
    """A certificate whose time is over."""
    long_ago = datetime(2020, 1, 1, tzinfo=timezone.utc)
    return ca.issue_cert("127.0.0.1", not_before=long_ago, not_after=long_ago + timedelta(days=90))


def unknown(_ca: trustme.CA) -> trustme.LeafCert:
    """A certificate of an authority that nobody knows."""
    return trustme.CA().issue_cert("127.0.0.1")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (expired, "certificate has expired"),
        (unknown, "unable to get local issuer certificate"),
        (lambda ca: ca.issue_cert("other.example"), "127.0.0.1"),
    ],
    ids=["expired", "unknown-authority", "wrong-host"],
)
def test_row_26_certificate(
    face: Face,
    authority: Authority,
    make: Callable[[trustme.CA], trustme.LeafCert],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A certificate that does not hold: one connection, no request, and the text says what is wrong with it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    context, _ = tls(make(authority.ca))
    with FakeMoss(ssl_context=context) as moss:
        error = fails(face, moss.arguments)

        assert 0 == moss.count
    assert CredentialsUnavailable is type(error)
    assert 1 == context.connections
    assert "certificate not trusted" in str(error)
    assert words in str(error)


def test_row_26_self_signed_certificate(face: Face, authority: Authority, tmp_path: Path) -> None:
    """A certificate that vouches for itself: the same."""
    context = Counting(ssl.PROTOCOL_TLS_SERVER)
    file = tmp_path / "self.pem"
    file.write_bytes(authority.ca.private_key_pem.bytes() + authority.ca.cert_pem.bytes())
    context.load_cert_chain(file)
    with FakeMoss(ssl_context=context) as moss:
        error = fails(face, moss.arguments)

        assert 0 == moss.count
    assert 1 == context.connections
    assert "self-signed certificate" in str(error).replace("self signed", "self-signed")


def test_row_26_good_certificate(face: Face, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter-check: with the authority in SSL_CERT_FILE it works."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    context, _ = tls(authority.ca.issue_cert("127.0.0.1"))
    with FakeMoss(ssl_context=context) as moss:
        assert moss.credentials["voice_agent_api_key"] == key_of(face.create(moss.arguments))


def test_row_26_tls_closed_in_the_handshake(face: Face) -> None:
    """The other side hangs up between the two hellos: asked again, and the text names TLS or the connection."""
    with listener(lambda client, _done: client.recv(65536)) as (port, accepted):
        error = fails(face, arguments_for(f"https://127.0.0.1:{port}"), refresh=TWICE)

        assert 2 == len(accepted)
    assert CredentialsUnavailable is type(error)
    assert "TLS" in str(error) or "connection" in str(error)


def test_row_26_plain_server_on_a_tls_port(face: Face) -> None:
    """https to a port that speaks plain HTTP: the text asks whether that is so."""

    def plain(client: socket.socket, _done: threading.Event) -> None:
        client.recv(65536)
        client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" + MARK.encode())

    with listener(plain) as (port, _accepted):
        error = fails(face, arguments_for(f"https://127.0.0.1:{port}"), refresh=ONCE)

    assert CredentialsUnavailable is type(error)
    assert "port of a TLS server" in error.remedy


def test_row_26_tls_server_on_a_plain_port(face: Face, authority: Authority) -> None:
    """http to a port that speaks TLS: an error of ours."""
    context, _ = tls(authority.ca.issue_cert("127.0.0.1"))
    with FakeMoss(ssl_context=context) as moss:
        error = fails(face, {**moss.arguments, "api_url": moss.url.replace("https", "http")}, refresh=ONCE)

    assert CredentialsUnavailable is type(error)


# --- row 27: what the environment says ---------------------------------------------------------------------


@pytest.fixture
def dead_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@pytest.fixture
def secure(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMoss]:
    """A Moss API over TLS that is trusted."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    context, _ = tls(authority.ca.issue_cert("127.0.0.1"))
    with FakeMoss(ssl_context=context) as fake:
        yield fake


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_row_27_dead_proxy(
    face: Face, secure: FakeMoss, dead_port: int, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that is not there: the text says that one is set, and in which variables to look."""
    monkeypatch.setenv(variable, f"http://127.0.0.1:{dead_port}")
    error = fails(face, secure.arguments, refresh=ONCE)

    assert CredentialsUnavailable is type(error)
    assert variable in error.remedy
    assert 0 == secure.count


def test_row_27_proxy_that_refuses(
    face: Face, secure: FakeMoss, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that lets nobody through is asked to connect, and sees neither the key nor the path."""
    monkeypatch.setenv("HTTPS_PROXY", moss.url)
    moss.always(403)
    error = fails(face, secure.arguments, refresh=ONCE)

    assert CredentialsUnavailable is type(error)
    assert "proxy" in str(error)
    assert ["CONNECT"] == [request.method for request in moss.requests]
    assert "X-Project-Key" not in moss.requests[0].headers
    assert "voice" not in moss.requests[0].path


def test_row_27_no_proxy(face: Face, secure: FakeMoss, dead_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY leads past it."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{dead_port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    assert "fresh" == face.create(secure.arguments).status().state


def test_row_27_loopback_in_the_clear_uses_no_proxy(
    face: Face, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain http is taken only because it stays on this machine: so it goes to no proxy, which would see the key."""
    with FakeMoss() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("ALL_PROXY", proxy.url)
        server = face.create(moss.arguments)

        assert 0 == proxy.count
    assert "fresh" == server.status().state


def test_row_27_own_transport_ignores_the_environment(
    face: Face, authority: Authority, dead_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transport that is handed in is all that counts: neither proxy nor trust store of the environment does."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{dead_port}")
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    trusting = ssl.create_default_context(cafile=str(authority.file))
    context, _ = tls(authority.ca.issue_cert("127.0.0.1"))
    transport: Any
    if face.kind is MossVoiceServerSync:
        transport = httpx2.HTTPTransport(verify=trusting, trust_env=False)
    else:
        transport = httpx2.AsyncHTTPTransport(verify=trusting, trust_env=False)
    with FakeMoss(ssl_context=context) as moss:
        server = face.create(moss.arguments, transport=transport)
    assert "fresh" == server.status().state


@pytest.mark.parametrize("content", [None, "", "no certificate\n"], ids=["missing", "empty", "garbage"])
def test_row_27_bad_trust_store(
    face: Face, secure: FakeMoss, content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trust store that cannot be read: the text names SSL_CERT_FILE and does not blame the other side."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    error = fails(face, secure.arguments)

    assert CredentialsUnavailable is type(error)
    assert "SSL_CERT_FILE" in str(error)
    assert "attempts" not in str(error)
    assert 0 == secure.count


@pytest.mark.skipif(sys.platform == "win32", reason="sets a limit that only Unix has")
@pytest.mark.parametrize("what", ["trust store", "socket"])
def test_too_many_open_files(moss: FakeMoss, what: str) -> None:
    """Neither a certificate nor Moss is to blame: the text says what to raise, and with files to open it works."""
    import resource

    # One that is handed in has read the trust store, and opens a socket for each fetch.
    handed_in = httpx2.HTTPTransport(limits=httpx2.Limits(max_keepalive_connections=0)) if what == "socket" else None
    server = SYNC.make(moss.arguments, PAUSELESS, transport=handed_in)
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
    SYNC.refresh(server)
    assert 2 == moss.count


def test_too_many_open_files_for_a_loop(moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same where an async transport gets its event loop. Not by the system's limit: CPython would complain of half a loop."""

    def refuse() -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def story() -> None:
        monkeypatch.setattr(asyncio, "SelectorEventLoop", refuse)
        await MossVoiceServer(**moss.arguments, transport=httpx2.AsyncHTTPTransport(verify=False)).refresh()

    error = caught(lambda: asyncio.run(story()))
    assert CredentialsUnavailable is type(error)
    assert "too many open files" in str(error)


# --- servers that do not speak HTTP ------------------------------------------------------------------------


@contextmanager
def listener(talk: Callable[[socket.socket, threading.Event], object]) -> Iterator[tuple[int, list[socket.socket]]]:
    """A TCP server on a free port; `talk` has each client until it returns or the event is set."""
    accepted: list[socket.socket] = []
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                if done.is_set():
                    client.close()
                    return
                accepted.append(client)
                with client, suppress(OSError):
                    talk(client, done)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port: int = listening.getsockname()[1]
        try:
            yield port, accepted
        finally:
            done.set()
            # A last visitor wakes `accept`, which closing does not; past a `getaddrinfo` that a test has bent.
            with socket.socket() as visitor:
                visitor.settimeout(5)
                visitor.connect(("127.0.0.1", port))
            thread.join(10)
            assert not thread.is_alive()


# The head of a TLS record of 16 kB that holds a ServerHello.
_RECORD = b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc\x03\x03"


def drip_handshake(client: socket.socket, done: threading.Event) -> None:
    """The head of a TLS record, and then a byte now and then."""
    client.sendall(_RECORD)
    while not done.wait(0.1):
        client.sendall(b"\0")


@contextmanager
def black_hole() -> Iterator[int]:
    """A port that answers nothing: its queue of connections is full, so further ones are dropped."""
    held = []
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listening:
        port: int = listening.getsockname()[1]
        try:
            for _ in range(50):
                client = socket.socket()
                held.append(client)
                client.settimeout(0.3)
                try:
                    client.connect(("127.0.0.1", port))
                except TimeoutError:
                    break
            else:
                pytest.skip("this system drops no connection to a full queue")
            yield port
        finally:
            for client in held:
                client.close()


# --- what is imported when ---------------------------------------------------------------------------------

_IMPORTS = """
import asyncio, json, logging, sys
from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server._credentials import cache
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsError

logging.disable()
cache._load()
before = set(sys.modules)
during = set()

def watched(kind):
    drive = kind._drive
    def outer(exchange, transport):
        known = set(sys.modules)
        try:
            return drive(exchange, transport)
        finally:
            during.update(set(sys.modules) - known)
    kind._drive = staticmethod(outer)

for kind in (MossVoiceServer, MossVoiceServerSync):
    watched(kind)

for name, arguments in json.loads(sys.argv[1]):
    for kind in (MossVoiceServer, MossVoiceServerSync):
        try:
            if kind is MossVoiceServer:
                asyncio.run(kind.create(**arguments, refresh=RefreshPolicy(attempts=1)))
            else:
                kind.create(**arguments, refresh=RefreshPolicy(attempts=1))
        except CredentialsError:
            pass
print(json.dumps(sorted(during)))
"""


def test_no_import_during_a_fetch(
    moss: FakeMoss, authority: Authority, dead_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the answer, all is loaded before the thread starts: a fork meanwhile inherits no import lock."""
    context, _ = tls(authority.ca.issue_cert("127.0.0.1"))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    answers = [
        Answer(),
        Answer.retry_after(formatdate(usegmt=True)),
        Answer.redirect("https://h"),
        Answer(401),
        Answer(gzip_bomb=1000),
        Answer(body=b"\xff"),
        Answer(reset="headers"),
        Answer(chunked_garbage=True),
        Answer(raw=b"nonsense\r\n\r\n"),
        Answer(headers={"Content-Type": "application/json; charset=latin-1"}),
    ]
    fakes = [FakeMoss().start() for _ in answers]
    secure = FakeMoss(ssl_context=context).start()
    try:
        for fake, answer in zip(fakes, answers, strict=True):
            fake.always(answer)
        cases = [
            *((repr(answer), fake.arguments) for fake, answer in zip(fakes, answers, strict=True)),
            ("tls", secure.arguments),
            ("name", {**moss.arguments, "api_url": moss.url.replace("127.0.0.1", "localhost")}),
            ("refused", {**moss.arguments, "api_url": f"http://127.0.0.1:{dead_port}"}),
            ("refused tls", {**moss.arguments, "api_url": f"https://127.0.0.1:{dead_port}"}),
        ]
        command = [sys.executable, "-c", _IMPORTS, json.dumps(cases)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    finally:
        for fake in (*fakes, secure):
            fake.close()

    assert ("[]\n", "", 0) == (done.stdout, done.stderr, done.returncode)


def test_both_classes_are_asked() -> None:
    """The counter-check of this file's fixture."""
    assert {MossVoiceServer, MossVoiceServerSync} == {
        Face(kind).kind for kind in (MossVoiceServer, MossVoiceServerSync)
    }
