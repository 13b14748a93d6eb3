"""Programs: the environment of the measured processes."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Absent(Exception):
    """A program for comparison is missing on this machine; the text says which and why."""


def environment(**extra: str) -> dict[str, str]:
    """This environment without Python's variables, plus `extra`."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | extra
