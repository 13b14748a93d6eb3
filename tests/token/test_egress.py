"""Egress in a room configuration: every field of LiveKit's own messages, and what a token must not contain."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.json_format import MessageToDict, ParseDict
from livekit.protocol.room import RoomConfiguration

from moss_voice_server._token.egress import camel, is_credential
from moss_voice_server._token.room_config import room_config_json
from tests.support import errors

pytestmark = pytest.mark.once

NO_CREDENTIALS = "would put credentials into a token that the participant can read"
EGRESS: Any = RoomConfiguration.DESCRIPTOR.fields_by_name["egress"].message_type


def claim(egress: Any) -> Any:
    """The egress in the claim."""
    return json.loads(room_config_json("", (), {"egress": egress}))["egress"]


def refused(egress: Any) -> tuple[str, str]:
    """The field, below `room_config.egress`, and the text of the error."""
    field, text = errors.refused(room_config_json, "", (), {"egress": egress})
    return field.removeprefix("room_config.egress").lstrip("."), text


# LiveKit's own messages, field by field.

GOOD: dict[int, list[Any]] = {
    FieldDescriptor.TYPE_STRING: ["text", "a\n\0é"],
    FieldDescriptor.TYPE_BOOL: [True],
    FieldDescriptor.TYPE_UINT32: [1, 2**32 - 1],
    FieldDescriptor.TYPE_INT32: [1, -(2**31), 2**31 - 1],
    FieldDescriptor.TYPE_DOUBLE: [0.5, 2],
}
BAD: dict[int, list[Any]] = {
    FieldDescriptor.TYPE_STRING: [5, b"text", {"a": 1}, ["a"], "\ud800", object(), "x" * (512 * 1024 + 1)],
    FieldDescriptor.TYPE_BOOL: [1, 0, "true", []],
    FieldDescriptor.TYPE_UINT32: [-1, 2**32, 1.5, "5", True, 10**5000],
    FieldDescriptor.TYPE_INT32: [-(2**31) - 1, 2**31, 1.0, "5", False],
    FieldDescriptor.TYPE_DOUBLE: ["1", True, float("nan"), float("inf"), 10**5000],
    FieldDescriptor.TYPE_MESSAGE: ["hello", 5, [{}], True],
    FieldDescriptor.TYPE_ENUM: ["NONSENSE", 99, -1, True, 1.0, ["MP4"], "mp4"],
}


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a mapping of texts."""
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def is_list(field: FieldDescriptor) -> bool:
    """Whether a field holds several values."""
    return field.is_repeated and not is_map(field)


def paths(message: Any, before: tuple[FieldDescriptor, ...] = ()) -> Iterator[tuple[FieldDescriptor, ...]]:
    """The way to every field of a message, at any depth."""
    for field in message.fields:
        yield (*before, field)
        if field.message_type is not None and not is_map(field):
            yield from paths(field.message_type, (*before, field))


ALL_PATHS = list(paths(EGRESS))
PATHS = [path for path in ALL_PATHS if not any(is_credential(field.name, "x") for field in path)]


def nest(path: tuple[FieldDescriptor, ...], value: Any, json_names: bool = False) -> Any:
    """The value at the path, in lists where the message has lists."""
    for field in reversed(path):
        value = {(field.json_name if json_names else field.name): [value] if is_list(field) else value}
    return value


def name(path: tuple[FieldDescriptor, ...]) -> str:
    """The path as errors name it."""
    return ".".join(f"{field.name}[0]" if is_list(field) else field.name for field in path)


def test_every_field_of_livekit() -> None:
    """Each value that fits is written as protobuf writes it, in both spellings; each that does not is refused by path."""
    for path in PATHS:
        field = path[-1]
        good: list[Any]
        bad: list[Any]
        if is_map(field):
            good, bad = [{"a": "b"}, MappingProxyType({"": "x"})], [["a"], {"a": 1}, "a", {"a": "\ud800"}]
        elif field.enum_type is not None:
            good, bad = [value.name for value in field.enum_type.values], BAD[field.type]
            good += [value.number for value in field.enum_type.values]
        else:
            good, bad = GOOD.get(field.type, [{}]), BAD[field.type]
        for value in good:
            plain = dict(value) if is_map(field) else value
            message = ParseDict({"egress": nest(path, plain)}, RoomConfiguration())
            for json_names in (False, True):
                found = claim(nest(path, value, json_names))
                assert ParseDict({"egress": found}, RoomConfiguration()) == message
        for value in bad:
            where, text = refused(nest(path, value))
            assert where.partition("['")[0] == name(path)
            assert text.isascii()
        assert claim(nest(path[:-1], {field.name: None})) == claim(nest(path[:-1], {}))
        if is_list(field):
            assert refused(nest(path[:-1], {field.name: {}}))[0] == name(path).removesuffix("[0]")
            assert refused(nest(path[:-1], {field.name: [None]}))[0] == name(path)


