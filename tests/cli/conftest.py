"""Fixtures of the command line's tests: a shell with a bare environment, a fake Moss that it leads to, a LiveKit server."""

from __future__ import annotations

from pathlib import Path

import pytest

from moss_voice_server.testing import FakeMoss
from tests.cli.shell import LIVEKIT, Shell, bare_environ
from tests.livekit.conftest import livekit_binary, livekit_server, room

__all__ = ["livekit_binary", "livekit_server", "moss_shell", "room", "shell"]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell in which no credentials are set and no LiveKit server can be found."""
    return Shell(bare_environ(tmp_path))


@pytest.fixture
def livekit_shell(shell: Shell) -> Shell:
    """A shell whose environment has LiveKit credentials, which need no network."""
    shell.environ.update(LIVEKIT)
    return shell


@pytest.fixture
def moss_shell(shell: Shell, moss: FakeMoss) -> Shell:
    """A shell whose environment leads to the fake Moss."""
    shell.environ.update(moss.environ)
    shell.secrets.append(moss.credentials["voice_agent_api_secret"])
    return shell
