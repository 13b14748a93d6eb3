"""Public surface: it changes only on purpose. `scripts/api --write` updates the list, whose difference is then reviewed."""

from __future__ import annotations

import difflib
import importlib
import re
import sys
from pathlib import Path

import pytest

TOO_OLD = sys.version_info < (3, 11)
if TOO_OLD:
    pytest.skip("griffe needs Python 3.11 or newer", allow_module_level=True)

from tests.api.surface import COMMITTED, main, surface  # noqa: E402 - only where griffe runs

# A small package.
SAMPLE = {
    "__init__.py": '''
from .shapes import Square
from ._inner import Hidden, Shown
__all__ = ["Shown", "Square"]
''',
    "_inner.py": '''
class Shown:
    """Defined in a private module, listed in a public one."""
    def area(self, scale: int = 1, /, *, unit: str = "m") -> float: ...
    def _private(self) -> None: ...
class Hidden: ...
''',
    "shapes.py": '''
from __future__ import annotations
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
if TYPE_CHECKING:
    Only = int
WIDTH = 3
_DEPTH = 4
class _Base(ValueError):
    def side(self) -> int: ...
class Square(_Base):
    def __init__(self, width: int = WIDTH, depth: int = _DEPTH, *rest: int, **more: str) -> None:
        self.width = width
    @property
    def name(self) -> str: ...
    @classmethod
    async def made(cls) -> Square: ...
@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0
class Pair(NamedTuple):
    right: int
    left: int
''',
}  # fmt: skip
LINES = """\
sample: module
sample.Shown: class() from sample._inner.Shown
sample.Shown.area(scale: int = 1, /, *, unit: str = 'm') -> float
sample.Square: class(ValueError) from sample.shapes.Square
sample.shapes: module
sample.shapes.Pair: class(NamedTuple)
sample.shapes.Pair: fields right, left
sample.shapes.Pair.left: int
sample.shapes.Pair.right: int
sample.shapes.Point: class() @dataclass(frozen=True)
sample.shapes.Point.__init__(x: int, y: int = 0) -> None
sample.shapes.Square: class(ValueError)
sample.shapes.Square.__init__(width: int = 3, depth: int = _DEPTH, *rest: int, **more: str) -> None
sample.shapes.Square.made() -> Square [async] [classmethod]
sample.shapes.Square.name: str [property]
sample.shapes.Square.side() -> int
sample.shapes.WIDTH = 3
"""

# Where `Any` is right: JSON, an httpx2 transport, and `**keywords` that go to a typed function.
ANY = {
    "MossVoiceServer.__init__",
    "MossVoiceServerSync.__init__",
    "MossVoiceServer.from_env",
    "MossVoiceServer.lazy_from_env",
    "MossVoiceServerSync.from_env",
    "MossVoiceServerSync.lazy_from_env",
    "testing.MockResponse.__init__",
    "testing.FakeMoss.add_session_report",
    "testing.FakeMoss.arguments",
    "testing.FakeMoss.session_reports",
    "testing.RecordedRequest.json",
    "testing.assert_token",
    "testing.decode_token",
}


def test_agreed() -> None:
    """The surface equals tests/api/public.txt."""
    agreed, found = COMMITTED.read_text(encoding="utf-8"), surface()
    change = "".join(difflib.unified_diff(agreed.splitlines(True), found.splitlines(True), "agreed", "found", n=0))
    assert not change, f"a public name changed; if that is intended, run `scripts/api --write`:\n{change}"


def test_what_counts(tmp_path: Path) -> None:
    """A name without underscore is public if its module defines or lists it; a private base counts as part of the class."""
    (tmp_path / "sample").mkdir()
    for name, text in SAMPLE.items():
        (tmp_path / "sample" / name).write_text(text, encoding="utf-8")

    assert LINES == surface(tmp_path, "sample")


def test_importable() -> None:
    """Every name of the list can be imported from its module."""
    home = ""
    for line in COMMITTED.read_text(encoding="utf-8").splitlines():
        path = re.split("[:( ]", line, maxsplit=1)[0]
        if line == f"{path}: module":
            home = path
            continue
        name = path.removeprefix(f"{home}.").split(".")[0]
        assert hasattr(importlib.import_module(home), name), f"{home} has no {name}"


def test_arguments() -> None:
    """`scripts/api` takes --write or nothing; another argument is a usage error."""
    assert 2 == main(["--wirte"])


def test_no_private_type_and_no_any() -> None:
    """No public signature has a private type, or `Any` where another type would do."""
    found = re.findall(r"^moss_voice_server\.([\w.]+).*?(?:: |\[|, )(?:Any|_[A-Z][a-z]\w*)\b", surface(), re.MULTILINE)
    assert set() == set(found) - ANY
