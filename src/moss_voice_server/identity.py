"""Identities and rooms: participant identities, the network address of a request, and the rooms of a tenant."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Mapping

from ._random import new_room
from ._validation import label, plain_str
from .errors import InvalidArgument


def client_address(request: object) -> str:
    """The network address of any framework's request, for `Admission.rate_limit_key`.

    Behind a proxy it is the proxy's address, unless the server trusts the proxy (uvicorn's `--forwarded-allow-ips`, Werkzeug's
    `ProxyFix`). IPv6 addresses are cut to their first 64 bits, the usual allocation of one customer. Without an address, as on
    a Unix socket, it is "unknown".
    """
    fields = request if isinstance(request, Mapping) else getattr(request, "META", {})
    client = request.get("client") if isinstance(request, Mapping) else getattr(request, "client", None)
    host = client[0] if client and isinstance(client, (tuple, list)) else None
    address = host or fields.get("REMOTE_ADDR") or getattr(request, "remote_addr", None) or "unknown"
    address = str(address)
    if ":" not in address:
        return address
    from ipaddress import IPv6Address, ip_address, ip_network

    # Some proxies add the port, which differs for each connection: 192.0.2.7:50000, [2001:db8::1]:50000.
    for text in (address, address.rpartition(":")[0].strip("[]")):
        try:
            known = ip_address(text)
        except ValueError:
            continue
        if isinstance(known, IPv6Address) and known.ipv4_mapped is None:
            return str(ip_network((known.packed, 64), strict=False))
        # On a dual-stack socket, IPv4 looks like ::ffff:192.0.2.7: cut to 64 bits, all of them would be equal.
        return str(getattr(known, "ipv4_mapped", None) or known)
    return address


def session_identity(user_id: str, key: bytes) -> str:
    """An identity that is new for each session and does not reveal the user; `is_session_of` matches it to the user.

    LiveKit disconnects the first of two participants with the same identity, so a user with two tabs needs two. It also logs
    identities, so they should not contain names or email addresses.

    Args:
        user_id: your own id of the user.
        key: at least 16 bytes that only your backend knows; the same in all its processes.

    Raises:
        InvalidArgument: `key` is shorter or not bytes; `user_id` is empty, over 4096 bytes, or contains control characters.
    """
    return f"u-{_tag(user_id, key)}-{os.urandom(8).hex()}"


def is_session_of(identity: str, user_id: str, key: bytes) -> bool:
    """Whether `session_identity` made this identity for this user.

    Args:
        identity: any participant's identity.
        user_id: your own id of the user.
        key: the key that was passed to `session_identity`.

    Raises:
        InvalidArgument: as `session_identity` does.
    """
    tag = _tag(user_id, key)
    made = re.fullmatch("u-([0-9a-f]{32})-[0-9a-f]{16}", plain_str(identity) or "")
    return made is not None and hmac.compare_digest(made[1], tag)


def _tag(user_id: str, key: bytes) -> str:
    if not isinstance(key, bytes) or len(key) < 16:
        raise InvalidArgument(
            "key must be bytes, at least 16 of them", field="key", remedy="make one with secrets.token_bytes(32)"
        )
    return hmac.new(key, label("user_id", user_id, limit=4096).encode(), hashlib.sha256).hexdigest()[:32]


def identity_from_sub(sub: str, issuer: str = "") -> str:
    """A valid identity for an OpenID Connect subject, whatever characters it contains: equal for equal `sub` and issuer.

    A `sub` is unique only within its issuer (OpenID Connect Core, section 2): pass the issuer if you accept more than one.

    Args:
        sub: the claim of that name, of a token that you have verified.
        issuer: the token's `iss`; empty if you accept only one issuer.

    Raises:
        InvalidArgument: `sub` is empty, or one of the two is not a str, over 4096 bytes, or contains control characters.
    """
    whole = f"{label('issuer', issuer, blank=True, limit=4096)}\n{label('sub', sub, limit=4096)}"
    return f"sub-{hashlib.sha256(whole.encode()).hexdigest()[:40]}"


class TenantRooms:
    """The rooms of one tenant: names with the tenant's prefix, which no other tenant's rooms can have.

    Pass it as `Admission(allowed_rooms=...)`: it is a function that returns whether a room is the tenant's. `new()` makes a name
    for `Admission(room=...)`.

    Args:
        tenant: your own id of the tenant; letters, digits, dots and hyphens, at most 64.

    Raises:
        InvalidArgument: `tenant` is anything else.
    """

    def __init__(self, tenant: str) -> None:
        plain = plain_str(tenant)
        if plain is None or not re.fullmatch(r"[A-Za-z0-9.-]{1,64}", plain):
            raise InvalidArgument(
                "tenant is not a plain id", field="tenant", remedy="use 1 to 64 letters, digits, dots and hyphens"
            )
        # No tenant's id contains the separator, so that "a" does not own the rooms of "a-b".
        self.prefix = f"{plain}~"

    def __call__(self, room: str) -> bool:
        """Whether the room is the tenant's."""
        name = plain_str(room) or ""
        return name.startswith(self.prefix) and len(name) > len(self.prefix)

    def new(self) -> str:
        """A new room of the tenant, with 128 random bits."""
        return new_room(self.prefix)
