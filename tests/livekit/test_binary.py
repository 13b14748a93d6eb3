"""Where the `livekit-server` executable comes from, with a stand-in for Go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from moss_voice_server.testing import LiveKitServer, LiveKitServerError
from moss_voice_server.testing._livekit_binary import (
    LIVEKIT_VERSION,
    build_livekit_server,
    cache_folder,
    find_livekit_server,
)
from tests.support.programs import program

CACHED = f"moss-voice-server/livekit-server-{LIVEKIT_VERSION}/livekit-server"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which nothing is installed and the cache is empty."""
    return {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}


def fake_go(environ: dict[str, str], does: str) -> None:
    """A `go` on PATH which notes that it was called, and then does this (Python)."""
    program(
        Path(environ["PATH"], "go"),
        "import os, sys, time\nfrom pathlib import Path\n"
        f"with open({str(Path(environ['HOME'], 'calls'))!r}, 'a') as calls: print(*sys.argv[1:], file=calls)\n{does}\n",
    )


BUILDS = "made = Path(os.environ['GOBIN'], 'server'); made.write_text('#!/bin/sh'); made.chmod(0o755)"


def test_order_of_the_search(environ: dict[str, str], tmp_path: Path) -> None:
    """`LIVEKIT_SERVER_BIN` beats PATH, PATH beats the cache, and without them the result is `None`."""
    places = {
        "LIVEKIT_SERVER_BIN": program(tmp_path / "my server", ""),
        "PATH": program(tmp_path / "bin" / "livekit-server", ""),
        "XDG_CACHE_HOME": program(tmp_path / "cache" / CACHED, ""),
    }
    environ["LIVEKIT_SERVER_BIN"] = str(tmp_path / "my server")
    found = []
    for path in places.values():
        found.append(find_livekit_server(environ))
        environ.pop("LIVEKIT_SERVER_BIN", None)
        path.unlink()

    assert [*places.values(), None] == [*found, find_livekit_server(environ)]


@pytest.mark.parametrize("damage", ["absent", "not executable", "a folder"])
def test_named_file_must_be_a_program(damage: str, environ: dict[str, str], tmp_path: Path) -> None:
    """A mistake in `LIVEKIT_SERVER_BIN` is an error that names it, although there is a server on PATH."""
    program(tmp_path / "bin" / "livekit-server", "")
    named = tmp_path / "named"
    if damage == "not executable":
        named.write_text("")
    elif damage == "a folder":
        named.mkdir()
    environ["LIVEKIT_SERVER_BIN"] = str(named)

    with pytest.raises(LiveKitServerError, match=f"LIVEKIT_SERVER_BIN is '{named}'"):
        find_livekit_server(environ)


@pytest.mark.parametrize(
    ("xdg", "expected"),
    [
        ({}, Path.home() / ".cache"),
        ({"XDG_CACHE_HOME": ""}, Path.home() / ".cache"),
        ({"XDG_CACHE_HOME": "relative/path"}, Path.home() / ".cache"),
        ({"XDG_CACHE_HOME": "/somewhere/else"}, Path("/somewhere/else")),
    ],
)
def test_cache_folder_follows_the_xdg_specification(xdg: dict[str, str], expected: Path) -> None:
    """The cache is below an absolute `XDG_CACHE_HOME`, otherwise below `~/.cache`."""
    assert expected / "moss-voice-server" == cache_folder(xdg)


def test_build_needs_go(environ: dict[str, str]) -> None:
    """Without Go the error names Go and the alternative."""
    with pytest.raises(LiveKitServerError, match=r"Go is needed .* install Go .* LIVEKIT_SERVER_BIN"):
        build_livekit_server(environ)


def test_cache_folder_that_cannot_be_created(environ: dict[str, str]) -> None:
    """The error names the folder and the variable that moves it."""
    fake_go(environ, BUILDS)
    with pytest.raises(LiveKitServerError, match=r"/dev/null/moss-voice-server/.* set XDG_CACHE_HOME"):
        build_livekit_server({**environ, "XDG_CACHE_HOME": "/dev/null"})


def test_build_puts_the_server_into_the_cache(environ: dict[str, str], tmp_path: Path) -> None:
    """Go builds the pinned release once; then the server is found, and Go is no longer needed."""
    fake_go(environ, f"print('github.com/livekit/protocol/livekit'); {BUILDS}")
    seen: list[str] = []

    built = build_livekit_server(environ, on_output=seen.append)
    Path(environ["PATH"], "go").unlink()

    assert tmp_path / "cache" / CACHED == built == build_livekit_server(environ) == find_livekit_server(environ)
    assert ["github.com/livekit/protocol/livekit"] == seen
    asked = f"install -v github.com/livekit/livekit-server/cmd/server@{LIVEKIT_VERSION}"
    assert [asked] == (tmp_path / "calls").read_text().splitlines()
    assert {"livekit-server"} == {path.name for path in built.parent.iterdir()}


def test_parallel_builds(environ: dict[str, str], tmp_path: Path) -> None:
    """Several builds at the same time all end with the same complete file."""
    fake_go(environ, BUILDS)

    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: build_livekit_server(environ), range(4)))

    assert {tmp_path / "cache" / CACHED} == paths
    assert ["livekit-server"] == [path.name for path in paths.pop().parent.iterdir()]


def test_failed_build(environ: dict[str, str], tmp_path: Path) -> None:
    """The error ends with Go's last words, a proxy's password masked, and nothing half-built is found."""
    fake_go(environ, "print('Get https://user:hunter2@proxy.example/x: refused'); " + BUILDS + "; sys.exit(1)")

    with pytest.raises(LiveKitServerError, match=r"Get https://\*\*\*@proxy\.example/x: refused") as failed:
        build_livekit_server(environ)

    assert "hunter2" not in str(failed.value)
    assert find_livekit_server(environ) is None


def test_server_without_a_binary(environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting a server without an executable is an error with the ways to get one."""
    monkeypatch.delenv("LIVEKIT_SERVER_BIN", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(LiveKitServerError, match=r"LIVEKIT_SERVER_BIN, .* PATH, .*moss-voice-server dev"):
        LiveKitServer().start()
