"""Secret scan: all that an error, an object or a log record can show, searched for values that must not be there.

Frames of the tests themselves are left out: the caller has the key and may show it. All others count, ours, the
HTTP client's and the standard library's. A variable is rendered as error reporters do it: `repr` and `str`, containers
item by item, and the attributes of an object.
"""

from __future__ import annotations

import logging
import traceback
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType, FunctionType, ModuleType, TracebackType

# Put together so that no line of source code, which tracebacks show, holds them.
KEY = "-".join(["moss", "key", "0123456789"])
SECRET = "-".join(["livekit", "secret", "0123456789", "long", "enough"])
BODY = "-".join(["body", "0123456789"])
OTHER = "-".join(["other", "variable", "0123456789"])
SECRETS = (KEY, SECRET, BODY, OTHER)
"""Values to look for."""

_TESTS = str(Path(__file__).parent.parent)
_DEPTH = 6  # containers in containers
_PLAIN = (type, FunctionType, ModuleType, FrameType, TracebackType)


def spilled(error: BaseException, values: Iterable[str]) -> list[str]:
    """Where a value can be read in an error, its causes and contexts, and their frames: one line a place."""
    values = [*values]
    found = []
    for each in _chain(error):
        name = type(each).__name__
        for text in _texts(each, attributes=1):
            found += [f"{name}: {value}" for value in values if value in text]
        for where, local, text in _locals(each):
            found += [f"{name}: {where}: {local}: {value}" for value in values if value in text]
    return sorted({*found})


def shown(thing: object, values: Iterable[str]) -> list[str]:
    """The values that can be read in an object."""
    texts = [*_texts(thing, attributes=2)]
    return [value for value in values if any(value in text for text in texts)]


def logged(records: Iterable[logging.LogRecord], values: Iterable[str]) -> list[str]:
    """Where a value can be read in log records: in the line, the arguments, any attribute, or an exception."""
    values = [*values]
    found = []
    for record in records:
        texts = [record.getMessage(), *_texts(vars(record), attributes=0)]
        found += [f"{record.name}: {value}" for value in values if any(value in text for text in texts)]
        if record.exc_info and record.exc_info[1] is not None:
            found += [f"{record.name}: {place}" for place in spilled(record.exc_info[1], values)]
    return sorted({*found})


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and all that hangs on it, groups too, hidden by `from None` or not."""
    todo: list[BaseException | None] = [error]
    seen: set[int] = set()
    while todo:
        each = todo.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            todo += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]


def _locals(error: BaseException) -> Iterator[tuple[str, str, str]]:
    """Place, name and text of every variable in the frames of one error, as we see them and as `traceback` does."""
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if not file.startswith(_TESTS):
            for name, value in [*frame.f_locals.items()]:
                for text in _texts(value, attributes=1):
                    yield f"{file}:{line}", name, text
    summary = traceback.TracebackException.from_exception(error, capture_locals=True)
    for item in summary.stack:
        if not item.filename.startswith(_TESTS):
            for name, text in (item.locals or {}).items():
                yield f"{item.filename}:{item.lineno}", name, text


def _texts(thing: object, attributes: int, depth: int = _DEPTH) -> Iterator[str]:
    """The texts that a thing is rendered as; `attributes` levels of attributes deep."""
    for render in (repr, str):
        try:
            yield render(thing)
        except Exception as error:  # noqa: BLE001  # a rendering that fails shows its error
            yield f"{error!r}"
    if not depth or isinstance(thing, (str, bytes, bytearray, int, float, *_PLAIN)):
        return
    if isinstance(thing, Mapping):
        items: list[object] = [*thing.keys(), *thing.values()]
    elif isinstance(thing, (list, tuple, set, frozenset, deque)):
        items = [*thing]
    elif attributes:
        items = [*getattr(thing, "__dict__", {}).values()]
        attributes -= 1
    else:
        return
    for item in items:
        yield from _texts(item, attributes, depth - 1)
