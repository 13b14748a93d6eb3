"""Messages on standard error; flushing standard output."""

from __future__ import annotations

import os
import sys

PROGRAM = "moss-voice-server"


def error(text: str) -> None:
    """Why the command failed."""
    note(f"error: {text}")


def warning(text: str) -> None:
    """What the user should change, although the command goes on."""
    note(f"warning: {text}")


def note(text: str) -> None:
    """Information that does not belong to the output."""
    if sys.stderr is not None:  # None when the caller has closed it; print would use standard output then
        print(f"{PROGRAM}: {text}", file=sys.stderr)


def flush_stdout() -> None:
    """Write what is buffered, so that this program reports a failure and not the interpreter."""
    if sys.stdout is not None:
        sys.stdout.flush()


def discard_stdout() -> None:
    """Redirect standard output to nowhere: what is buffered cannot be written, and would fail again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
