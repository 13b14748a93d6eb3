"""Labels: which strings LiveKit takes as identity, room, name, metadata and attributes, and the error for the rest."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .errors import InvalidArgument

# LiveKit's defaults, in bytes of UTF-8 (livekit-server pkg/config/config.go, `limit:`): Go's len() counts bytes.
LABEL_LIMIT = 256
METADATA_LIMIT = 512 * 1024
ATTRIBUTES_LIMIT = 64 * 1024
DEPLOYMENT_LIMIT = 64

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_DEPLOYMENT = re.compile("[^\x00-\x20\x7f_]*")


def label(field: str, value: Any, *, blank: bool = False, limit: int = LABEL_LIMIT) -> str:
    """A short text that people and logs see: no control characters, at most `limit` bytes, not blank unless `blank`."""
    text(field, value, limit=limit)
    if not blank and not value.strip():
        raise InvalidArgument(
            _BLANK.get(field, f"{field} is empty: give it at least one visible character"), field=field
        )
    found = _CONTROL.search(value)
    if found:
        raise InvalidArgument(
            f"{field} holds the control character U+{ord(found[0]):04X} at position {found.start()}: remove it",
            field=field,
        )
    return plain(value)


def agent(field: str, value: Any) -> str:
    """An agent's name; the empty one means the workers without a name, and one of blanks would mean nobody."""
    return label(field, value, blank=value == "")


_BLANK = {
    "identity": "identity is empty: pass the id of the user who joins; LiveKit lets nobody in without one",
    "room_name": "room_name is empty: name the room; a token for an empty room would open any room",
}


def text(field: str, value: Any, *, limit: int, said: str = "") -> str:
    """Any text that UTF-8 can carry, at most `limit` bytes of it; `said`: what the error calls it, if not by its field."""
    said = said or field
    if not isinstance(value, str):
        raise InvalidArgument(
            f"{said} must be a str, not {type(value).__name__}"
            + (
                "; encode structured data first, for example with json.dumps"
                if isinstance(value, (Mapping, list)) and limit > LABEL_LIMIT
                else ""
            ),
            field=field,
        )
    surrogate = (
        next((i for i, char in enumerate(value) if "\ud800" <= char <= "\udfff"), None) if not value.isascii() else None
    )
    if surrogate is not None:
        raise InvalidArgument(
            f"{said} holds a lone surrogate at position {surrogate}, which UTF-8 cannot carry: decode the text properly first",
            field=field,
        )
    size = len(value.encode())
    if size > limit:
        raise InvalidArgument(
            f"{said} is {size} bytes long in UTF-8; LiveKit takes at most {limit}: shorten it", field=field
        )
    return value


def plain(value: str) -> str:
    """The text itself: `str()` of an enumeration's member would be the member's name."""
    return str.__str__(value)


def attributes(field: str, value: Any, *, limit: int = ATTRIBUTES_LIMIT) -> Mapping[str, str]:
    """A mapping of texts to texts, at most `limit` bytes of keys and values together."""
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{field} must be a mapping of str to str, not {type(value).__name__}", field=field)
    size = 0
    for key, item in value.items():
        if not isinstance(key, str):
            raise InvalidArgument(
                f"{field} has a key that is a {type(key).__name__}: every key must be a str", field=field
            )
        text(field, key, limit=limit, said=f"{field} key")
        if len(key) <= 64:
            text(f"{field}[{key!r}]", item, limit=limit)
        else:
            text(field, item, limit=limit, said=f"a value in {field}")
        size += len(key.encode()) + len(item.encode())
    if size > limit:
        raise InvalidArgument(
            f"{field} are {size} bytes long in UTF-8, keys and values together; LiveKit takes at most {limit}: shorten them",
            field=field,
        )
    return value


def deployment(field: str, value: Any) -> str:
    """An agent deployment's name; LiveKit skips the whole dispatch, silently, when it does not like one."""
    text(field, value, limit=DEPLOYMENT_LIMIT)
    if not _DEPLOYMENT.fullmatch(value):
        raise InvalidArgument(
            f"{field} may hold no underscore, no space and no control character: LiveKit would skip the agent",
            field=field,
        )
    return plain(value)
