"""One request, sent in every way: on a thread, on asyncio and trio, with and without a transport."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
import trio

from moss_voice_server import MossVoiceServer
from moss_voice_server._credentials.fetch import FIELDS
from moss_voice_server._http.client import send, send_async
from moss_voice_server._http.model import Answer, Attempt, Peer, Request, Response, TransportError
from moss_voice_server._secret import Secret
from moss_voice_server.testing import FakeMoss, MockResponse
from tests.support.sockets import closed_port, listener

PEER = Peer("LiveKit", "LIVEKIT_URL")


def new_transport() -> httpx2.AsyncHTTPTransport:
    """Of the event loop that runs it."""
    return httpx2.AsyncHTTPTransport(verify=False)


WAYS: dict[str, Callable[[Attempt], Answer]] = {
    "thread": send,
    "thread, transport": lambda attempt: send(attempt, httpx2.HTTPTransport(verify=False)),
    "asyncio": lambda attempt: asyncio.run(send_async(attempt)),
    "asyncio, transport": lambda attempt: asyncio.run(send_async(attempt, new_transport())),
    "trio": lambda attempt: trio.run(send_async, attempt),
    "trio, transport": lambda attempt: trio.run(send_async, attempt, new_transport()),
}


@pytest.fixture(params=WAYS)
def sent(request: pytest.FixtureRequest) -> Callable[[Attempt], Answer]:
    """Each way."""
    return WAYS[request.param]


def attempt(url: str, method: str = "GET", timeout: float = 5.0, **options: Any) -> Attempt:
    """An attempt to send that."""
    return Attempt(Request(PEER, method, url, **options), 0.0, timeout)


def test_request_arrives_whole(sent: Callable[[Attempt], Answer], moss: FakeMoss) -> None:
    """Method, path, headers, secret headers and body; no compression is requested."""
    moss.set_default(MockResponse(body=b'{"rooms": []}'))
    answer = sent(
        attempt(
            f"{moss.url}/twirp/livekit.RoomService/ListRooms?a=b",
            "POST",
            headers=(("Content-Type", "application/json"),),
            secret_headers=(("Authorization", Secret("Bearer token")),),
            body=Secret(b'{"names": []}'),
        )
    )

    assert isinstance(answer, Response), answer
    assert (200, b'{"rooms": []}') == (answer.status, answer.body.reveal())
    (got,) = moss.requests
    assert ("POST", "/twirp/livekit.RoomService/ListRooms?a=b", b'{"names": []}') == (got.method, got.path, got.body)
    wanted = {"content-type": "application/json", "authorization": "Bearer token", "accept-encoding": "identity"}
    assert wanted.items() <= dict(got.headers).items()


# Options of the request, and the names of the kept headers.
KEPT: list[tuple[dict[str, Any], set[str]]] = [
    ({}, {"retry-after"}),
    ({"kept_headers": frozenset({"x-request-id"})}, {"x-request-id"}),
    ({"kept_headers": None}, {"retry-after", "x-request-id", "content-type", "content-length", "connection"}),
]


def test_kept_headers(sent: Callable[[Attempt], Answer], moss: FakeMoss) -> None:
    """The default ones, those that the request names, or all; names in lower case."""
    moss.set_default(MockResponse(json={}, headers={"X-Request-Id": "7", "Retry-After": "3"}))
    for options, names in KEPT:
        answer = sent(attempt(moss.url, **options))
        assert isinstance(answer, Response)
        assert names == set(answer.headers) - {"date", "server"}


@pytest.mark.parametrize(("reads", "expected"), [(False, b""), (True, b'{"code": "not_found"}')])
def test_body_of_an_error(sent: Callable[[Attempt], Answer], moss: FakeMoss, reads: bool, expected: bytes) -> None:
    """It is read only on request."""
    moss.set_default(MockResponse(404, json={"code": "not_found"}))
    answer = sent(attempt(moss.url, reads_error_body=reads))

    assert isinstance(answer, Response)
    assert (404, expected) == (answer.status, answer.body.reveal())


# The HTTP client leaves inner generators of a stream that is not read to its end to the collector, which trio reports.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(("size", "is_truncated"), [(1000, False), (1001, True)])
def test_longest_body(sent: Callable[[Attempt], Answer], moss: FakeMoss, size: int, is_truncated: bool) -> None:
    """Of each request; a longer one says so, and is not half there."""
    moss.set_default(MockResponse(body=b"x" * size))
    answer = sent(attempt(moss.url, max_body=1000))

    assert isinstance(answer, Response)
    assert is_truncated == answer.is_truncated
    assert len(answer.body.reveal()) in (0, 1000)


def test_failure_names_the_peer(sent: Callable[[Attempt], Answer]) -> None:
    """Message and remedy apart."""
    error = sent(attempt(f"http://127.0.0.1:{closed_port()}"))

    assert isinstance(error, TransportError)
    assert "connection refused" == error.message
    assert "LIVEKIT_URL" in error.remedy
    assert error.retry


@pytest.mark.parametrize(
    ("name", "value"),
    [("X-Key\r\nX-Injected", "moss-key"), ("X Key", "moss-key"), ("X-Kéy", "moss-key"), ("", "moss-key")]
    + [("X-Key", f"1{sign}X-Injected: moss-key") for sign in ("\r\n", "\n", "\0")],
)
def test_header_injection_is_refused(sent: Callable[[Attempt], Answer], moss: FakeMoss, name: str, value: str) -> None:
    """A header that is not valid HTTP is an error that shows neither name nor value, and nothing is sent."""
    error = sent(attempt(moss.url, secret_headers=((name, Secret(value)),)))

    assert isinstance(error, TransportError), error
    assert "not valid HTTP" in error.message
    assert not error.retry
    assert "moss-key" not in repr(error)
    assert 0 == moss.count


@pytest.mark.parametrize("host", ["a..example", "ex ample", "[::1"])
def test_invalid_host(sent: Callable[[Attempt], Answer], host: str) -> None:
    """Such a URL is an error, and not an exception of the resolver."""
    error = sent(attempt(f"http://{host}:1/"))
    assert isinstance(error, TransportError), error
    assert "LIVEKIT_URL" in error.remedy


class Interrupted(httpx2.BaseTransport):
    """A transport that is interrupted from the keyboard."""

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Has the secret in its frame."""
        header = request.headers["X-Key"]
        raise KeyboardInterrupt(len(header))


