"""Executable Python scripts that take the place of other programs."""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import dedent


def program(path: Path, body: str) -> Path:
    """Write the script `body` and make it executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{dedent(body)}\n")
    path.chmod(0o755)
    return path
