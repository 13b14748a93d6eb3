"""Green threads: a program in which gevent or eventlet has replaced Python's threads and sockets."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

GREEN = {
    "gevent": "from gevent import monkey, pool; monkey.patch_all(); run = pool.Group().map",
    # trio has to be imported before eventlet patches what it is made of; the HTTP client imports it.
    "eventlet": "import trio, eventlet; eventlet.monkey_patch(); run = eventlet.GreenPool().imap",
}
"""By package, the beginning of the program: `run` calls a function for several values at once."""


def run_green(package: str, program: str) -> None:
    """Runs it in a separate process, because the patches stay; it must end without an error or a text on standard error."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{GREEN[package]}\n{program}"],
        cwd=Path(__file__).parent.parent.parent,
        env={**os.environ, "EVENTLET_NO_GREENDNS": "yes"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (0, "") == (done.returncode, done.stderr)
