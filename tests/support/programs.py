"""Executable Python scripts that take the place of other programs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from textwrap import dedent


def program(path: Path, body: str) -> Path:
    """Write the script `body` and make it executable."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{dedent(body)}\n")
    path.chmod(0o755)
    return path


def sleeper(path: Path) -> int:
    """Write a script that sleeps, and return the file from which its process id can be read once it runs."""
    mark = path.with_name(f"{path.name}.pid")
    program(path, f"import os, time\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)")
    os.mkfifo(mark)
    return os.open(mark, os.O_RDONLY | os.O_NONBLOCK)


def runs(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return not (status.exists() and "State:\tZ" in status.read_text())
