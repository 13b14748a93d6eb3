"""Run the command line, in this process or in its own: feed it, interrupt it, and read its output."""

from __future__ import annotations

import io
import os
import select
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import jwt

from moss_voice_server._cli import main

PATIENCE = 60.0  # seconds; only a command that hangs comes near it

# Warnings are errors there as well: one that is not ours would come out as a traceback.
PROGRAM = (sys.executable, "-W", "error", "-m", "moss_voice_server")

SECRET = "a-secret-of-more-than-thirty-two-characters"
LIVEKIT = {"LIVEKIT_URL": "wss://livekit.example", "LIVEKIT_API_KEY": "APIkey", "LIVEKIT_API_SECRET": SECRET}

_OURS = ("MOSS_", "LIVEKIT_", "XDG_", "PYTHON")
_STEERING = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "TERM")


def lacking(*names: str) -> tuple[str, ...]:
    """The program without these packages: `None` is Python's own way to say that a module cannot be imported."""
    start = f"import sys; sys.modules.update(dict.fromkeys({names})); from moss_voice_server._cli import main; sys.exit(main())"
    return *PROGRAM[:3], "-c", start


class Done(NamedTuple):
    """What a command left: its exit status, standard output and standard error."""

    status: int
    out: str
    err: str


def bare_environ(home: Path) -> dict[str, str]:
    """The developer's environment without variables that affect the program, and with a separate home."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OURS) and name not in _STEERING and not name.lower().endswith("_proxy")
    }
    # No livekit-server can be found on this PATH; Python is started by its own path.
    return {**kept, "HOME": str(home), "PATH": str(home), "TERM": "xterm-256color", "LC_ALL": "C.UTF-8"}


class Shell:
    """Runs `moss-voice-server` and sees to it that nothing secret comes out.

    Args:
        environ: the commands' environment; its keys and secrets must not be shown.
    """

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ
        self.secrets: list[str] = []

    def __call__(
        self,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        stdin: str | bytes | None = None,
        program: Sequence[str] = (),
    ) -> Done:
        """Run a command to its end: in this process, unless another `program` is to run it."""
        whole = {**self.environ, **(environ or {})}
        typed = stdin.encode() if isinstance(stdin, str) else stdin or b""
        if program:
            done = subprocess.run(
                [*program, *arguments], env=whole, input=typed, capture_output=True, timeout=PATIENCE, check=False
            )
            return self.checked(Done(done.returncode, done.stdout.decode(), done.stderr.decode()), environ)
        encoding, _, errors = whole.get("PYTHONIOENCODING", "utf-8").partition(":")
        files: dict[str, Any] = {
            name: io.TextIOWrapper(io.BytesIO(content), encoding, errors or "strict", write_through=True)
            for name, content in (("stdin", typed), ("stdout", b""), ("stderr", b""))
        }
        with mock.patch.multiple("sys", **files), mock.patch.dict(os.environ, whole, clear=True):
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                status = main(arguments)
            out, err = (files[name].buffer.getvalue().decode(encoding) for name in ("stdout", "stderr"))
        return self.checked(Done(status, out, err), environ)

    @contextmanager
    def started(self, *arguments: str, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
        """A command while it runs; it does not outlive the block."""
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
        with subprocess.Popen([*PROGRAM, *arguments], env=self.environ, **settings) as process:
            try:
                yield process
            finally:
                process.kill()

    def ended(self, process: subprocess.Popen[bytes], signal: int | None = None) -> Done:
        """What a started command left, by itself or upon a signal."""
        if signal is not None:
            process.send_signal(signal)
        out, err = process.communicate(timeout=PATIENCE)
        return self.checked(Done(process.returncode, (out or b"").decode(), err.decode()))

    def checked(self, done: Done, environ: Mapping[str, str] | None = None) -> Done:
        """What a command left, once it is sure that it holds no secret and no traceback."""
        everything = {**self.environ, **(environ or {})}
        named = [everything.get(name, "") for name in ("MOSS_PROJECT_KEY", "LIVEKIT_API_SECRET")]
        text = done.out + done.err
        assert [] == [secret for secret in [*named, *self.secrets] if secret and secret in text]
        assert "Traceback" not in text, text
        return done


def claims(token: str) -> dict[str, Any]:
    """The claims of a token, read by PyJWT; the signature is not looked at."""
    read: dict[str, Any] = jwt.decode(token.strip(), options={"verify_signature": False})
    return read


def read_soon(file: int, size: int) -> str:
    """What comes through a pipe next, at most `size` bytes; fails when nothing does."""
    ready, _, _ = select.select([file], [], [], PATIENCE)
    assert ready, "nothing came"
    return os.read(file, size).decode()
