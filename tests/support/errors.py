"""Errors that a test provokes: the exception itself, and all that it can show."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest

from moss_voice_server.errors import InvalidArgument


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
