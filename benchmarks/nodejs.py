"""Node: LiveKit's SDK for Node, its packages installed once into the cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from moss_voice_server.dev.livekit import cache_folder

from .programs import Absent

SOURCES = Path(__file__).parent / "node"
_FILES = ("package.json", "package-lock.json")


def node_folder(*, install: bool) -> Path:
    """The folder in which Node finds the packages. Installing needs npm and, the first time, the network.

    Raises:
        Absent: there is no Node, or the packages are not installed and cannot be.
    """
    if shutil.which("node") is None:
        raise Absent("there is no node on PATH")
    digest = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = cache_folder() / "node" / digest
    if folder.is_dir():
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise Absent("there is no npm on PATH")
    if not install:
        raise Absent("its packages are not installed yet, which a run without --quick does")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary, digest)
        made.mkdir()
        for name in _FILES:
            shutil.copy(SOURCES / name, made)
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=made,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode:
            raise Absent(f"npm ci failed: {done.stderr.strip()[-300:]}")
        # Somebody else may have been faster; theirs is the same.
        with suppress(OSError):
            os.rename(made, folder)
    return folder
