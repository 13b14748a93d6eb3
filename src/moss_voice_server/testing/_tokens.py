"""Token assertions: the claims of a join token, compared with what a test expects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any

from .._json import decode
from .._jwt import InvalidToken, Token, is_signed, read
from .._token.claims import DEFAULT_TTL, lifetime, payload
from ..grants import AgentDispatch, ParticipantGrants, ParticipantInfo

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
    """Assert what a token says. Only what is passed is compared; all differences are reported together.

    Args:
        token: the token.
        identity: who joins.
        room: the room's name.
        name: the display name; `None`: none.
        metadata: the participant's metadata; `None`: none.
        attributes: the participant's attributes; `None` or empty: none.
        agents: the dispatched agents, in order, by name or as `AgentDispatch`; empty: automatic dispatch.
        grants: what the participant may do; `None`: the default grants.
        ttl: the token's lifetime, a `timedelta` or seconds.
        api_key: the API key of the token.
        api_secret: the API secret, with which the signature is verified.

    Returns:
        The claims, for further assertions.

    Raises:
        AssertionError: one line for each difference.
    """
    __tracebackhide__ = True
    parts = _read(token)
    claims = parts.claims
    video = claims.get("video") or {}
    compared: list[tuple[str, Any, Any]] = [
        ("identity", identity, claims.get("sub")),
        ("room", room, video.get("room")),
        ("name", name, claims.get("name")),
        ("metadata", metadata, claims.get("metadata")),
        ("api_key", api_key, claims.get("iss")),
    ]
    if attributes is not _ANY:
        compared.append(("attributes", dict(attributes or {}), claims.get("attributes") or {}))
    if ttl is not _ANY:
        compared.append(("ttl in seconds", int(lifetime(ttl)), claims.get("exp", 0) - claims.get("nbf", 0)))
    if agents is not _ANY:
        wanted = _expected(agents=agents).get("roomConfig", {}).get("agents", [])
        compared.append(("agents", wanted, (claims.get("roomConfig") or {}).get("agents") or []))
    if grants is not _ANY:
        compared.append(("grants", {**_expected(grants=grants)["video"], "room": video.get("room")}, video))
    differences = list(_differences(compared))
    if api_secret is not _ANY and not is_signed(parts, api_secret):
        differences.append("signature: not created with this api_secret")
    if differences:
        raise AssertionError("\n".join(["the token differs:", *(f"  {line}" for line in differences)]))
    return claims


def _differences(compared: Iterable[tuple[str, Any, Any]]) -> Iterator[str]:
    for what, expected, found in compared:
        if expected is not _ANY and expected != found:
            yield f"{what}: expected {expected!r}, the token says {found!r}"


def _expected(grants: ParticipantGrants | None = None, agents: Iterable[AgentDispatch | str] = ()) -> dict[str, Any]:
    """The claims of a token with these grants and agents."""
    made = payload('{"nbf":', 0, ParticipantInfo("any"), "any", None, DEFAULT_TTL, grants, agents, None)
    claims: dict[str, Any] = decode(made)
    return claims
