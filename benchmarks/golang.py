"""Go: LiveKit's Go library as a program, built once into the cache folder."""

from __future__ import annotations

from pathlib import Path

from .cached import cached, done, tool

_SOURCES = Path(__file__).parent / "go"
_PINS = [_SOURCES / name for name in ("go.mod", "go.sum", "main.go")]
# Use the pinned versions and the installed Go; download no other toolchain.
_FLAGS = {"GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}


def go_program(*, build: bool) -> Path:
    """The program. Building needs Go and, the first time, the network.

    Raises:
        Absent: it is not built, and there is no Go or the build failed.
    """

    def make(program: Path) -> None:
        done(tool("go"), "build", "-o", str(program), ".", folder=_SOURCES, variables=_FLAGS)

    return cached("benchmark-go-{digest}", _PINS, make, now=build)
