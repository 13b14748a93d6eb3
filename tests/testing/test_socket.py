"""FakeMoss over a socket: every byte of it, connections that break, TLS, and what closing leaves behind."""

from __future__ import annotations

import gc
import json
import socket
import ssl
import threading
import warnings
from contextlib import suppress

import httpx2
import pytest
import trustme

from moss_voice_server.testing import FakeMoss, MockResponse
from tests.testing.asking import ask, dial, drain


def test_incomplete_request(moss: FakeMoss) -> None:
    """A connection that ends before its request is complete is not recorded and uses no queued response."""
    moss.queue(503)
    for said in (b"", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort"):
        client = dial(moss, said)
        client.shutdown(socket.SHUT_WR)
        assert b"" == drain(client)

    assert 0 == moss.count
    assert drain(dial(moss)).startswith(b"HTTP/1.1 503 ")


def test_endless_request(moss: FakeMoss) -> None:
    """Endless headers are read up to a limit."""
    with dial(moss, b"") as client, pytest.raises(OSError, match=r"Broken pipe|reset"):
        client.sendall(b"x" * (1 << 26))
    assert 0 == moss.count


def test_plain_response_on_the_wire(moss: FakeMoss) -> None:
    """Status line, three headers, JSON, and the end of the connection: nothing else."""
    body = json.dumps(moss.credentials)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"

    assert f"{head}\r\n{body}".encode() == drain(dial(moss))
    assert len(head) + 2 + len(body) == moss.bytes_sent


@pytest.mark.parametrize(
    ("answer", "line", "field", "body"),
    [
        (MockResponse(503), "503 Service Unavailable", "Content-Length: 32", b'{"error": "Service Unavailable"}'),
        (MockResponse(599), "599 ", "Content-Length: 20", b'{"error": "Unknown"}'),
        (MockResponse(204), "204 No Content", "Connection: close", b""),
        (MockResponse(json=None), "200 OK", "Content-Length: 4", b"null"),
        (MockResponse(401, body=b"\xff\x00"), "401 Unauthorized", "Content-Length: 2", b"\xff\x00"),
        (MockResponse(body=b"", headers={"content-TYPE": "text/html"}), "200 OK", "content-TYPE: text/html", b""),
        (
            MockResponse.redirect("http://127.0.0.1/", 307),
            "307 Temporary Redirect",
            "Location: http://127.0.0.1/",
            None,
        ),
        (MockResponse.retry_after("1e400"), "429 Too Many Requests", "Retry-After: 1e400", None),
    ],
    ids=repr,
)
def test_content_on_the_wire(moss: FakeMoss, answer: MockResponse, line: str, field: str, body: bytes | None) -> None:
    """Status, headers and body are as scripted; a Content-Type that is given replaces ours."""
    moss.queue(answer)
    head, _, rest = drain(dial(moss)).partition(b"\r\n\r\n")
    first, *others = head.decode().split("\r\n")

    assert (f"HTTP/1.1 {line}", True) == (first, field in others)
    assert 1 == sum(other.lower().startswith("content-type:") for other in others)
    assert body is None or body == rest


def test_close_leaves_no_thread_and_no_socket() -> None:
    """close() ends all threads and sockets, with any responses in flight."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()  # what earlier tests have left is not ours
    others = set(threading.enumerate())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        moss = FakeMoss().start()
        moss.queue(MockResponse(hang=True), MockResponse(delay=60), MockResponse(body=b" " * (64 << 20)))
        visitors = [
            dial(moss),
            dial(moss),
            dial(moss),
            dial(moss, b""),
        ]  # the third reads nothing, the last says nothing
        moss.wait_for(3)
        moss.close()
        for visitor in visitors:
            visitor.close()
        names = [thread.name for thread in {*threading.enumerate()} - others if thread.name.startswith("fake-moss")]
        del moss
        gc.collect()

    assert [] == names
    assert [] == [str(warning.message) for warning in caught]


def test_start_and_close_may_be_repeated() -> None:
    """start() and close() are idempotent; a closed port refuses, and a restart has the same URL."""
    moss = FakeMoss()
    moss.close()
    assert moss.start() is moss
    url = moss.start().url
    assert 200 == ask(moss).status_code

    moss.close()
    moss.close()
    with pytest.raises(httpx2.ConnectError):
        ask(moss)

    with moss:
        assert url == moss.url
        assert [200, 200] == [ask(moss, way).status_code for way in ("socket", "memory")]
    assert 3 == moss.count


def test_tls() -> None:
    """Over https a client that trusts the certificate gets a response, and one that does not refuses the connection."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with FakeMoss(ssl_context=context) as moss:
        assert moss.url.startswith("https://127.0.0.1:")
        with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            ask(moss)
        assert 0 == moss.count
        for way in ("socket", "socket-async"):
            assert moss.credentials == ask(moss, way, verify=trusting).json()
        silent = dial(moss, b"")  # no handshake at all; reset if it was not accepted yet
        moss.close()
        with suppress(ConnectionResetError):
            assert b"" == drain(silent)
