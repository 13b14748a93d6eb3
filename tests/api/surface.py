"""Surface: every public name as a line of text, read from the source by griffe; `scripts/api` prints them.

A name is public when no part of its path begins with an underscore and its module defines it or lists it in `__all__`.
Members are listed where they are defined; a private base counts as part of the class. A dataclass has its fields in the
line of `__init__`. Only the front door is imported, so the lines are the same on every Python and with any frameworks.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import griffe

import moss_voice_server

PACKAGE = "moss_voice_server"
SOURCE = Path(moss_voice_server.__file__).parents[1]
"""Where the package is: `src` in a clone, or the installed wheel."""

COMMITTED = Path(__file__).with_name("public.txt")
"""The agreed surface."""

# Methods that a user calls without their names: `with`, `async with`, `for`, `len`, a call, an index.
_SPOKEN = (
    *("__enter__", "__exit__", "__aenter__", "__aexit__"),
    *("__call__", "__contains__", "__getitem__", "__iter__", "__len__"),
)


def surface(source: Path = SOURCE, package: str = PACKAGE) -> str:
    """The surface of `package` in `source`: a line per name, sorted."""
    found = griffe.load(package, search_paths=[source], allow_inspection=False)
    return "".join(f"{line}\n" for line in _module(found))


def _module(module: Any) -> Iterator[str]:
    yield f"{module.path}: module"
    inner = []
    for name, member in sorted(module.members.items()):
        # A name under TYPE_CHECKING cannot be imported, unless `__all__` lists it and `__getattr__` provides it.
        if name.startswith("_") or not (member.runtime or name in (module.exports or ())):
            continue
        if member.is_alias:
            # An import that `__all__` does not list is for the module itself.
            if name in (module.exports or ()):
                yield from _entry(f"{module.path}.{name}", member.final_target)
        elif member.is_module:
            inner.append(member)
        elif module.exports is None or name in module.exports:
            yield from _entry(f"{module.path}.{name}", member)
    for member in inner:
        yield from _module(member)


def _entry(path: str, found: Any) -> Iterator[str]:
    """The line of a class, function or constant, and those of a class's members."""
    home = f" from {found.path}" if found.path != path else ""
    if found.is_class:
        decorators = "".join(f" @{decorator.value}" for decorator in found.decorators)
        yield f"{path}: class({', '.join(_bases(found))}){decorators}{home}"
        # A second path to a public class: its members are listed at the first.
        if not (home and _is_public(found.path)):
            yield from _members(path, found)
    elif found.is_function:
        yield f"{path}{_call(found)}{home}"
    else:
        yield f"{path}{_value(found)}{home}"


def _members(path: str, found: Any) -> Iterator[str]:
    init = found.all_members.get("__init__")
    init = init.final_target if init is not None and init.is_alias else init
    if init is not None and (init.parent is found or not _is_public(init.parent.path)):
        yield f"{path}.__init__{_call(init)}"
    fields = {each.name for each in init.parameters} if init is not None else set()
    for name, member in sorted(found.all_members.items()):
        target = member.final_target if member.is_alias else member
        inherited = target.parent is not found and _is_public(target.parent.path)
        if inherited or (name.startswith("_") and name not in _SPOKEN) or (target.is_attribute and name in fields):
            continue
        if target.is_function:
            yield f"{path}.{name}{_call(target)}"
        elif not target.is_module:
            yield f"{path}.{name}{_value(target)}"


def _is_public(path: str) -> bool:
    return not any(part.startswith("_") for part in path.split("."))


def _bases(found: Any) -> Iterator[str]:
    """The bases by name; for a private one of ours, its own bases."""
    for base in found.bases:
        path = getattr(base, "canonical_path", str(base))
        if _is_public(path):
            yield str(base)
        elif path.startswith(f"{found.package.path}."):
            yield from _bases(found.modules_collection[path])


def _call(function: Any) -> str:
    """A signature; a default that is one of our constants is shown by its value."""
    for parameter in function.parameters:
        parameter.default = parameter.default and _known(parameter.default)
    kept = sorted(function.labels & {"async", "classmethod", "staticmethod"})
    return f"{function.signature().removeprefix(function.name)}{''.join(f' [{label}]' for label in kept)}"


def _known(default: Any) -> str:
    """A default as text; our own constants by their value."""
    if isinstance(default, griffe.ExprName) and not default.name.startswith("_"):
        try:
            target = default.parent.modules_collection[default.canonical_path]  # type: ignore[union-attr]
            target = target.final_target if target.is_alias else target
        except (KeyError, AttributeError, griffe.AliasResolutionError):
            return str(default)
        if target.is_attribute and target.value is not None:
            return str(target.value)
    return str(default)


def _value(attribute: Any) -> str:
    """An attribute's type and value; a value that a constructor assigns is left out."""
    annotation = "" if attribute.annotation is None else f": {attribute.annotation}"
    if "property" in attribute.labels:
        return f"{annotation} [property]"
    own = attribute.parent.is_module or "class-attribute" in attribute.labels
    value = f" = {_known(attribute.value)}" if attribute.value is not None and own else ""
    return f"{annotation}{value}"


def main(arguments: list[str]) -> int:
    """Print the surface, or write it to the agreed file with `--write`."""
    if arguments not in ([], ["--write"]):
        sys.stderr.write("usage: scripts/api [--write]\n")
        return 2
    if arguments:
        COMMITTED.write_text(surface(), encoding="utf-8")
    else:
        sys.stdout.write(surface())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
