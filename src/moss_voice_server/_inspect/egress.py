"""Find and mask the credentials that a room configuration can carry into a token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .._token.egress import USER_IN_URL, is_credential

MASK = "********"


def credentials(egress: object) -> list[str]:
    """The paths of all credentials below an egress."""
    return [".".join(path) for path in _paths(egress, ())]


def masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: MASK if is_credential(name, item) else masked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [masked(each) for each in value]
    return MASK if _has_userinfo(value) else value


def _paths(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from ((*path, name),) if is_credential(name, item) else _paths(item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _paths(item, (*path, str(index)))
    elif _has_userinfo(value):
        yield path


def _has_userinfo(value: object) -> bool:
    return isinstance(value, str) and USER_IN_URL.match(value) is not None
