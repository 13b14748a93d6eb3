"""Egress: the recordings that a room configuration starts, checked field by field.

LiveKit refuses a token whose egress has a wrong type inside, ignores unknown fields and presets, and shows the egress to
every participant: all three are refused here.
Source: livekit/protocol `livekit_egress.proto`; `tests/token/test_egress.py` compares this table with the protobuf messages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from .. import _validation
from .._escape import escape
from ..errors import InvalidArgument

Check = Callable[[str, object], object]


class Message(NamedTuple):
    """A protobuf message: its fields in snake_case, and the groups of which at most one field may be set (`oneof`)."""

    fields: dict[str, Check]
    groups: tuple[tuple[str, ...], ...] = ()


# What must not be in a token, as its holder can read it. livekit/protocol auth/grants.go checks the first four and streams
# ("in a future version, we'll reject"); the others are not in that check.
_NAMES = "secret credentials accountkey sessiontoken assumeroleexternalid password stream streamoutputs urls webhooks signingkey"
_CREDENTIALS = frozenset(_NAMES.split())
USER_IN_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*@")


def is_credential(name: str, value: object) -> bool:
    """Whether a field of an egress, in any spelling, contains credentials."""
    return bool(value) and name.replace("_", "").lower() in _CREDENTIALS


def camel(name: str) -> str:
    """The JSON name of a protobuf field."""
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def egress(field: str, value: object) -> dict[str, object]:
    return _message(ROOM_EGRESS, field, value)


def _message(message: Message, field: str, value: object) -> dict[str, object]:
    if not isinstance(value, Mapping):
        raise InvalidArgument(f"{field} must be a mapping, not {type(value).__name__}", field=field)
    wire: dict[str, object] = {}
    for key, item in value.items():
        name = _field_name(message, field, key, item)
        path = f"{field}.{key}"
        if camel(name) in wire:
            raise InvalidArgument(f"{path} is set in two spellings", field=path, remedy="remove one of them")
        # Null is what JSON writes for a field that is not set.
        wire[camel(name)] = None if item is None else message.fields[name](path, item)
        for group in message.groups:
            others = [other for other in group if other != name and wire.get(camel(other)) is not None]
            if item is not None and name in group and others:
                raise InvalidArgument(f"{path} excludes {others[0]}", field=path, remedy="set one of them")
    return {name: item for name, item in wire.items() if item is not None}


def _field_name(message: Message, field: str, key: object, value: object) -> str:
    """The field in snake_case, from either of the two spellings that LiveKit reads."""
    given = _validation.plain_str(key)
    if given is None:
        raise InvalidArgument(f"{field} must have str keys, not {type(key).__name__}", field=field)
    _validation.text(field, given, limit=_validation.LABEL_LIMIT, display_name=f"a key of {field}")
    if is_credential(given, value):
        raise _credentials(f"{field}.{given}")
    for name in message.fields:
        if given in (name, camel(name)) or (given, name) == ("ali_oss", "aliOSS"):
            return name
    raise InvalidArgument(
        f"{field}.{escape(given)} is a field that LiveKit does not know",
        field=f"{field}.{escape(given)}",
        remedy=f"use {', '.join(message.fields)}",
    )


def _credentials(field: str) -> InvalidArgument:
    return InvalidArgument(
        f"{field} would put credentials into a token that the participant can read",
        field=field,
        remedy="configure egress storage on the LiveKit server, or start the egress from your backend",
    )


def _text(field: str, value: object) -> str:
    checked = _validation.text(field, value, limit=_validation.METADATA_LIMIT)
    if USER_IN_URL.match(checked):
        raise _credentials(field)
    return checked


def _texts(field: str, value: object) -> dict[str, str]:
    checked = _validation.attributes(field, value)
    for key, item in checked.items():
        if USER_IN_URL.match(item):
            raise _credentials(f"{field}[{key!r}]")
    return checked


def _list(check: Check, field: str, value: object) -> list[object]:
    if not isinstance(value, (list, tuple)):
        raise InvalidArgument(f"{field} must be a list, not {type(value).__name__}", field=field)
    return [check(f"{field}[{index}]", item) for index, item in enumerate(value)]


def one_of(names: tuple[str, ...], field: str, value: object) -> str:
    """A name of an enumeration; protobuf's number for it is accepted as well."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(names):
        return names[value]
    found = _validation.plain_str(value)
    if found not in names:
        raise InvalidArgument(f"{field} is unknown to LiveKit", field=field, remedy=f"use {', '.join(names)}")
    return found


def _never(field: str, _value: object) -> object:
    raise _credentials(field)


def _secret(field: str, value: object) -> object:
    """An empty value, which a message with all its defaults has; everything else is refused by `is_credential`."""
    return _list(_never, field, value) if isinstance(value, (list, tuple)) else _text(field, value)


