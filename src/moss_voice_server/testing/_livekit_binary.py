"""Where a `livekit-server` comes from: named, on PATH, in the cache folder, or built by Go into it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LIVEKIT_VERSION = "v1.13.5"
"""The LiveKit release that this package is tested against."""

_GO_PACKAGE = f"github.com/livekit/livekit-server/cmd/server@{LIVEKIT_VERSION}"
_EXE = ".exe" if sys.platform == "win32" else ""
_LOCK_POLL = 0.2  # seconds between two looks at a lock that another process holds


class LiveKitServerError(RuntimeError):
    """A LiveKit server could not be found, built or started; the text says why and what to do."""


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder `moss-voice-server` below `XDG_CACHE_HOME`, or below `~/.cache`.

    A relative `XDG_CACHE_HOME` is ignored, as the XDG base directory specification demands.
    """
    named = environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if os.path.isabs(named) else Path.home() / ".cache"
    return base / "moss-voice-server"


def find_livekit_server(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The `livekit-server` to use, or None when there is none.

    Looked for in this order: the file that `LIVEKIT_SERVER_BIN` names, `livekit-server` on `PATH`, the one
    that `build_livekit_server` has put into the cache folder.

    Raises:
        LiveKitServerError: `LIVEKIT_SERVER_BIN` names something that cannot be executed; falling back to
            another server would hide the mistake.
    """
    named = environ.get("LIVEKIT_SERVER_BIN", "")
    if named:
        if not _is_executable(Path(named)):
            raise LiveKitServerError(
                f"LIVEKIT_SERVER_BIN names {named!r}, which is not an executable file: correct it or unset it"
            )
        return Path(named)
    on_path = shutil.which("livekit-server", path=environ.get("PATH", os.defpath))
    if on_path:
        return Path(on_path)
    cached = _cached_binary(environ)
    return cached if _is_executable(cached) else None


def build_livekit_server(environ: Mapping[str, str] = os.environ, *, timeout: float = 1200.0) -> Path:
    """Build LiveKit's server (release `LIVEKIT_VERSION`) into the cache folder, once, and return its path.

    Needs Go, and on the first call the network: Go fetches the module and its dependencies and compiles them,
    one to three minutes. Processes that build at the same time wait for the first one and share its result.
    `timeout` is in seconds and bounds the waiting and the building, each.

    Raises:
        LiveKitServerError: Go is absent, the build failed, or the time is up.
    """
    target = _cached_binary(environ)
    if _is_executable(target):
        return target
    go = shutil.which("go", path=environ.get("PATH", os.defpath))
    if go is None:
        raise LiveKitServerError(
            f"Go is needed to build livekit-server {LIVEKIT_VERSION} and was not found on PATH: install Go "
            "(https://go.dev/dl), or install livekit-server and name it in LIVEKIT_SERVER_BIN"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.parent / "build.lock", timeout):
        if not _is_executable(target):  # whoever held the lock before may have built it
            _go_install(go, target, environ, timeout)
    return target


def _go_install(go: str, target: Path, environ: Mapping[str, str], timeout: float) -> None:
    """Build in a folder of its own and move the finished file, so that `target` is never half a server."""
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="build-") as folder:
        try:
            done = subprocess.run(  # noqa: S603 - a fixed command, and Go as PATH finds it
                [go, "install", _GO_PACKAGE],
                cwd=folder,  # no go.mod or go.work of the caller's folder may take part
                env={**environ, "GOBIN": folder},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise LiveKitServerError(
                f"`go install {_GO_PACKAGE}` did not end within {timeout:g} s: run it by hand to see why"
            ) from None
        if done.returncode != 0:
            # A module proxy's address may carry a password.
            tail = re.sub(r"//[^/\s@]+@", "//***@", "\n".join(done.stdout.splitlines()[-15:]))
            raise LiveKitServerError(f"`go install {_GO_PACKAGE}` failed; its last words:\n{tail}")
        os.replace(Path(folder, f"server{_EXE}"), target)


def _cached_binary(environ: Mapping[str, str]) -> Path:
    return cache_folder(environ) / f"livekit-server-{LIVEKIT_VERSION}" / f"livekit-server{_EXE}"


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


@contextmanager
def _locked(path: Path, timeout: float) -> Iterator[None]:
    """Hold an operating system's lock on `path`; it is let go when the process ends, however it ends."""
    with path.open("a+b") as file:
        deadline = time.monotonic() + timeout
        while not _try_lock(file.fileno()):
            if time.monotonic() > deadline:
                raise LiveKitServerError(
                    f"another process has been building livekit-server for {timeout:g} s (it holds {path}): "
                    "end it, or wait for it"
                )
            time.sleep(_LOCK_POLL)
        yield  # closing the file lets the lock go


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
