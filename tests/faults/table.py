"""The fault table: every way in which a fetch can fail on the wire, and what is to be reported for it."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme

from moss_voice_server.errors import (
    CredentialsError,
    CredentialsInvalid,
    CredentialsRejected,
    CredentialsUnavailable,
)
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

MARK = "a-mark-in-the-body"
KEY = "moss-key-of-the-fault-table"


class Place(NamedTuple):
    """What a fault may use."""

    ca: trustme.CA
    """Trusted through SSL_CERT_FILE."""
    directory: Path
    monkeypatch: pytest.MonkeyPatch


class Target(NamedTuple):
    """A faulty Moss API, ready to be asked."""

    arguments: dict[str, str]
    seen: Callable[[], int]
    """How many requests, or connections where it does not get as far as a request, it has seen."""


class Fault(NamedTuple):
    """One row."""

    serve: Callable[[Place], AbstractContextManager[Target]]
    kind: type[CredentialsError]
    attempts: int
    """How many of two attempts are made."""
    message: str
    """A part of the message that tells this fault."""
    remedy: str
    """A part of the remedy."""
    is_racy: bool = False
    """The client may meet it in one of several system calls, so texts differ from time to time."""


def arguments_for(api_url: str) -> dict[str, str]:
    """Arguments that lead there."""
    return {"project_id": "project", "project_key": KEY, "voice_agent_id": "agent", "api_url": api_url}


def moss(answer: FaultResponse | int) -> Callable[[Place], AbstractContextManager[Target]]:
    """A Moss API that always answers so."""

    @contextmanager
    def serve(_place: Place) -> Iterator[Target]:
        with FakeMoss() as fake:
            fake.set_default(answer)
            yield Target(fake.arguments, lambda: fake.count)
            fake.reset()

    return serve


def secure(certificate: Callable[[trustme.CA], trustme.LeafCert]) -> Callable[[Place], AbstractContextManager[Target]]:
    """A Moss API with this certificate; connections are counted."""

    @contextmanager
    def serve(place: Place) -> Iterator[Target]:
        context = tls(certificate(place.ca))
        with FakeMoss(ssl_context=context) as fake:
            yield Target(fake.arguments, lambda: context.connections)
            assert 0 == fake.count

    return serve


@contextmanager
def own_authority(place: Place) -> Iterator[Target]:
    """A Moss API with a self-signed certificate."""
    context = self_signed(trustme.CA(), place.directory)
    with FakeMoss(ssl_context=context) as fake:
        yield Target(fake.arguments, lambda: context.connections)


def tcp(talk: Talk, scheme: str = "http") -> Callable[[Place], AbstractContextManager[Target]]:
    """A TCP server; connections are counted."""

    @contextmanager
    def serve(_place: Place) -> Iterator[Target]:
        with listener(talk) as (port, accepted):
            yield Target(arguments_for(f"{scheme}://127.0.0.1:{port}"), lambda: len(accepted))

    return serve


def raw(*parts: bytes) -> Callable[[Place], AbstractContextManager[Target]]:
    """A server that reads a request and sends these bytes."""

    def talk(client: socket.socket, _done: threading.Event) -> None:
        client.recv(65536)
        for part in parts:
            client.sendall(part)

    return tcp(talk)


def after_handshake(data: bytes) -> Callable[[Place], AbstractContextManager[Target]]:
    """A TLS server that answers the request with bytes that are no TLS record of this connection."""

    @contextmanager
    def serve(place: Place) -> Iterator[Target]:
        context = tls(good(place.ca))

        def talk(client: socket.socket, _done: threading.Event) -> None:
            with context.wrap_socket(client, server_side=True) as wrapped:
                wrapped.recv(65536)
                send_below_tls(wrapped, data)

        with listener(talk) as (port, accepted):
            yield Target(arguments_for(f"https://127.0.0.1:{port}"), lambda: len(accepted))

    return serve


def send_below_tls(wrapped: ssl.SSLSocket, data: bytes) -> None:
    """Sends bytes on the connection that are not encrypted."""
    with socket.socket(fileno=os.dup(wrapped.fileno())) as plain:
        plain.sendall(data)


def alert(client: socket.socket, _done: threading.Event) -> None:
    """Answers a TLS hello with the alert "handshake failure"."""
    client.recv(65536)
    client.sendall(b"\x15\x03\x03\x00\x02\x02\x28")


def hang_up(client: socket.socket, _done: threading.Event) -> None:
    """Reads once and closes."""
    client.recv(65536)


def read_on(client: socket.socket, _done: threading.Event) -> None:
    """Reads until the client closes, and sends nothing."""
    while client.recv(65536):
        pass


def plain_http(client: socket.socket, _done: threading.Event) -> None:
    """Speaks HTTP where TLS is expected."""
    client.recv(65536)
    client.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" + MARK.encode())


def early_hints(client: socket.socket, done: threading.Event) -> None:
    """Interim responses (103) without end."""
    client.recv(65536)
    while not done.is_set():
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


@contextmanager
def tls_on_a_plain_port(place: Place) -> Iterator[Target]:
    """http to a port that speaks TLS."""
    context = tls(good(place.ca))
    with FakeMoss(ssl_context=context) as fake:
        arguments = {**fake.arguments, "api_url": fake.url.replace("https", "http")}
        yield Target(arguments, lambda: context.connections)


UNAVAILABLE, INVALID = CredentialsUnavailable, CredentialsInvalid
LATER, SETTING = "retry later", "MOSS_PLATFORM_API_URL"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN = "incomplete or invalid HTTP response"
RESET = "connection reset by the server"
HANDSHAKE = "TLS handshake timed out after 0.6 seconds"
SLOW = "timed out after 0.6 seconds"

FAULTS: dict[str, Fault] = {
    # Statuses.
    **{
        f"status {status}": Fault(
            moss(FaultResponse(status, json={"error": MARK})), CredentialsRejected, 1, f"HTTP {status}", name
        )
        for status, name in (
            (401, "MOSS_PROJECT_KEY"),
            (403, "MOSS_PROJECT_ID"),
            (404, "MOSS_VOICE_AGENT_ID"),
            (410, "MOSS_VOICE_AGENT_ID"),
        )
    },
    "status 503": Fault(moss(503), UNAVAILABLE, 2, "HTTP 503 (2 attempts)", LATER),
    "status 429, an hour": Fault(moss(FaultResponse.retry_after("3600")), UNAVAILABLE, 1, "HTTP 429", LATER),
    "status 418": Fault(moss(418), UNAVAILABLE, 1, "HTTP 418", SETTING),
    "status 304, unasked": Fault(moss(304), INVALID, 1, "HTTP 304, a redirect", SETTING),
    # Never finished.
    "headers trickle": Fault(moss(FaultResponse(trickle=0.1)), UNAVAILABLE, 2, SLOW, LATER),
    "body trickles": Fault(moss(FaultResponse(trickle=0.1, trickle_from="body")), UNAVAILABLE, 2, SLOW, LATER),
    "endless headers trickle": Fault(
        moss(FaultResponse(trickle=0.1, endless_headers=True)), UNAVAILABLE, 2, SLOW, LATER
    ),
    "endless body trickles": Fault(
        moss(FaultResponse(trickle=0.1, trickle_from="body", endless_body=True)), UNAVAILABLE, 2, SLOW, LATER
    ),
    "silence": Fault(moss(FaultResponse(hang=True)), UNAVAILABLE, 2, SLOW, LATER),
    "silence after the headers": Fault(moss(FaultResponse(hang_after_headers=True)), UNAVAILABLE, 2, SLOW, LATER),
    "interim responses without end": Fault(tcp(early_hints), UNAVAILABLE, 2, SLOW, LATER),
    "trailers without end": Fault(tcp(endless_trailers), UNAVAILABLE, 2, SLOW, LATER),
    "headers without end": Fault(moss(FaultResponse(endless_headers=True)), UNAVAILABLE, 2, BROKEN, SETTING),
    "body without end": Fault(moss(FaultResponse(endless_body=True)), INVALID, 1, "too long", SETTING),
    # Broken or enormous.
    "huge": Fault(moss(FaultResponse(size=10**9)), INVALID, 1, "too long", SETTING),
    "gzip bomb": Fault(moss(FaultResponse(gzip_bomb=200 * 10**6)), INVALID, 1, "compressed", SETTING),
    "several encodings": Fault(
        moss(FaultResponse(gzip_bomb=10**6, headers={"Content-Encoding": "x-gzip, gzip"})),
        INVALID,
        1,
        "compressed",
        SETTING,
    ),
    "longer than it is": Fault(moss(FaultResponse(content_length=10_000)), UNAVAILABLE, 2, BROKEN, SETTING),
    "shorter than it is": Fault(moss(FaultResponse(content_length=20)), INVALID, 2, "response cannot be used", SETTING),
    "negative length": Fault(moss(FaultResponse(content_length=-1)), UNAVAILABLE, 2, BROKEN, SETTING),
    "cut off": Fault(moss(FaultResponse(truncate=30)), UNAVAILABLE, 2, BROKEN, SETTING),
    "cut off at once": Fault(moss(FaultResponse(truncate=0)), UNAVAILABLE, 2, BROKEN, SETTING),
    "not chunks": Fault(moss(FaultResponse(chunked_garbage=True)), UNAVAILABLE, 2, BROKEN, SETTING),
    "chunk size of 400 digits": Fault(
        raw(CHUNKED, b"0" * 400 + b"2\r\n{}\r\n0\r\n\r\n"), UNAVAILABLE, 2, BROKEN, SETTING
    ),
    "negative chunk": Fault(raw(CHUNKED, b"-2\r\n{}\r\n0\r\n\r\n"), UNAVAILABLE, 2, BROKEN, SETTING),
    "chunk without its end": Fault(raw(CHUNKED, b"2\r\n{}0\r\n\r\n"), UNAVAILABLE, 2, BROKEN, SETTING),
    "chunks that end too soon": Fault(raw(CHUNKED, b"2\r\n{}\r\n"), UNAVAILABLE, 2, BROKEN, SETTING),
    "two lengths": Fault(
        raw(HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}"), UNAVAILABLE, 2, BROKEN, SETTING
    ),
    "unknown transfer encoding": Fault(
        raw(HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), UNAVAILABLE, 2, BROKEN, SETTING
    ),
    "header of a megabyte": Fault(raw(HEAD + b"X: " + b"x" * 10**6 + b"\r\n\r\n"), UNAVAILABLE, 2, BROKEN, SETTING),
    "a hundred thousand headers": Fault(raw(HEAD + b"X: 1\r\n" * 10**5 + b"\r\n"), UNAVAILABLE, 2, BROKEN, SETTING),
    "NUL in a header": Fault(raw(HEAD + b"X: a\0b\r\n\r\n"), UNAVAILABLE, 2, BROKEN, SETTING),
    "header without a name": Fault(raw(HEAD + b": x\r\n\r\n"), UNAVAILABLE, 2, BROKEN, SETTING),
    "HTTP/2 preface": Fault(raw(b"\0\0\x12\x04\0\0\0\0\0" + b"\0" * 18), UNAVAILABLE, 2, BROKEN, SETTING),
    "HTTP/0.9": Fault(raw(b"<html>" + MARK.encode()), UNAVAILABLE, 2, BROKEN, SETTING),
    "another protocol": Fault(
        moss(FaultResponse(raw=b"220 mail.example ESMTP\r\n\r\n")), UNAVAILABLE, 2, BROKEN, SETTING
    ),
    "status of 4 digits": Fault(raw(b"HTTP/1.1 2000 OK\r\n\r\n"), UNAVAILABLE, 2, BROKEN, SETTING),
    "switching protocols": Fault(raw(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), UNAVAILABLE, 2, BROKEN, SETTING),
    "nothing": Fault(moss(FaultResponse(raw=b"")), UNAVAILABLE, 2, BROKEN, SETTING),
    "reset when accepted": Fault(tcp(reset), UNAVAILABLE, 2, "", "", is_racy=True),
    "reset when asked": Fault(moss(FaultResponse(reset="request")), UNAVAILABLE, 2, RESET, LATER),
    "reset after the headers": Fault(moss(FaultResponse(reset="headers")), UNAVAILABLE, 2, RESET, LATER),
    # Bodies; `credentials/test_response.py` has the whole table.
    "HTML": Fault(
        moss(FaultResponse(body=f"<html>{MARK}</html>".encode())), INVALID, 2, "response cannot be used", SETTING
    ),
    "wrong field": Fault(
        moss(FaultResponse(json={"voice_agent_url": f"http://{MARK}"})), INVALID, 1, "response cannot be used", SETTING
    ),
    "deeply nested": Fault(
        moss(FaultResponse(body=b"[" * 10_000 + b"]" * 10_000)), INVALID, 1, "response cannot be used", SETTING
    ),
    # Names and connections.
    "no such name": Fault(no_such_name, UNAVAILABLE, 2, "host name not found", "DNS"),
    "refused": Fault(refused, UNAVAILABLE, 2, "connection refused", SETTING),
    "swallowed": Fault(swallowed, UNAVAILABLE, 2, "connection timed out after 0.6 seconds", "firewall"),
    # TLS.
    "expired certificate": Fault(secure(expired), UNAVAILABLE, 1, "certificate has expired", "SSL_CERT_FILE"),
    "unknown authority": Fault(secure(unknown), UNAVAILABLE, 1, "unable to get local issuer", "SSL_CERT_FILE"),
    "certificate of another host": Fault(secure(wrong_host), UNAVAILABLE, 1, "127.0.0.1", "SSL_CERT_FILE"),
    "self-signed certificate": Fault(own_authority, UNAVAILABLE, 1, "self-signed", "SSL_CERT_FILE"),
    "handshake trickles": Fault(tcp(trickle_handshake, "https"), UNAVAILABLE, 2, HANDSHAKE, "firewall"),
    "handshake hangs": Fault(tcp(read_on, "https"), UNAVAILABLE, 2, HANDSHAKE, "firewall"),
    "handshake cut off": Fault(tcp(hang_up, "https"), UNAVAILABLE, 2, "TLS", SETTING),
    "handshake refused": Fault(tcp(alert, "https"), UNAVAILABLE, 2, "TLS", SETTING),
    "plain HTTP on a TLS port": Fault(tcp(plain_http, "https"), UNAVAILABLE, 2, "TLS", SETTING),
    "TLS on a plain port": Fault(tls_on_a_plain_port, UNAVAILABLE, 2, "", ""),
    "bad TLS record": Fault(after_handshake(b"\x17\x03\x03\x00\x20" + b"\0" * 32), UNAVAILABLE, 2, "TLS", ""),
    "TLS alert in the clear": Fault(after_handshake(b"\x15\x03\x03\x00\x02\x02\x0a"), UNAVAILABLE, 2, "TLS", ""),
    "TLS cut off": Fault(after_handshake(b""), UNAVAILABLE, 2, "", ""),
}
