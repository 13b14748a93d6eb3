"""Secret: a value that no rendering shows and that cannot be copied or pickled."""

from __future__ import annotations

import copy
import gc
import inspect
import json
import pickle
import pprint
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

import pytest

from moss_voice_server._secret import Sealed, Secret
from moss_voice_server.testing import FakeMoss
from tests.support.errors import caught
from tests.support.secret_scan import KEY, SECRET, spilled
from tests.support.servers import ServerClass

VALUE = "hunter2-is-the-value"


class Holder(Sealed):
    """An object with a secret in a plain attribute."""

    def __init__(self) -> None:
        self.value = VALUE


RENDERINGS: dict[str, Any] = {
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
    held: Any
    for render in RENDERINGS.values():
        for held in [Secret(VALUE), Secret([VALUE]), Secret({"a": VALUE}), Holder()]:
            shown = render(held)

            assert (False, True) == (VALUE in shown, f"<{type(held).__name__}: hidden>" in shown)


@pytest.mark.parametrize("held", [Secret(VALUE), Holder()], ids=repr)
def test_no_copy_and_no_pickle(held: Any) -> None:
    """Copying, pickling with every protocol, and `__getstate__`, which jsonpickle calls, raise a TypeError."""
    assert_stays(held)


def assert_stays(held: Any) -> None:
    """It cannot be copied or serialized, and the error does not show it."""
    pickles = [partial(pickle.dumps, held, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    for carry in [partial(copy.copy, held), partial(copy.deepcopy, held), held.__getstate__, *pickles]:
        error = caught(carry)
        assert isinstance(error, TypeError)
        assert str(error).startswith(f"{type(held).__name__} contains a secret")
        assert VALUE not in str(error)
        assert [] == spilled(error, (KEY, SECRET))


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


def reachable(root: object) -> list[object]:
    """Every object of ours that can be reached from one, through attributes, containers and closures."""
    found: list[object] = []
    seen: set[int] = set()
    todo: list[object] = [root]
    while todo:
        each = todo.pop()
        ours = type(each).__module__.startswith("moss_voice_server")
        if id(each) in seen or not (ours or isinstance(each, (dict, list, tuple, CellType, FunctionType, MethodType))):
            continue
        seen.add(id(each))
        if ours:
            found.append(each)
        todo += each.__closure__ or () if isinstance(each, FunctionType) else gc.get_referents(each)
    return found


def test_no_object_shows_a_secret(server_class: ServerClass) -> None:
    """No object that a server is made of shows the key or the secret, and those with a secret cannot leave the process."""
    with FakeMoss(project_key=KEY, api_secret=SECRET) as moss:
        failed = server_class.kind(**moss.arguments)
        moss.queue(401)
        caught(server_class.refresh, failed)
        servers = [
            failed,
            server_class.from_env(moss.environ),
            server_class.kind.lazy_from_env(moss.environ),
            server_class.kind.from_livekit("wss://h.example", "APIkey", SECRET),
        ]
    objects = [each for server in servers for each in reachable(server)]
    names = {type(each).__name__ for each in objects}
    assert {"Secret", "CredentialsCache", "Credentials", "Signer", "Config"} <= names

    for each in objects:
        members = [getattr(each, name, None) for name in dir(each) if not name.startswith("__") and name != "_value"]
        shown = [render(each) for name, render in RENDERINGS.items() if isinstance(each, Sealed) or "width" not in name]
        assert KEY not in repr(members)
        assert SECRET not in repr(members)
        assert [] == [text for text in shown if KEY in text or SECRET in text]
        if isinstance(each, Sealed):
            assert_stays(each)
