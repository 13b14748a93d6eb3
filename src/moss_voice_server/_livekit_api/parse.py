"""Parse: from LiveKit's JSON to models. Lenient: unknown fields pass, missing ones have defaults, 64-bit numbers are strings."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from .._json import InvalidJSON, decode
from .._secret import Secret
from .models import Dispatch, DispatchStatus, Participant, Room

MAX_DEPTH = 32
"""Levels of arrays and objects in a response; LiveKit's have at most ten."""
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_AGENT_NAME = "lk.agent_name"  # the attribute that livekit-server sets, pkg/agent/worker.go
_SECRET_FIELDS = frozenset({"turn_password", "turnPassword"})


def json_object(body: Secret[bytes]) -> dict[str, object] | None:
    """The JSON object in a body, without the fields that are secret; `None` if the body is anything else.

    Nothing is raised, because the exception's frames would hold the body.
    """
    try:
        fields = _without_secrets(decode(body.reveal(), max_depth=MAX_DEPTH))
    except InvalidJSON:
        return None
    return fields if isinstance(fields, dict) else None


def _without_secrets(value: object) -> object:
    if isinstance(value, dict):
        return {name: _without_secrets(each) for name, each in value.items() if name not in _SECRET_FIELDS}
    return [_without_secrets(each) for each in value] if isinstance(value, list) else value


def items(fields: object, name: str) -> list[dict[str, object]]:
    """The objects in the list of this name."""
    listed = fields.get(name) if isinstance(fields, dict) else None
    return [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []


def room(fields: dict[str, object]) -> Room:
    """A room, from the server API (snake_case) or a webhook (camelCase)."""
    return Room(
        name=text(fields, "name"),
        sid=text(fields, "sid"),
        created_at=_moment(fields, "creation_time_ms", "creation_time"),
        participants=number(fields, "num_participants"),
        publishers=number(fields, "num_publishers"),
        metadata=text(fields, "metadata"),
    )


def participant(fields: dict[str, object]) -> Participant:
    """A participant, from the server API or a webhook."""
    attributes = _texts(fields, "attributes")
    return Participant(
        identity=text(fields, "identity"),
        name=text(fields, "name"),
        kind=(text(fields, "kind") or "standard").lower(),
        state=text(fields, "state").lower(),
        joined_at=_moment(fields, "joined_at_ms", "joined_at"),
        metadata=text(fields, "metadata"),
        attributes=attributes,
        agent_name=attributes.get(_AGENT_NAME, ""),
    )


def dispatch(fields: dict[str, object]) -> Dispatch:
    """A dispatch, from the server API; its status and agent are those of its jobs."""
    status, identity = _progress(fields)
    return Dispatch(
        id=text(fields, "id"),
        room=text(fields, "room"),
        agent_name=text(fields, "agent_name"),
        created_at=moment(created_ns(fields) / 1e9),
        status=status,
        agent_identity=identity,
        metadata=text(fields, "metadata"),
        attributes=_texts(fields, "attributes"),
    )


def created_ns(fields: dict[str, object]) -> int:
    """When a dispatch was created, in nanoseconds since 1970."""
    return number(mapping(fields, "state"), "created_at")


def is_deleted(fields: dict[str, object]) -> bool:
    """Whether a dispatch was deleted: LiveKit lists it with the time of its deletion."""
    return number(mapping(fields, "state"), "deleted_at") > 0


def started_ns(fields: dict[str, object]) -> int:
    """When the latest job of a dispatch was started, in nanoseconds since 1970; else, when it was created."""
    jobs = items(mapping(fields, "state"), "jobs")
    return max([created_ns(fields), *(number(mapping(job, "state"), "started_at") for job in jobs)])


def _progress(fields: dict[str, object]) -> tuple[DispatchStatus, str]:
    """The status of a dispatch and the identity of its agent, from its jobs: a restarted agent has several."""
    states = [mapping(job, "state") for job in items(mapping(fields, "state"), "jobs")]
    statuses = [text(state, "status") or "JS_PENDING" for state in states]
    if "JS_RUNNING" in statuses:
        return "running", text(states[statuses.index("JS_RUNNING")], "participant_identity")
    if not statuses or "JS_PENDING" in statuses:
        return "pending", ""
    return ("ended" if statuses[-1] == "JS_SUCCESS" else "failed"), ""


def moment(seconds: float) -> datetime | None:
    """Seconds since 1970 as UTC; `None` for 0, and for what is out of range."""
    try:
        return _EPOCH + timedelta(seconds=seconds) if seconds > 0 else None
    except (OverflowError, ValueError):
        return None


def number(fields: dict[str, object], name: str) -> int:
    """An integer of 64 bits, which LiveKit sends as a number or as a string; 0 if there is none."""
    value = _field(fields, name)
    try:
        found = int(value) if isinstance(value, (int, float, str)) else 0
    except (ValueError, OverflowError):
        return 0
    return found if abs(found) < 2**63 else 0


def _moment(fields: dict[str, object], milliseconds: str, seconds: str) -> datetime | None:
    return moment(number(fields, milliseconds) / 1000 or number(fields, seconds))


def _field(fields: dict[str, object], name: str) -> object:
    first, *rest = name.split("_")
    return fields.get(name, fields.get(first + "".join(part.capitalize() for part in rest)))


def text(fields: dict[str, object], name: str) -> str:
    """A str; "" if there is none."""
    value = _field(fields, name)
    return value if isinstance(value, str) else ""


def _texts(fields: dict[str, object], name: str) -> dict[str, str]:
    return {key: value for key, value in mapping(fields, name).items() if isinstance(value, str)}


def mapping(fields: dict[str, object], name: str) -> dict[str, object]:
    """An object; empty if there is none."""
    value = _field(fields, name)
    return value if isinstance(value, dict) else {}
