"""Server programs: started on a loopback port, ready when they accept connections, ended with all their workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
LONGEST_START = 60.0  # seconds until a server must accept connections


class Running(NamedTuple):
    """A server program that runs."""

    port: int
    process: subprocess.Popen[bytes]


@contextmanager
def running(command: Sequence[str], output: Path, environ: Mapping[str, str]) -> Iterator[Running]:
    """A server program that accepts connections, from the root of the repository.

    In its command, `{fd}` is a socket that listens already, so that no other process can take its port; where a server
    takes no socket, `{port}` is a port that was free.
    """
    takes_socket = any("{fd}" in part for part in command)
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening, output.open("wb") as out:
        port = listening.getsockname()[1]
        values = {"fd": listening.fileno(), "port": port, "scripts": sysconfig.get_path("scripts")}
        if not takes_socket:
            listening.close()
        process = subprocess.Popen(
            [part.format(**values) for part in command],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environ},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            pass_fds=[values["fd"]] if takes_socket else [],
            start_new_session=True,
        )
    try:
        _await_port(process, port, output)
        yield Running(port, process)
    finally:
        # The whole session: some servers leave their workers to themselves.
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
        process.wait(10)


def _await_port(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    deadline = time.monotonic() + LONGEST_START
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise AssertionError(f"the server does not accept connections:\n{output.read_text(errors='replace')}")
