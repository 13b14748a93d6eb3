"""Programs: other processes that are measured, free of what this process's environment would change about them."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Absent(Exception):
    """Something to compare with is not on this machine; the text says what and why."""


def environment(**extra: str) -> dict[str, str]:
    """Our environment without Python's own variables, which could forbid the cache of compiled modules, and with `extra`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | extra
