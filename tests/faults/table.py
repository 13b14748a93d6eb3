"""The fault table: every way in which a fetch can fail on the wire, and what is to be reported for it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from moss_voice_server._credentials.fetch import FIELDS
from moss_voice_server.errors import CredentialsError, CredentialsInvalid, CredentialsRejected, CredentialsUnavailable
from moss_voice_server.testing import FakeMoss
from tests.support.fault_response import FaultResponse
from tests.support.sockets import (
    Talk,
    black_hole,
    closed_port,
    expired,
    good,
    listener,
    reset,
    self_signed,
    tls,
    trickle_handshake,
    unknown,
    wrong_host,
)

KEY = "moss-key-of-the-fault-table"
SECRET = "a-secret-of-more-than-32-bytes-for-tests"
MARK = "a-mark-in-the-response"
HIDDEN = (KEY, SECRET, MARK)
"""What no error and no log may show."""
ECHO = {"X-Echo": MARK, "Set-Cookie": MARK, "Retry-After": MARK}
"""Headers that are not shown either; the last one is no time."""


class Place(NamedTuple):
    """What a fault may use."""

    ca: trustme.CA
    """Trusted through SSL_CERT_FILE."""
    directory: Path
    monkeypatch: pytest.MonkeyPatch


class Target(NamedTuple):
    """A faulty Moss API that runs."""

    arguments: dict[str, str]
    seen: Callable[[], int]
    """How many requests, or connections where it does not get as far as a request, it has seen."""


Serve = Callable[[Place], AbstractContextManager[Target]]


class Fault(NamedTuple):
    """One row."""

    serve: Serve
    kind: type[CredentialsError]
    attempts: int
    """How many of two attempts are made."""
    message: str
    """A part of the message."""
    remedy: str
    """A part of the remedy."""
    is_racy: bool = False
    """The client may meet it in one of several system calls, so texts differ from time to time."""
    is_patched: bool = False
    """It replaces a function of the process: one class after the other."""

    @property
    def timeout(self) -> float:
        """Seconds for an attempt; many for a fault that comes at once, however busy the machine is."""
        return 0.6 if "timed out" in self.message else 5.0


def arguments_for(api_url: str) -> dict[str, str]:
    """The arguments of a server for that URL."""
    return {"project_id": "project", "project_key": KEY, "voice_agent_id": "agent", "api_url": api_url}


def fake(**options: Any) -> FakeMoss:
    """A Moss API with what must not be shown."""
    return FakeMoss(project_key=KEY, api_secret=SECRET, **options)


def moss(answer: FaultResponse | int) -> Serve:
    """A Moss API that always answers so."""

    @contextmanager
    def serve(_place: Place) -> Iterator[Target]:
        with fake() as api:
            api.set_default(answer)
            yield Target(api.arguments, lambda: api.count)
            api.reset()

    return serve


def secure(certificate: Callable[[trustme.CA], trustme.LeafCert] | None, scheme: str = "https") -> Serve:
    """A Moss API with this certificate (`None`: self-signed); connections are counted."""

    @contextmanager
    def serve(place: Place) -> Iterator[Target]:
        context = tls(certificate(place.ca)) if certificate else self_signed(trustme.CA(), place.directory)
        with fake(ssl_context=context) as api:
            url = api.url.replace("https", scheme)
            yield Target({**api.arguments, "api_url": url}, lambda: context.connections)
            assert 0 == api.count

    return serve


def tcp(talk: Talk, scheme: str = "http") -> Serve:
    """A TCP server; connections are counted."""

    @contextmanager
    def serve(_place: Place) -> Iterator[Target]:
        with listener(talk) as (port, accepted):
            yield Target(arguments_for(f"{scheme}://127.0.0.1:{port}"), lambda: len(accepted))

    return serve


def raw(*parts: bytes, scheme: str = "http") -> Serve:
    """A server that reads once and sends these bytes."""

    def talk(client: socket.socket, _done: threading.Event) -> None:
        client.recv(65536)
        for part in parts:
            client.sendall(part)

    return tcp(talk, scheme)


def after_handshake(data: bytes) -> Serve:
    """A TLS server that answers the request with bytes that are no TLS record of this connection."""

    @contextmanager
    def serve(place: Place) -> Iterator[Target]:
        context = tls(good(place.ca))

        def talk(client: socket.socket, _done: threading.Event) -> None:
            with context.wrap_socket(client, server_side=True) as wrapped:
                wrapped.recv(65536)
                with socket.socket(fileno=os.dup(wrapped.fileno())) as below:
                    below.sendall(data)

        with listener(talk) as (port, accepted):
            yield Target(arguments_for(f"https://127.0.0.1:{port}"), lambda: len(accepted))

    return serve


def read_on(client: socket.socket, _done: threading.Event) -> None:
    """Reads until the client closes, and sends nothing."""
    while client.recv(65536):
        pass


def early_hints(client: socket.socket, done: threading.Event) -> None:
    """Interim responses (103) without end."""
    client.recv(65536)
    while not done.wait(0.01):
        client.sendall(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)


def endless_trailers(client: socket.socket, done: threading.Event) -> None:
    """A chunked body whose trailer section does not end."""
    client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    while not done.wait(0.05):
        client.sendall(b"X-Trailer: 1\r\n")


@contextmanager
def refused(_place: Place) -> Iterator[Target]:
    """A port on which nothing listens."""
    yield Target(arguments_for(f"http://127.0.0.1:{closed_port()}"), lambda: 2)


@contextmanager
def no_such_name(place: Place) -> Iterator[Target]:
    """A host name that DNS does not know."""
    lookups = []

    def fail(*arguments: Any, **_keywords: Any) -> Any:
        lookups.append(arguments[0])
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with place.monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", fail)
        yield Target(arguments_for("https://moss.example"), lambda: len(lookups))


@contextmanager
def swallowed(_place: Place) -> Iterator[Target]:
    """Connections that are neither accepted nor refused."""
    with black_hole() as port:
        yield Target(arguments_for(f"http://127.0.0.1:{port}"), lambda: 2)


UNAVAILABLE, INVALID = CredentialsUnavailable, CredentialsInvalid
LATER, SETTING = "retry later", "MOSS_PLATFORM_API_URL"
UNUSABLE = "response cannot be used"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN = "incomplete or invalid HTTP response"
RESET = "connection reset by the server"
HANDSHAKE = "TLS handshake timed out after 0.6 seconds"
SLOW = "timed out after 0.6 seconds"


def slow(serve: Serve, message: str = SLOW, remedy: str = LATER) -> Fault:
    """A fault that takes until the deadline, twice."""
    return Fault(serve, UNAVAILABLE, 2, message, remedy)


def broken(serve: Serve, message: str = BROKEN, remedy: str = SETTING) -> Fault:
    """A fault that is retried, and has nothing to do with the response's content."""
    return Fault(serve, UNAVAILABLE, 2, message, remedy)


