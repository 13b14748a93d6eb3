"""Strict JSON: one decoder for everything that comes from outside (RFC 8259; duplicate names refused, RFC 7493)."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from typing import Any, Literal, NoReturn

Reason = Literal["syntax", "duplicate_name", "number", "too_deep"]


class InvalidJSON(ValueError):
    """The data is not strict JSON. Neither the error nor its context contains the data.

    Args:
        reason: `syntax` (UTF-8 included), `duplicate_name`, `number` (NaN, Infinity, or beyond a float), `too_deep`.
    """

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def decode(data: bytes, *, max_depth: int | None = None) -> Any:
    """The value that the data contains; at most `max_depth` arrays and objects inside each other.

    Raises:
        InvalidJSON: `reason` says why.
    """
    reason: Reason
    try:
        # Counting is quicker, and enough for most data.
        if max_depth is not None and data.count(b"{") + data.count(b"[") > max_depth and depth(data) > max_depth:
            reason = "too_deep"
        else:
            return _decoder()(data.decode())
    except InvalidJSON as error:
        reason = error.reason
    except RecursionError:
        reason = "too_deep"
    except ValueError:
        reason = "syntax"
    # Raised here, so that the decoder's own error, which holds the whole text, is not its context.
    del data
    raise InvalidJSON(reason)


def depth(data: bytes) -> int:
    """How many arrays and objects are inside each other, without recursion."""
    level = deepest = 0
    for byte in _BRACKETS.findall(_STRING.sub(b"", data)):
        level += 1 if byte in (b"{", b"[") else -1
        deepest = max(deepest, level)
    return deepest


# An open string reaches to the end, so that the match never fails: with a failure for each quote, effort would be squared.
_STRING = re.compile(rb'"(?:[^"\\]|\\.?)*(?:"|\Z)', re.DOTALL)
_BRACKETS = re.compile(rb"[{}\[\]]")


@lru_cache(maxsize=1)
def _decoder() -> Callable[[str], Any]:
    from json import JSONDecoder  # static credentials need none

    return JSONDecoder(object_pairs_hook=_no_duplicates, parse_constant=_no_constant, parse_float=_finite).decode


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        # Two parsers could each use another one of the two.
        raise InvalidJSON("duplicate_name")
    return fields


def _no_constant(_name: str) -> NoReturn:
    raise InvalidJSON("number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not isfinite(number):
        raise InvalidJSON("number")
    return number
