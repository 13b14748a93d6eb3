"""Find a `livekit-server` executable, or build one with Go into the cache folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from ._guarded import guarded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIVEKIT_VERSION = "v1.13.5"
"""The LiveKit release that this package is tested against."""

_GO_PACKAGE = f"github.com/livekit/livekit-server/cmd/server@{LIVEKIT_VERSION}"
_EXE = ".exe" if sys.platform == "win32" else ""
_SHOWN_LINES = 15  # of Go's output, in an error


class LiveKitServerError(RuntimeError):
    """A LiveKit server could not be found, built or started; the text gives the cause and the remedy."""


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder `moss-voice-server` below `XDG_CACHE_HOME`, or below `~/.cache`.

    A relative `XDG_CACHE_HOME` is ignored, as the XDG base directory specification requires.
    """
    named = environ.get("XDG_CACHE_HOME", "")
    base = Path(named) if os.path.isabs(named) else Path.home() / ".cache"
    return base / "moss-voice-server"


def find_livekit_server(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The first `livekit-server` of `LIVEKIT_SERVER_BIN`, `PATH` and the cache folder, or `None`.

    Raises:
        LiveKitServerError: `LIVEKIT_SERVER_BIN` is not an executable file; using another server would hide that.
    """
    named = environ.get("LIVEKIT_SERVER_BIN", "")
    if named:
        if not _is_executable(Path(named)):
            raise LiveKitServerError(
                f"LIVEKIT_SERVER_BIN is {named!r}, which is not an executable file: correct it or unset it"
            )
        return Path(named)
    on_path = shutil.which("livekit-server", path=environ.get("PATH", os.defpath))
    if on_path:
        return Path(on_path)
    cached = _cached_binary(environ)
    return cached if _is_executable(cached) else None


def go_command(environ: Mapping[str, str] = os.environ) -> str | None:
    """The path of the program `go`, or `None`."""
    return shutil.which("go", path=environ.get("PATH", os.defpath))


def build_livekit_server(
    environ: Mapping[str, str] = os.environ, *, on_output: Callable[[str], object] = lambda line: None
) -> Path:
    """Build LiveKit's server (release `LIVEKIT_VERSION`) into the cache folder, once, and return its path.

    Needs Go, and on the first call the network: Go downloads the module and its dependencies and compiles them, in
    one to four minutes.

    Args:
        environ: variables for Go; `PATH` locates it.
        on_output: called with each line that Go prints, such as the name of a package that it compiles.

    Raises:
        LiveKitServerError: Go is absent, or the build failed.
    """
    target = _cached_binary(environ)
    if _is_executable(target):
        return target
    go = go_command(environ)
    if go is None:
        raise LiveKitServerError(
            f"Go is needed to build livekit-server {LIVEKIT_VERSION} and was not found on PATH: install Go "
            "(https://go.dev/dl), or install livekit-server and set LIVEKIT_SERVER_BIN"
        )
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LiveKitServerError(
            f"the cache folder {target.parent} cannot be created ({error.strerror}): set XDG_CACHE_HOME to another folder"
        ) from None
    # The finished file is moved, so that `target` is always complete, also where several processes build.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="build-") as folder:
        _go_install(go, folder, environ, on_output)
        os.replace(Path(folder, f"server{_EXE}"), target)
    return target


def _go_install(go: str, folder: str, environ: Mapping[str, str], on_output: Callable[[str], object]) -> None:
    lines: deque[str] = deque(maxlen=_SHOWN_LINES)
    with subprocess.Popen(  # noqa: S603 - a fixed command, and Go as PATH finds it
        [go, "install", "-v", _GO_PACKAGE],
        cwd=folder,  # no go.mod or go.work of the caller's folder may take part
        env={**environ, "GOBIN": folder},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            with guarded(process.pid, folder):
                for line in process.stdout or ():
                    lines.append(line.rstrip())
                    on_output(lines[-1])
        except BaseException:  # Ctrl-C above all
            process.kill()
            raise
    if process.returncode != 0:
        # The URL of a module proxy may contain a password.
        tail = re.sub(r"//[^/\s@]+@", "//***@", "\n".join(lines))
        raise LiveKitServerError(f"`go install -v {_GO_PACKAGE}` failed; its output ends:\n{tail}")


def _cached_binary(environ: Mapping[str, str]) -> Path:
    return cache_folder(environ) / f"livekit-server-{LIVEKIT_VERSION}" / f"livekit-server{_EXE}"


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
