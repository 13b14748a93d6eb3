"""Admission: checks of its arguments, which raise `InvalidArgument` with the argument's name."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from ._validation import LABEL_LIMIT, label, plain_str
from .errors import InvalidArgument


def wrong_type(name: str, wanted: str, value: object) -> InvalidArgument:
    """The error for an argument of another type."""
    return InvalidArgument(f"{name} is a {type(value).__name__}", field=name, remedy=f"pass {wanted}")


def limit_key(value: str) -> str:
    """The rate limiter's key."""
    plain = plain_str(value)
    if plain is None:
        raise wrong_type("rate_limit_key", "a str", value)
    return plain


def room_prefix(room: str | None, prefix: str) -> str:
    """The beginning of new rooms' names."""
    if room is not None:
        raise InvalidArgument(
            "room_prefix is for new rooms, but room is given", field="room_prefix", remedy="pass only one of the two"
        )
    return label("room_prefix", prefix, limit=LABEL_LIMIT - 32)


def names(name: str, values: Any, *kinds: type) -> tuple[Any, ...]:
    """A collection of names, as a tuple; `kinds` are allowed besides str."""
    # A str is a collection of its letters: the most common mistake.
    if isinstance(values, (str, bytes)) or not isinstance(values, Collection):
        raise wrong_type(name, "a tuple of names, such as ('one', 'two')", values)
    for value in values:
        if not isinstance(value, (str, *kinds)):
            raise wrong_type(f"{name}[…]", "a name", value)
    return tuple(values)


def check_rooms(rooms: Any) -> None:
    """Refuses what cannot say which rooms are allowed."""
    if isinstance(rooms, re.Pattern):
        if not isinstance(rooms.pattern, str):
            raise wrong_type("allowed_rooms", "a pattern over str", rooms)
    elif not callable(rooms):
        names("allowed_rooms", rooms)