def test_every_group_of_livekit() -> None:
    """Of the fields of a protobuf `oneof` at most one may be set: LiveKit answers 401 to a token with two."""
    groups = 0
    for path in PATHS:
        group = path[-1].containing_oneof
        first = group.fields[0] if group else path[-1]
        if first is not path[-1]:
            pair: dict[str, Any] = {each.name: 0 if each.enum_type else {} for each in (first, path[-1])}
            assert refused(nest(path[:-1], pair))[0] == name(path)
            groups += 1
    assert groups > 10


def test_other_shapes_are_refused() -> None:
    """Another type, an unknown field, a field in two spellings, a key that is not a field's name."""
    egress: Any
    field: str
    for egress, field in [
        ([], ""),
        (None, ""),
        ("room", ""),
        ({5: 1}, ""),
        ({"room": "hello"}, "room"),
        ({"rooms": {}}, "rooms"),
        ({"room": {"fileoutputs": []}}, "room.fileoutputs"),
        ({"room": {"file_outputs": [], "fileOutputs": []}}, "room.fileOutputs"),
        ({"room": {"\ud800": 1}}, "room"),
        ({"room": {"x" * 257: 1}}, "room"),
        ({"room": {"room": {}}}, "room.room"),
    ]:
        assert refused(egress)[0] == field


def test_spelling_of_ali_oss() -> None:
    """Protobuf spells `aliOSS` in its own way; the usual spelling is accepted as well."""
    assert claim({"tracks": {"ali_oss": {"bucket": "b"}}}) == {"tracks": {"aliOSS": {"bucket": "b"}}}


def test_a_message_of_livekit() -> None:
    """LiveKit's own message, with all its defaults and without."""
    message = ParseDict(
        {"egress": {"room": {"file_outputs": [{"s3": {"proxy": {"url": "http://proxy"}, "metadata": {"a": "b"}}}]}}},
        RoomConfiguration(),
    )
    expected = MessageToDict(message)

    assert json.loads(room_config_json("", (), message)) == expected
    verbose = MessageToDict(message, always_print_fields_with_no_presence=True, preserving_proto_field_name=True)
    assert ParseDict({"egress": claim(verbose["egress"])}, RoomConfiguration()) == message


# Credentials.

SECRETS = [path for path in ALL_PATHS if is_credential(path[-1].name, "x")]


def spellings(name: str) -> list[str]:
    """All ways to write a field that LiveKit or people read as the same field."""
    return [name, camel(name), camel(name).title(), f"{name}_", f"_{name}", name.replace("_", "__"), name.upper()]


def test_credentials_are_refused() -> None:
    """At any depth, in any spelling, with the remedy and without their value."""
    for path in SECRETS:
        for value in ["hunter2", ["hunter2"], {"urls": "hunter2"}]:
            outer = next(index for index, field in enumerate(path) if is_credential(field.name, "x"))
            for spelling in spellings(path[outer].name):
                field, text = refused(nest(path[:outer], {spelling: value}))

                assert field == ".".join(filter(None, [name(path[:outer]), spelling]))
                assert (NO_CREDENTIALS in text, "hunter2" in text) == (True, False)


def test_no_field_for_credentials_is_forgotten() -> None:
    """Every field whose name suggests credentials is refused, so that a new one is noticed."""
    words = ("secret", "password", "token", "credential", "signing", "private", "auth", "external_id")
    names = {path[-1].name for path in ALL_PATHS}
    secret = {each for each in names if any(word in each for word in words) or each.endswith("_key")}
    secret.discard("access_key")  # the name of a key pair; of no use alone

    assert {"secret", "session_token", "assume_role_external_id", "password", "credentials", "account_key"} <= secret
    assert all(is_credential(each, "x") for each in secret)


def test_empty_credentials_are_not_credentials() -> None:
    """A message with all its defaults has empty ones; another empty type than a text is still refused."""
    bare = ParseDict({"egress": {"tracks": {"s3": {}}}}, RoomConfiguration())
    for field in ["secret", "session_token"]:
        for value in ["", None]:
            found = claim({"tracks": {"s3": {field: value}}})
            assert ParseDict({"egress": found}, RoomConfiguration()) == bare
        assert refused({"tracks": {"s3": {field: {}}}})[0] == f"tracks.s3.{field}"


def test_credentials_in_a_url_are_refused() -> None:
    """A user name or password inside a URL is as readable as any other."""
    for url in ["http://user:hunter2@proxy.example", "https://hunter2@proxy.example:8080/"]:
        egress: dict[str, Any] = {
            "room.custom_base_url": {"room": {"custom_base_url": url}},
            "tracks.s3.proxy.url": {"tracks": {"s3": {"proxy": {"url": url}}}},
            "tracks.s3.metadata['a']": {"tracks": {"s3": {"metadata": {"a": url}}}},
        }
        for field, value in egress.items():
            found, text = refused(value)
            assert (found, NO_CREDENTIALS in text, "hunter2" in text) == (field, True, False)
