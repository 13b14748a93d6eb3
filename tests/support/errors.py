"""Errors that a test provokes: the exception itself, and the facts in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from moss_voice_server.errors import InvalidArgument, MossVoiceError


def caught(call: Callable[..., object], *args: Any, **keywords: Any) -> Any:
    """The exception that the call raises, of whatever kind, with its traceback."""
    try:
        call(*args, **keywords)
    except BaseException as error:  # noqa: BLE001  # the caller looks at it
        return error
    raise AssertionError("nothing was raised")


def refused(call: Callable[..., object], *args: Any, **keywords: Any) -> tuple[str, str]:
    """The field and the text of the InvalidArgument that the call raises."""
    with pytest.raises(InvalidArgument) as raised:
        call(*args, **keywords)
    return raised.value.field, str(raised.value)


class Facts(NamedTuple):
    """What a fault is reported as: comparable between the two classes, whatever port the server had."""

    kind: type[BaseException]
    code: str
    text: str
    remedy: str
    retry_after: float | None
    """In whole seconds: some milliseconds of it have passed already."""
    attempts: int


def facts(error: BaseException, attempts: int) -> Facts:
    """The facts of an error of ours."""
    assert isinstance(error, MossVoiceError), error
    text, wait = re.sub(r":[0-9]{4,5}\b", ":port", str(error)), getattr(error, "retry_after", None)
    return Facts(type(error), error.code, text, error.remedy, wait and round(wait), attempts)
