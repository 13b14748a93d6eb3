"""The program `moss-voice-server`: one file per command, and `main`, its entry point.

Exit status: 0 done, 1 the credentials or a server failed, 2 wrong usage, 130 interrupted by Ctrl-C.
"""

from __future__ import annotations

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
            _output.flush_stdout()
        except OSError as error:
            # A reader that stops early, such as `| head`, is not an error to report.
            if not isinstance(error, BrokenPipeError):
                _output.error(f"I/O error: {error.strerror or type(error).__name__}")
            _output.discard_stdout()
            status = 1
    except KeyboardInterrupt:
        status = 130
    return status
