"""Identities of sessions and of OpenID Connect subjects, rooms of tenants, and network addresses."""

from __future__ import annotations

import re
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from moss_voice_server.identity import TenantRooms, client_address, identity_from_sub, is_session_of, session_identity
from tests.support.errors import refused

QUICK = settings(deadline=None, max_examples=50)
KEY = b"a key of at least sixteen bytes"
USERS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=50).filter(str.strip)
KEYS = st.binary(min_size=16, max_size=64)


@QUICK
@given(USERS, USERS, KEYS, KEYS)
def test_a_session_belongs_to_one_user(user: str, other: str, key: bytes, other_key: bytes) -> None:
    """A session's identity is matched to its user with the key, and neither to another user nor with another key."""
    assume(user != other)
    assume(key != other_key)
    identity = session_identity(user, key)
    found = [is_session_of(identity, *given_) for given_ in ((user, key), (other, key), (user, other_key))]
    assert [True, False, False] == found
    again = session_identity(user, key)
    assert again != identity
    assert re.fullmatch("u-[0-9a-f]{32}-[0-9a-f]{16}", identity)
    assert again[:34] == identity[:34]


TAG = session_identity("ada", KEY)[:34]
OTHERS: list[Any] = [None, 7, b"u-", "", "u-", "ada", "u--", "u-é-1", "\ud800"]
OTHERS += [TAG + rest for rest in ("", "-", "-" + "0" * 15, "-" + "0" * 17)]


@pytest.mark.parametrize("identity", OTHERS, ids=ascii)
def test_other_identities_are_not_sessions(identity: Any) -> None:
    """Another identity, such as LiveKit's webhooks report, or a part of one, matches no user and is not an error."""
    assert is_session_of(identity, "ada", KEY) is False
    assert is_session_of(TAG + "-" + "0" * 16, "ada", KEY)


WRONG_SESSIONS: list[tuple[str, Any]] = [
    *(("key", key) for key in (b"", b"fifteen bytes..", "a text that is long enough", None)),
    *(("user_id", user) for user in ("", " ", None, "a\nb", "\ud800", "x" * 4097)),
]


@pytest.mark.parametrize(("field", "value"), WRONG_SESSIONS)
def test_wrong_sessions_are_refused(field: str, value: Any) -> None:
    """A short key could be guessed, and then every user's tag; users without a proper ID would share a tag."""
    for call in (session_identity, partial(is_session_of, "u-0-0")):
        found, text = refused(call, **{"user_id": "ada", "key": KEY, field: value})
        assert field == found
        assert field != "key" or not value or str(value) not in text


@QUICK
@given(USERS, USERS, st.just("") | USERS, st.just("") | USERS)
def test_a_sub_is_one_identity(sub: str, other: str, issuer: str, other_issuer: str) -> None:
    """The same subject and issuer always give the same short plain identity, and any two others do not."""
    identity = identity_from_sub(sub, issuer)
    assert re.fullmatch("sub-[0-9a-f]{40}", identity)
    assert ((sub, issuer) == (other, other_issuer)) == (identity == identity_from_sub(other, other_issuer))


def test_a_sub_does_not_change_between_releases() -> None:
    """Apps store identities, so they are fixed: SHA-256 of the issuer, a newline, the subject."""
    assert "sub-bf025b6b6162b3cf25d5560cf2c20e6085fc2861" == identity_from_sub("auth0|42")
    assert "sub-998322debe8142c5e5b3c2644bf48439828204cb" == identity_from_sub("42", "https://issuer.example/")


WRONG_SUBS = [("", "", "sub"), (None, "", "sub"), ("a\nb", "", "sub"), ("a", "b\nc", "issuer"), ("a", None, "issuer")]


@pytest.mark.parametrize(("sub", "issuer", "field"), WRONG_SUBS)
def test_a_sub_is_a_text(sub: Any, issuer: Any, field: str) -> None:
    """Neither may contain a newline, so that no two pairs give the same text."""
    assert field == refused(identity_from_sub, sub, issuer)[0]


TENANTS = st.from_regex(r"[A-Za-z0-9.-]{1,64}", fullmatch=True)


@QUICK
@given(TENANTS, TENANTS)
def test_a_room_has_one_tenant(tenant: str, other: str) -> None:
    """A tenant owns its new rooms, and no tenant owns another's, whatever their IDs have in common."""
    room = TenantRooms(tenant).new()
    assert TenantRooms(tenant)(room)
    assert TenantRooms(other)(room) is (tenant == other)
    assert re.fullmatch("[0-9a-f]{32}", room.removeprefix(f"{tenant}~"))


@pytest.mark.parametrize(
    "room", ["", "acme~", "acme-corp~x", "ACME~x", "xacme~x", " acme~x", "acme.~x", None, b"acme~x"]
)
def test_a_prefix_is_whole(room: Any) -> None:
    """A similar prefix is another tenant's, and the prefix alone is not a room."""
    assert TenantRooms("acme")(room) is False


@pytest.mark.parametrize("tenant", ["", "a~b", "a b", "é", "a\n", "x" * 65, None, 7])
def test_a_tenant_has_a_plain_id(tenant: Any) -> None:
    """An ID that contains the separator could own others' rooms."""
    assert "tenant" == refused(TenantRooms, tenant)[0]


def _flask(remote_addr: str | None) -> Any:
    return SimpleNamespace(remote_addr=remote_addr)


def _django(**fields: str) -> Any:
    return SimpleNamespace(META=fields)


IP = "192.0.2.7"
ADDRESSES: dict[str, tuple[Any, str]] = {
    "ASGI": ({"client": (IP, 50000)}, IP),
    "ASGI on a Unix socket": ({"client": None}, "unknown"),
    "ASGI with a damaged client": ({"client": 5}, "unknown"),
    "Starlette": (Request({"type": "http", "client": (IP, 50000)}), IP),
    "another object": (object(), "unknown"),
    "WSGI": ({"REMOTE_ADDR": IP}, IP),
    "WSGI on a Unix socket": ({"REMOTE_ADDR": ""}, "unknown"),
    "Flask": (_flask(IP), IP),
    "Flask on a Unix socket": (_flask(None), "unknown"),
    "Django": (_django(REMOTE_ADDR=IP), IP),
    "a header that any client can send": (_django(REMOTE_ADDR=IP, HTTP_X_FORWARDED_FOR="198.51.100.1"), IP),
    "IPv6": ({"client": ("2001:db8:1:2:3:4:5:6", 50000)}, "2001:db8:1:2::/64"),
    "another customer's": ({"client": ("2001:db8:1:3::1", 50000)}, "2001:db8:1:3::/64"),
    "IPv4 on a socket for both": ({"client": ("::ffff:192.0.2.7", 50000)}, IP),
    "with an interface": ({"client": ("fe80::1%eth0", 50000)}, "fe80::/64"),
    "with a port, as some proxies write it": (_flask("192.0.2.7:50000"), IP),
    "IPv6 with a port": (_flask("[2001:db8::1]:50000"), "2001:db8::/64"),
    "no address": (_flask("unix:"), "unix:"),
    "a test client's name": ({"client": ("testclient", 50000)}, "testclient"),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "address"), ADDRESSES.values(), ids=ADDRESSES)
def test_client_address(request_: Any, address: str) -> None:
    """One customer has one address in every framework, whatever its port and the rest of its network."""
    assert address == client_address(request_)
