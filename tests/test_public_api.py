"""Public surface: it changes only on purpose. `scripts/api --write` agrees to a change; the difference is then reviewed."""

from __future__ import annotations

import difflib
import importlib
import inspect
import re
import sys
from pathlib import Path

import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo

TOO_OLD = sys.version_info < (3, 11)
if TOO_OLD:
    pytest.skip("griffe, which reads the source, needs Python 3.11 or newer", allow_module_level=True)

from tests.api.surface import COMMITTED, main, surface  # noqa: E402 - only where griffe runs

# A package in small: what counts and what does not.
SAMPLE = {
    "__init__.py": '''
from .shapes import Square
from ._inner import Hidden, Shown
__all__ = ["Shown", "Square"]
''',
    "_inner.py": '''
class Shown:
    """Lives in a private module, is named in a public one."""
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
sample.shapes.Point.x: int
sample.shapes.Point.y: int = 0
sample.shapes.Square: class(ValueError)
sample.shapes.Square.__init__(width: int = 3, depth: int = _DEPTH, *rest: int, **more: str) -> None
sample.shapes.Square.made() -> Square [async] [classmethod]
sample.shapes.Square.name: str [property]
sample.shapes.Square.side() -> int
sample.shapes.Square.width
sample.shapes.WIDTH = 3
"""

# What 0.1.0 took, in its order.
SHAPES = {
    "__init__": ["project_id", "project_key", "voice_agent_id", "api_url"],
    "create": ["project_id", "project_key", "voice_agent_id", "api_url"],
    "create_participant_token": ["participant", "room_name", "agent_name"],
    "get_server_url": [],
    "get_agent_name": [],
}


def test_agreed() -> None:
    """The surface is the one in tests/api/public.txt: whatever users can import changed only if that file did."""
    agreed, found = COMMITTED.read_text(encoding="utf-8"), surface()
    change = "".join(difflib.unified_diff(agreed.splitlines(True), found.splitlines(True), "agreed", "found", n=0))
    assert not change, f"users can see this; if it is meant, run `scripts/api --write`:\n{change}"


def test_what_counts(tmp_path: Path) -> None:
    """Public is what no underscore hides and what the module itself defines or lists; a private base is looked through."""
    (tmp_path / "sample").mkdir()
    for name, text in SAMPLE.items():
        (tmp_path / "sample" / name).write_text(text, encoding="utf-8")

    assert LINES == surface(tmp_path, "sample")


def test_importable() -> None:
    """Every name of the file can be imported from where the file says."""
    home = ""
    for line in COMMITTED.read_text(encoding="utf-8").splitlines():
        path = re.split("[:( ]", line, maxsplit=1)[0]
        if line == f"{path}: module":
            home = path
            continue
        name = path.removeprefix(f"{home}.").split(".")[0]
        assert hasattr(importlib.import_module(home), name), f"{home} has no {name}"


def test_arguments() -> None:
    """`scripts/api` takes --write or nothing; anything else is wrong usage, and writes nothing."""
    assert 2 == main(["--wirte"])


@pytest.mark.parametrize("face", [MossVoiceServer, MossVoiceServerSync])
@pytest.mark.parametrize("name", SHAPES)
def test_first_parameters(face: type[object], name: str) -> None:
    """What 0.1.0 took by position is still taken, first and in that order; all that came since is optional, and by name."""
    parameters = list(inspect.signature(getattr(face, name)).parameters.values())
    if name in ("__init__", "create_participant_token", "get_server_url", "get_agent_name"):
        parameters = parameters[1:]  # self
    old = [each for each in parameters if each.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert SHAPES[name] == [each.name for each in old]
    for since in parameters[len(old) :]:
        assert since.kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
        assert since.kind is inspect.Parameter.VAR_KEYWORD or since.default is not inspect.Parameter.empty


def test_participant_fields() -> None:
    """`ParticipantInfo` takes the four of 0.1.0, in that order, and only the identity must be given."""
    assert ["identity", "name", "metadata", "attributes"] == list(inspect.signature(ParticipantInfo).parameters)
    assert ParticipantInfo("user-42") == ParticipantInfo("user-42", None, None, None)
