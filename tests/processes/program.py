"""Program: a process that a test starts and that never outlives it; every wait is bounded.

It writes lines of JSON to its standard output, and reads a line from its standard input where it waits for the test.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# Only a program that hangs takes so long.
LONGEST = 40.0  # seconds

# uWSGI and friends fork with threads running, which is what these tests are about; Python 3.12 and later warn of it.
_FORK_WARNING = "ignore:This process:DeprecationWarning"


class Program:
    """A started program, in its own process group."""

    def __init__(self, command: list[str], environ: Mapping[str, str]) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            start_new_session=True,
        )
        self.pid = self._process.pid
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def hear(self) -> Any:
        """The next line of the program."""
        line = self._next()
        assert line is not None, f"the program has ended; its errors:\n{self.errors}"
        return json.loads(line)

    def hear_all(self) -> list[Any]:
        """All further lines, up to its end; the bound is on each pause between two."""
        reported = [json.loads(line) for line in iter(self._next, None)]
        self.end()
        return reported

    def _next(self) -> str | None:
        try:
            return self._lines.get(timeout=LONGEST)
        except queue.Empty:
            raise AssertionError(
                f"the program wrote nothing within {LONGEST:g} s; its errors:\n{self.errors}"
            ) from None

    def go_on(self) -> None:
        """Ends its wait."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def send_signal(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self._process.send_signal(number)

    def end(self) -> int:
        """Its exit status, once it has ended."""
        try:
            return self._process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the program did not end within {LONGEST:g} s; its errors:\n{self.errors}") from None

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    @property
    def errors(self) -> str:
        """What it has written to its standard error."""
        return os.pread(self._errors.fileno(), 1 << 20, 0).decode(errors="replace")

    def close(self) -> None:
        """Kills it, with all processes of its group."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait(LONGEST)
        self._reader.join(LONGEST)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()


@contextmanager
def running(command: list[str], environ: Mapping[str, str] | None = None) -> Iterator[Program]:
    """This program, until the end of the context."""
    program = Program(command, {**clean_environ(), **(environ or {})})
    try:
        yield program
    finally:
        program.close()


@contextmanager
def python(
    module: str, function: str, *arguments: str, environ: Mapping[str, str] | None = None, ends: bool = True
) -> Iterator[Program]:
    """`tests.processes.<module>.<function>(*arguments)` in a separate interpreter, with warnings as errors.

    `ends`: it must end by itself, without an error and without a text on standard error.
    """
    call = f"from tests.processes.{module} import {function}; {function}(*{arguments!r})"
    with running([sys.executable, "-W", "error", "-W", _FORK_WARNING, "-c", call], environ) as program:
        yield program
        if ends:
            assert (0, "") == (program.end(), program.errors)


def clean_environ() -> dict[str, str]:
    """The environment of this process, without the variables that programs react to."""
    strange = ("MOSS_", "LIVEKIT_", "GUNICORN_", "UVICORN_", "UWSGI_", "PYTHONWARNINGS", "PYTHONDEVMODE")
    cached = {name: value for name, value in os.environ.items() if not name.startswith(strange)}
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**cached, "PYTHONPATH": os.pathsep.join(paths), "PYTHONFAULTHANDLER": "1"}


def until(true: Callable[[], object], what: str) -> None:
    """Waits for a condition, which is named in the error."""
    deadline = time.monotonic() + LONGEST
    while not true():
        assert time.monotonic() < deadline, f"not within {LONGEST:g} s: {what}"
        time.sleep(0.01)


def processes_in(group: int) -> list[int]:
    """The ids of the processes of a group that are alive, from /proc."""
    alive = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # After the name, which is in parentheses: state, parent, group (proc(5)).
            state, _, found = folder.joinpath("stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # it has ended meanwhile
        if int(found) == group and state != "Z":
            alive.append(int(folder.name))
    return alive
