"""FakeMoss: its credentials, queued and held responses, and recorded requests, over a socket and in memory."""

from __future__ import annotations

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from moss_voice_server.testing import FakeMoss, Headers, MockResponse
from tests.testing.asking import WAYS, ask, dial, drain, path_of

# Connecting may take long on a busy machine, so only the read timeout is short.
IMPATIENT = httpx2.Timeout(10, read=0.2)


in_every_way = pytest.mark.parametrize("way", WAYS)


def test_credentials_are_random_unless_given() -> None:
    """Two fakes share no key, secret, project or agent; arguments are used unchanged."""
    one, two = FakeMoss(), FakeMoss()
    assert not set(one.arguments.values()) & set(two.arguments.values()) - {one.url}
    assert {"wss://example.livekit.cloud", "example-agent"} == {*one.credentials.values()} & {*two.credentials.values()}
    assert len(one.credentials["voice_agent_api_secret"].encode()) >= 32

    given = FakeMoss(url="ws://127.0.0.1:7880", api_key="devkey", api_secret="secret", agent_name="")
    assert ["ws://127.0.0.1:7880", "devkey", "secret", ""] == list(given.credentials.values())


def test_environ_and_arguments_agree() -> None:
    """The variables of from_env and the arguments of create have the same values."""
    with FakeMoss(project_id="p", project_key="k", voice_agent_id="v a/&") as moss:
        assert {"project_id": "p", "project_key": "k", "voice_agent_id": "v a/&", "api_url": moss.url} == moss.arguments
        names = ["MOSS_PROJECT_ID", "MOSS_PROJECT_KEY", "MOSS_VOICE_AGENT_ID", "MOSS_PLATFORM_API_URL"]
        assert dict(zip(names, moss.arguments.values(), strict=True)) == moss.environ


@in_every_way
def test_rotate(moss: FakeMoss, way: str) -> None:
    """rotate() sets a random key and secret, or the given ones; other fields change only when given."""
    before, after = moss.credentials, moss.rotate()

    assert after == moss.credentials == ask(moss, way).json()
    changed = {name for name, value in before.items() if value != after[name]}
    assert {"voice_agent_api_key", "voice_agent_api_secret"} == changed
    moss.rotate(api_key="k", api_secret="s", url="wss://other", agent_name="")
    assert ["wss://other", "k", "s", ""] == list(ask(moss, way).json().values())


def test_response_of_another_type() -> None:
    """A value that is not a response is a TypeError at the call."""
    answer: Any
    for answer in ["503", [503, 200], None, True, MockResponse]:
        for script in (FakeMoss().queue, FakeMoss().set_default):
            with pytest.raises(TypeError, match="a MockResponse or a status such as 503"):
                script(answer)


def test_etag_and_max_age(moss: FakeMoss) -> None:
    """With etag on, a known tag gets 304 until the credentials change; max_age becomes Cache-Control."""
    assert {"etag", "cache-control"}.isdisjoint(ask(moss).headers)

    moss.etag, moss.max_age = True, 30 * 86_400
    first = ask(moss)
    tag = first.headers["etag"]
    assert (200, "max-age=2592000") == (first.status_code, first.headers["cache-control"])
    for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        again = ask(moss, headers={"If-None-Match": known})
        found = (again.status_code, again.content, again.headers["etag"], again.headers["cache-control"])
        assert (304, b"", tag, "max-age=2592000") == found
    assert 200 == ask(moss, headers={"If-None-Match": '"x"'}).status_code
    assert 401 == ask(moss, headers={"If-None-Match": tag, "X-Project-Key": "wrong"}).status_code

    moss.rotate()
    assert 200 == ask(moss, headers={"If-None-Match": tag}).status_code
    moss.etag = False
    assert 200 == ask(moss, headers={"If-None-Match": "*"}).status_code


@in_every_way
def test_script_is_played_in_order(moss: FakeMoss, way: str) -> None:
    """Queued responses come first and in order, then the default, then the API's own."""
    moss.queue(503, MockResponse(429), 500)
    moss.set_default(502)
    assert [503, 429, 500, 502, 502] == [ask(moss, way).status_code for _ in range(5)]

    moss.queue(500, 500)
    moss.reset()
    assert 200 == ask(moss, way).status_code


@in_every_way
def test_response_with_headers_only(moss: FakeMoss, way: str) -> None:
    """A MockResponse without content keeps the API's own body and its check of the key, and adds its headers."""
    moss.max_age = 60
    moss.set_default(MockResponse(headers={"cache-control": "no-store", "X-More": "1"}))
    right, wrong = ask(moss, way), ask(moss, way, headers={"X-Project-Key": "wrong"})

    assert (moss.credentials, 401) == (right.json(), wrong.status_code)
    assert ("no-store", "1") == (right.headers["cache-control"], right.headers["x-more"])


