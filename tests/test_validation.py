"""Labels: what LiveKit takes as identity, room, name, metadata and attributes, and the error that names the rest."""

from __future__ import annotations

import enum
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_voice_server import _validation
from moss_voice_server.errors import InvalidArgument

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=100)
QUICK = settings(deadline=None, max_examples=150)


class Color(str, enum.Enum):
    """A text that introduces itself by another name: `str(Color.RED)` is "Color.RED"."""

    RED = "red"


def refused(check: Callable[..., object], *args: Any, **keywords: Any) -> tuple[str, str]:
    """The field and the text of the error that a check raises."""
    with pytest.raises(InvalidArgument) as caught:
        check(*args, **keywords)
    return caught.value.field, str(caught.value)


# What is allowed.

ALLOWED = {
    "plain": "user-42",
    "one byte": "x",
    "256 bytes": "x" * 256,
    "256 bytes of 2": "é" * 128,
    "256 bytes of 4": "🎤" * 64,
    "family, joined by ZWJ": "👨‍👩‍👧‍👦",
    "flag": "🏳️‍🌈",
    "right to left": "שלום عليكم",
    "combining": "n\u0303",
    "line separator": "a\u2028b\u2029c",
    "no-break space inside": "a\u00a0b",
    "quotes and backslashes": '"\\"\\\\/</script>',
    "outer space": " a ",
    "private use": "\ue000\U0010fffd",
    "beside the surrogates": "\ud7ff\ue000",
    "not a character": "\uffff",
}


def test_label_is_returned_as_it_is() -> None:
    """A label that LiveKit takes comes back unchanged."""
    for value in ALLOWED.values():
        assert value == _validation.label("identity", value)


@pytest.mark.parametrize("value", ["", " ", "\u2003 \u3000"])
def test_label_may_be_blank_where_that_has_a_meaning(value: str) -> None:
    """A name may be empty or blank, an identity may not."""
    assert value == _validation.label("name", value, blank=True)


def test_label_of_a_subclass_is_its_plain_text() -> None:
    """A subclass of str counts by its content, not by what `str()` makes of it."""
    taken = _validation.label("identity", Color.RED)

    assert ("red", str) == (taken, type(taken))


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


# What is refused.

BLANK = ["", " ", "\t", "\u00a0", "\u2003\u3000", "\u2028"]


def test_blank_is_refused_with_the_reason() -> None:
    """An empty or blank label is refused by name, with the reason why it matters for just this one."""
    for value in BLANK:
        for field, hint in [
            ("identity", "the ID of the user who joins"),
            ("room_name", "would open any room"),
            ("agent_name", "visible"),
        ]:
            name, text = refused(_validation.label, field, value)

            assert (field, True, True) == (name, text.startswith(f"{field} is empty"), hint in text)


CONTROL = [*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0))]


def test_every_control_character_is_refused_with_its_place() -> None:
    """Each of the 65 control characters is refused by name and place, wherever it stands, also where blank is fine."""
    for char in CONTROL:
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


TOO_LONG = {
    "257 of 1 byte": ("x" * 257, 257),
    "129 of 2 bytes": ("é" * 129, 258),
    "128 of 2 and 1 of 1": ("é" * 128 + "x", 257),
    "65 of 4 bytes": ("🎤" * 65, 260),
    "86 of 3 bytes": ("語" * 86, 258),
}


def test_length_counts_in_bytes() -> None:
    """One byte of UTF-8 above the limit is refused, with both numbers."""
    for value, size in TOO_LONG.values():
        field, text = refused(_validation.label, "identity", value)

        assert ("identity", True, True) == (field, f"{size} bytes" in text, "256" in text)


@pytest.mark.parametrize(("size", "fits"), [(9, True), (10, True), (11, False)])
def test_text_has_the_limit_that_it_is_given(size: int, fits: bool) -> None:
    """A text of the limit's size is taken, one more byte is not."""
    if fits:
        assert "x" * size == _validation.text("metadata", "x" * size, limit=10)
    else:
        assert "metadata" == refused(_validation.text, "metadata", "x" * size, limit=10)[0]


def test_limits_are_those_of_livekit() -> None:
    """The limits are LiveKit's defaults, in bytes."""
    limits = (
        _validation.LABEL_LIMIT,
        _validation.METADATA_LIMIT,
        _validation.ATTRIBUTES_LIMIT,
        _validation.DEPLOYMENT_LIMIT,
    )

    assert (256, 524_288, 65_536, 64) == limits


def test_text_may_hold_anything_else() -> None:
    """Metadata may hold control characters and may be empty."""
    for value in ["", "\0", "\x85", "a\nb", '{"a": "\\ud800"}', "\u2028", "\x7f"]:
        assert value == _validation.text("metadata", value, limit=100)


NOT_TEXTS: list[tuple[Any, str]] = [
    (None, "NoneType"),
    (5, "int"),
    (True, "bool"),
    (1.5, "float"),
    (b"bytes", "bytes"),
    (bytearray(b"bytes"), "bytearray"),
    (object(), "object"),
    (("a",), "tuple"),
]


def test_other_types_are_refused_by_their_name() -> None:
    """What is no str is refused with its type's name, never with its value."""
    for value, kind in NOT_TEXTS:
        expected = ("identity", f"identity must be a str, not {kind}")

        assert expected == refused(_validation.label, "identity", value)
        assert expected == refused(_validation.text, "identity", value, limit=10)


