"""Static credentials, and the warning about a short secret, which fetched ones cause too."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server.errors import WeakSecretWarning
from moss_voice_server.testing import FakeMoss
from tests.support import tokens
from tests.support.errors import refused
from tests.support.servers import SYNC, ServerClass, signed_by
from tests.support.simulation import mint

# --- static credentials ------------------------------------------------------------------------------------


def test_from_livekit(server_class: ServerClass) -> None:
    """LiveKit credentials by hand make a server at once. Refreshing, closing and blocks do nothing to it."""
    server = server_class.by_hand(agent_name="greeter")
    server_class.refresh(server)
    server_class.close(server)
    server_class.close(server)
    server_class.refresh(server)

    assert server is server_class.within(server, lambda entered: entered)
    assert (tokens.URL, "greeter") == (server.get_server_url(), server.get_agent_name())
    assert signed_by(server, {"voice_agent_api_key": tokens.API_KEY, "voice_agent_api_secret": tokens.API_SECRET})
    status = server.status()
    assert ("fresh", None, None, None) == (status.state, status.age, status.last_error, status.next_attempt_in)
    assert "" == server_class.by_hand().get_agent_name()


def test_from_livekit_on_this_machine(server_class: ServerClass) -> None:
    """`livekit-server --dev` is reached without TLS, on this machine only."""
    with pytest.warns(WeakSecretWarning):
        server = server_class.kind.from_livekit("ws://127.0.0.1:7880", "devkey", "secret")
    assert "ws://127.0.0.1:7880" == server.get_server_url()


def test_from_livekit_rejects_bad_arguments(server_class: ServerClass, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error begins with the argument's name; LiveKit's variables do not replace empty arguments."""
    for name in ("LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"):
        monkeypatch.setenv(name, "x" * 40)
    for name, value in (
        ("url", ""),
        ("url", "ws://h"),
        ("api_key", None),
        ("api_secret", "secret\n"),
        ("agent_name", 5),
    ):
        field, text = refused(server_class.by_hand, **{name: value})
        assert (name, True) == (field, text.startswith(f"{name} "))


# --- short secrets -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("secret", "weak"), [("x" * 31, 1), ("x" * 32, 0), ("é" * 15, 1), ("é" * 16, 0)])
def test_short_secret_is_one_warning(server_class: ServerClass, moss: FakeMoss, secret: str, weak: int) -> None:
    """A secret under 32 bytes is accepted with one `WeakSecretWarning`, passed or fetched; after a rotation, one more."""
    moss.rotate(api_secret=secret)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        passed, fetched = server_class.by_hand(api_secret=secret), server_class.create(**moss.arguments)
        for server in (passed, fetched):
            mint(server)
            server_class.refresh(server)
        moss.rotate(api_secret=secret)
        server_class.refresh(fetched)

    assert [WeakSecretWarning] * weak * 3 == [warning.category for warning in found]
    assert [] == [warning for warning in found if secret in str(warning.message)]


async def each_way(moss: FakeMoss) -> None:
    """Every way to a warning, each from a line of this function."""
    MossVoiceServer.from_livekit(tokens.URL, tokens.API_KEY, "secret")
    await MossVoiceServer.create(**moss.arguments)
    await MossVoiceServer.from_env(moss.environ)
    await MossVoiceServer(**moss.arguments).refresh()
    async with MossVoiceServer.lazy_from_env(moss.environ):
        pass


def each_way_without_waiting(moss: FakeMoss) -> None:
    """The same for the other class."""
    MossVoiceServerSync.from_livekit(tokens.URL, tokens.API_KEY, "secret")
    MossVoiceServerSync.create(**moss.arguments)
    MossVoiceServerSync.from_env(moss.environ)
    MossVoiceServerSync(**moss.arguments).refresh()
    with MossVoiceServerSync.lazy_from_env(moss.environ):
        pass


def test_short_secret_warning_points_at_the_caller(server_class: ServerClass, moss: FakeMoss) -> None:
    """The warning names the application's line, so that it can be found, however the server was made."""
    moss.rotate(api_secret="secret")
    ways: Callable[[FakeMoss], Any] = each_way_without_waiting if server_class is SYNC else each_way
    with pytest.warns(WeakSecretWarning, match="fewer than 32 bytes") as found:
        server_class.run(ways, moss)

    first = ways.__code__.co_firstlineno
    lines = [(__file__, first + line) for line in (2, 3, 4, 5, 6)]
    assert lines == [(warning.filename, warning.lineno) for warning in found]
