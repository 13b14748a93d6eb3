"""Command line: the program `moss-voice-server`; one file per command, and `main`, the way in.

Exit status: 0 done, 1 the credentials or a server failed, 2 wrong usage, 130 interrupted by Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; `argv` is what follows the program's name.

    Whatever goes wrong is one line on standard error, without a traceback and without a secret.
    """
    # Imports stand where Ctrl-C and a closed pipe are already taken care of.
    try:
        from . import _say
        from ._program import run

        try:
            status = run(argv)
            _say.flush()
        except OSError as error:
            # A reader that has left, as `| head` does, is no news to anybody.
            if not isinstance(error, BrokenPipeError):
                _say.error(f"the operating system refused: {error.strerror or type(error).__name__}")
            _say.discard_output()
            status = 1
    except KeyboardInterrupt:
        status = 130
    return status
