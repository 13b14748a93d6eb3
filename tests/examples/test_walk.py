"""Quickstarts: following one word for word leads to a token that a real LiveKit server accepts."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from moss_voice_server.testing import LiveKitServer
from tests.examples.walk import WALKS, Reader, fake_moss, steps, terminal
from tests.livekit.needs import absent
from tests.livekit.server_api import validate

PROGRAMS = Path(sys.executable).parent


@pytest.mark.livekit
@pytest.mark.parametrize("name", [name for name, walk in WALKS.items() if not walk.needs])
def test_quickstart(name: str, livekit_server: LiveKitServer, tmp_path: Path) -> None:
    """LiveKit accepts the token that results from the page's files and commands, in order."""
    for program in ("bash", "curl"):
        if shutil.which(program) is None:
            absent(f"{program} is not installed")
    with fake_moss(livekit_server) as moss, ExitStack() as stack:
        path = os.pathsep.join([str(PROGRAMS), os.environ.get("PATH", os.defpath)])
        reader = Reader(tmp_path, moss, terminal(moss, tmp_path, path))
        reader.follow(WALKS[name], stack)

        assert (200, "success") == validate(livekit_server, reader.token())


@pytest.mark.parametrize("name", WALKS)
def test_quickstart_is_complete(name: str) -> None:
    """A quickstart creates an environment, installs the clone, sets the three variables, and shows a file and commands."""
    walked = steps(WALKS[name])
    commands = "".join(step.text for step in walked if step.deed == "run")

    said = ["python3 -m venv .venv", "pip install", "moss-voice-server", "MOSS_PROJECT_ID", "MOSS_PROJECT_KEY"]
    assert [] == [each for each in [*said, "MOSS_VOICE_AGENT_ID"] if each not in commands]
    assert "write" in {step.deed for step in walked}
