"""Errors: the tree, the codes, and the data of each error."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from moss_voice_server import errors
from moss_voice_server.errors import (
    AgentNotDispatched,
    CredentialsError,
    CredentialsInvalid,
    CredentialsNotLoaded,
    CredentialsRejected,
    CredentialsUnavailable,
    InvalidArgument,
    LiveKitRejected,
    LiveKitUnavailable,
    MossVoiceError,
    RoomError,
    RoomNotFound,
    WeakSecretWarning,
    WebhookRejected,
)

# The documented tree, with its codes, which never change: credentials are a RuntimeError, arguments a ValueError, as in 0.1.0.
TREE: dict[type, tuple[tuple[type, ...], str | None]] = {
    MossVoiceError: ((Exception,), "error"),
    CredentialsError: ((MossVoiceError, RuntimeError), "credentials_error"),
    CredentialsUnavailable: ((CredentialsError,), "credentials_unavailable"),
    CredentialsRejected: ((CredentialsError,), "credentials_rejected"),
    CredentialsInvalid: ((CredentialsError,), "credentials_invalid"),
    CredentialsNotLoaded: ((CredentialsError,), "credentials_not_loaded"),
    RoomError: ((MossVoiceError, RuntimeError), "room_error"),
    LiveKitUnavailable: ((RoomError,), "livekit_unavailable"),
    LiveKitRejected: ((RoomError,), "livekit_rejected"),
    RoomNotFound: ((RoomError,), "room_not_found"),
    AgentNotDispatched: ((RoomError,), "agent_not_dispatched"),
    WebhookRejected: ((MossVoiceError, ValueError), "malformed"),
    InvalidArgument: ((MossVoiceError, ValueError), "invalid_argument"),
    WeakSecretWarning: ((UserWarning,), None),
}
# An application's tests can create each error with a text only, or without one.
MADE: list[tuple[MossVoiceError, dict[str, Any]]] = [
    (CredentialsUnavailable(), {"message": "", "remedy": "", "retry_after": None}),
    (CredentialsUnavailable("later", retry_after=2.5), {"message": "later", "remedy": "", "retry_after": 2.5}),
    (LiveKitUnavailable("later", retry_after=1.5), {"message": "later", "remedy": "", "retry_after": 1.5}),
    (RoomNotFound("no room", remedy="check its name"), {"message": "no room", "remedy": "check its name"}),
    (WebhookRejected("bad", code="body_mismatch"), {"message": "bad", "remedy": "", "code": "body_mismatch"}),
    (InvalidArgument(), {"message": "", "remedy": "", "field": ""}),
    (InvalidArgument("bad", field="agents[0]"), {"message": "bad", "remedy": "", "field": "agents[0]"}),
]
CARRIERS: list[Callable[[Any], Any]] = [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]


def test_tree() -> None:
    """Every class that the module defines, its bases, and its code, on the class and on what is raised."""
    found = [each for _, each in inspect.getmembers(errors, inspect.isclass) if each.__module__ == errors.__name__]
    assert TREE == {each: (each.__bases__, getattr(each, "code", None)) for each in found}
    assert all(code is None or each("text").code == code for each, (_, code) in TREE.items())


@pytest.mark.parametrize(("error", "data"), MADE)
def test_data(error: MossVoiceError, data: dict[str, Any]) -> None:
    """The data of an error beside its text, also of a copied or pickled one."""
    text = f"{data['message']}: {data['remedy']}" if data["remedy"] else data["message"]
    assert (data, text) == (vars(error), str(error))
    for carry in CARRIERS:
        arrived = carry(error)
        assert (type(error), error.args, vars(error)) == (type(arrived), arrived.args, vars(arrived))
