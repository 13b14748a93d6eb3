"""Starts a web server as a user does, on a free loopback port, and ends it with all its workers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.processes.program import clean_environ

# Only a server that hangs reaches this.
LONGEST = 60.0  # seconds
# How uvicorn, gunicorn, Flask and Django report their URL.
_LISTENING = re.compile(r"(?:running on|listening at:|development server at) (http://127\.0\.0\.1:[1-9]\d*)", re.I)


@contextmanager
def serving(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """The URL of a server, while the context lasts; it sees a clean environment and `environ`."""
    output: list[str] = []
    reported = threading.Event()  # its URL, or its end

    def read() -> None:
        for line in process.stdout or ():
            output.append(line)
            if _LISTENING.search(line):
                reported.set()
        reported.set()

    # Its own group, to end its workers too. The folder is its home: gunicorn keeps a control socket there.
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**clean_environ(), "HOME": str(folder), "PYTHONUNBUFFERED": "1", **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        try:
            assert reported.wait(LONGEST), f"the server did not listen within {LONGEST:g} s:\n{''.join(output)}"
            found = _LISTENING.search("".join(output))
            assert found, f"the server has ended:\n{''.join(output)}"
            yield found[1]
        finally:
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                    os.killpg(process.pid, number)
                    process.wait(5)
            reader.join(LONGEST)


def run(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> str:
    """Run a command in the same environment; returns its output."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**clean_environ(), "HOME": str(folder), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    return done.stdout
