"""Machine: the interpreter and processor of a measurement."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path
from typing import NamedTuple


class Machine(NamedTuple):
    """Interpreter and processor."""

    python: str
    cpu: str
    load: str
    """The load average before the run; above zero, other programs were running."""


def this_machine() -> Machine:
    """Describe this machine."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    cpu = f"{os.cpu_count()} cores, {platform.machine()} {platform.system()}{_model()}"
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "unknown"
    return Machine(python, cpu, load)


def python_version() -> tuple[int, int]:
    """Major and minor version of this Python."""
    return sys.version_info[:2]


def _model() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        return ""
    return f", {found[1]}" if found else ""
