"""FakeMoss over a socket and in memory: responses, their order, held responses, and what closing leaves behind."""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
import trustme

from moss_voice_server.testing import FakeMoss, Headers, MockResponse
from tests.support.fault_response import FaultResponse

ENDPOINT = "/api/voice-agent/get-voice-agent"


def label(value: object) -> str:
    """A short name of a parameter for a test's id."""
    if isinstance(value, type):
        return value.__name__
    return repr(value) if isinstance(value, MockResponse) else f"{value!r:.24}"


def path_of(moss: FakeMoss) -> str:
    """The endpoint with the voice agent's id."""
    return f"{ENDPOINT}?voice_agent_id={moss.arguments['voice_agent_id']}"


def headers_of(moss: FakeMoss) -> dict[str, str]:
    """The headers of the right project."""
    return {"X-Project-Id": moss.arguments["project_id"], "X-Project-Key": moss.arguments["project_key"]}


def request_of(moss: FakeMoss) -> bytes:
    """The right request as bytes."""
    fields = {"Host": "moss", **headers_of(moss)}
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"GET {path_of(moss)} HTTP/1.1\r\n{lines}\r\n".encode()


def dial(moss: FakeMoss) -> socket.socket:
    """A connection with a timeout of ten seconds."""
    return socket.create_connection(("127.0.0.1", int(moss.url.rpartition(":")[2])), timeout=10)


def drain(client: socket.socket) -> tuple[bytes, str]:
    """All received bytes, and how the connection ended: "end" or "reset"."""
    received = b""
    try:
        while chunk := client.recv(65536):
            received += chunk
    except (ConnectionResetError, ssl.SSLEOFError):  # the latter is what Python 3.11's ssl makes of a reset
        return received, "reset"
    return received, "end"


def talk(moss: FakeMoss, request: bytes | None = None) -> tuple[bytes, str]:
    """Send the right request, or another, over a bare socket; the received bytes, and how the connection ended."""
    try:
        with dial(moss) as client:
            client.sendall(request_of(moss) if request is None else request)
            return drain(client)
    except ConnectionResetError:  # while we connected: a reset may be that quick
        return b"", "reset"


def split(received: bytes) -> tuple[bytes, bytes]:
    """The head, with its last line's end, and the body."""
    head, _, body = received.partition(b"\r\n\r\n")
    return head + b"\r\n", body


Ask = Callable[..., httpx2.Response]
# One for all: reading the system's certificates anew for every client would take most of this file's time.
TLS = ssl.create_default_context()
# Connecting may take long on a busy machine, so only the read timeout is short.
IMPATIENT = httpx2.Timeout(10, read=0.2)


def sync_over(transport: Callable[[FakeMoss], Any]) -> Ask:
    """Requests with httpx2.Client."""

    def ask(moss: FakeMoss, timeout: httpx2.Timeout | float | None = 10, **headers: str) -> httpx2.Response:
        client = httpx2.Client(transport=transport(moss), timeout=timeout, trust_env=False, verify=TLS)
        with client:
            return client.get(moss.url + path_of(moss), headers={**headers_of(moss), **headers})

    return ask


def async_over(transport: Callable[[FakeMoss], Any]) -> Ask:
    """Requests with httpx2.AsyncClient, in a new event loop."""

    async def fetch(moss: FakeMoss, timeout: httpx2.Timeout | float | None, headers: dict[str, str]) -> httpx2.Response:
        client = httpx2.AsyncClient(transport=transport(moss), timeout=timeout, trust_env=False, verify=TLS)
        async with client:
            return await client.get(moss.url + path_of(moss), headers={**headers_of(moss), **headers})

    def ask(moss: FakeMoss, timeout: httpx2.Timeout | float | None = 10, **headers: str) -> httpx2.Response:
        return asyncio.run(fetch(moss, timeout, headers))

    return ask


