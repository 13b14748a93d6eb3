"""LiveKit's JavaScript client: one pinned file, from the wheel, the cache folder, npm, or a public CDN."""

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
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from ..testing._guarded import guarded
from ..testing._livekit_binary import cache_folder

VERSION = "2.23.0"  # the release of npm's `livekit-client` that the local page is written for

FILE = "livekit-client.umd.js"  # the one file that the page loads

INTEGRITY = "sha384-HkA7rQNo8H04l1p4zoXX1Cy+h9YoYp8LvKt4vfMFhv4KFk07UkrNwIUnyBum8Pw6"
"""The hash of that file in W3C's Subresource Integrity format; no other file is ever served or run."""

CDN = f"https://cdn.jsdelivr.net/npm/livekit-client@{VERSION}/dist/{FILE}"
"""Where the page loads the file when this machine has neither the file nor npm."""

VENDOR = Path(__file__).parent / "page" / "vendor"  # the folder in a built wheel; a clone lacks it

_LICENSE = "LICENSE"
_LARGEST = 4 << 20  # bytes that are read of a file in the package; the client has 0.6 MiB
# By default npm retries for more than a minute without a network, and the page waits for it.
_FAIL_FAST = ("--fetch-retries=1", "--fetch-retry-mintimeout=500", "--fetch-timeout=20000")
_POLL_INTERVAL = 0.1  # seconds


class ClientError(RuntimeError):
    """The file could not be fetched; the text gives the cause and the remedy."""


class ClientBundle:
    """The file for one run of the local page: found at once, or fetched by npm while the page is served."""

    def __init__(
        self, environ: Mapping[str, str] = os.environ, *, vendor: Path = VENDOR, timeout: float = 60.0
    ) -> None:
        self._environ = environ
        self._vendor = vendor
        self._timeout = timeout
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.file: Future[bytes | None] = Future()
        """The file's bytes, or `None` when the page must use the CDN."""

    def start(self) -> None:
        """Find the file; if it is missing and npm is installed, start to fetch it in the background."""
        cache = cache_folder(self._environ) / f"livekit-client-{VERSION}"
        found = _read(self._vendor) or _read(cache)
        if found is not None or _npm(self._environ) is None:
            self.file.set_result(found)
            return
        self._thread = threading.Thread(target=self._fetch, args=(cache,), name="livekit-client", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    @property
    def source(self) -> str:
        """What the page loads: our own `FILE`, also while npm fetches it, or the `CDN`."""
        return CDN if self.file.done() and self.file.result() is None else FILE

    def _fetch(self, folder: Path) -> None:
        found = None
        with suppress(ClientError, OSError):  # the page uses the CDN then
            found = _read(fetch(folder, self._environ, timeout=self._timeout, stop=self._stop))
        self.file.set_result(found)


def fetch(
    folder: Path, environ: Mapping[str, str] = os.environ, *, timeout: float = 60.0, stop: threading.Event | None = None
) -> Path:
    """Fetch the file and its license into `folder` with npm within `timeout` seconds, and check the hash."""
    npm = _npm(environ)
    if npm is None:
        raise ClientError("npm was not found on PATH: install Node.js (https://nodejs.org), which includes it")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="fetch-") as made:
        _pack(npm, made, environ, timeout, stop or threading.Event())
        archives = list(Path(made).glob("*.tgz"))
        if len(archives) != 1:
            raise ClientError(f"`npm pack livekit-client@{VERSION}` left no package: run it to see why")
        _extract(archives[0], Path(made))
        # The file comes last: where it exists, so does its license.
        for name in (_LICENSE, FILE):
            os.replace(Path(made, name), folder / name)
    return folder


def _pack(npm: str, folder: str, environ: Mapping[str, str], timeout: float, stop: threading.Event) -> None:
    """Run `npm pack` in its own process group, so that all of it can be stopped."""
    process = subprocess.Popen(  # noqa: S603 - a fixed command, and npm as PATH finds it
        [npm, "pack", f"livekit-client@{VERSION}", "--ignore-scripts", "--silent", *_FAIL_FAST],
        cwd=folder,
        env={**environ, "npm_config_update_notifier": "false"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + timeout
    try:
        with guarded(-process.pid, folder):
            while process.poll() is None:
                if stop.wait(_POLL_INTERVAL) or time.monotonic() > deadline:
                    raise ClientError(f"npm did not fetch livekit-client {VERSION} within {timeout:g} s: try again")
    finally:
        _end(process)
    if process.returncode:
        raise ClientError(
            f"`npm pack livekit-client@{VERSION}` failed with status {process.returncode}: run it to see why"
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill npm and its children, unless npm has exited: its process id may belong to another program by then."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.wait()


def _extract(archive: Path, folder: Path) -> None:
    """Extract the two files from npm's package, by name; the hash is checked before anything is written."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(archive) as package:
            for path in (f"dist/{FILE}", _LICENSE):
                member = package.extractfile(f"package/{path}")
                files[Path(path).name] = member.read(_LARGEST) if member else b""
    except (tarfile.TarError, KeyError, EOFError, OSError) as error:
        reason = type(error).__name__
        raise ClientError(f"npm's package of livekit-client {VERSION} cannot be read ({reason})") from None
    if not _is_pinned(files[FILE]):
        raise ClientError(
            f"npm's livekit-client {VERSION} does not match the pinned hash: it is not the published file"
        )
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _npm(environ: Mapping[str, str]) -> str | None:
    return shutil.which("npm", path=environ.get("PATH", os.defpath))


def _read(folder: Path) -> bytes | None:
    """The file in this folder, unless it is missing, unreadable or another file."""
    try:
        script = (folder / FILE).read_bytes()
    except OSError:
        return None
    return script if _is_pinned(script) else None


def _is_pinned(script: bytes) -> bool:
    return hashlib.sha384(script).digest() == b64decode(INTEGRITY.partition("-")[2])
