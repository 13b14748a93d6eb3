"""LiveKit's client for browsers: one pinned file, from the wheel, from the cache folder through npm, or from a public CDN."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
import threading
import time
from base64 import b64decode
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..testing._livekit_binary import cache_folder

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = "2.23.0"
"""The release of npm's `livekit-client` that the local page is written for."""

FILE = "livekit-client.umd.js"
"""The one file that the page loads."""

INTEGRITY = "sha384-HkA7rQNo8H04l1p4zoXX1Cy+h9YoYp8LvKt4vfMFhv4KFk07UkrNwIUnyBum8Pw6"
"""The hash of that file, as W3C's Subresource Integrity writes it; nothing else is ever served or run."""

CDN = f"https://cdn.jsdelivr.net/npm/livekit-client@{VERSION}/dist/{FILE}"
"""Where the page gets the file from when this machine has neither it nor npm."""

VENDOR = Path(__file__).parent / "page" / "vendor"
"""Where a built wheel holds it; a clone has no such folder."""

_LICENCE = "LICENSE"
_LARGEST = 4 << 20  # bytes of a file that is taken out of the package; the client has 0.6 MiB
# Without a network npm would try for a minute and more; the page waits for it.
_SOON = ("--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-timeout=20000")
_LOOK_AGAIN = 0.1  # seconds between two looks at npm, and at whether it is still wanted


class ClientError(RuntimeError):
    """The file could not be had; the text says why and what to do."""


class BrowserClient:
    """The file for one run of the local page: found at once, or fetched by npm while the page is already served.

    Args:
        environ: npm is looked for on its `PATH`, the cache folder by its `XDG_CACHE_HOME`; npm reads its settings there.
        vendor: where a wheel would hold the file.
        timeout: seconds that npm is given.
    """

    def __init__(
        self, environ: Mapping[str, str] = os.environ, *, vendor: Path = VENDOR, timeout: float = 60.0
    ) -> None:
        self._environ = environ
        self._vendor = vendor
        self._timeout = timeout
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.file: Future[bytes | None] = Future()
        """The file's bytes, or `None` when the page has to ask the CDN."""

    def start(self) -> None:
        """Look for it, and where it is missing and npm is there, begin to fetch it in the background."""
        cache = _cache(self._environ)
        found = _read(self._vendor) or _read(cache)
        if found is not None or _npm(self._environ) is None:
            self.file.set_result(found)
            return
        self._thread = threading.Thread(target=self._fetch, args=(cache,), name="livekit-client", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End npm, if it still runs, and wait for that."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def source(self) -> str:
        """What the page loads: our own `FILE`, also while it is being fetched, or the `CDN`."""
        return CDN if self.file.done() and self.file.result() is None else FILE

    def _fetch(self, folder: Path) -> None:
        found = None
        with suppress(ClientError, OSError):  # the CDN is the way out
            found = _read(fetch(folder, self._environ, timeout=self._timeout, stop=self._stop))
        self.file.set_result(found)


def fetch(
    folder: Path,
    environ: Mapping[str, str] = os.environ,
    *,
    timeout: float = 60.0,
    stop: threading.Event | None = None,
) -> Path:
    """Put the file and its licence into `folder`, by npm, and return the folder; only with the right hash.

    Args:
        folder: made when it is missing.
        environ: npm's environment.
        timeout: seconds that npm is given.
        stop: when it is set, npm is ended.

    Raises:
        ClientError: npm is absent or fails, or what it brings is not the pinned file.
    """
    npm = _npm(environ)
    if npm is None:
        raise ClientError("npm was not found on PATH: install Node.js (https://nodejs.org), which brings it")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetch-") as made:
        _pack(npm, made, environ, timeout, stop or threading.Event())
        archives = list(Path(made).glob("*.tgz"))
        if len(archives) != 1:
            raise ClientError(f"`npm pack livekit-client@{VERSION}` left no package: run it by hand to see why")
        _take_out(archives[0], Path(made))
        # The file comes last: where it is, its licence is too.
        for name in (_LICENCE, FILE):
            os.replace(Path(made, name), folder / name)
    return folder


def _pack(npm: str, folder: str, environ: Mapping[str, str], timeout: float, stop: threading.Event) -> None:
    """Let npm bring the package. It has a process group of its own, so that nothing of it can stay."""
    process = subprocess.Popen(  # noqa: S603 - a fixed command, and npm as PATH finds it
        [npm, "pack", f"livekit-client@{VERSION}", "--ignore-scripts", "--silent", *_SOON],
        cwd=folder,
        env={**environ, "npm_config_update_notifier": "false"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + timeout
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                status = process.wait(_LOOK_AGAIN)
                break
            if stop.is_set() or time.monotonic() > deadline:
                raise ClientError(f"npm did not bring livekit-client {VERSION} within {timeout:g} s: try again")
    finally:
        _end(process)
    if status:
        raise ClientError(f"`npm pack livekit-client@{VERSION}` failed with status {status}: run it by hand to see why")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End npm and what it has started. What has ended already is left alone: its number may be somebody else's by now."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()


def _take_out(archive: Path, folder: Path) -> None:
    """Take the two files out of npm's package, by name, and look at the hash before anything is written."""
    try:
        with tarfile.open(archive) as package:
            script = _member(package, f"package/dist/{FILE}")
            licence = _member(package, f"package/{_LICENCE}")
    except (tarfile.TarError, KeyError, EOFError, OSError) as error:
        raise ClientError(
            f"npm's package of livekit-client {VERSION} cannot be read ({type(error).__name__})"
        ) from None
    if not _is_it(script):
        raise ClientError(
            f"npm's livekit-client {VERSION} has another hash than the pinned one: it is not what was published"
        )
    (folder / FILE).write_bytes(script)
    (folder / _LICENCE).write_bytes(licence)


def _member(package: tarfile.TarFile, name: str) -> bytes:
    member = package.extractfile(name)
    if member is None:
        raise KeyError(name)
    return member.read(_LARGEST)


def _cache(environ: Mapping[str, str]) -> Path:
    return cache_folder(environ) / f"livekit-client-{VERSION}"


def _npm(environ: Mapping[str, str]) -> str | None:
    return shutil.which("npm", path=environ.get("PATH", os.defpath))


def _read(folder: Path) -> bytes | None:
    """The file in this folder, unless it is missing, unreadable or another one."""
    try:
        script = (folder / FILE).read_bytes()
    except OSError:
        return None
    return script if _is_it(script) else None


def _is_it(script: bytes) -> bool:
    return hashlib.sha384(script).digest() == b64decode(INTEGRITY.partition("-")[2])
