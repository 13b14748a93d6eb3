"""LiveKit's SDK for Node: its packages installed once into the cache folder, and one way to ask it questions."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.clients import npm

_HERE = Path(__file__).parent / "node"


def installed() -> Path:
    """The folder that holds the pinned packages; skips the test when Node or npm is absent or npm fails."""
    return npm.installed(_HERE)


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
