"""Claims: the payload of a join token, from a request to the bytes that are signed; refuses what LiveKit would misread."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from .. import _validation as labels
from ..errors import InvalidArgument
from ..grants import ParticipantGrants, ParticipantInfo
from .json_string import json_string

DEFAULT_TTL = timedelta(minutes=15)
API_DEFAULT_TTL = timedelta(minutes=1)
# Seconds. Below a minute no LiveKit client caches a token, and a minute is the leeway between clocks.
MIN_TTL, MAX_TTL = 60, 24 * 60 * 60
_DEFAULT_SECONDS = 15 * 60
_DEFAULT_VIDEO = '"video":{"roomJoin":true,"canPublish":true,"canSubscribe":true,"canPublishData":true,"room":'
_SHORT = labels.LABEL_LIMIT  # for all labels of a token together
_VISIBLE = '"#'  # a json_string text that sorts before this is empty, or begins with a space or "!"
_SURELY_SHORT = 4_000  # characters; UTF-8 needs at most four bytes for one, so no limit can be near


def payload(
    head: str,
    now: float,
    participant: ParticipantInfo,
    room_name: str,
    agent_name: str | None,
    ttl: timedelta | float,
    grants: ParticipantGrants | None,
    agents: Any,
    room_config: Any,
) -> bytes:
    """The JSON payload of a token, checked.

    The shape is a template filled in with json_string texts, because a general JSON encoder takes longer than the signature.
    What is surely harmless (short and plain) passes at one look; everything else goes through the careful checks, which
    name the field that is wrong. Both ways end in the same template.

    `nbf` is the time of minting, never earlier: LiveKit Cloud revokes by `nbf` (livekit_room.proto, `revoke_token_ts`), and
    the server itself allows for a minute of difference between clocks (livekit/protocol auth/verifier.go).
    """
    try:
        identity, name = participant.identity, participant.name
        metadata, attributes = participant.metadata, participant.attributes
    except AttributeError:
        raise _not_a_participant(participant) from None
    # One look at all labels together, in their json_string form. A backslash there means that something had to be escaped; a
    # label that begins with a visible character is not blank; and what is this short in ASCII is short enough in bytes.
    who = room = called = together = ""
    try:
        who, room, called = json_string(identity), json_string(room_name), "" if name is None else json_string(name)
        together = who + room + called
        if agent_name:
            agent = json_string(agent_name)
            together = together + agent if agent >= _VISIBLE else ""
    except TypeError:
        together = ""
    careful = (
        not together
        or len(together) > _SHORT
        or not together.isascii()
        or "\\" in together
        or "\x7f" in together
        or who < _VISIBLE
        or room < _VISIBLE
    )
    if careful:
        _check_labels(identity, room_name, name)
    start = int(now)
    times = _default_times(start) if ttl is DEFAULT_TTL else _times(start, int(now + lifetime(ttl)))
    rest = f',"name":{called}' if name else ""
    if metadata is not None:
        if not _surely_fine(metadata):
            labels.text("metadata", metadata, limit=labels.METADATA_LIMIT)
        if metadata:
            rest += f',"metadata":{json_string(metadata)}'
    if attributes is not None:
        rest += f',"attributes":{_attributes(attributes)}'
    if agent_name is not None or agents != () or room_config is not None:
        rest += _room(agent_name, agents, room_config, careful=careful)
    video = _DEFAULT_VIDEO if grants is None else _video(grants)
    return f'{head}{times},"sub":{who},{video}{room}}}{rest}}}'.encode()


def _times(start: int, end: int) -> str:
    return f'{start},"exp":{end}'


@lru_cache(maxsize=2)
def _default_times(start: int) -> str:
    """The same text for all tokens of a second."""
    return _times(start, start + _DEFAULT_SECONDS)


class TtlRange(NamedTuple):
    """How long a kind of token may live, in seconds."""

    minimum: int
    maximum: int
    remedy: str


JOIN_TTL = TtlRange(MIN_TTL, MAX_TTL, "choose 1 minute to 24 hours; a session does not end with its token")
API_TTL = TtlRange(10, 10 * 60, "choose 10 seconds to 10 minutes")


def lifetime(ttl: Any, field: str = "ttl", allowed: TtlRange = JOIN_TTL) -> float:
    """A token's lifetime in seconds, from a `timedelta` or a number of seconds."""
    seconds: float
    if isinstance(ttl, timedelta):
        seconds = ttl.total_seconds()
    elif isinstance(ttl, (int, float)) and not isinstance(ttl, bool):
        seconds = ttl
    else:
        raise InvalidArgument(
            f"{field} must be a timedelta or a number of seconds, not {type(ttl).__name__}", field=field
        )
    if not allowed.minimum <= seconds <= allowed.maximum:  # NaN fails here as well
        raise InvalidArgument(f"{field} is out of range", field=field, remedy=allowed.remedy)
    return float(seconds)


