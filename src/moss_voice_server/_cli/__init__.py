"""The program `moss-voice-server`: one file per command, and `main`, its entry point.

Exit status: 0 done, 1 the credentials or a server failed, 2 wrong usage, 130 interrupted by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; `argv` is what follows the program's name.

    Every failure is one line on standard error, without a traceback and without a secret.
    """
    # Imported inside the try, so that Ctrl-C during the import ends quietly.
    try:
        from . import _output
        from ._program import run

        try:
            status = run(argv)
            if sys.stdout is not None:
                sys.stdout.flush()  # now, so that a failure is reported below and not by the interpreter
        except OSError as error:
            # A reader that stops early, such as `| head`, is not an error to report.
            if not isinstance(error, BrokenPipeError):
                _output.error(f"I/O error: {error.strerror or type(error).__name__}")
            # What is buffered cannot be written, and would fail again at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            status = 1
    except KeyboardInterrupt:
        status = 130
    return status