async def status_by(client: httpx2.AsyncClient, moss: FakeMoss) -> int:
    """The status of one answer; the client is closed."""
    async with client:
        return (await client.get(moss.url + path_of(moss), headers=headers_of(moss))).status_code


WAYS: dict[str, Ask] = {
    "socket-sync": sync_over(lambda moss: None),
    "socket-async": async_over(lambda moss: None),
    "memory-sync": sync_over(FakeMoss.transport),
    "memory-async": async_over(FakeMoss.transport),
}
in_every_way = pytest.mark.parametrize("ask", WAYS.values(), ids=WAYS)
over_sockets = pytest.mark.parametrize("ask", list(WAYS.values())[:2], ids=list(WAYS)[:2])


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Eight threads."""
    with ThreadPoolExecutor(8) as threads:
        yield threads


@in_every_way
def test_answers_the_credentials(moss: FakeMoss, ask: Ask) -> None:
    """The project and its voice agent get the four fields."""
    response = ask(moss)

    assert 200 == response.status_code
    assert moss.credentials == response.json()
    assert "application/json" == response.headers["content-type"]


def test_credentials_are_random_unless_given() -> None:
    """Two fakes share no key, secret, project or agent; arguments are used unchanged."""
    with FakeMoss() as one, FakeMoss() as two:
        for name in ("project_id", "project_key", "voice_agent_id", "api_url"):
            assert one.arguments[name] != two.arguments[name]
        for name in ("voice_agent_api_key", "voice_agent_api_secret"):
            assert one.credentials[name] != two.credentials[name]
        assert "wss://example.livekit.cloud" == one.credentials["voice_agent_url"]
        assert len(one.credentials["voice_agent_api_secret"].encode()) >= 32

    given = FakeMoss(url="ws://127.0.0.1:7880", api_key="devkey", api_secret="secret", agent_name="")
    assert {
        "voice_agent_url": "ws://127.0.0.1:7880",
        "voice_agent_api_key": "devkey",
        "voice_agent_api_secret": "secret",
        "voice_agent_name": "",
    } == given.credentials


def test_environ_and_arguments_agree() -> None:
    """The variables of from_env and the arguments of create have the same values."""
    with FakeMoss(project_id="p", project_key="k", voice_agent_id="v a/&") as moss:
        assert {"project_id": "p", "project_key": "k", "voice_agent_id": "v a/&", "api_url": moss.url} == moss.arguments
        names = ["MOSS_PROJECT_ID", "MOSS_PROJECT_KEY", "MOSS_VOICE_AGENT_ID", "MOSS_PLATFORM_API_URL"]
        assert dict(zip(names, moss.arguments.values(), strict=True)) == moss.environ


def test_large_request_body(moss: FakeMoss) -> None:
    """A POST whose body is larger than any buffer is read to its end, so that its 405 arrives."""
    response = httpx2.post(moss.url + path_of(moss), content=b"x" * 500_000, trust_env=False)

    assert 405 == response.status_code


@in_every_way
def test_rotate(moss: FakeMoss, ask: Ask) -> None:
    """rotate() sets a random key and secret, or the given ones; other fields change only when given."""
    before = moss.credentials
    after = moss.rotate()

    assert after == moss.credentials == ask(moss).json()
    assert before["voice_agent_api_key"] != after["voice_agent_api_key"]
    assert before["voice_agent_api_secret"] != after["voice_agent_api_secret"]
    assert before["voice_agent_url"] == after["voice_agent_url"]
    assert before["voice_agent_name"] == after["voice_agent_name"]

    moss.rotate(api_key="k", api_secret="s", url="wss://other", agent_name="")
    assert ["wss://other", "k", "s", ""] == list(ask(moss).json().values())


def test_response_of_another_type() -> None:
    """A value that is not a response is a TypeError at the call."""
    answer: Any
    for answer in ["503", [503, 200], None, True, FaultResponse]:
        moss = FakeMoss()
        for script in (moss.queue, moss.set_default):
            with pytest.raises(TypeError, match="a MockResponse or a status such as 503"):
                script(answer)


@in_every_way
def test_etag_and_max_age(moss: FakeMoss, ask: Ask) -> None:
    """With etag on, a known tag gets 304 until the credentials change; max_age becomes Cache-Control."""
    plain = ask(moss).headers
    assert "etag" not in plain
    assert "cache-control" not in plain

    moss.max_age = 30 * 86_400
    assert "max-age=2592000" == ask(moss).headers["cache-control"]

    moss.etag, moss.max_age = True, 60
    first = ask(moss)
    tag = first.headers["etag"]
    assert (200, "max-age=60") == (first.status_code, first.headers["cache-control"])
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = ask(moss, **{"If-None-Match": known})
        assert (304, b"", tag) == (again.status_code, again.content, again.headers["etag"])
        assert "max-age=60" == again.headers["cache-control"]
    assert 200 == ask(moss, **{"If-None-Match": '"x"'}).status_code
    assert 401 == ask(moss, **{"If-None-Match": tag, "X-Project-Key": "wrong"}).status_code

    moss.rotate()
    assert 200 == ask(moss, **{"If-None-Match": tag}).status_code
    moss.etag = False
    assert 200 == ask(moss, **{"If-None-Match": "*"}).status_code


@in_every_way
def test_script_is_played_in_order(moss: FakeMoss, ask: Ask) -> None:
    """Queued responses come first and in order, then the default, then the API's own."""
    moss.queue(503, MockResponse(429, headers={"Retry-After": "2"}))
    moss.queue(500)
    moss.set_default(502)
    assert [503, 429, 500, 502, 502] == [ask(moss).status_code for _ in range(5)]

    moss.queue(500, 500)
    moss.reset()
    assert 200 == ask(moss).status_code


