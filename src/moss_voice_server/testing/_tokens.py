"""Token assertions: what a join token says, compared with what a test expects, and the difference in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from .._jwt import InvalidToken, Token, is_signed, read
from .._token.claims import lifetime
from ..grants import AgentDispatch, ParticipantGrants

_ANY: Any = object()


def decode_token(token: str) -> dict[str, Any]:
    """The claims of a token, unverified.

    Raises:
        AssertionError: it is not a JSON Web Token: three parts of base64url, the first two JSON objects.
    """
    __tracebackhide__ = True  # pytest then shows the line of the test
    return _read(token).claims


def _read(token: str) -> Token:
    __tracebackhide__ = True
    if not isinstance(token, str):
        raise AssertionError(f"not a token: {type(token).__name__}")
    try:
        return read(token)
    except InvalidToken as error:
        raise AssertionError(f"not a token, a JSON Web Token of three parts: {error}") from None


def assert_token(
    token: str,
    *,
    identity: str = _ANY,
    room: str = _ANY,
    name: str | None = _ANY,
    metadata: str | None = _ANY,
    attributes: Mapping[str, str] | None = _ANY,
    agents: Iterable[AgentDispatch | str] = _ANY,
    grants: ParticipantGrants | None = _ANY,
    ttl: timedelta | float = _ANY,
    api_key: str = _ANY,
    api_secret: str = _ANY,
) -> dict[str, Any]:
    """Asserts what a token says; only what is given is compared, all differences are told together.

    Args:
        token: the token.
        identity: who joins.
        room: the room's name.
        name: the name that is shown; `None`: none.
        metadata: the participant's metadata; `None`: none.
        attributes: the participant's attributes; `None` or empty: none.
        agents: the agents that are sent for, in order, by name or as `AgentDispatch`; empty: none is named.
        grants: what the participant may do; `None`: what a token says when no grants were asked for.
        ttl: the token's life, a `timedelta` or seconds.
        api_key: the key that it is made with.
        api_secret: verifies the signature as well.

    Returns:
        The claims, for further assertions.

    Raises:
        AssertionError: what differs, one line each.
    """
    __tracebackhide__ = True
    parts = _read(token)
    claims = parts.claims
    video = claims.get("video") or {}
    differences = []

    def compare(what: str, expected: Any, found: Any) -> None:
        if expected is not _ANY and expected != found:
            differences.append(f"{what}: expected {expected!r}, the token says {found!r}")

    compare("identity", identity, claims.get("sub"))
    compare("room", room, video.get("room"))
    compare("name", name, claims.get("name"))
    compare("metadata", metadata, claims.get("metadata"))
    compare("attributes", attributes if attributes is _ANY else dict(attributes or {}), claims.get("attributes") or {})
    compare("api_key", api_key, claims.get("iss"))
    if ttl is not _ANY:
        compare("ttl in seconds", int(lifetime(ttl)), claims.get("exp", 0) - claims.get("nbf", 0))
    if agents is not _ANY:
        said = (claims.get("roomConfig") or {}).get("agents") or []
        compare("agents", [_wire(agent) for agent in agents], said)
    if grants is not _ANY:
        compare("grants", _video(grants or ParticipantGrants()), {key: video[key] for key in video if key != "room"})
    if api_secret is not _ANY and not is_signed(parts, api_secret):
        differences.append("signature: not made with this api_secret")
    if differences:
        raise AssertionError("\n".join(["the token differs:", *(f"  {line}" for line in differences)]))
    return claims


def _wire(agent: AgentDispatch | str) -> dict[str, Any]:
    if isinstance(agent, str):
        agent = AgentDispatch(agent)
    wire = {
        "agentName": agent.agent_name,
        "metadata": agent.metadata,
        "deployment": agent.deployment,
        "attributes": dict(agent.attributes),
    }
    return {key: value for key, value in wire.items() if value}


def _video(grants: ParticipantGrants) -> dict[str, Any]:
    data = grants.can_publish if grants.can_publish_data is None else grants.can_publish_data
    said: dict[str, Any] = {
        "roomJoin": True,
        "canPublish": grants.can_publish,
        "canSubscribe": grants.can_subscribe,
        "canPublishData": data,
    }
    asked = {
        "canPublishSources": list(grants.can_publish_sources),
        "canUpdateOwnMetadata": grants.can_update_own_metadata,
        "canSubscribeMetrics": grants.can_subscribe_metrics,
        "canManageAgentSession": grants.can_manage_agent_session,
        "hidden": grants.hidden,
    }
    return said | {key: value for key, value in asked.items() if value}
