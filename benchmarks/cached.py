"""Cache: files and programs from pinned versions, downloaded or built once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from moss_voice_server.testing._livekit_binary import cache_folder

from .programs import Absent


def cached(name: str, pins: Iterable[Path], make: Callable[[Path], None], *, now: bool) -> Path:
    """A file or folder in the cache folder; `make(path)` creates it if it is missing.

    Args:
        name: its path there; `{digest}` becomes a hash of the pins, so that other versions get another place.
        pins: the files that say what it is made of.
        make: makes it at a path, beside its place.
        now: whether it may be made.

    Raises:
        Absent: it is not there and may not be made, or `make` says so.
    """
    digest = hashlib.sha256(b"".join(pin.read_bytes() for pin in pins)).hexdigest()[:12]
    place = cache_folder() / name.format(digest=digest)
    if place.exists():
        return place
    if not now:
        raise Absent("it is not in the cache folder yet, where a run without --quick puts it")
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as temporary:
        made = Path(temporary, place.name)
        make(made)
        # Another process may have created the same file first.
        with suppress(OSError):
            os.replace(made, place)
    if not place.exists():
        raise Absent(f"it could not be moved into {place.parent.name}, a folder of the cache: can we write there?")
    return place


def tool(name: str) -> str:
    """Find a program.

    Raises:
        Absent: it is not on PATH.
    """
    found = shutil.which(name)
    if found is None:
        raise Absent(f"there is no {name} on PATH")
    return found


def done(*command: str, folder: Path, variables: Mapping[str, str] | None = None) -> None:
    """Run a command until it exits.

    Raises:
        Absent: it failed, and why.
    """
    ended = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **(variables or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    if ended.returncode:
        raise Absent(f"{Path(command[0]).name} {command[1]} failed: {ended.stderr.strip()[-300:]}")