@in_every_way
def test_response_with_headers_only(moss: FakeMoss, ask: Ask) -> None:
    """A MockResponse without content keeps the API's own body and its check of the key, and adds its headers."""
    moss.max_age = 60
    moss.set_default(MockResponse(headers={"cache-control": "no-store", "X-More": "1"}))
    right, wrong = ask(moss), ask(moss, **{"X-Project-Key": "wrong"})

    assert (moss.credentials, "no-store", "1") == (
        right.json(),
        right.headers["cache-control"],
        right.headers["x-more"],
    )
    assert 401 == wrong.status_code


def test_headers_ignore_case() -> None:
    """Headers is a mapping without regard to case; a repeated one is joined by a comma."""
    headers = Headers([("A", "1"), ("a", "2"), ("X-Project-Key", "hidden")])

    assert {"a": "1, 2", "x-project-key": "hidden"} == dict(headers)
    assert ("1, 2", None) == (headers["A"], headers.get("b"))


@in_every_way
def test_requests_are_recorded(ask: Ask) -> None:
    """A recorded request has method, path with query, headers in any case, and the time of the given clock."""
    ticks = itertools.count(100.0, 0.5)
    with FakeMoss(clock=lambda: next(ticks)) as moss:
        ask(moss)
        ask(moss, Accept="text/plain")
        first, second = moss.requests

        assert 2 == moss.count
        assert ("GET", path_of(moss)) == (first.method, first.path)
        assert moss.arguments["project_key"] == first.headers["X-PROJECT-key"]
        assert "text/plain" == second.headers["accept"]
        assert (100.0, 100.5) == (first.time, second.time)


