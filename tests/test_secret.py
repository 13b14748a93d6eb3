"""Secret: a value that no rendering shows and that cannot be copied or pickled."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import pprint
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from moss_voice_server._secret import Sealed, Secret
from tests.support.errors import caught

VALUE = "hunter2-is-the-value"


class Holder(Sealed):
    """An object with a secret in a plain attribute."""

    def __init__(self) -> None:
        self.value = VALUE


RENDERINGS = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "format": format,
    "f-string": lambda each: f"{each} {each!r} {each!s} {each!a}",
    "f-string with =": lambda each: f"{each=}",
    "format with width": lambda each: f"{each:>40}",
    "percent": lambda each: "%s %r" % (each, each),  # noqa: UP031  # this is the rendering that is tested
    "in a list": lambda each: str([each]),
    "in a dict": lambda each: str({"key": each}),
    "in a tuple of exceptions": lambda each: repr(ValueError(each)),
    "json": lambda each: json.dumps({"key": each}, default=str),
    "pprint": pprint.pformat,
}


def test_no_rendering_shows_the_value() -> None:
    """Every rendering of an object shows its class, not its value."""
    render: Any
    held: Any
    for render in RENDERINGS.values():
        for held in [Secret(VALUE), Secret([VALUE]), Secret({"a": VALUE}), Holder()]:
            shown = render(held)

            assert (False, True) == (VALUE in shown, f"<{type(held).__name__}: hidden>" in shown)


def test_no_copy_and_no_pickle() -> None:
    """Copying, pickling with every protocol, and `__getstate__`, which jsonpickle calls, raise a TypeError."""
    for held in [Secret(VALUE), Holder()]:
        protocols = range(pickle.HIGHEST_PROTOCOL + 1)
        ways: list[Callable[[Any], Any]] = [*(partial(pickle.dumps, protocol=each) for each in protocols)]
        for carry in [*ways, copy.copy, copy.deepcopy, lambda each: each.__getstate__()]:
            error = caught(lambda carry=carry, held=held: carry(held))  # type: ignore[misc]
            assert isinstance(error, TypeError)
            assert str(error).startswith(f"{type(held).__name__} contains a secret")
            shown = traceback.TracebackException.from_exception(error, capture_locals=True).format()
            assert VALUE not in "".join(shown)


def test_inspectors_find_nothing() -> None:
    """`rich.inspect(private=True)` and debuggers list every attribute: a secret has no `__dict__` and accepts none."""
    assert VALUE not in repr(inspect.getmembers(Secret(VALUE)))
    with pytest.raises(TypeError):
        vars(Secret(VALUE))
    with pytest.raises(AttributeError):
        Secret(VALUE).other = 1  # type: ignore[attr-defined]  # that is what is tested


def test_reveal_is_the_value_itself() -> None:
    """`reveal` returns the same object."""
    for value in [VALUE, b"bytes", None, ["list"]]:
        assert value is Secret(value).reveal()


def test_equality_of_secrets_is_not_shown() -> None:
    """Secrets are equal only to themselves, and have no hash."""
    one, other = Secret(VALUE), Secret(VALUE)

    assert [True, False, False, True] == [one == one, one == other, one == VALUE, one != other]
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
