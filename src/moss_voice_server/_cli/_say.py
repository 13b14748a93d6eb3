"""Lines for people on standard error, and the end of standard output."""

from __future__ import annotations

import os
import sys

PROGRAM = "moss-voice-server"


def error(text: str) -> None:
    """Why the command does not go on."""
    note(f"error: {text}")


def warning(text: str) -> None:
    """What the user should change, though the command goes on."""
    note(f"warning: {text}")


def note(text: str) -> None:
    """What the user may want to know."""
    if sys.stderr is not None:  # None when the caller has closed it; print would take standard output then
        print(f"{PROGRAM}: {text}", file=sys.stderr)


def flush() -> None:
    """Hand over what is still to be written, so that a failure is ours to report and not the interpreter's."""
    if sys.stdout is not None:
        sys.stdout.flush()


def discard_output() -> None:
    """Let standard output end nowhere: what it still holds cannot be written, and would fail again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
