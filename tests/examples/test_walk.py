"""Quickstarts: who follows one to the letter ends with a token that a real LiveKit server accepts."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.examples.walk import WALKS, Reader, fake_moss, steps, terminal, verdict
from tests.livekit.needs import absent

if TYPE_CHECKING:
    from moss_voice_server.testing import LiveKitServer

PROGRAMS = Path(sys.executable).parent


@pytest.mark.livekit
@pytest.mark.parametrize("name", [name for name, walk in WALKS.items() if not walk.needs])
def test_quickstart_ends_with_a_token_that_livekit_accepts(
    name: str, livekit_server: LiveKitServer, tmp_path: Path
) -> None:
    """The files that the page shows, the commands that it says, in order, and nothing else: LiveKit accepts what comes out."""
    for program in ("bash", "curl"):
        if shutil.which(program) is None:
            absent(f"{program} is what a reader types commands into: install it")
    with fake_moss(livekit_server) as moss, ExitStack() as stack:
        # What the page installs is here already: the environment of these tests.
        path = os.pathsep.join([str(PROGRAMS), os.environ.get("PATH", os.defpath)])
        reader = Reader(tmp_path, moss, terminal(moss, tmp_path, path), installs=False)
        reader.follow(WALKS[name], stack)

        assert (200, "success") == verdict(livekit_server, reader.token())


@pytest.mark.parametrize("name", WALKS)
def test_quickstart_says_it_all(name: str) -> None:
    """A quickstart makes an environment, installs us, names the three variables and a file, and says what to run."""
    walked = steps(WALKS[name])
    commands = "".join(step.text for step in walked if step.deed == "run")

    said = ["python3 -m venv .venv", "pip install", "moss-voice-server", "MOSS_PROJECT_ID", "MOSS_PROJECT_KEY"]
    assert [] == [each for each in [*said, "MOSS_VOICE_AGENT_ID"] if each not in commands]
    assert "write" in {step.deed for step in walked}
