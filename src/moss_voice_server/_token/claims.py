"""Claims: the payload of a join token, from the arguments to the bytes that are signed.

It is a template filled with JSON strings, because a general JSON encoder takes longer than the signature. Labels that are
obviously valid (short, plain ASCII, nothing to escape) are accepted together; all others are checked one by one, which
names the field that is wrong. Each part is either built from checked values or raises: there is no default to continue with.

`nbf` is the time of creation, never earlier: LiveKit Cloud revokes by `nbf` (livekit_room.proto, `revoke_token_ts`), and the
server allows for a minute of difference between clocks (livekit/protocol auth/verifier.go).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from .. import _validation
from .._duration import timedelta
from ..errors import InvalidArgument
from ..grants import ParticipantGrants, ParticipantInfo
from .json_string import json_string

DEFAULT_TTL = timedelta(minutes=15)
API_DEFAULT_TTL = timedelta(minutes=1)
_DEFAULT_SECONDS = 15 * 60
_DEFAULT_VIDEO = '"video":{"roomJoin":true,"canPublish":true,"canSubscribe":true,"canPublishData":true,"room":'
_SHORT = _validation.LABEL_LIMIT  # for all labels of a token together
_VISIBLE = "!"  # the first visible character: a text that sorts before it is empty, or may be blank
_SURELY_SHORT = 4_000  # characters; UTF-8 needs at most four bytes for one, so no limit can be near
MAX_TOKEN = 1_000_000
"""Bytes of a token. LiveKit answers 431 where request line and headers together exceed 1 MiB (Go's net/http)."""
MAX_PAYLOAD = (MAX_TOKEN - 100) * 3 // 4  # without header and signature, before base64


def payload(
    head: str,
    now: float,
    participant: ParticipantInfo,
    room_name: str,
    agent_name: str | None,
    ttl: timedelta | float,
    grants: ParticipantGrants | None,
    agents: object,
    room_config: object,
) -> bytes:
    """The JSON payload of a token, checked."""
    try:
        identity, name = participant.identity, participant.name
        metadata, attributes = participant.metadata, participant.attributes
    except AttributeError:
        raise _wrong_type(
            "participant", participant, "ParticipantInfo", "write ParticipantInfo(identity=...)"
        ) from None
    agent = agent_name
    if (
        type(identity) is not str
        or type(room_name) is not str
        or not (name is None or type(name) is str)
        or not (agent is None or type(agent) is str)
        # All labels at one look: a backslash means that a character must be escaped.
        or len(quoted := json_string(f"{identity}{room_name}{name or ''}{agent or ''}")) > _SHORT
        or not quoted.isascii()
        or "\\" in quoted
        or "\x7f" in quoted
        or identity < _VISIBLE
        or room_name < _VISIBLE
        or (agent and agent < _VISIBLE)
    ):
        identity, room_name, name, agent = _checked_labels(identity, room_name, name, agent)
    start = int(now)
    times = _default_times(start) if ttl is DEFAULT_TTL else f'{start},"exp":{int(now + lifetime(ttl))}'
    rest = f',"name":"{name}"' if name else ""
    if metadata is not None:
        rest += _metadata(metadata)
    if attributes is not None:
        rest += _attributes(attributes)
    if agent or agents != () or room_config is not None:
        rest += _room(agent, agent_name, agents, room_config)
    video = _DEFAULT_VIDEO if grants is None else _video(grants)
    built = f'{head}{times},"sub":"{identity}",{video}"{room_name}"}}{rest}}}'.encode()
    if len(built) > MAX_PAYLOAD:
        raise _too_large(metadata, attributes, room_config)
    return built


@lru_cache(maxsize=2)
def _default_times(start: int) -> str:
    """The same text for all tokens of a second."""
    return f'{start},"exp":{start + _DEFAULT_SECONDS}'


class TtlRange(NamedTuple):
    """How long a kind of token may live, in seconds."""

    minimum: int
    maximum: int
    remedy: str


# Below a minute no LiveKit client caches a token, and a minute is the leeway between clocks.
JOIN_TTL = TtlRange(60, 24 * 60 * 60, "choose 1 minute to 24 hours; a session does not end with its token")
API_TTL = TtlRange(10, 10 * 60, "choose 10 seconds to 10 minutes")


def lifetime(ttl: object, field: str = "ttl", allowed: TtlRange = JOIN_TTL) -> float:
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


def _checked_labels(identity: object, room_name: object, name: object, agent_name: object) -> tuple[str, str, str, str]:
    """The four labels, escaped for JSON; the last two "" if they are absent."""
    return (
        _escaped(_validation.label("identity", identity)),
        _escaped(_validation.label("room_name", room_name)),
        "" if name is None else _escaped(_validation.label("name", name, blank=True)),
        "" if agent_name is None else _escaped(_validation.agent("agent_name", agent_name)),
    )


def _escaped(label: str) -> str:
    return json_string(label)[1:-1]


def _is_surely_fine(text: str) -> bool:
    return len(text) <= _SURELY_SHORT and text.isascii()


def _metadata(metadata: object) -> str:
    if type(metadata) is not str or not _is_surely_fine(metadata):
        metadata = _validation.text("metadata", metadata, limit=_validation.METADATA_LIMIT)
    return f',"metadata":{json_string(metadata)}' if metadata else ""


def _attributes(attributes: object) -> str:
    if type(attributes) is dict:
        try:
            # One JSON string for each key: with fewer of them, two keys would be the same name in JSON.
            pairs = {json_string(key): json_string(value) for key, value in attributes.items()}
        except TypeError:  # not a str: the careful check accepts it or names it
            pairs = {}
        built = ",".join(map(":".join, pairs.items()))
        if len(pairs) == len(attributes) and _is_surely_fine(built):
            return f',"attributes":{{{built}}}'
    checked = _validation.attributes("attributes", attributes)
    return (
        f',"attributes":{{{",".join([f"{json_string(key)}:{json_string(value)}" for key, value in checked.items()])}}}'
    )


def _room(agent: str | None, agent_name: object, agents: object, room_config: object) -> str:
    """The claim `roomConfig`; `agent` is the checked `agent_name`, escaped for JSON."""
    if room_config is None and agents == ():
        return f',"roomConfig":{{"agents":[{{"agentName":"{agent}"}}]}}'
    from .room_config import room_config_json  # most tokens do without

    name = "" if agent_name is None else _validation.agent("agent_name", agent_name)
    claim = room_config_json(name, agents, room_config)
    return f',"roomConfig":{claim}' if claim else ""


def _video(grants: object) -> str:
    if not isinstance(grants, ParticipantGrants):
        raise _wrong_type("grants", grants, "ParticipantGrants")
    return _video_json(grants)


@lru_cache(maxsize=64)
def _video_json(grants: ParticipantGrants) -> str:
    """The claim `video` up to the room's name."""
    data = grants.can_publish if grants.can_publish_data is None else grants.can_publish_data
    # LiveKit's default is True for these three and False for the others: these are always written.
    always = {"canPublish": grants.can_publish, "canSubscribe": grants.can_subscribe, "canPublishData": data}
    if_granted = {
        "canUpdateOwnMetadata": grants.can_update_own_metadata,
        "canSubscribeMetrics": grants.can_subscribe_metrics,
        "canManageAgentSession": grants.can_manage_agent_session,
        "hidden": grants.hidden,
    }
    parts = ['"roomJoin":true', *(f'"{key}":{"true" if value else "false"}' for key, value in always.items())]
    parts += [f'"{key}":true' for key, value in if_granted.items() if value]
    if grants.can_publish_sources:
        parts.append(f'"canPublishSources":[{",".join(map(json_string, grants.can_publish_sources))}]')
    return f'"video":{{{",".join(parts)},"room":'


def _wrong_type(field: str, value: object, expected: str, remedy: str = "") -> InvalidArgument:
    return InvalidArgument(f"{field} must be a {expected}, not {type(value).__name__}", field=field, remedy=remedy)


def _too_large(metadata: object, attributes: object, room_config: object) -> InvalidArgument:
    """Names the argument that takes most of the token; the room configuration has everything that is left."""
    sizes = {
        "metadata": len(_metadata(metadata)) if metadata is not None else 0,
        "attributes": len(_attributes(attributes)) if attributes is not None else 0,
    }
    field = max(sizes, key=lambda name: sizes[name])
    if sizes[field] < MAX_PAYLOAD // 2:
        field = "agents" if room_config is None else "room_config"
    return InvalidArgument(
        f"{field} makes the token larger than {MAX_TOKEN} bytes, which LiveKit does not accept",
        field=field,
        remedy="shorten it",
    )
