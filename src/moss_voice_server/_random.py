"""Random names: unguessable names of rooms and guests."""

from __future__ import annotations

import os


def new_room(prefix: str = "") -> str:
    """A room name with 128 random bits after the prefix, by default `room-`."""
    return f"{prefix or 'room-'}{os.urandom(16).hex()}"


def new_guest() -> str:
    """An identity with 128 random bits, for a participant without a login."""
    return f"guest-{os.urandom(16).hex()}"
