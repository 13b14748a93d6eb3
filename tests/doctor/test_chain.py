"""Broken setups, from the environment to the join: the right check fails, with a remedy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from email.utils import formatdate
from pathlib import Path

import pytest

from moss_voice_server._doctor import Check, examine
from moss_voice_server.testing import FakeMoss, LiveKitServer, MockResponse
from tests.doctor.cases import BROKEN, KEY, SECRET, Build, Setup, answering, at_moss
from tests.doctor.conftest import Authority
from tests.doctor.helpers import Expected, assert_found, examined, fails, livekit_environ, moss_secrets, options, warns
from tests.support.sockets import closed_port

pytestmark = pytest.mark.livekit


@pytest.fixture
def setup(
    moss: FakeMoss, livekit_server: LiveKitServer, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Setup]:
    """The parts of a setup; what it starts ends with the test."""
    with ExitStack() as stack:
        yield Setup(moss, livekit_server, authority, tmp_path, monkeypatch, stack)


@pytest.mark.parametrize(("build", "expected"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_setup_is_named(build: Build, expected: Expected, setup: Setup) -> None:
    """The check of the broken link fails, no earlier one does, and it names the cause and the setting."""
    checks = examined(build(setup), *moss_secrets(setup.moss), SECRET)

    assert_found(checks, expected)


def test_working_setup(moss: FakeMoss) -> None:
    """No check of a working setup fails or warns."""
    checks = examined(options(moss.environ), *moss_secrets(moss))

    assert [] == [check for check in checks.values() if check.status in ("warn", "fail")]
    assert {
        "environment",
        "moss.response",
        "credentials",
        "livekit.url",
        "livekit.server",
        "token",
        "token.v1",
        "clock",
        "join",
    } == {check.name for check in checks.values() if check.status == "ok"}


def test_swapped_key_and_secret_are_recognized_twice(livekit_server: LiveKitServer) -> None:
    """Swapped key and secret: one check warns about their shape, and the failed check names the cause."""
    swapped = livekit_environ(livekit_server.url, livekit_server.api_secret, livekit_server.api_key)
    checks = examined(options(swapped), livekit_server.api_secret)

    assert_found(checks, warns("credentials", "swap key and secret"))
    assert_found(checks, fails("token", "API key.*swap key and secret"), alone=False)


def test_moss_takes_precedence_over_livekit(moss: FakeMoss) -> None:
    """With both sets of variables the Moss API is used, and a check mentions the other set."""
    environ = {**moss.environ, **livekit_environ("wss://host.example", KEY, SECRET)}
    checks = examined(options(environ), *moss_secrets(moss))

    assert "LIVEKIT_... are set too" in checks["environment"].detail
    assert "ok" == checks["join"].status


def test_clock_of_moss(setup: Setup) -> None:
    """A Moss API that rejects the project still has a Date header."""
    date = {"Date": formatdate(time.time() + 120, usegmt=True)}
    checks = examined(answering(MockResponse(401, headers=date))(setup), *moss_secrets(setup.moss))

    assert ("fail", "warn") == (checks["moss.response"].status, checks["clock"].status)
    assert "2 minutes behind the Moss API's" in checks["clock"].detail


def test_clock_of_livekit_counts_more(setup: Setup) -> None:
    """LiveKit's clock decides, because LiveKit checks the tokens; the other difference is shown."""
    setup.moss.set_default(MockResponse(headers={"Date": formatdate(time.time() + 600, usegmt=True)}))
    checks = examined(options(setup.moss.environ), *moss_secrets(setup.moss))

    assert "ok" == checks["clock"].status
    assert "10 minutes behind the Moss API's" in checks["clock"].detail


def test_moss_behind_tls(setup: Setup) -> None:
    """A Moss API with a trusted certificate: its expiry is shown."""
    setup.trust()
    moss = setup.stack.enter_context(FakeMoss(ssl_context=setup.authority.context(), url=setup.server.url))
    checks = examined(options(moss.environ), *moss_secrets(moss))

    assert "until 3000-01-01" in checks["moss.tls"].detail
    assert ("ok", "ok") == (checks["moss.tls"].status, checks["moss.response"].status)


def test_proxy(setup: Setup) -> None:
    """With a proxy in the environment neither lookup nor handshake is checked; the request is."""
    setup.patch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    checks = examined(at_moss("https://moss.example"))

    assert ("skip", "skip", "fail") == tuple(checks[f"moss.{part}"].status for part in ("dns", "tls", "response"))
    assert "a proxy is set in the environment" in checks["moss.dns"].detail


def test_checks_are_yielded(setup: Setup) -> None:
    """Each check is yielded as soon as it is done: the first before any request."""
    checks: Iterator[Check] = examine(options(setup.moss.environ))

    assert ("environment", 0) == (next(checks).name, setup.moss.count)
    assert ["moss.dns", "moss.tls", "moss.response"] == [next(checks).name for _ in range(3)]
    assert 1 == setup.moss.count