def test_wait_for(moss: FakeMoss, pool: ThreadPoolExecutor) -> None:
    """wait_for returns the requests once there are enough, or fails with their number."""
    moss.set_default(MockResponse(hang=True))
    waiting = pool.submit(moss.wait_for, 2)
    asked = [pool.submit(talk, moss) for _ in range(2)]

    assert 2 == len(waiting.result(10))
    with pytest.raises(AssertionError, match=r"2 of 3 requests arrived within 0\.01 s"):
        moss.wait_for(3, timeout=0.01)
    with pytest.raises(AssertionError, match=r"2 responses were not finished after 0\.01 s, 2 of them waiting"):
        moss.wait_idle(timeout=0.01)
    moss.release()
    moss.wait_idle()
    assert ["end", "end"] == [future.result(10)[1] for future in asked]


def test_incomplete_request(moss: FakeMoss) -> None:
    """A connection that ends before its request is complete is not recorded and uses no queued response."""
    moss.queue(503)
    for said in (b"", b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nshort"):
        with dial(moss) as client:
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            assert (b"", "end") == drain(client)

    assert 0 == moss.count
    assert talk(moss)[0].startswith(b"HTTP/1.1 503 ")


def test_endless_request(moss: FakeMoss) -> None:
    """Endless headers are read up to a limit."""
    with dial(moss) as client, pytest.raises(OSError, match=r"Broken pipe|reset"):
        client.sendall(b"x" * (1 << 26))
    assert 0 == moss.count


@in_every_way
def test_release(moss: FakeMoss, pool: ThreadPoolExecutor, ask: Ask) -> None:
    """A held response counts as in flight, has the credentials of the request's arrival, and is sent after release()."""
    moss.queue(MockResponse(hang=True))
    before = moss.credentials
    asked = pool.submit(ask, moss)
    moss.wait_for(1)
    assert 1 == moss.in_flight

    moss.rotate()
    moss.release()

    assert before == asked.result(10).json()
    moss.wait_idle()
    assert 0 == moss.in_flight


@in_every_way
def test_close_drops_held_responses(moss: FakeMoss, pool: ThreadPoolExecutor, ask: Ask) -> None:
    """close() ends held and delayed responses without sending any of them."""
    moss.queue(MockResponse(hang=True), MockResponse(delay=60))
    asked = [pool.submit(ask, moss) for _ in range(2)]
    moss.wait_for(2)

    moss.close()

    for future in asked:
        with pytest.raises(httpx2.RemoteProtocolError):
            future.result(10)


@in_every_way
def test_client_that_disconnects(moss: FakeMoss, ask: Ask) -> None:
    """When the client disconnects, its held or delayed response ends without release()."""
    moss.queue(MockResponse(hang=True), MockResponse(delay=60))
    for _ in range(2):
        with pytest.raises(httpx2.ReadTimeout):
            ask(moss, timeout=IMPATIENT)

    moss.wait_idle()
    assert 0 == moss.in_flight


def test_the_plain_answer_on_the_wire(moss: FakeMoss) -> None:
    """Status line, three headers, JSON, and the end of the connection: nothing else."""
    body = json.dumps(moss.credentials).encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    ).encode()

    assert (head + b"\r\n" + body, "end") == talk(moss)
    assert len(head) + 2 + len(body) == moss.bytes_sent


