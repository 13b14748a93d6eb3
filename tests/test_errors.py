"""Errors: the tree, the codes, and the data of each error."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Iterator
from typing import Any

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

TREE = {
    MossVoiceError: (Exception,),
    CredentialsError: (MossVoiceError, RuntimeError),
    CredentialsUnavailable: (CredentialsError,),
    CredentialsRejected: (CredentialsError,),
    CredentialsInvalid: (CredentialsError,),
    CredentialsNotLoaded: (CredentialsError,),
    RoomError: (MossVoiceError, RuntimeError),
    LiveKitUnavailable: (RoomError,),
    LiveKitRejected: (RoomError,),
    RoomNotFound: (RoomError,),
    AgentNotDispatched: (RoomError,),
    WebhookRejected: (MossVoiceError, ValueError),
    InvalidArgument: (MossVoiceError, ValueError),
    WeakSecretWarning: (UserWarning,),
}
CODES = {
    MossVoiceError: "error",
    CredentialsError: "credentials_error",
    CredentialsUnavailable: "credentials_unavailable",
    CredentialsRejected: "credentials_rejected",
    CredentialsInvalid: "credentials_invalid",
    CredentialsNotLoaded: "credentials_not_loaded",
    RoomError: "room_error",
    LiveKitUnavailable: "livekit_unavailable",
    LiveKitRejected: "livekit_rejected",
    RoomNotFound: "room_not_found",
    AgentNotDispatched: "agent_not_dispatched",
    WebhookRejected: "malformed",
    InvalidArgument: "invalid_argument",
}
ERRORS: list[MossVoiceError] = [
    CredentialsUnavailable("later", retry_after=2.5),
    CredentialsRejected("no"),
    CredentialsInvalid("what", retry_after=None),
    CredentialsNotLoaded("create it"),
    LiveKitUnavailable("later", retry_after=1.5),
    RoomNotFound("no such room", remedy="check its name"),
    WebhookRejected("another body", code="body_mismatch"),
    InvalidArgument("bad", field="room_config.agents[0].deployment"),
]


def test_tree() -> None:
    """The tree is the documented one: credentials are a RuntimeError, arguments a ValueError, as in 0.1.0."""
    assert TREE == {each: each.__bases__ for each in public_classes()}


def public_classes() -> Iterator[type]:
    """Every class that the module defines."""
    for _, each in inspect.getmembers(errors, inspect.isclass):
        if each.__module__ == errors.__name__:
            yield each


def test_codes_never_change() -> None:
    """Each error has its own stable code, on the class and on what is raised."""
    for kind, code in CODES.items():
        assert (code, code, len(CODES)) == (kind.code, kind("text").code, len(set(CODES.values())))


def test_errors_without_arguments() -> None:
    """An application's tests can create each error with a text only, or without one."""
    assert ["", "", "", None] == [
        str(CredentialsUnavailable()),
        str(InvalidArgument()),
        InvalidArgument().field,
        CredentialsRejected("x").retry_after,
    ]


def test_retry_after_and_field_are_kept() -> None:
    """The data of an error beside its text."""
    unavailable, *_, invalid = ERRORS

    assert isinstance(unavailable, CredentialsError)
    assert isinstance(invalid, InvalidArgument)
    assert (2.5, "later") == (unavailable.retry_after, str(unavailable))
    assert ("room_config.agents[0].deployment", "bad") == (invalid.field, str(invalid))


def test_errors_can_travel() -> None:
    """Errors can be copied and pickled with all their data."""
    error: MossVoiceError
    carry: Any
    for error in ERRORS:
        for carry in [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]:
            arrived: MossVoiceError = carry(error)

            assert (type(error), error.args, vars(error)) == (type(arrived), arrived.args, vars(arrived))
