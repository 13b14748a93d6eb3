"""Egress: the credentials that a room configuration may carry into a token, found and masked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._token.room_config import USER_IN_ADDRESS, is_credential

MASK = "********"


def credentials(egress: object) -> list[str]:
    """The paths of all credentials below an egress."""
    return [".".join(path) for path, _ in _found(egress, ())]


def masked(value: Any) -> Any:
    """The same value with a mask in the place of each credential."""
    if isinstance(value, dict):
        return {name: MASK if is_credential(name, item) else masked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(each) for each in value]
    return MASK if _has_user(value) else value


def _found(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        for name, item in value.items():
            if is_credential(name, item):
                yield (*path, name), item
            else:
                yield from _found(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _found(item, (*path, str(index)))
    elif _has_user(value):
        yield path, value


def _has_user(value: object) -> bool:
    return isinstance(value, str) and USER_IN_ADDRESS.match(value) is not None