@pytest.mark.parametrize(
    ("answer", "line", "field", "body"),
    [
        (MockResponse(503), b"503 Service Unavailable", b"Content-Length: 32", b'{"error": "Service Unavailable"}'),
        (MockResponse(599), b"599 ", b"Content-Length: 20", b'{"error": "Unknown"}'),
        (MockResponse(204), b"204 No Content", b"Connection: close", b""),
        (MockResponse(json=None), b"200 OK", b"Content-Length: 4", b"null"),
        (MockResponse(json=[1, "a"]), b"200 OK", b"Content-Length: 8", b'[1, "a"]'),
        (MockResponse(401, body=b"\xff\x00"), b"401 Unauthorized", b"Content-Length: 2", b"\xff\x00"),
        (MockResponse(body=b"", headers={"content-TYPE": "text/html"}), b"200 OK", b"content-TYPE: text/html", b""),
        (
            MockResponse.redirect("http://127.0.0.1/", 307),
            b"307 Temporary Redirect",
            b"Location: http://127.0.0.1/",
            None,
        ),
        (MockResponse.retry_after("1e400"), b"429 Too Many Requests", b"Retry-After: 1e400", None),
        (FaultResponse(body=b"four", content_length=9), b"200 OK", b"Content-Length: 9", b"four"),
        (FaultResponse(size=70_000, truncate=66_000), b"200 OK", b"Content-Length: 70000", b" " * 66_000),
    ],
    ids=label,
)
def test_content_on_the_wire(
    moss: FakeMoss, answer: MockResponse, line: bytes, field: bytes, body: bytes | None
) -> None:
    """Status, headers and body are as scripted; a Content-Type that is given replaces ours."""
    moss.queue(answer)
    received, ending = talk(moss)
    head, rest = split(received)
    first, *others = head.split(b"\r\n")[:-1]

    assert ("end", b"HTTP/1.1 " + line) == (ending, first)
    assert field in others
    assert 1 == sum(other.lower().startswith(b"content-type:") for other in others)
    assert body is None or body == rest


def test_delay_on_the_wire(moss: FakeMoss) -> None:
    """No byte is sent before the end of the delay."""
    moss.queue(MockResponse(body=b"x", delay=0.2))
    with dial(moss) as client:
        client.sendall(request_of(moss))
        begun = time.monotonic()
        assert client.recv(1)
        assert time.monotonic() - begun >= 0.19


@pytest.mark.once
@over_sockets
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (FaultResponse(truncate=5), httpx2.RemoteProtocolError),
        (FaultResponse(chunked_garbage=True), httpx2.RemoteProtocolError),
        (FaultResponse(endless_headers=True), httpx2.RemoteProtocolError),
        (FaultResponse(raw=b"garbage\r\n\r\n"), httpx2.RemoteProtocolError),
        (MockResponse(body=b"no gzip", headers={"Content-Encoding": "gzip"}), httpx2.DecodingError),
        (FaultResponse(reset="request"), httpx2.ReadError),
        (FaultResponse(reset="headers"), httpx2.ReadError),
        (MockResponse(delay=60), httpx2.ReadTimeout),
        (MockResponse(hang=True), httpx2.ReadTimeout),
        (FaultResponse(hang_after_headers=True), httpx2.ReadTimeout),
        (FaultResponse(trickle=60, trickle_from="body"), httpx2.ReadTimeout),
        (FaultResponse(gzip_bomb=2_000_000), b" " * 2_000_000),
        (FaultResponse(body=b"x", delay=0.05, trickle=0.01), b"x"),
    ],
    ids=label,
)
def test_faults(moss: FakeMoss, ask: Ask, answer: FaultResponse, expected: type[Exception] | bytes) -> None:
    """Each fault has its class of httpx2's, which names its request."""
    moss.queue(answer)
    if isinstance(expected, bytes):
        assert expected == ask(moss).content
        return
    with pytest.raises(expected) as caught:
        ask(moss, timeout=IMPATIENT if expected is httpx2.ReadTimeout else 10)

    assert isinstance(caught.value, httpx2.RequestError)
    assert path_of(moss) == caught.value.request.url.raw_path.decode()
    assert 1 == moss.count
    assert 200 == ask(moss).status_code


def test_memory_needs_no_socket(pool: ThreadPoolExecutor) -> None:
    """The transport works before start(), for any host; close() drops held responses, and later requests fail."""
    moss = FakeMoss(project_id="p", project_key="k", voice_agent_id="v")
    headers = {"X-Project-Id": "p", "X-Project-Key": "k"}
    with httpx2.Client(transport=moss.transport()) as client:
        url = f"https://service.example{ENDPOINT}?voice_agent_id=v"
        assert moss.credentials == client.get(url, headers=headers).json()
        moss.queue(MockResponse(hang=True))
        held = pool.submit(client.get, url)
        moss.wait_for(2)
        moss.close()
        with pytest.raises(httpx2.RemoteProtocolError):
            held.result(10)
        with pytest.raises(httpx2.ConnectError, match="closed"):
            client.get(url, headers=headers)


