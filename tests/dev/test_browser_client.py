"""LiveKit's client for browsers: from the wheel, the cache or npm, and otherwise from the CDN; never another file."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import time
from base64 import b64encode
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server._dev import browser_client as client
from moss_voice_server._dev.browser_client import CDN, FILE, ClientBundle, ClientError, fetch
from tests.cli.shell import read_soon
from tests.livekit.needs import absent
from tests.support.programs import program, runs

pytestmark = pytest.mark.once

PATIENCE = 60.0


def started(environ: dict[str, str], vendor: Path, **more: Any) -> ClientBundle:
    """One that has been started."""
    one = ClientBundle(environ, vendor=vendor, **more)
    one.start()
    return one


def cache_of(environ: dict[str, str]) -> Path:
    """The folder of the cache that it uses."""
    return Path(environ["XDG_CACHE_HOME"], "moss-voice-server", f"livekit-client-{client.VERSION}")


def npm_of(environ: dict[str, str]) -> Path:
    """Where a program in place of npm is found."""
    return Path(environ["PATH"], "npm")


def package(files: dict[str, bytes]) -> bytes:
    """A package as npm has it: a tar archive, compressed."""
    whole = BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, BytesIO(content))
    return whole.getvalue()


def test_npm_fetches_it(tmp_path: Path) -> None:
    """npm's package contains the file with the pinned hash, and its license; nothing else is left."""
    if shutil.which("npm") is None:
        absent("npm is needed to fetch LiveKit's client")
    folder = fetch(tmp_path / "into", timeout=PATIENCE)
    digest = hashlib.sha384((folder / FILE).read_bytes()).digest()
    assert client.INTEGRITY == f"sha384-{b64encode(digest).decode()}"
    assert "Apache License" in (folder / "LICENSE").read_text()
    assert {FILE, "LICENSE"} == {path.name for path in folder.iterdir()}


def test_wheel_or_cache_holds_it(environ: dict[str, str], client_folder: Path, tmp_path: Path) -> None:
    """The file in the wheel, or the one that an earlier run fetched, is used. Without npm the page uses the CDN otherwise."""
    script = (client_folder / FILE).read_bytes()
    wheel, absent = started(environ, client_folder), started(environ, tmp_path / "none")
    assert [(FILE, script), (CDN, None)] == [(one.source, one.file.result(0)) for one in (wheel, absent)]
    with pytest.raises(ClientError, match=r"npm was not found on PATH: install Node\.js"):
        fetch(tmp_path / "into", environ)
    assert not (tmp_path / "into").exists()
    shutil.copytree(client_folder, cache_of(environ))
    assert script == started(environ, tmp_path / "none").file.result(0)


@pytest.mark.parametrize("where", ["wheel", "cache"])
def test_another_file(where: str, environ: dict[str, str], client_folder: Path, tmp_path: Path) -> None:
    """A file with another hash is not used, neither from the wheel nor from the cache."""
    folder = tmp_path / "vendor" if where == "wheel" else cache_of(environ)
    folder.mkdir(parents=True)
    (folder / FILE).write_bytes((client_folder / FILE).read_bytes() + b"\n")
    assert CDN == started(environ, tmp_path / "vendor").source


def test_fetched_in_the_background(environ: dict[str, str], client_folder: Path, tmp_path: Path) -> None:
    """While npm runs, the page loads the file from us; later it is in the cache."""
    script = (client_folder / FILE).read_bytes()
    held = tmp_path / "package.tgz"
    held.write_bytes(package({f"package/dist/{FILE}": script, "package/LICENSE": b"Apache License"}))
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    program(
        npm_of(environ), f"import shutil\nopen({str(gate)!r}).read()\nshutil.copy({str(held)!r}, 'livekit-client.tgz')"
    )
    one = started(environ, tmp_path / "none")
    assert (FILE, False) == (one.source, one.file.done())
    gate.write_text("go on")
    assert script == one.file.result(PATIENCE)
    assert script == started(environ, tmp_path / "none").file.result(0)
    one.close()


def test_npm_that_hangs(environ: dict[str, str], tmp_path: Path) -> None:
    """npm is ended when its time is up, with all that it has started; the CDN is left."""
    mark = tmp_path / "pids"
    os.mkfifo(mark)
    program(
        npm_of(environ),
        "import os, subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(mark)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "time.sleep(600)",
    )
    reader = os.open(mark, os.O_RDONLY | os.O_NONBLOCK)
    one = started(environ, tmp_path / "none", timeout=1.5)
    pids = [int(pid) for pid in read_soon(reader, 100).split()]
    os.close(reader)
    assert one.file.result(PATIENCE) is None
    assert CDN == one.source
    # The system ends them, and that takes a moment.
    deadline = time.monotonic() + PATIENCE
    while any(map(runs, pids)):
        assert time.monotonic() < deadline, "npm or what it has started still runs"
        time.sleep(0.01)


OTHER = package({f"package/dist/{FILE}": b"another", "package/LICENSE": b""})
WRONG = {
    "fails": ("raise SystemExit(7)", "failed with status 7: run it to see why"),
    "brings nothing": ("pass", "left no package: run it to see why"),
    "brings no archive": ("open('x.tgz', 'wb').write(b'no')", "cannot be read (ReadError)"),
    "brings another package": (
        f"open('x.tgz', 'wb').write({package({'package/index.js': b''})!r})",
        "cannot be read (KeyError)",
    ),
    "brings another file": (f"open('x.tgz', 'wb').write({OTHER!r})", "does not match the pinned hash"),
}


@pytest.mark.parametrize(("body", "text"), WRONG.values(), ids=WRONG.keys())
def test_npm_fails(body: str, text: str, environ: dict[str, str], tmp_path: Path) -> None:
    """A failure of npm is an error with the cause, leaves nothing in the folder, and the page uses the CDN."""
    program(npm_of(environ), body)
    with pytest.raises(ClientError) as caught:
        fetch(tmp_path / "into", environ, timeout=PATIENCE)
    assert text in str(caught.value)
    assert [] == list((tmp_path / "into").iterdir())
    one = started(environ, tmp_path / "none")
    assert one.file.result(PATIENCE) is None
    assert CDN == one.source


def test_cache_that_cannot_be_written(environ: dict[str, str], tmp_path: Path) -> None:
    """Without a writable cache folder the page uses the CDN."""
    program(npm_of(environ), "pass")
    Path(environ["XDG_CACHE_HOME"]).write_text("a file is in the way")
    assert started(environ, tmp_path / "none").file.result(PATIENCE) is None