def _message_of(
    checks: dict[str, Check] | None = None, *groups: tuple[str, ...], text: str = "", refused: str = "", **more: Check
) -> Message:
    """A message from the names of its texts, those of its secrets, and the checks of its other fields."""
    return Message(
        {**dict.fromkeys(text.split(), _text), **dict.fromkeys(refused.split(), _secret), **(checks or {}), **more},
        groups,
    )


def _enumeration(names: str) -> Check:
    return partial(one_of, tuple(names.split()))


def _of(message: Message) -> Check:
    return partial(_message, message)


def _list_of(check: Check) -> Check:
    return partial(_list, check)


_boolean, _uint32 = _validation.boolean, _validation.integer
_int32 = partial(_validation.integer, lowest=-(2**31), highest=2**31 - 1)

_PROXY = _of(_message_of(text="url username", refused="password"))
_S3 = _message_of(
    text="access_key assume_role_arn region endpoint bucket tagging content_disposition",
    refused="secret session_token assume_role_external_id",
    force_path_style=_boolean,
    metadata=_texts,
    proxy=_PROXY,
)
_GCP = _message_of(text="bucket", refused="credentials", proxy=_PROXY)
_AZURE = _message_of(text="account_name container_name", refused="account_key")
_ALI_OSS = _message_of(text="access_key region endpoint bucket", refused="secret")
_STORAGE = {"s3": _of(_S3), "gcp": _of(_GCP), "azure": _of(_AZURE), "aliOSS": _of(_ALI_OSS)}
_ONE_STORAGE = tuple(_STORAGE)
_OUTPUT = {**_STORAGE, "disable_manifest": _boolean}
_FILE = _message_of(_OUTPUT, _ONE_STORAGE, text="filepath", file_type=_enumeration("DEFAULT_FILETYPE MP4 OGG MP3"))
_SEGMENTS = _message_of(
    _OUTPUT,
    _ONE_STORAGE,
    text="filename_prefix playlist_name live_playlist_name",
    protocol=_enumeration("DEFAULT_SEGMENTED_FILE_PROTOCOL HLS_PROTOCOL HLS_FMP4_PROTOCOL"),
    segment_duration=_uint32,
    filename_suffix=_enumeration("INDEX TIMESTAMP"),
)
_IMAGES = _message_of(
    _OUTPUT,
    _ONE_STORAGE,
    text="filename_prefix",
    capture_interval=_uint32,
    width=_int32,
    height=_int32,
    filename_suffix=_enumeration("IMAGE_SUFFIX_INDEX IMAGE_SUFFIX_TIMESTAMP IMAGE_SUFFIX_NONE_OVERWRITE"),
    image_codec=_enumeration("IC_DEFAULT IC_JPEG"),
)
_NUMBERS = "width height depth framerate audio_bitrate audio_frequency video_bitrate audio_quality video_quality"
_ENCODING = _message_of(
    dict.fromkeys(_NUMBERS.split(), _int32),
    audio_codec=_enumeration("DEFAULT_AC OPUS AAC AC_MP3"),
    video_codec=_enumeration("DEFAULT_VC H264_BASELINE H264_MAIN H264_HIGH VP8"),
    key_frame_interval=_validation.number,
)
_PRESETS = """H264_720P_30 H264_720P_60 H264_1080P_30 H264_1080P_60 PORTRAIT_H264_720P_30 PORTRAIT_H264_720P_60
    PORTRAIT_H264_1080P_30 PORTRAIT_H264_1080P_60 PASSTHROUGH"""
_OPTIONS = {"preset": _enumeration(_PRESETS), "advanced": _of(_ENCODING)}
_ONE_OPTION = tuple(_OPTIONS)
_OUTPUTS = {**_OPTIONS, "file_outputs": _list_of(_of(_FILE)), "segment_outputs": _list_of(_of(_SEGMENTS))}
_ROOM = _message_of(
    _OUTPUTS,
    _ONE_OPTION,
    ("file", "stream", "segments"),
    text="room_name layout custom_base_url",
    audio_only=_boolean,
    video_only=_boolean,
    audio_mixing=_enumeration("DEFAULT_MIXING DUAL_CHANNEL_AGENT DUAL_CHANNEL_ALTERNATE"),
    file=_of(_FILE),
    stream=_never,
    segments=_of(_SEGMENTS),
    stream_outputs=_list_of(_never),
    image_outputs=_list_of(_of(_IMAGES)),
    webhooks=_list_of(_never),
)
_PARTICIPANT = _message_of(_OUTPUTS, _ONE_OPTION)
_TRACKS = _message_of(_OUTPUT, _ONE_STORAGE, text="filepath")
ROOM_EGRESS = _message_of(room=_of(_ROOM), participant=_of(_PARTICIPANT), tracks=_of(_TRACKS))
