"""Starts a web server as a user does, on a free loopback port, and ends it with all its workers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.processes.program import clean_environ

# Only a server that hangs reaches this.
LONGEST = 60.0  # seconds
# How uvicorn, gunicorn, Flask and Django report their URL.
_LISTENING = re.compile(r"(?:running on|listening at:|development server at) (http://127\.0\.0\.1:[1-9]\d*)", re.I)


class _Server:
    """A started server, in its own process group."""

    def __init__(self, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._output: list[str] = []
        self._reported = threading.Event()
        self.url = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._output.append(line)
            found = _LISTENING.search(line)
            if found and not self.url:
                self.url = found[1]
                self._reported.set()
        self._reported.set()  # it has ended

    def wait_until_it_listens(self) -> None:
        """Return when the server listens; fail with its output if it ends or hangs."""
        reported = self._reported.wait(LONGEST)
        assert reported, f"the server did not listen within {LONGEST:g} s:\n{''.join(self._output)}"
        assert self.url, f"the server has ended:\n{''.join(self._output)}"

    def close(self) -> None:
        """End it and its workers."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
                self._process.wait(5)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._process.wait(LONGEST)
        self._reader.join(LONGEST)
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def serving(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> Iterator[str]:
    """The URL of a server, while the context lasts; it sees a clean environment and `environ`."""
    # The folder is its home too: gunicorn keeps a control socket there.
    surroundings = {**clean_environ(), "HOME": str(folder), "PYTHONUNBUFFERED": "1", **environ}
    server = _Server(command, folder, surroundings)
    try:
        server.wait_until_it_listens()
        yield server.url
    finally:
        server.close()


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
