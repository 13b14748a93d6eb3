"""Npm: packages from a folder's lock file, for tests."""

from __future__ import annotations

from pathlib import Path

from benchmarks.nodejs import node_folder
from benchmarks.programs import Absent
from tests.livekit.needs import absent


def installed(folder: Path) -> Path:
    """A folder with the packages that `folder` pins; skips the test where Node or npm is absent or npm fails."""
    try:
        return node_folder(folder, install=True)
    except Absent as error:
        absent(f"a test with LiveKit's own packages for JavaScript: {error}")