def test_memory_is_bound_to_no_loop(moss: FakeMoss, pool: ThreadPoolExecutor) -> None:
    """One transport serves four event loops and four plain threads at once, with held responses."""
    transport = moss.transport()

    def fetch() -> int:
        return asyncio.run(status_by(httpx2.AsyncClient(transport=transport), moss))

    def get() -> int:
        return sync_over(lambda _: transport)(moss).status_code

    moss.set_default(MockResponse(hang=True))
    for turn in range(3):
        asked = [pool.submit(fetch) for _ in range(4)]
        asked += [pool.submit(get) for _ in range(4)]
        moss.wait_for(8 * (turn + 1))
        moss.release()
        assert [200] * 8 == [future.result(10) for future in asked]
        moss.wait_idle()


def test_memory_waits_can_be_injected(moss: FakeMoss) -> None:
    """A given sleep function is called for each wait with its seconds, and there is no real wait."""
    slept: list[float] = []

    async def async_sleep(seconds: float) -> None:
        slept.append(seconds)
        moss.release()

    def sleep(seconds: float) -> None:
        slept.append(seconds)

    transport = moss.transport(sleep=sleep, async_sleep=async_sleep, limit=1000)
    get, fetch = sync_over(lambda _: transport), async_over(lambda _: transport)

    moss.queue(MockResponse(delay=300), MockResponse(delay=7), MockResponse(hang=True), MockResponse(hang=True))
    assert 200 == get(moss, timeout=500).status_code
    assert 200 == fetch(moss).status_code
    with pytest.raises(httpx2.ReadTimeout):
        get(moss, timeout=500)
    assert 200 == fetch(moss, timeout=None).status_code  # the injected sleep has released it
    assert [300, 7, 500, 1000] == slept


@pytest.mark.parametrize("over", [sync_over, async_over])
def test_memory_waits_are_bounded(moss: FakeMoss, over: Callable[[Callable[[FakeMoss], Any]], Ask]) -> None:
    """Without any timeout of the client, all waits together last no longer than the limit."""
    moss.queue(MockResponse(hang=True))
    with pytest.raises(httpx2.ReadTimeout):
        over(lambda fake: fake.transport(limit=0.2))(moss, timeout=None)


def test_memory_cancelled_task_is_no_longer_held(moss: FakeMoss) -> None:
    """Cancelling the task that waits ends its exchange."""
    moss.queue(MockResponse(hang=True))

    async def cancel() -> None:
        async with httpx2.AsyncClient(transport=moss.transport()) as client:
            task = asyncio.create_task(client.get(moss.url + path_of(moss), headers=headers_of(moss)))
            await asyncio.to_thread(moss.wait_for, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancel())
    moss.wait_idle()
    assert 0 == moss.in_flight


def test_start_and_close_may_be_repeated() -> None:
    """start() and close() are idempotent; a closed port refuses, and a restart has the same URL."""
    moss = FakeMoss()
    moss.close()
    assert moss.start() is moss
    url = moss.start().url
    assert 200 == WAYS["socket-sync"](moss).status_code

    moss.close()
    moss.close()
    with pytest.raises(httpx2.ConnectError):
        WAYS["socket-sync"](moss)

    with moss:
        assert url == moss.url
        assert 200 == WAYS["socket-sync"](moss).status_code
        assert 200 == WAYS["memory-sync"](moss).status_code
    assert 3 == moss.count


