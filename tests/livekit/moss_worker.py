"""Moss's own worker as a program, in a virtual environment in the cache folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from moss_voice_server.testing._livekit_binary import cache_folder
from tests.livekit.needs import absent
from tests.livekit.server_api import LiveKitKeys, call
from tests.support.locks import locked

_PACKAGE = "moss-voice-agent-manager==1.0.0b14"  # 825 MB; it brings livekit-agents, and needs Python 3.11
_SCRIPT = Path(__file__).parent / "workers" / "moss_agent.py"
_INSTALL_TIMEOUT = 900.0  # seconds
_PATIENCE = 120.0  # seconds; starting a worker or a job imports a lot
_POLL_INTERVAL = 0.2


def worker_python() -> Path:
    """The Python of an environment with Moss's manager; skips the test without one, but installs it in CI."""
    folder = cache_folder() / _PACKAGE.replace("==", "-")
    python = folder / "bin" / "python"
    if not python.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        # Parallel test processes wait for the first one.
        with locked(folder.with_suffix(".lock")):
            if not python.exists():
                _install(folder)
    return python


def _install(folder: Path) -> None:
    uv = shutil.which("uv")
    if os.environ.get("CI") != "true" or uv is None:
        absent(f"no Moss worker: install {_PACKAGE} with Python 3.11 into a virtual environment at {folder}")
    building = folder.with_name(f"{folder.name}-new")
    shutil.rmtree(building, ignore_errors=True)  # of an installation that was interrupted
    base = sys.executable if sys.version_info[:2] == (3, 11) else "3.11"
    try:
        for arguments in (
            ["venv", "--python", base, str(building)],
            ["pip", "install", "--python", str(building), _PACKAGE],
        ):
            subprocess.run([uv, *arguments, "--quiet", "--no-config"], check=True, timeout=_INSTALL_TIMEOUT)
        building.rename(folder)  # its own programs have wrong paths then; only `bin/python` is used
    except (OSError, subprocess.SubprocessError) as error:
        absent(f"Moss's worker could not be installed: {error}")
    finally:
        shutil.rmtree(building, ignore_errors=True)


@contextmanager
def running_worker(environ: Mapping[str, str], folder: Path) -> Iterator[None]:
    """The worker with these variables while the context lasts, registered with LiveKit."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    with subprocess.Popen(
        [worker_python(), _SCRIPT, "start"],
        env={**kept, "HOME": str(folder), "LIVEKIT_LOG_LEVEL": "info", **environ},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        lines: deque[str] = deque(maxlen=200)
        is_registered = threading.Event()

        def read() -> None:
            for line in process.stdout or ():
                lines.append(line)
                if "registered worker" in line:
                    is_registered.set()

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            deadline = time.monotonic() + _PATIENCE
            while not is_registered.wait(_POLL_INTERVAL):
                assert process.poll() is None, "the worker ended:\n" + "".join(lines)
                assert time.monotonic() < deadline, "the worker did not register:\n" + "".join(lines)
            yield
        finally:
            process.terminate()
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
            reader.join(_PATIENCE)


def agents_in(server: LiveKitKeys, room: str) -> list[str]:
    """The names of the agents in a room, as soon as there is one: the echo agent has a name, others none."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        participants = call(server, "RoomService", "ListParticipants", room)["participants"]
        agents = [each["name"] for each in participants if each["kind"] == "AGENT"]
        if agents:
            return agents
        assert time.monotonic() < deadline, f"no agent joined {room}"
        time.sleep(_POLL_INTERVAL)
