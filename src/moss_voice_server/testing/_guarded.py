"""A child process that does not outlive the process that started it."""

from __future__ import annotations

import os
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
# Waits for one line. Without it, at the end of the pipe, the process that held the other end is gone.
_GUARD_SCRIPT = 'read -r line; [ "$line" = stop ] && exit; kill -s KILL -- "$1"; rm -rf -- "$2"'


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
        self.process = _started(command, folder, environ, log)
        self._guard: subprocess.Popen[bytes] | None = None
        try:
            self._guard = _guard(self.process.pid, folder)
        except BaseException:
            self.end(0)
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
    guard = _guard(pid, folder)
    try:
        yield
    finally:
        if guard is not None:
            guard.communicate(b"stop\n")


def _started(
    command: Sequence[str | Path], folder: Path, environ: Secret[Mapping[str, str]], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """The child. An error is raised anew: the frames of `Popen` hold the environment."""
    try:
        return subprocess.Popen(  # noqa: S603 - the server that the caller named, or that was found
            list(command),
            cwd=folder,
            env=environ.reveal(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    except OSError as error:
        failure = OSError(error.errno, error.strerror)
    raise failure


def _guard(pid: int, folder: str | Path) -> subprocess.Popen[bytes] | None:
    if os.name != "posix":
        return None
    return subprocess.Popen(  # noqa: S603 - a fixed command
        ["/bin/sh", "-c", _GUARD_SCRIPT, "sh", str(pid), os.path.abspath(folder)],
        cwd="/",
        env={"PATH": os.defpath},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # it survives a signal to our process group, such as Ctrl-C
    )
