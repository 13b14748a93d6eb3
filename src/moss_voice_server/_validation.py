"""Validation: which values LiveKit accepts as labels, texts, attributes and numbers, and the error for all others.

Every function returns a value of exactly the built-in type, whatever was passed: a subclass of `str`, a member of an
enumeration, or a proxy such as Werkzeug's `LocalProxy` and Django's `SimpleLazyObject`. Only such values are signed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ._duration import timedelta
from ._secret import Secret
from .errors import InvalidArgument

# LiveKit's defaults, in bytes of UTF-8 (livekit-server pkg/config/config.go, `limit:`): Go's len() counts bytes.
LABEL_LIMIT = 256
METADATA_LIMIT = 512 * 1024
ATTRIBUTES_LIMIT = 64 * 1024
DEPLOYMENT_LIMIT = 64

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
SURROGATE = re.compile("[\ud800-\udfff]")
_DEPLOYMENT = re.compile("[^\x00-\x20\x7f_]*")
_REMEDY_FOR_BLANK = {
    "identity": "pass the ID of the user who joins",
    "room_name": "name the room; a token without one would open any room",
}


def invalid(name: str, problem: str, remedy: str = "", *, field: str = "") -> InvalidArgument:
    """The error for the argument that its text calls `name`; `field` is the name in code, if that is another."""
    return InvalidArgument(f"{name} {problem}", field=field or name, remedy=remedy)


def plain_str(value: Any) -> str | None:
    """The characters of a `str`, of a subclass, or of a proxy for one, as a plain `str`; `None` for everything else."""
    if type(value) is str:
        return value
    if not isinstance(value, str):
        return None
    try:
        # str() of a member of an enumeration would be the member's name.
        return str.__str__(value)
    except TypeError:  # a proxy: it says that its class is str, and it is not
        pass
    try:
        found: Any = value[:]
    except TypeError:
        return None
    return found if type(found) is str else None


def plain_secret(value: Secret[Any]) -> Secret[Any]:
    """The same for a hidden value, which keeps its type if it is not a str."""
    return value if plain_str(value.reveal()) is None else Secret(plain_str(value.reveal()))


def label(field: str, value: object, *, blank: bool = False, limit: int = LABEL_LIMIT) -> str:
    """A short text that people and logs see: no control characters, at most `limit` bytes, not blank unless `blank`."""
    checked = text(field, value, limit=limit)
    if not blank and not checked.strip():
        raise invalid(field, "is empty", _REMEDY_FOR_BLANK.get(field, "use at least one visible character"))
    found = CONTROL.search(checked)
    if found:
        problem = f"contains the control character U+{ord(found[0]):04X} at position {found.start()}"
        raise invalid(field, problem, "remove it")
    return checked


def agent(field: str, value: object) -> str:
    """An agent's name. The empty name dispatches unnamed workers; a blank one would dispatch none."""
    return label(field, value, blank=plain_str(value) == "")


def text(field: str, value: object, *, limit: int, display_name: str = "") -> str:
    """Any text that UTF-8 can encode, at most `limit` bytes; `display_name` replaces the field's name in the error."""
    name = display_name or field
    checked = plain_str(value)
    if checked is None:
        structured = limit > LABEL_LIMIT and isinstance(value, (Mapping, list))
        remedy = "encode structured data first, for example with json.dumps" if structured else ""
        raise invalid(name, f"must be a str, not {type(value).__name__}", remedy, field=field)
    surrogate = None if checked.isascii() else SURROGATE.search(checked)
    if surrogate:
        problem = f"contains a lone surrogate at position {surrogate.start()}, which UTF-8 cannot encode"
        raise invalid(name, problem, "decode the text correctly before passing it", field=field)
    size = len(checked.encode())
    if size > limit:
        problem = f"has {size} bytes in UTF-8, and LiveKit accepts at most {limit}"
        raise invalid(name, problem, "shorten it", field=field)
    return checked


def attributes(field: str, value: object, *, limit: int = ATTRIBUTES_LIMIT) -> dict[str, str]:
    """A mapping of str to str, copied while it is checked; at most `limit` bytes of keys and values together."""
    if not isinstance(value, Mapping):
        raise invalid(field, f"must be a mapping of str to str, not {type(value).__name__}")
    checked: dict[str, str] = {}
    size = 0
    for key, item in value.items():
        name = plain_str(key)
        if name is None:
            raise invalid(field, f"must have str keys, not {type(key).__name__}")
        text(field, name, limit=limit, display_name=f"a key of {field}")
        if name in checked:
            raise invalid(field, "has the same key twice", "remove one of them")
        if len(name) <= 64:
            checked[name] = text(f"{field}[{name!r}]", item, limit=limit)
        else:
            checked[name] = text(field, item, limit=limit, display_name=f"a value of {field}")
        size += len(name.encode()) + len(checked[name].encode())
        if size > limit:
            problem = f"has more than {limit} bytes in UTF-8, keys and values together, which LiveKit does not accept"
            raise invalid(field, problem, "shorten them")
    return checked


def deployment(field: str, value: object) -> str:
    """The name of an agent's deployment. LiveKit skips a dispatch with an invalid one, without an error."""
    checked = text(field, value, limit=DEPLOYMENT_LIMIT)
    if not _DEPLOYMENT.fullmatch(checked):
        problem = "contains an underscore, a space or a control character, and LiveKit would skip the dispatch"
        raise invalid(field, problem, "use letters, digits and hyphens")
    return checked


def boolean(field: str, value: object) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise invalid(field, f"must be True or False, not {type(value).__name__}")
    return bool(value)


def integer(field: str, value: object, lowest: int = 0, highest: int = 2**32 - 1) -> int:
    """A whole number in a range; the default is that of an unsigned number of 32 bits."""
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise invalid(field, f"must be a whole number from {lowest} to {highest}")
    return int(value)


def number(field: str, value: object) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= 1.7e308:
        raise invalid(field, "must be a finite number")
    return float(value)


def seconds(value: object, longest: float) -> float | None:
    """A `timedelta` or a number of seconds, from 0 to `longest`, in seconds; `None` for everything else."""
    found = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(found, bool) or not isinstance(found, (int, float)) or not 0 <= found <= longest:
        return None
    return float(found)