def invalid(serve: Serve, message: str, attempts: int = 1) -> Fault:
    """A response whose content cannot be used."""
    return Fault(serve, INVALID, attempts, message, SETTING)


FAULTS: dict[str, Fault] = {
    # Statuses.
    **{
        f"status {status}": Fault(
            moss(FaultResponse(status, json={"error": MARK}, headers=ECHO)), CredentialsRejected, 1, f"HTTP {status}", name
        )
        for status, name in (
            (401, "MOSS_PROJECT_KEY"),
            (403, "MOSS_PROJECT_ID"),
            (404, "MOSS_VOICE_AGENT_ID"),
            (410, "MOSS_VOICE_AGENT_ID"),
        )
    },
    "status 503": broken(moss(FaultResponse(503, headers=ECHO)), "HTTP 503 (2 attempts)", LATER),
    "status 429, an hour": Fault(moss(FaultResponse.retry_after("3600")), UNAVAILABLE, 1, "HTTP 429", LATER),
    "status 418": Fault(moss(418), UNAVAILABLE, 1, "HTTP 418", SETTING),
    "status 304, unasked": invalid(moss(304), "HTTP 304, a redirect"),
    # Never finished.
    "headers trickle": slow(moss(FaultResponse(trickle=0.1))),
    "body trickles": slow(moss(FaultResponse(trickle=0.1, trickle_from="body"))),
    "endless headers trickle": slow(moss(FaultResponse(trickle=0.1, endless_headers=True))),
    "endless body trickles": slow(moss(FaultResponse(trickle=0.1, trickle_from="body", endless_body=True))),
    "silence": slow(moss(FaultResponse(hang=True))),
    "silence after the headers": slow(moss(FaultResponse(hang_after_headers=True))),
    "interim responses without end": slow(tcp(early_hints)),
    "trailers without end": slow(tcp(endless_trailers)),
    "headers without end": broken(moss(FaultResponse(endless_headers=True))),
    "body without end": invalid(moss(FaultResponse(endless_body=True)), "too long"),
    # Broken or enormous.
    "huge": invalid(moss(FaultResponse(size=10**9)), "too long"),
    "gzip bomb": invalid(moss(FaultResponse(gzip_bomb=200 * 10**6)), "compressed"),
    "several encodings": invalid(
        moss(FaultResponse(gzip_bomb=10**6, headers={"Content-Encoding": "x-gzip, gzip"})), "compressed"
    ),
    "longer than it is": broken(moss(FaultResponse(content_length=10_000))),
    "shorter than it is": invalid(moss(FaultResponse(content_length=20)), UNUSABLE, 2),
    "negative length": broken(moss(FaultResponse(content_length=-1))),
    "cut off": broken(moss(FaultResponse(truncate=30))),
    "cut off at once": broken(moss(FaultResponse(truncate=0))),
    "not chunks": broken(moss(FaultResponse(chunked_garbage=True))),
    "chunk size of 400 digits": broken(raw(CHUNKED, b"0" * 400 + b"2\r\n{}\r\n0\r\n\r\n")),
    "negative chunk": broken(raw(CHUNKED, b"-2\r\n{}\r\n0\r\n\r\n")),
    "chunk without its end": broken(raw(CHUNKED, b"2\r\n{}0\r\n\r\n")),
    "chunks that end too soon": broken(raw(CHUNKED, b"2\r\n{}\r\n")),
    "two lengths": broken(raw(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}")),
    "unknown transfer encoding": broken(raw(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n")),
    "header of a megabyte": broken(raw(HEAD + b"X: " + b"x" * 10**6 + b"\r\n\r\n")),
    "a hundred thousand headers": broken(raw(HEAD + b"X: 1\r\n" * 10**5 + b"\r\n")),
    "NUL in a header": broken(raw(HEAD + b"X: " + MARK.encode() + b"\0b\r\n\r\n")),
    "header without a name": broken(raw(HEAD + b": x\r\n\r\n")),
    "HTTP/2 preface": broken(raw(b"\0\0\x12\x04\0\0\0\0\0" + b"\0" * 18)),
    "HTTP/0.9": broken(raw(b"<html>" + MARK.encode())),
    "another protocol": broken(moss(FaultResponse(raw=f"220 {MARK} ESMTP\r\n\r\n".encode()))),
    "status of 4 digits": broken(raw(b"HTTP/1.1 2000 OK\r\n\r\n")),
    "status that is no number": broken(raw(b"HTTP/1.1 " + MARK.encode() + b" OK\r\n\r\n")),
    "switching protocols": broken(raw(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")),
    "nothing": broken(moss(FaultResponse(raw=b""))),
    "reset when accepted": Fault(tcp(reset), UNAVAILABLE, 2, "", "", is_racy=True),
    "reset when asked": broken(moss(FaultResponse(reset="request")), RESET, LATER),
    "reset after the headers": broken(moss(FaultResponse(reset="headers")), RESET, LATER),
    # Bodies; `credentials/test_response.py` has the whole table.
    "HTML": invalid(moss(FaultResponse(body=f"<html>{MARK}</html>".encode())), UNUSABLE, 2),
    "secret without its key": invalid(moss(FaultResponse(json={FIELDS[2]: SECRET})), UNUSABLE),
    "surrogate": invalid(
        moss(FaultResponse(json=dict.fromkeys(FIELDS, f"{SECRET}\ud800"))), UNUSABLE
    ),
    "wrong field": invalid(moss(FaultResponse(json={"voice_agent_url": f"http://{MARK}"})), UNUSABLE),
    "deeply nested": invalid(
        moss(FaultResponse(body=f'"{MARK}"'.encode().join([b"[" * 10_000, b"]" * 10_000]))), UNUSABLE
    ),
    # Names and connections.
    "no such name": Fault(no_such_name, UNAVAILABLE, 2, "host name not found", "DNS", is_patched=True),
    "refused": broken(refused, "connection refused", SETTING),
    "swallowed": broken(swallowed, "connection timed out after 0.6 seconds", "firewall"),
    # TLS.
    "expired certificate": Fault(secure(expired), UNAVAILABLE, 1, "certificate has expired", "SSL_CERT_FILE"),
    "unknown authority": Fault(secure(unknown), UNAVAILABLE, 1, "unable to get local issuer", "SSL_CERT_FILE"),
    "certificate of another host": Fault(secure(wrong_host), UNAVAILABLE, 1, "127.0.0.1", "SSL_CERT_FILE"),
    "self-signed certificate": Fault(secure(None), UNAVAILABLE, 1, "self-signed", "SSL_CERT_FILE"),
    "handshake trickles": slow(tcp(trickle_handshake, "https"), HANDSHAKE, "firewall"),
    "handshake hangs": slow(tcp(read_on, "https"), HANDSHAKE, "firewall"),
    "handshake cut off": broken(raw(scheme="https"), "TLS", SETTING),
    "handshake refused": broken(raw(b"\x15\x03\x03\x00\x02\x02\x28", scheme="https"), "TLS", SETTING),
    "plain HTTP on a TLS port": broken(raw(b"HTTP/1.1 400 Bad Request\r\n\r\n" + MARK.encode(), scheme="https"), "TLS", SETTING),
    "TLS on a plain port": broken(secure(good, "http"), "", ""),
    "bad TLS record": broken(after_handshake(b"\x17\x03\x03\x00\x20" + b"\0" * 32), "TLS", ""),
    "TLS alert in the clear": broken(after_handshake(b"\x15\x03\x03\x00\x02\x02\x0a"), "TLS", ""),
    "TLS cut off": broken(after_handshake(b""), "", ""),
}  # fmt: skip