def test_structured_data_gets_the_way_out() -> None:
    """A mapping or a list as metadata must be encoded first, says the error; as a name it would only be a wrong name."""
    for value in [{"a": 1}, ["a"], OrderedDict(a=1), MappingProxyType({"a": 1})]:
        found = refused(_validation.text, "metadata", value, limit=_validation.METADATA_LIMIT)

        assert ("metadata", True) == (found[0], found[1].endswith("for example with json.dumps"))
        assert (
            f"agent_name must be a str, not {type(value).__name__}"
            == refused(_validation.label, "agent_name", value)[1]
        )


# Attributes.


class Odd(Mapping[str, str]):
    """A mapping that is no dict."""

    def __init__(self, content: dict[Any, Any]) -> None:
        self._content = content

    def __getitem__(self, key: str) -> str:
        value: str = self._content[key]
        return value

    def __iter__(self) -> Any:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


def test_attributes_are_any_mapping_of_texts() -> None:
    """Attributes may be any mapping; keys and values may be any text, even empty, and look like JSON."""
    for kind in [dict, OrderedDict, MappingProxyType, Odd]:
        value = kind({"role": "host", "": "", "json": '{"a": [1]}', "e\n\0": "\x85\u2028", '"\\': '\\"'})

        taken = _validation.attributes("attributes", value)

        assert (dict(value), dict) == (taken, type(taken))
        assert taken is not value


def test_attributes_of_another_type_are_refused() -> None:
    """What is no mapping is refused with its type's name."""
    for value in [None, [("a", "b")], "ab", {"a"}, 5, b""]:
        expected = f"attributes must be a mapping of str to str, not {type(value).__name__}"

        assert ("attributes", expected) == refused(_validation.attributes, "attributes", value)


def test_attribute_key_of_another_type_is_refused() -> None:
    """A key that is no str is refused with its type's name."""
    for key in [5, None, b"a", ("a",)]:
        field, text = refused(_validation.attributes, "attributes", {key: "a"})

        assert ("attributes", True) == (field, f"a key that is a {type(key).__name__}" in text)


def test_attribute_value_of_another_type_is_refused_with_its_key() -> None:
    """A value that is no str is refused with its key and its type's name, never with itself."""
    for value in [5, None, True, b"a", ["a"], {"a": "b"}]:
        field, text = refused(_validation.attributes, "attributes", {"good": "a", "bad": value})

        assert ("attributes['bad']", f"attributes['bad'] must be a str, not {type(value).__name__}") == (
            field,
            text.partition(":")[0],
        )


def test_long_attribute_key_is_not_repeated_in_the_error() -> None:
    """A key of more than 64 characters is not shown."""
    assert "attributes['" + "k" * 64 + "']" == refused(_validation.attributes, "attributes", {"k" * 64: 5})[0]
    expected = ("attributes", "a value of attributes must be a str, not int")
    assert expected == refused(_validation.attributes, "attributes", {"k" * 65: 5})


def test_field_of_a_bad_attribute_key_is_the_argument() -> None:
    """The field is what the caller wrote; that it is about a key, the text says."""
    field, text = refused(_validation.attributes, "attributes", {"a\ud800": "b"})

    assert ("attributes", True) == (
        field,
        text.startswith("a key of attributes contains a lone surrogate at position 1"),
    )


@pytest.mark.parametrize("content", [{"\ud800": "a"}, {"a": "\ud800"}])
def test_lone_surrogate_in_attributes_is_refused(content: dict[str, str]) -> None:
    """A lone surrogate is refused in a key and in a value."""
    field, text = refused(_validation.attributes, "attributes", content)

    assert (True, True) == (field.startswith("attributes"), "lone surrogate at position 0" in text)


def test_attributes_limit_is_on_keys_and_values_together() -> None:
    """Keys and values count together, in bytes; one byte more than the limit is refused."""
    fits = {"é": "x" * 3, "b": "🎤"}  # 2 + 3 + 1 + 4 bytes
    assert fits == _validation.attributes("attributes", fits, limit=10)

    field, text = refused(_validation.attributes, "attributes", {**fits, "c": ""}, limit=10)
    assert ("attributes", True) == (field, "more than 10 bytes" in text)


# Deployments.


def test_deployment_is_returned_as_it_is() -> None:
    """A deployment of at most 64 bytes without underscore and blank is accepted, and so is None."""
    for value in ["", "blue", "v2-canary", "x" * 64, "é" * 32, "a.b/c:d", "UPPER"]:
        assert value == _validation.deployment("deployment", value)


def test_deployment_of_a_subclass_is_its_plain_text() -> None:
    """A subclass of str counts by its content."""
    taken = _validation.deployment("deployment", Color.RED)

    assert ("red", str) == (taken, type(taken))


def test_deployment_that_livekit_would_skip_is_refused() -> None:
    """An underscore, a blank or a control character is refused, for LiveKit would silently skip the agent."""
    for value in ["a_b", "_", "a b", " ", "a\n", "\x7f", "\0", "a\tb"]:
        field, text = refused(_validation.deployment, "deployment", value)

        assert ("deployment", True) == (field, "LiveKit would skip the dispatch" in text)


def test_deployment_too_long_or_no_text_is_refused() -> None:
    """More than 64 bytes, another type and lone surrogates are refused by name."""
    for value in ["x" * 65, "é" * 33, None, 5, b"blue", "\ud800"]:
        assert "deployment" == refused(_validation.deployment, "deployment", value)[0]