def test_close_leaves_no_thread_and_no_socket(pool: ThreadPoolExecutor) -> None:
    """close() ends all threads and sockets, with any responses in flight."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()  # what earlier tests have left is not ours
    others = set(threading.enumerate())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        moss = FakeMoss().start()
        moss.queue(
            MockResponse(hang=True), MockResponse(delay=60), FaultResponse(trickle=60), FaultResponse(endless_body=True)
        )
        visitors = [dial(moss) for _ in range(5)]  # the fifth says nothing
        for visitor in visitors[:4]:
            visitor.sendall(request_of(moss))
        moss.wait_for(4)
        moss.close()
        for visitor in visitors:
            visitor.close()
        ours = set(threading.enumerate()) - others
        names = [thread.name for thread in ours if thread.name.startswith("fake-moss")]
        del moss
        gc.collect()

    assert [] == names
    assert [] == [str(warning.message) for warning in caught]


def test_repr_hides_secrets(moss: FakeMoss) -> None:
    """No rendering of the fake, its responses or its requests shows the secret or the project key."""
    scripted = MockResponse(json=moss.credentials, headers={"X-Secret": moss.credentials["voice_agent_api_secret"]})
    moss.queue(scripted)
    talk(moss)
    texts = [f"{thing!r}{thing!s}" for thing in (moss, moss.requests, moss.requests[0].headers, scripted)]

    for text in texts:
        assert moss.credentials["voice_agent_api_secret"] not in text
        assert moss.arguments["project_key"] not in text
    assert f"<FakeMoss started {moss.url}, 1 requests, 0 waiting>" == repr(moss)
    assert "MockResponse(json=<given>, headers=['X-Secret'])" == repr(scripted)
    assert "MockResponse()" == repr(MockResponse())
    assert "MockResponse(status=503, body=<2 bytes>, delay=0.5)" == repr(MockResponse(503, body=b"ab", delay=0.5))


def test_contradictory_responses_are_rejected() -> None:
    """A contradiction or a value out of range is an error in the test's own line that names the field."""
    fields: Any
    for fields, reason in [
        ({"json": 1, "body": b""}, "json and body exclude each other"),
        ({"status": 99}, "status must be 100 to 999, not 99"),
        ({"delay": -1}, "delay must be a finite number"),
        ({"headers": {"A": "b\r\nC: d"}}, "headers must be one line"),
        ({"headers": {"A": "\u20ac"}}, "headers must be one line"),
        ({"headers": {"": "b"}}, "headers must be one line"),
        ({"body": "{}"}, "body must be bytes, not str"),
    ]:
        with pytest.raises((TypeError, ValueError), match=reason):
            MockResponse(**fields)


def test_import_is_light() -> None:
    """Importing the fake loads neither the HTTP client nor asyncio."""
    code = "import sys, moss_voice_server.testing as t; print({'httpx2', 'asyncio'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "set()" == done.stdout.strip()


def test_tls() -> None:
    """Over https a client that trusts the certificate gets a response, and one that does not refuses the connection."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with FakeMoss(ssl_context=context) as moss:
        url, headers = moss.url + path_of(moss), headers_of(moss)
        assert moss.url.startswith("https://127.0.0.1:")
        with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx2.get(url, headers=headers, verify=TLS, trust_env=False)
        assert 0 == moss.count
        assert moss.credentials == httpx2.get(url, headers=headers, verify=trusting, trust_env=False).json()
        client = httpx2.AsyncClient(verify=trusting, trust_env=False)
        assert 200 == asyncio.run(status_by(client, moss))
        with dial(moss) as silent:  # no handshake at all; reset if it was not accepted yet
            moss.close()
            assert b"" == drain(silent)[0]


def test_kept_requests_are_bounded() -> None:
    """With `kept_requests` only the newest are kept, authorized or not, and `count` counts all."""
    with FakeMoss(kept_requests=2) as moss:
        for number in range(4):
            httpx2.get(f"{moss.url}/{number}")
        assert ["/2", "/3"] == [each.path for each in moss.requests]
        assert (4, "/3") == (moss.count, moss.wait_for(4)[-1].path)
