"""Labels: the values that LiveKit accepts as identity, room, name, metadata and attributes, and the errors for others."""

from __future__ import annotations

import enum
import unicodedata
from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from moss_voice_server import _validation
from tests.support.errors import refused

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=100)
QUICK = settings(deadline=None, max_examples=150)


class Color(str, enum.Enum):
    """A text whose `str()` is another text: "Color.RED"."""

    RED = "red"


@QUICK
@given(ANY_TEXT)
def test_label_agrees_with_the_unicode_tables(value: str) -> None:
    """A label is taken exactly when it is not blank, has no character of Cc or Cs, and at most 256 bytes of UTF-8."""
    categories = {unicodedata.category(char) for char in value}
    size = len(value.encode("utf-8", "surrogatepass"))
    expected = bool(value.strip()) and not categories & {"Cc", "Cs"} and size <= 256

    if expected:
        assert value == _validation.label("identity", value)
    else:
        assert "identity" == refused(_validation.label, "identity", value)[0]


def test_blank_is_refused_with_the_reason() -> None:
    """An empty or blank label is refused by name, with the reason why it matters for just this one."""
    for value in ["", " ", "\t", "\u00a0", "\u2003\u3000", "\u2028"]:
        for field, hint in [
            ("identity", "the ID of the user who joins"),
            ("room_name", "would open any room"),
            ("agent_name", "visible"),
        ]:
            name, text = refused(_validation.label, field, value)

            assert (field, True, True) == (name, text.startswith(f"{field} is empty"), hint in text)


def test_every_control_character_is_refused_with_its_place() -> None:
    """Each of the 65 control characters is rejected with its position, also in a label that may be blank."""
    for char in map(chr, [*range(0x20), *range(0x7F, 0xA0)]):
        for place, value in enumerate([f"{char}bc", f"a{char}c", f"ab{char}"]):
            for blank in (False, True):
                found = refused(_validation.label, "name", value, blank=blank)

                assert ("name", True) == (found[0], f"U+{ord(char):04X} at position {place}" in found[1])


def test_lone_surrogate_is_refused_with_its_place() -> None:
    """A lone surrogate is refused by label and by text, and the error can be shown anywhere."""
    for code in [0xD800, 0xDBFF, 0xDC00, 0xDFFF]:
        char = chr(code)
        for found in (
            refused(_validation.label, "identity", f"ab{char}c"),
            refused(_validation.text, "identity", f"ab{char}c", limit=10),
        ):
            assert "identity" == found[0]
            assert "lone surrogate at position 2" in found[1]
            assert found[1].isascii()


def test_limits_are_those_of_livekit() -> None:
    """The limits are LiveKit's defaults, in bytes."""
    limits = (_validation.LABEL_LIMIT, _validation.METADATA_LIMIT, _validation.ATTRIBUTES_LIMIT)
    assert (256, 524_288, 65_536) == limits


def test_text_may_hold_anything_else() -> None:
    """Metadata may hold control characters and may be empty."""
    for value in ["", "\0", "\x85", "a\nb", '{"a": "\\ud800"}', "\u2028", "\x7f"]:
        assert value == _validation.text("metadata", value, limit=100)


def test_subclass_is_its_plain_text() -> None:
    """A member of an enumeration counts by its value."""
    for check, field in ((_validation.label, "identity"), (_validation.deployment, "deployment")):
        taken = check(field, Color.RED)
        assert ("red", str) == (taken, type(taken))


def test_length_counts_in_bytes() -> None:
    """The limit of a label is 256 bytes of UTF-8; the error has both numbers."""
    for value, size in (("x" * 257, 257), ("é" * 129, 258), ("é" * 128 + "x", 257), ("🎤" * 65, 260)):
        field, text = refused(_validation.label, "identity", value)
        assert ("identity", True, True) == (field, f"{size} bytes" in text, "256" in text)


def test_other_types_are_rejected() -> None:
    """A value that is not a str: the error has its type, not its value; a mapping or list must be encoded first."""
    value: Any
    for value in (None, 5, b"bytes", ("a",), ["a"], {"a": 1}, MappingProxyType({})):
        expected = f"identity must be a str, not {type(value).__name__}"
        assert ("identity", expected) == refused(_validation.label, "identity", value)
        text = refused(_validation.text, "metadata", value, limit=_validation.METADATA_LIMIT)[1]
        assert text.startswith(f"metadata must be a str, not {type(value).__name__}")
        assert ("json.dumps" in text) == isinstance(value, (list, Mapping))


def test_attributes_are_copied() -> None:
    """Any mapping of texts is copied into a new dict."""
    kind: Any
    for kind in [dict, OrderedDict, MappingProxyType]:
        value = kind({"role": "host", "": "", "json": '{"a": [1]}', "e\n\0": "\x85\u2028", '"\\': '\\"'})
        taken = _validation.attributes("attributes", value)
        assert (dict(value), dict) == (taken, type(taken))
        assert taken is not value


NOT_TEXTS: list[Any] = [5, None, b"a", ["a"]]
BAD_ATTRIBUTES: list[tuple[Any, str, str]] = [
    *((value, "attributes", "a mapping of str to str, not ") for value in (None, [("a", "b")], "ab", 5)),
    *(({key: "a"}, "attributes", "attributes must have str keys, not ") for key in (5, None, b"a", ("a",))),
    *(({"good": "a", "bad": value}, "attributes['bad']", "a str, not ") for value in NOT_TEXTS),
    ({"k" * 64: 5}, f"attributes['{'k' * 64}']", "a str, not int"),
    ({"k" * 65: 5}, "attributes", "a value of attributes must be a str, not int"),
    ({"a\ud800": "b"}, "attributes", "a key of attributes contains a lone surrogate at position 1"),
    ({"a": "\ud800"}, "attributes['a']", "lone surrogate at position 0"),
]


def test_bad_attributes_are_rejected() -> None:
    """The field is the argument and, up to 64 characters, the key of a bad value."""
    for value, field, text in BAD_ATTRIBUTES:
        found = refused(_validation.attributes, "attributes", value)
        assert (field, True) == (found[0], text in found[1])


def test_attributes_limit_is_on_keys_and_values_together() -> None:
    """Keys and values count together, in bytes; one byte more than the limit is refused."""
    fits = {"é": "x" * 3, "b": "🎤"}  # 2 + 3 + 1 + 4 bytes
    assert fits == _validation.attributes("attributes", fits, limit=10)

    field, text = refused(_validation.attributes, "attributes", {**fits, "c": ""}, limit=10)
    assert ("attributes", True) == (field, "more than 10 bytes" in text)


def test_deployment() -> None:
    """At most 64 bytes; not an underscore, space or control character, which makes LiveKit skip the dispatch."""
    for value in ["", "blue", "v2-canary", "x" * 64, "é" * 32, "a.b/c:d", "UPPER"]:
        assert value == _validation.deployment("deployment", value)
    for bad in ["a_b", "a b", " ", "a\n", "\x7f", "\0", "x" * 65, "é" * 33, None, 5, b"blue", "\ud800"]:
        field, text = refused(_validation.deployment, "deployment", bad)
        skipped = isinstance(bad, str) and len(bad) < 9 and bad != "\ud800"
        assert ("deployment", skipped) == (field, "LiveKit would skip the dispatch" in text)
