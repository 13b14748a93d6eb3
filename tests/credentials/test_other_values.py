"""The cache keeps other values too, with the same rules and their own words: here the signing keys of a login provider."""

from __future__ import annotations

import pytest

from moss_voice_server._credentials.cache import CredentialsCache
from moss_voice_server._credentials.runtime import Runtime
from moss_voice_server._credentials.source import Fetched, Result
from moss_voice_server._credentials.wording import Texts
from moss_voice_server._http.model import Failure
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import LiveKitUnavailable as KeysUnavailable
from tests.support.simulation import Simulation


class Keys(dict[str, str]):
    """Keys by their IDs."""

    @property
    def fingerprint(self) -> str:
        """Their IDs."""
        return " ".join(sorted(self))

    def same_as(self, other: object) -> bool:
        """Whether nothing has changed."""
        return self == other


class KeySource:
    """Where the keys come from, if there are any."""

    texts = Texts(
        "signing keys",
        "the provider",
        "logins are rejected",
        KeysUnavailable,
        KeysUnavailable,
        KeysUnavailable,
        "call refresh() first",
    )
    policy = RefreshPolicy()

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.keys = Keys(a="one")

    def prepare(self) -> None:
        """Nothing to import."""

    def fetch(self, attempts: int, budget: float, etag: str) -> Result[Keys]:
        """The keys of this moment."""
        return Fetched(self.keys) if self.keys else Failure(KeysUnavailable, "the provider returned HTTP 503")


def test_keys_stay_fresh(caplog: pytest.LogCaptureFixture) -> None:
    """Empty, fetched, rotated in the background, kept through an outage, expired: errors and log name the keys."""
    caplog.set_level("INFO", "moss_voice_server")
    simulation = Simulation()
    source = KeySource(simulation.runtime)
    cache = CredentialsCache(source, "Login")
    with pytest.raises(KeysUnavailable, match="signing keys"):
        cache.get()
    cache.refresh()
    assert {"a": "one"} == cache.get()

    source.keys = Keys(a="one", b="two")
    simulation.advance(3600)
    assert source.keys == cache.get()
    simulation.advance(3599)
    assert [{"a": "one", "b": "two"}, {"a": "one"}] == cache.recent()
    simulation.advance(1)
    assert [{"a": "one", "b": "two"}] == cache.recent()

    source.keys = Keys()
    assert {"a": "one", "b": "two"} == cache.get()
    status = cache.status()
    assert ("stale", "LiveKitUnavailable", "a b") == (status.state, status.last_error, status.fingerprint)

    simulation.advance(72 * 3600)
    with pytest.raises(KeysUnavailable, match="signing keys expired") as caught:
        cache.get()
    assert caught.value.retry_after
    events = [record.moss_event for record in caplog.records]  # type: ignore[attr-defined]
    assert ["fetched", "rotated", "outage", "expired"] == events
    assert not [record for record in caplog.records if "LiveKit" in record.message or "Moss API" in record.message]
