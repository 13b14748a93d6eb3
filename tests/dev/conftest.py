"""Fixtures of local mode's tests: LiveKit's client, a LiveKit server, a browser, a folder for its pictures."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from moss_voice_server._dev import browser_client as client
from moss_voice_server.testing._livekit_binary import cache_folder
from tests.cli.shell import bare_environ
from tests.dev.chromium import Browser, chromium
from tests.dev.program import Dev, dev
from tests.livekit.conftest import livekit_binary, livekit_server
from tests.livekit.needs import absent

__all__ = ["livekit_binary", "livekit_server"]


@pytest.fixture(scope="session")
def client_folder() -> Path:
    """A folder with LiveKit's client for browsers and its licence, brought by npm; else the test is skipped."""
    folder = cache_folder() / f"livekit-client-{client.VERSION}"
    if not (folder / client.FILE).exists():
        try:
            client.fetch(folder)
        except client.ClientError as error:
            absent(str(error))
    return folder


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which neither a LiveKit server nor npm nor a cached client can be found."""
    return {**bare_environ(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}


@pytest.fixture(scope="session")
def page_environ(tmp_path_factory: pytest.TempPathFactory, client_folder: Path) -> dict[str, str]:
    """An environment with LiveKit's client in the cache, and nothing else."""
    home = tmp_path_factory.mktemp("home")
    shutil.copytree(client_folder, home / "cache" / "moss-voice-server" / f"livekit-client-{client.VERSION}")
    return {**bare_environ(home), "XDG_CACHE_HOME": str(home / "cache")}


@pytest.fixture(scope="session")
def running(page_environ: dict[str, str], livekit_binary: Path) -> Iterator[Dev]:
    """`dev` with a LiveKit server and the echo agent, for tests that break nothing."""
    with dev("--port", "0", environ={**page_environ, "LIVEKIT_SERVER_BIN": str(livekit_binary)}) as one:
        yield one


@pytest.fixture(scope="session")
def without_agent(page_environ: dict[str, str], livekit_binary: Path) -> Iterator[Dev]:
    """`dev` with a LiveKit server."""
    environ = {**page_environ, "LIVEKIT_SERVER_BIN": str(livekit_binary)}
    with dev("--port", "0", "--no-agent", environ=environ) as one:
        yield one


@pytest.fixture(scope="session")
def without_livekit(page_environ: dict[str, str]) -> Iterator[Dev]:
    """`dev` without a LiveKit server."""
    with dev("--port", "0", environ=page_environ) as one:
        yield one


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One Chromium for the whole run; each page has its own context."""
    with chromium(tmp_path_factory.mktemp("chromium")) as one:
        yield one


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of the page go: the folder that TEST_ARTEFACTS names, or a temporary one."""
    named = os.environ.get("TEST_ARTEFACTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