def _surely_fine(text: object) -> bool:
    return type(text) is str and len(text) <= _SURELY_SHORT and text.isascii()


def _check_labels(identity: Any, room_name: Any, name: Any) -> None:
    labels.label("identity", identity)
    labels.label("room_name", room_name)
    if name is not None:
        labels.label("name", name, blank=True)


def _attributes(attributes: Any) -> str:
    if type(attributes) is not dict:
        attributes = dict(labels.attributes("attributes", attributes))
    try:
        # The quoting refuses everything but texts.
        text = "{" + ",".join([f"{json_string(key)}:{json_string(value)}" for key, value in attributes.items()]) + "}"
    except TypeError:
        text = ""
    if not text or not _surely_fine(text):
        labels.attributes("attributes", attributes)
    return text


def agent_json(agent_name: str) -> str:
    """The claim `roomConfig` that only sends for one agent by name."""
    return f'{{"agents":[{{"agentName":{json_string(agent_name)}}}]}}'


def _room(agent_name: Any, agents: Any, room_config: Any, *, careful: bool) -> str:
    if agent_name:
        if careful:
            labels.label("agent_name", agent_name)
        if agents == () and room_config is None:
            return f',"roomConfig":{agent_json(agent_name)}'
    elif agent_name is not None and agent_name != "":
        raise InvalidArgument(f"agent_name must be a str, not {type(agent_name).__name__}", field="agent_name")
    from .room_config import room_config_json  # most tokens do without

    claim = room_config_json(agent_name or "", agents, room_config)
    return f',"roomConfig":{claim}' if claim else ""


def _video(grants: Any) -> str:
    if not isinstance(grants, ParticipantGrants):
        raise InvalidArgument(f"grants must be a ParticipantGrants, not {type(grants).__name__}", field="grants")
    return _video_json(grants)


@lru_cache(maxsize=64)
def _video_json(grants: ParticipantGrants) -> str:
    """The claim `video` up to the room's name."""
    data = grants.can_publish if grants.can_publish_data is None else grants.can_publish_data
    said = {
        "canPublish": grants.can_publish,
        "canSubscribe": grants.can_subscribe,
        "canPublishData": data,
    }
    asked = {
        "canUpdateOwnMetadata": grants.can_update_own_metadata,
        "canSubscribeMetrics": grants.can_subscribe_metrics,
        "canManageAgentSession": grants.can_manage_agent_session,
        "hidden": grants.hidden,
    }
    # LiveKit takes absent as True for the first three and as False for the rest: the first are always said.
    parts = ['"roomJoin":true', *(f'"{key}":{"true" if value else "false"}' for key, value in said.items())]
    parts += [f'"{key}":true' for key, value in asked.items() if value]
    if grants.can_publish_sources:
        parts.append(f'"canPublishSources":[{",".join(map(json_string, grants.can_publish_sources))}]')
    return f'"video":{{{",".join(parts)},"room":'


def _not_a_participant(participant: Any) -> InvalidArgument:
    return InvalidArgument(
        f"participant must be a ParticipantInfo, not {type(participant).__name__}: write ParticipantInfo(identity=...)",
        field="participant",
    )
