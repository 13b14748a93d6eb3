"""The cache keeps other values too, with the same rules and their own words: here the signing keys of a login provider."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from moss_voice_server._credentials.cache import CredentialsCache
from moss_voice_server._credentials.runtime import Runtime
from moss_voice_server._credentials.source import Fetched, Result
from moss_voice_server._credentials.wording import Texts
from moss_voice_server._http import drivers
from moss_voice_server._http.flow import RetryPolicy, Timing, with_retries
from moss_voice_server._http.model import Failure, Peer, Request, Response
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import MossVoiceError
from tests.support.simulation import Simulation


class KeysUnavailable(MossVoiceError):
    """No usable keys."""

    def __init__(self, message: str = "", *, remedy: str = "", retry_after: float | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.retry_after = retry_after


class Keys(dict[str, str]):
    """Keys by their IDs."""

    @property
    def fingerprint(self) -> str:
        """Their IDs."""
        return " ".join(sorted(self))

    def same_as(self, other: object) -> bool:
        """Whether nothing has changed."""
        return self == other


class Provider(BaseHTTPRequestHandler):
    """Answers with the server's keys, or with an error where there are none."""

    def do_GET(self) -> None:
        """Any path."""
        keys = self.server.keys  # type: ignore[attr-defined]  # set by the fixture
        body = json.dumps(keys).encode()
        self.send_response(200 if keys else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def provider() -> Iterator[ThreadingHTTPServer]:
    """A provider on loopback, whose keys are its attribute `keys`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Provider) as server:
        server.keys = {"a": "one"}  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class KeySource:
    """Where the keys come from."""

    texts = Texts(
        "signing keys",
        "the provider",
        "logins are rejected",
        KeysUnavailable,
        KeysUnavailable,
        KeysUnavailable,
        "call refresh() first",
    )

    def __init__(self, port: int, runtime: Runtime) -> None:
        self.policy, self.runtime = RefreshPolicy(attempts=1), runtime
        self._request = Request(Peer("the provider", "jwks_url"), "GET", f"http://127.0.0.1:{port}/jwks.json")

    def prepare(self) -> None:
        """Imported above."""

    def fetch(self, attempts: int, budget: float, etag: str) -> Result[Keys]:
        """One request."""
        clock = self.runtime.clock
        flow = with_retries(
            self._request,
            self._read,
            KeysUnavailable,
            RetryPolicy(attempts, budget, budget, budget),
            Timing(clock.monotonic, clock.time, min),
        )
        return drivers.run(flow)

    def _read(self, response: Response) -> tuple[Result[Keys], bool]:
        if not response.is_success:
            return Failure(KeysUnavailable, f"the provider returned HTTP {response.status}"), False
        return Fetched(Keys(json.loads(response.body.reveal()))), False


def test_keys_stay_fresh(provider: ThreadingHTTPServer, caplog: pytest.LogCaptureFixture) -> None:
    """Empty, fetched, rotated in the background, kept through an outage, expired: errors and log name the keys."""
    caplog.set_level("INFO", "moss_voice_server")
    simulation = Simulation()
    cache = CredentialsCache(KeySource(provider.server_port, simulation.runtime), "Login")
    with pytest.raises(KeysUnavailable, match="signing keys"):
        cache.get()

    cache.refresh()
    assert {"a": "one"} == cache.get()

    provider.keys = {"a": "one", "b": "two"}  # type: ignore[attr-defined]
    simulation.advance(3600)
    assert {"a": "one", "b": "two"} == cache.get()
    assert [{"a": "one", "b": "two"}, {"a": "one"}] == cache.recent()

    provider.keys = {}  # type: ignore[attr-defined]
    simulation.advance(3600)
    assert {"a": "one", "b": "two"} == cache.get()
    assert ("stale", "KeysUnavailable", "a b") == (
        cache.status().state,
        cache.status().last_error,
        cache.status().fingerprint,
    )

    simulation.advance(72 * 3600)
    with pytest.raises(KeysUnavailable, match="signing keys expired") as caught:
        cache.get()
    assert caught.value.retry_after
    events = [record.moss_event for record in caplog.records]  # type: ignore[attr-defined]
    assert ["fetched", "rotated", "outage", "expired"] == events
    assert not [record for record in caplog.records if "LiveKit" in record.message or "Moss API" in record.message]
