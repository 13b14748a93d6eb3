"""LiveKit's SDK for Node: its packages installed once into the cache folder, and one way to ask it questions."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from moss_voice_server.dev.livekit import cache_folder
from tests.livekit.needs import absent

_HERE = Path(__file__).parent / "node"
_FILES = ("package.json", "package-lock.json")


def installed() -> Path:
    """The folder that holds the pinned packages; skips the test when Node or npm is absent or npm fails.

    The folder's name comes from the lock file, so that other versions get another folder.
    """
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        absent("Node and npm are needed to compare our tokens with those of LiveKit's SDK for Node")
    wanted = hashlib.sha256((_HERE / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = cache_folder() / "node" / wanted
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        made = Path(temporary, wanted)
        made.mkdir()
        for name in _FILES:
            shutil.copy(_HERE / name, made)
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
            os.rename(made, folder)
        except OSError:
            assert folder.is_dir(), "neither we nor another run could put the packages into the cache"
    return folder


def ask(folder: Path, questions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run `tokens.mjs` on these questions and return its answers."""
    done = subprocess.run(
        ["node", str(_HERE / "tokens.mjs")],
        cwd=folder,
        input=json.dumps(questions),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers
