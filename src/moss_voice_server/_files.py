"""Files: reads small text files, with a bound for paths that have no end, such as `/dev/zero`."""

from __future__ import annotations

MAX_CHARACTERS = 64 * 1024
"""Enough for any setting, key or token."""


def read_text(path: str) -> str:
    """The first `MAX_CHARACTERS` of a UTF-8 file.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not UTF-8, or the path contains a null character.
    """
    with open(path, encoding="utf-8") as file:
        return file.read(MAX_CHARACTERS)