def names_of_frames(error: BaseException) -> list[str]:
    """The functions in its traceback."""
    return [frame.name for frame in traceback.extract_tb(error.__traceback__)]


def test_interruption_has_no_frames_of_the_client() -> None:
    """Ctrl-C goes through, and no variable of a frame below ours is left in its traceback."""
    secret = (("X-Key", Secret("moss-key")),)
    with pytest.raises(KeyboardInterrupt) as caught:
        send(attempt("http://127.0.0.1:1", secret_headers=secret), Interrupted())

    assert ["test_interruption_has_no_frames_of_the_client", "send"] == names_of_frames(caught.value)
    assert caught.value.__context__ is None


def test_cancelled_request_is_left_alone(moss: FakeMoss) -> None:
    """A coroutine that is cancelled ends at once; the request goes on in its thread, within its deadline."""

    async def story() -> bool:
        task = asyncio.create_task(send_async(attempt(moss.url)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(story())


def test_replaced_async_client_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that were written for 0.1.0 replace `AsyncClient`: the async class and coroutines send with theirs."""
    original = httpx2.AsyncClient
    fields = dict.fromkeys(FIELDS, "wss://livekit.example/" + "x" * 32)
    transport = httpx2.MockTransport(lambda _request: httpx2.Response(200, json=fields))
    monkeypatch.setattr(httpx2, "AsyncClient", lambda **keywords: original(**{**keywords, "transport": transport}))

    server = asyncio.run(MossVoiceServer.create("project", "moss-key", "agent", "https://moss.example"))
    answer = asyncio.run(send_async(attempt("https://moss.example")))

    assert fields["voice_agent_name"] == server.get_agent_name()
    assert isinstance(answer, Response)


def test_body_that_is_not_read(sent: Callable[[Attempt], Answer]) -> None:
    """A server that reads some bytes now and then satisfies every write's timeout; the deadline ends it."""

    def talk(client: socket.socket, done: threading.Event) -> None:
        while not done.wait(0.02) and client.recv(100_000):
            pass

    with listener(talk) as (port, _):
        body = Secret(bytes(40 * 1024 * 1024))
        error = sent(attempt(f"http://127.0.0.1:{port}", "POST", body=body, timeout=0.3))

    assert isinstance(error, TransportError)
    assert "timed out after 0.3 seconds" in error.message


def test_compression_shows_without_its_header(sent: Callable[[Attempt], Answer], moss: FakeMoss) -> None:
    """A caller that keeps other headers still learns that the body was not read."""
    moss.set_default(MockResponse(json={}, headers={"Content-Encoding": "gzip"}))
    answer = sent(attempt(moss.url, kept_headers=frozenset({"etag"})))

    assert isinstance(answer, Response)
    assert (True, b"") == (answer.is_compressed, answer.body.reveal())


class TimeLimit(Exception):
    """What a task queue raises from a signal handler when a task takes too long."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs Unix signals")
def test_exception_of_a_signal_handler_goes_through() -> None:
    """It stops the caller, as it has to: it is not turned into a transport error, and not retried."""

    def stop(*_arguments: object) -> None:
        raise TimeLimit

    before = signal.signal(signal.SIGALRM, stop)
    try:
        with listener(lambda _client, done: done.wait(30)) as (port, _):
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            with pytest.raises(TimeLimit) as caught:
                send(attempt(f"http://127.0.0.1:{port}", timeout=30.0))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert ["test_exception_of_a_signal_handler_goes_through", "send"] == names_of_frames(caught.value)
