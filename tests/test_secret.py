"""Secret: a value that no rendering shows and that cannot be copied or pickled."""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import pprint
import traceback
from typing import Any

import pytest

from moss_voice_server._secret import Sealed, Secret

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


def test_members_do_not_show_the_value() -> None:
    """Inspectors such as `rich.inspect(private=True)` and debuggers list every attribute."""
    assert VALUE not in repr(inspect.getmembers(Secret(VALUE)))


def test_no_copy_and_no_pickle() -> None:
    """Copying and pickling, with every protocol, raise a TypeError."""
    for held in [Secret(VALUE), Holder()]:
        for carry in [copy.copy, copy.deepcopy, *(range(pickle.HIGHEST_PROTOCOL + 1))]:
            with pytest.raises(TypeError) as caught:
                pickle.dumps(held, carry) if isinstance(carry, int) else carry(held)

            assert str(caught.value).startswith(f"{type(held).__name__} contains a secret")
            assert VALUE not in "".join(frames(caught.value))


@pytest.mark.parametrize("held", [Secret(VALUE), Holder()], ids=repr)
def test_state_is_refused(held: Any) -> None:
    """`__getstate__`, which jsonpickle and others call, is refused too: from Python 3.11 on it returns the value."""
    with pytest.raises(TypeError) as caught:
        held.__getstate__()
    assert VALUE not in "".join(frames(caught.value))


def frames(error: BaseException) -> list[str]:
    """The traceback with every variable of its frames."""
    return list(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def test_secret_has_no_attributes_to_list() -> None:
    """A secret has no `__dict__` and accepts no attributes."""
    with pytest.raises(TypeError):
        vars(Secret(VALUE))
    with pytest.raises(AttributeError):
        Secret(VALUE).other = 1  # type: ignore[attr-defined]  # that is what is tested


def test_reveal_is_the_value_itself() -> None:
    """`reveal` returns the same object."""
    for value in [VALUE, b"bytes", None, 5, "\ud800", ["list"]]:
        assert value is Secret(value).reveal()


def test_equality_of_secrets_is_not_shown() -> None:
    """Secrets are equal only to themselves, and have no hash."""
    one, other = Secret(VALUE), Secret(VALUE)

    assert [True, False, False, True] == [one == one, one == other, one == VALUE, one != other]
    with pytest.raises(TypeError, match="unhashable"):
        hash(one)
