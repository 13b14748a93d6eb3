"""Errors that a test provokes: the exception itself, and all that it can show."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from moss_voice_server.errors import InvalidArgument, MossVoiceError


def caught(call: Callable[[], object]) -> Exception:
    """The exception that the call raises, with its traceback."""
    try:
        call()
    except Exception as error:  # noqa: BLE001  # of whatever kind: the caller looks at it
        return error
    raise AssertionError("nothing was raised")


def refused(call: Callable[..., object], *args: Any, **keywords: Any) -> tuple[str, str]:
    """The field and the text of the InvalidArgument that the call raises."""
    with pytest.raises(InvalidArgument) as caught:
        call(*args, **keywords)
    return caught.value.field, str(caught.value)


def everything(error: BaseException) -> str:
    """All that an error can show: texts, attributes, causes, and the variables of every frame outside of the tests."""
    shown = [str(error), repr(error), repr(error.args), repr(vars(error))]
    seen: set[int] = set()
    todo: list[BaseException | None] = [error]
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        todo += [each.__cause__, each.__context__]
        step = each.__traceback__
        while step is not None:
            if "/tests/" not in step.tb_frame.f_code.co_filename:
                shown += [f"{name} = {value!r}" for name, value in step.tb_frame.f_locals.items()]
            step = step.tb_next
    return "\n".join([*shown, *traceback.format_exception(error)])


class Facts(NamedTuple):
    """What a fault is reported as: comparable between the two classes, whatever port the server had."""

    kind: type[BaseException]
    code: str
    text: str
    remedy: str
    retry_after: float | None
    attempts: int


def facts(error: BaseException, attempts: int) -> Facts:
    """The facts of an error of ours."""
    assert isinstance(error, MossVoiceError), error
    text = re.sub(r":[0-9]{4,5}\b", ":port", str(error))
    return Facts(type(error), error.code, text, error.remedy, getattr(error, "retry_after", None), attempts)
