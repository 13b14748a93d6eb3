"""Go: LiveKit's Go library as a program, built once into the cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from moss_voice_server.dev.livekit import cache_folder

from .programs import Absent

_SOURCES = Path(__file__).parent / "go"
_FILES = ("go.mod", "go.sum", "main.go")


def go_program(*, build: bool) -> Path:
    """The program. Building needs Go and, the first time, the network.

    Raises:
        Absent: it is not built, and there is no Go or the build failed.
    """
    digest = hashlib.sha256(b"".join((_SOURCES / name).read_bytes() for name in _FILES)).hexdigest()[:12]
    program = cache_folder() / f"benchmark-go-{digest}"
    if program.is_file():
        return program
    go = shutil.which("go")
    if go is None:
        raise Absent("there is no go on PATH")
    if not build:
        raise Absent("it has not been built yet, which a run without --quick does")
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=program.parent) as temporary:
        made = Path(temporary, "mint")
        # The pinned versions and the Go that is here: nothing else is to be fetched.
        flags = {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
        done = subprocess.run(
            [go, "build", "-o", str(made), "."],
            cwd=_SOURCES,
            env=os.environ | flags,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode:
            raise Absent(f"go build failed: {done.stderr.strip()[-300:]}")
        os.replace(made, program)
    return program
