"""Fixtures of the end-to-end tests: a real LiveKit server, our library with its keys, unused room names."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from moss_voice_server import MossVoiceServerSync
from moss_voice_server.testing import LiveKitServer, LiveKitServerError
from moss_voice_server.testing._livekit_binary import build_livekit_server, cache_folder, find_livekit_server
from tests.livekit.needs import absent
from tests.support.locks import locked


@pytest.fixture(scope="session")
def livekit_binary() -> Path:
    """A `livekit-server`: found, or built once where Go is present; else the test is skipped with the reason."""
    found = find_livekit_server()
    if found is not None:
        return found
    if shutil.which("go") is None:
        absent("no livekit-server: set LIVEKIT_SERVER_BIN, put livekit-server on PATH, or install Go to build it")
    try:
        with locked(cache_folder() / "build.lock"):  # parallel test processes share one build
            return build_livekit_server()
    except LiveKitServerError as error:
        absent(str(error))


@pytest.fixture(scope="session")
def livekit_server(livekit_binary: Path) -> Iterator[LiveKitServer]:
    """One LiveKit server for the whole run; each test uses other rooms."""
    with LiveKitServer(livekit_binary) as server:
        yield server


@pytest.fixture(scope="session")
def voice(livekit_server: LiveKitServer) -> MossVoiceServerSync:
    """Our library, with the LiveKit server's keys: mints what the server is asked about."""
    return MossVoiceServerSync.from_livekit(livekit_server.url, livekit_server.api_key, livekit_server.api_secret)


@pytest.fixture
def room() -> str:
    """The name of a room that does not exist yet."""
    return f"room-{token_hex(8)}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the LiveKit server's log below a test that failed."""
    report = yield
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, LiveKitServer):
                report.sections.append(("livekit-server's log", value.log_tail()))
    return report
