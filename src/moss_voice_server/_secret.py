"""Secret: a value that cannot be printed, copied or serialized by accident."""

from __future__ import annotations

from typing import Any, Generic, NoReturn, TypeVar

Value = TypeVar("Value")


class Sealed:
    """Base of everything that contains a secret: shows only its class name, and refuses to be serialized."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: hidden>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        """Refuses pickle, copy and deepcopy, which all call this."""
        raise _refusal(self)

    def __getstate__(self) -> NoReturn:
        """Refuses what reads the state itself, such as jsonpickle; from Python 3.11 on the default returns the value."""
        raise _refusal(self)


class Secret(Sealed, Generic[Value]):
    """Wraps one value of any type. Wrapping never fails, so that not even an invalid value reaches a traceback."""

    __slots__ = ("_reveal",)
    __hash__ = None  # type: ignore[assignment]  # a hash would show which secrets are equal

    def __init__(self, value: Value) -> None:
        def reveal() -> Value:
            return value

        self._reveal = reveal  # the value is in no attribute, because inspectors list them

    def reveal(self) -> Value:
        """The value itself, for the expression that needs it; never for a variable."""
        return self._reveal()

    def __eq__(self, other: object) -> bool:
        return self is other


def _refusal(secret: Sealed) -> TypeError:
    return TypeError(
        f"{type(secret).__name__} contains a secret and cannot be pickled or copied: pass the object itself; another process "
        "creates its own, from its own environment"
    )
