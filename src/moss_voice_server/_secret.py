"""Secret: a value that cannot be printed, copied or pickled by accident."""

from __future__ import annotations

from typing import Any, Generic, NoReturn, TypeVar

Value = TypeVar("Value")


class Sealed:
    """Base of everything that holds a secret: shows only its class name, and refuses to leave the process."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: hidden>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        # pickle, copy and deepcopy all come through here.
        raise TypeError(
            f"{type(self).__name__} holds a secret and cannot be pickled or copied: pass on the object itself, and in "
            "another process make a new one there, from that process's own environment"
        )


class Secret(Sealed, Generic[Value]):
    """Wraps one value, whatever its type; taking it in never fails, so that a bad value can't reach a traceback either."""

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]  # a hash would tell equal secrets

    def __init__(self, value: Value) -> None:
        self._value = value

    def reveal(self) -> Value:
        """The value itself: to be used in the expression that needs it, never kept in a variable."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return self is other
