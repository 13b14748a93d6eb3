"""A child process that does not outlive the process that started it."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from moss_voice_server._clock import elapsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import IO

    from moss_voice_server._secret import Secret

_POLL = 0.01  # seconds
_TERM_EVERY = 0.3  # seconds; LiveKit waits for participants after one SIGTERM and exits at once after a second one
# Waits for a process ID and one more line. At the end of the pipe instead, the process that held the other end is gone.
_GUARD_SCRIPT = (
    'read -r pid; read -r line; [ "$line" = stop ] && exit; [ "$pid" ] && kill -s KILL -- "$pid"; rm -rf -- "$1"'
)
# Says its process ID, which stays the same, before it becomes the program: the program never runs without its guard.
_PROGRAM_SCRIPT = 'echo "$$" >&0; exec "$@" </dev/null'


class GuardedProcess:
    """A child process in `folder`. When this process dies, even by SIGKILL, the child ends and `folder` is removed.

    A shell beside the child sees to that; Windows has none, so there a killed parent leaves the child running.

    Args:
        command: program and arguments.
        folder: working directory.
        environ: the whole environment of the child.
        log: where its standard output and standard error go.

    Raises:
        OSError: the program could not be started.
    """

    def __init__(
        self, command: Sequence[str | Path], folder: Path, environ: Secret[Mapping[str, str]], log: IO[bytes]
    ) -> None:
        program = _program(command[0], environ)
        self._guard = _guard(folder)
        try:
            self.process = _started([program, *command[1:]], folder, environ, log, self._guard)
        except BaseException:
            if self._guard is not None:
                self._guard.communicate()  # without "stop"
            raise

    def end(self, timeout: float) -> None:
        """End the child and wait for it: SIGTERM repeatedly for `timeout` seconds, then SIGKILL."""
        deadline = elapsed() + timeout
        try:
            while elapsed() < deadline:
                self.process.terminate()
                if self._ends_within(_TERM_EVERY):
                    return
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            if self._guard is not None:
                self._guard.communicate(b"stop\n")

    def _ends_within(self, seconds: float) -> bool:
        # Not `Popen.wait(seconds)`, which waits without end where a test freezes the time.
        deadline = elapsed() + seconds
        while self.process.poll() is None and elapsed() < deadline:
            time.sleep(_POLL)
        return self.process.poll() is not None


@contextmanager
def guarded(pid: int, folder: str) -> Iterator[None]:
    """Inside this block, a child process ends with this one, and its folder is removed; a negative pid: its group."""
    guard = _guard(folder, f"{pid}\n")
    try:
        yield
    finally:
        if guard is not None:
            guard.communicate(b"stop\n")


def _program(path: str | Path, environ: Secret[Mapping[str, str]]) -> str:
    found = shutil.which(path, path=environ.reveal().get("PATH", os.defpath))
    if found is None:
        os.stat(path)  # an OSError, unless it exists
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return os.path.abspath(found)


def _started(
    command: Sequence[str | Path],
    folder: Path,
    environ: Secret[Mapping[str, str]],
    log: IO[bytes],
    guard: subprocess.Popen[bytes] | None,
) -> subprocess.Popen[bytes]:
    """The child. An error is raised anew: the frames of `Popen` hold the environment."""
    try:
        return subprocess.Popen(  # noqa: S603 - the server that the caller named, or that was found
            list(command) if guard is None else ["/bin/sh", "-c", _PROGRAM_SCRIPT, "sh", *command],
            cwd=folder,
            env=environ.reveal(),
            stdin=subprocess.DEVNULL if guard is None else guard.stdin,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        failure = OSError(error.errno, error.strerror)
    raise failure


def _guard(folder: str | Path, line: str = "") -> subprocess.Popen[bytes] | None:
    """The shell that waits for the end of this process; `line` is the child's process ID, if it is known."""
    if os.name != "posix":
        return None
    guard = subprocess.Popen(  # noqa: S603 - a fixed command
        ["/bin/sh", "-c", _GUARD_SCRIPT, "sh", os.path.abspath(folder)],
        cwd="/",
        env={"PATH": os.defpath},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        start_new_session=True,  # it survives a signal to our process group, such as Ctrl-C
    )
    if guard.stdin is not None:
        guard.stdin.write(line.encode())
    return guard
