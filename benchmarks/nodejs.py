"""Node: packages from a folder's lock file, installed once into the cache folder; the tests use it as well."""

from __future__ import annotations

import shutil
from pathlib import Path

from .cached import cached, done, tool

SOURCES = Path(__file__).parent / "node"


def node_folder(pinned: Path = SOURCES, *, install: bool) -> Path:
    """A folder in which Node finds the packages that `package-lock.json` in `pinned` names.

    Installing needs npm and, the first time, the network.

    Raises:
        Absent: there is no Node, or the packages are not installed and cannot be.
    """
    tool("node")
    lock = pinned / "package-lock.json"

    def make(folder: Path) -> None:
        npm = tool("npm")
        folder.mkdir()
        for file in (pinned / "package.json", lock):
            shutil.copy(file, folder)
        done(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", folder=folder)

    return cached("node/{digest}", [lock], make, now=install)
