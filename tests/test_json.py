"""Strict JSON: what is decoded, what is refused and why, and that no error holds the data."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_voice_server._json import InvalidJSON, decode, depth

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


def nesting(value: object) -> int:
    """Levels of lists and dicts, counted by recursion."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(nesting, inner), default=0)


@settings(deadline=None)
@given(VALUES)
def test_every_value_is_decoded(value: object) -> None:
    """Escaped or not; the depth is that of the value."""
    for data in (json.dumps(value, ensure_ascii=False).encode(), json.dumps(value).encode()):
        assert decode(data, max_depth=nesting(value)) == value
        assert depth(data) == nesting(value)
        if nesting(value):
            with pytest.raises(InvalidJSON, match="too_deep"):
                decode(data, max_depth=nesting(value) - 1)


REFUSED = [
    (b"", "syntax"),
    (b"secret-text", "syntax"),
    (b'{"secret-text": 1,}', "syntax"),
    (b"\xff", "syntax"),
    (b'\xef\xbb\xbf{"a": 1}', "syntax"),
    (b'{"a": 1}{"b": 2}', "syntax"),
    (b'{"a": "\n"}', "syntax"),
    (b'{"secret-text": 1, "secret-text": 2}', "duplicate_name"),
    (b'{"a": [{"b": 1, "\\u0062": 2}]}', "duplicate_name"),
    (b"NaN", "number"),
    (b"[-Infinity]", "number"),
    (b'{"a": 1e999}', "number"),
    (b"[" * 100_000, "too_deep"),
    (b'{"a":' * 100_000, "too_deep"),
]


def test_invalid_json() -> None:
    """The reason, and nothing of the data in the error, its context or the frames of the decoder."""
    for data, reason in REFUSED:
        with pytest.raises(InvalidJSON) as caught:
            decode(data, max_depth=1000)

        assert caught.value.reason == reason
        assert caught.value.__context__ is None
        frame = caught.traceback[-1].frame
        assert "secret-text" not in repr(frame.f_locals)
