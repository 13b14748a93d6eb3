"""Npm: packages from a folder's lock file, installed once into the cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from moss_voice_server.dev.livekit import cache_folder
from tests.livekit.needs import absent


def installed(folder: Path) -> Path:
    """A folder with the packages that `folder` pins; skips the test where Node or npm is absent or npm fails.

    Its name comes from the lock file, so that other versions get another folder.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        absent("Node and npm are needed to ask our endpoint with LiveKit's own client")
    lock = folder / "package-lock.json"
    target = cache_folder() / "node" / hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    if target.is_dir():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        made = Path(temporary, "made")
        made.mkdir()
        for file in (lock, folder / "package.json"):
            shutil.copy(file, made)
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=made,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            absent(f"npm ci failed: {done.stderr.strip()[-400:]}")
        try:
            os.rename(made, target)
        except OSError:
            assert target.is_dir(), "neither we nor another run could put the packages into the cache"
    return target
