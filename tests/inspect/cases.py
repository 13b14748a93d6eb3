"""Cases for `inspect`: one change to a good token each, the finding, and LiveKit's response."""

from __future__ import annotations

from typing import Any, NamedTuple

NOW = 1_800_000_000
KEY = "APIexample12345"
SECRET = "a-secret-for-tests-that-is-long-enough"


def good() -> dict[str, Any]:
    """The claims of a token without mistakes."""
    return {
        "iss": KEY,
        "sub": "user-42",
        "nbf": NOW,
        "exp": NOW + 900,
        "name": "Ada",
        "metadata": "vip",
        "attributes": {"plan": "gold"},
        "video": {
            "roomJoin": True,
            "room": "support-1f0c",
            "canPublish": True,
            "canSubscribe": True,
            "canPublishData": True,
        },
        "roomConfig": {"agents": [{"agentName": "clerk", "metadata": "speaks English"}], "emptyTimeout": 30},
    }


# The only finding about a good token that names an agent.
GOOD_SAYS = {"agents_open_rooms"}


class Case(NamedTuple):
    """A change to the good claims ("video.room": a path; `...`: the claim is removed), and its finding."""

    changes: dict[str, Any]
    code: str
    severity: str
    http: int | None = None
    """What livekit-server 1.13.5 answers to the join; 0: the participant joins, `None`: not tried."""


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The good claims with these changes."""
    claims = good()
    for path, value in changes.items():
        *above, last = path.split(".")
        fields = claims
        for name in above:
            fields = fields[name]
        if value is ...:
            del fields[last]
        else:
            fields[last] = value
    return claims


AGENT = {"agentName": "clerk"}
VIDEO = {"roomJoin": True, "room": "support-1f0c", "canSubscribe": True}

CASES: dict[str, Case] = {
    # Key and identity
    "no key": Case({"iss": ...}, "no_iss", "error", 401),
    "empty key": Case({"iss": ""}, "no_iss", "error", 401),
    "secret where the key belongs": Case({"iss": "x" * 43}, "secret_as_key", "error", 401),
    "key with a newline": Case({"iss": KEY + "\n"}, "key_with_white_space", "error", 401),
    "no identity": Case({"sub": ...}, "no_identity", "error", 400),
    "identity in the claim of that name": Case({"sub": ..., "identity": "user-42"}, "no_identity", "error", 400),
    "two identities": Case({"identity": "user-43"}, "identity_ignored", "warning", 0),
    "identity in jti": Case({"sub": ..., "jti": "user-42"}, "identity_from_jti", "warning", 0),
    "blank identity": Case({"sub": " "}, "blank", "warning", 0),
    "long identity": Case({"sub": "é" * 129}, "identity_too_long", "error", 400),
    "identity with a control character": Case({"sub": "user\n42"}, "control_character", "warning", 0),
    "identity with a lone surrogate": Case({"sub": "user-\ud83c"}, "lone_surrogate", "warning", 0),
    "email address as identity": Case({"sub": "ada@host.example"}, "personal_data", "info", 0),
    "identity that is a number": Case({"sub": 42}, "wrong_type", "error", 401),
    "identity with a space": Case({"sub": "user-42 "}, "white_space", "warning", 0),
    "long name": Case({"name": "n" * 257}, "name_too_long", "warning", 0),
    "kind of a telephone": Case({"kind": "sip"}, "kind", "warning", 0),
    "kind in capitals": Case({"kind": "AGENT"}, "unknown_kind", "warning", 0),
    # Metadata and attributes
    "metadata that is an object": Case({"metadata": {"plan": "gold"}}, "wrong_type", "error", 401),
    "long metadata": Case({"metadata": "m" * (512 * 1024 + 1)}, "metadata_too_long", "error", 500),
    "attribute that is a number": Case({"attributes": {"level": 3}}, "wrong_type", "error", 401),
    "attribute that is null": Case({"attributes": {"plan": None}}, "null_attribute", "warning", 0),
    "long attributes": Case({"attributes": {"key": "v" * (64 * 1024 - 2)}}, "attributes_too_long", "error", 500),
    "attribute of LiveKit's own": Case({"attributes": {"lk.agent.name": "me"}}, "reserved_attribute", "warning", 0),
    # Times
    "no exp": Case({"exp": ...}, "no_exp", "error", 0),  # newer servers answer 401
    "expired": Case({"nbf": NOW - 900, "exp": NOW - 61}, "expired", "error", 401),
    "expired a moment ago": Case({"nbf": NOW - 900, "exp": NOW - 20}, "expired_within_leeway", "warning", 0),
    "not yet valid": Case({"nbf": NOW + 120}, "not_yet_valid", "error", 401),
    "valid in a moment": Case({"nbf": NOW + 30}, "nbf_in_future", "warning", 0),
    "no nbf": Case({"nbf": ...}, "no_nbf", "warning", 0),
    "nbf of 1970": Case({"nbf": 0}, "nbf_far_back", "warning", 0),
    "nbf long before iat": Case({"nbf": NOW - 300, "iat": NOW}, "nbf_far_back", "warning", 0),
    "life of under a minute": Case({"exp": NOW + 59}, "short_ttl", "warning", 0),
    "life of years": Case({"exp": NOW + 10 * 365 * 86400}, "long_ttl", "warning", 0),
    "end before the start": Case({"nbf": NOW + 50, "exp": NOW + 10}, "ends_before_start", "error", 0),
    "exp that is a word": Case({"exp": "tomorrow"}, "wrong_type", "error", 401),
    "exp in milliseconds": Case({"exp": (NOW + 900) * 1000}, "milliseconds", "error", 0),
    "iat in milliseconds": Case({"iat": NOW * 1000}, "milliseconds", "warning", 0),
    "exp in quotes": Case({"exp": str(NOW + 900)}, "time_as_text", "warning", 0),
    # Grants
    "no grant": Case({"video": ...}, "no_video_grant", "error", 401),
    "grant that is a list": Case({"video": ["roomJoin"]}, "wrong_type", "error", 401),
    "no roomJoin": Case({"video.roomJoin": ...}, "no_room_join", "error", 401),
    "roomJoin in quotes": Case({"video.roomJoin": "true"}, "wrong_type", "error", 401),
    "roomJoin in snake_case": Case({"video.roomJoin": ..., "video.room_join": True}, "snake_case", "error", 401),
    "publishing in snake_case": Case({"video.can_publish": False}, "snake_case", "warning", 0),
    "roomJoin in small letters": Case({"video.roomJoin": ..., "video.roomjoin": True}, "letter_case", "info", 0),
    "room under another name": Case({"video.room": ..., "video.roomName": "support"}, "unknown_name", "error", 400),
    "grant that is unknown": Case({"video.canDance": True}, "unknown_name", "info", 0),
    "SIP grant in the video grant": Case({"video.admin": True}, "sip_in_video", "warning", 0),
    "no room": Case({"video.room": ...}, "no_room", "error", 400),
    "blank room": Case({"video.room": " "}, "blank", "warning", 0),
    "long room": Case({"video.room": "é" * 129}, "room_too_long", "error", 400),
    "room with a newline": Case({"video.room": "support\n"}, "control_character", "warning", 0),
    "data follows publishing": Case({"video": {**VIDEO, "canPublish": False}}, "data_follows_publish", "info", 0),
    "data without publishing": Case({"video.canPublish": False}, "data_without_publish", "info", 0),
    "nothing said on publishing": Case({"video.canPublish": ...}, "granted_by_default", "info", 0),
    "hears nothing": Case({"video.canSubscribe": False}, "hears_nothing", "info", 0),
    "misspelled source": Case({"video.canPublishSources": ["mic"]}, "unknown_source", "error", 0),
    "sources that are numbers": Case({"video.canPublishSources": [2]}, "wrong_type", "error", 401),
    "sources without publishing": Case(
        {"video.canPublish": False, "video.canPublishSources": ["camera"]}, "sources_without_publish", "warning", 0
    ),
    "changes the own metadata": Case({"video.canUpdateOwnMetadata": True}, "own_metadata", "info", 0),
    "hidden": Case({"video.hidden": True}, "hidden", "info", 0),
    "may create rooms": Case({"video.roomCreate": True}, "room_create", "warning", 0),
    "may administer the room": Case({"video.roomAdmin": True}, "server_power", "warning", 0),
    "may administer SIP": Case({"sip": {"admin": True}}, "server_power", "warning", 0),
    "may work as an agent": Case({"video.agent": True}, "worker", "warning", 0),
    "token of a server": Case({"video": {"roomCreate": True}, "sub": ...}, "not_a_join_token", "warning", 401),
    # Room configuration
    "room_config in snake_case": Case({"room_config": {"agents": [AGENT]}}, "snake_case", "error", 0),
    "room configuration that is a list": Case({"roomConfig": []}, "wrong_type", "error", 401),
    "field of the room in two spellings": Case(
        {"roomConfig": {"emptyTimeout": 1, "empty_timeout": 2}}, "two_spellings", "error", 401
    ),
    "field of the room that is unknown": Case({"roomConfig.colour": "red"}, "unknown_name", "warning", 0),
    "field of the room in the wrong letter case": Case({"roomConfig": {"Agents": [AGENT]}}, "unknown_name", "error", 0),
    "negative timeout": Case({"roomConfig.emptyTimeout": -1}, "wrong_type", "error", 401),
    "broken timeout": Case({"roomConfig.emptyTimeout": 1.5}, "wrong_type", "error", 401),
    "room's metadata that is an object": Case({"roomConfig.metadata": {}}, "wrong_type", "error", 401),
    "room's name": Case({"roomConfig.name": "other"}, "room_config_name", "warning", 0),
    "preset": Case({"roomPreset": "unknown-preset"}, "room_preset", "info", 500),
    "agent that is a string": Case({"roomConfig.agents": ["clerk"]}, "wrong_type", "error", 401),
    "agent's metadata that is an object": Case(
        {"roomConfig.agents": [{"agentName": "clerk", "metadata": {}}]}, "wrong_type", "error", 401
    ),
    "agent's attribute that is a number": Case(
        {"roomConfig.agents": [{"agentName": "clerk", "attributes": {"level": 3}}]}, "wrong_type", "error", 401
    ),
    "agent's name in the wrong letter case": Case(
        {"roomConfig.agents": [{"AgentName": "clerk"}]}, "unknown_name", "error", 0
    ),
    "no agent": Case({"roomConfig": ...}, "no_agent", "info", 0),
    "agents for a room that exists": Case({}, "agents_open_rooms", "info", 0),
    "agent without a name": Case({"roomConfig.agents": [{"metadata": "?"}]}, "unnamed_agent", "info", 0),
    "agent twice": Case({"roomConfig.agents": [AGENT, AGENT]}, "same_agent_twice", "warning", 0),
    "deployment with an underscore": Case(
        {"roomConfig.agents": [{"agentName": "clerk", "deployment": "blue_green"}]}, "bad_deployment", "error", 0
    ),
    "restart policy that is unknown": Case(
        {"roomConfig.agents": [{"agentName": "clerk", "restartPolicy": "ALWAYS"}]},
        "unknown_restart_policy",
        "warning",
        0,
    ),
    "recording": Case(
        {"roomConfig.egress": {"room": {"fileOutputs": [{"filepath": "talk.mp4"}]}}}, "egress", "info", 0
    ),
    "recording with credentials": Case(
        {"roomConfig.egress": {"room": {"fileOutputs": [{"s3": {"secret": "hush"}}]}}}, "egress_credentials", "error", 0
    ),
    # Size
    "token of 5 KB": Case({"metadata": "m" * 3000}, "long_token", "info", 0),
    "token of 9 KB": Case({"metadata": "m" * 6000}, "long_token", "warning", 0),
    "token of over a megabyte": Case({"attributes": {}, "metadata": "m" * 800_000}, "too_long", "error"),
}