def test_headers_ignore_case() -> None:
    """Headers is a mapping without regard to case; a repeated one is joined by a comma."""
    headers = Headers([("A", "1"), ("a", "2"), ("X-Project-Key", "hidden")])

    assert {"a": "1, 2", "x-project-key": "hidden"} == dict(headers)
    assert ("1, 2", None) == (headers["A"], headers.get("b"))


@in_every_way
def test_requests_are_recorded(way: str) -> None:
    """A recorded request has method, path with query, headers in any case, and the time of the given clock."""
    ticks = itertools.count(100.0, 0.5)
    with FakeMoss(clock=lambda: next(ticks)) as moss:
        ask(moss, way)
        ask(moss, way, headers={"Accept": "text/plain"})
        first, second = moss.requests

        assert (2, "GET", path_of(moss)) == (moss.count, first.method, first.path)
        assert moss.arguments["project_key"] == first.headers["X-PROJECT-key"]
        assert ("text/plain", 100.0, 100.5) == (second.headers["accept"], first.time, second.time)


def test_kept_requests_are_bounded() -> None:
    """With `kept_requests` only the newest are kept, authorized or not, and `count` counts all."""
    with FakeMoss(kept_requests=2) as moss:
        for number in range(4):
            drain(dial(moss, f"GET /{number} HTTP/1.1\r\n\r\n".encode()))
        assert ["/2", "/3"] == [each.path for each in moss.requests]
        assert (4, "/3") == (moss.count, moss.wait_for(4)[-1].path)


def test_wait_for(moss: FakeMoss, pool: ThreadPoolExecutor) -> None:
    """wait_for returns the requests once there are enough, or fails with their number."""
    moss.set_default(MockResponse(hang=True))
    waiting = pool.submit(moss.wait_for, 2)
    asked = [dial(moss) for _ in range(2)]

    assert 2 == len(waiting.result(10))
    with pytest.raises(AssertionError, match=r"2 of 3 requests arrived within 0\.01 s"):
        moss.wait_for(3, timeout=0.01)
    with pytest.raises(AssertionError, match=r"2 responses were not finished after 0\.01 s, 2 of them waiting"):
        moss.wait_idle(timeout=0.01)
    moss.release()
    moss.wait_idle()
    assert all(drain(client).startswith(b"HTTP/1.1 200 ") for client in asked)


@in_every_way
def test_release(moss: FakeMoss, pool: ThreadPoolExecutor, way: str) -> None:
    """A held response counts as in flight, has the credentials of the request's arrival, and is sent after release()."""
    moss.queue(MockResponse(hang=True))
    before = moss.credentials
    asked = pool.submit(ask, moss, way)
    moss.wait_for(1)
    assert 1 == moss.in_flight

    moss.rotate()
    moss.release()

    assert before == asked.result(10).json()
    moss.wait_idle()
    assert 0 == moss.in_flight


@in_every_way
def test_close_drops_held_responses(moss: FakeMoss, pool: ThreadPoolExecutor, way: str) -> None:
    """close() ends held and delayed responses without sending any of them."""
    moss.queue(MockResponse(hang=True), MockResponse(delay=60))
    asked = [pool.submit(ask, moss, way) for _ in range(2)]
    moss.wait_for(2)

    moss.close()

    for future in asked:
        with pytest.raises(httpx2.RemoteProtocolError):
            future.result(10)


@in_every_way
def test_client_that_disconnects(moss: FakeMoss, way: str) -> None:
    """When the client disconnects, its held or delayed response ends without release()."""
    moss.queue(MockResponse(hang=True), MockResponse(delay=60))
    for _ in range(2):
        with pytest.raises(httpx2.ReadTimeout) as caught:
            ask(moss, way, timeout=IMPATIENT)
        assert path_of(moss) == caught.value.request.url.raw_path.decode()

    moss.wait_idle()
    assert 0 == moss.in_flight


def test_repr_hides_secrets(moss: FakeMoss) -> None:
    """No rendering of the fake, its responses or its requests shows the secret or the project key."""
    secret = moss.credentials["voice_agent_api_secret"]
    scripted = MockResponse(json=moss.credentials, headers={"X-Secret": secret})
    moss.queue(scripted)
    ask(moss)

    for thing in (moss, moss.requests, moss.requests[0].headers, scripted):
        assert [False] * 2 == [each in f"{thing!r}{thing!s}" for each in (secret, moss.arguments["project_key"])]
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
