"""What applications write in `authorize`: Admission, Denied, guests, and the helpers for identities and rooms."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from moss_voice_server.endpoint import Admission, Denied, TokenRequest, allow_guests
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import AgentDispatch, ParticipantGrants, ParticipantInfo
from moss_voice_server.identity import TenantRooms, client_address, identity_from_sub, is_session_of, session_identity

QUICK = settings(deadline=None, max_examples=50)
ADA = ParticipantInfo("ada")
KEY = b"a key of at least sixteen bytes"


# Admission.


def test_defaults() -> None:
    """An admission with only a participant gives a new room with the server's agent, and allows nothing else."""
    admission = Admission(ADA)
    assert (None, (), None, ()) == (admission.room, admission.allowed_rooms, admission.agents, admission.allowed_agents)
    assert ((), timedelta(minutes=15), None) == (admission.client_may_set, admission.ttl, admission.grants)


def test_every_field() -> None:
    """By keyword; names from any collection, which is copied."""
    pattern, grants = re.compile("a+"), ParticipantGrants(hidden=True)
    agents: list[str | AgentDispatch] = ["helper", AgentDispatch("other")]
    admission = Admission(
        participant=ADA,
        room="r",
        allowed_rooms=pattern,
        agents=agents,
        allowed_agents={"helper": 1},
        client_may_set={"name"},
        ttl=90,
        grants=grants,
    )
    agents.clear()
    assert ("r", pattern) == (admission.room, admission.allowed_rooms)
    assert (("helper", AgentDispatch("other")), ("helper",)) == (admission.agents, admission.allowed_agents)
    assert (("name",), 90, grants) == (admission.client_may_set, admission.ttl, admission.grants)
    with pytest.raises(AttributeError):
        admission.room = "s"  # type: ignore[misc]  # frozen: an admission may be used again


async def waits() -> bool:
    """An async function, of any arity."""
    return True


def yields(room: str) -> Iterator[bool]:
    """A generator."""
    yield True


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name as the participant": ({"participant": "ada"}, "participant"),
    "an empty room": ({"room": ""}, "room"),
    "a number as the room": ({"room": 7}, "room"),
    "a room of 257 bytes": ({"room": "r" * 257}, "room"),
    "a room with NUL": ({"room": "a\0"}, "room"),
    "a text as rooms": ({"allowed_rooms": "lobby"}, "allowed_rooms"),
    "None as rooms": ({"allowed_rooms": None}, "allowed_rooms"),
    "a pattern over bytes": ({"allowed_rooms": re.compile(b"a")}, "allowed_rooms"),
    "a number among rooms": ({"allowed_rooms": ["a", 7]}, "allowed_rooms[1]"),
    "an iterator as rooms": ({"allowed_rooms": iter(["a"])}, "allowed_rooms"),
    "a text as agents": ({"allowed_agents": "helper"}, "allowed_agents"),
    "a dispatch among agents": ({"allowed_agents": [AgentDispatch("a")]}, "allowed_agents[0]"),
    "a text as dispatch": ({"agents": "helper"}, "agents"),
    "a dispatch alone": ({"agents": AgentDispatch("a")}, "agents"),
    "a number as dispatch": ({"agents": [7]}, "agents[0]"),
    "an agent without a name": ({"agents": ["a", ""]}, "agents[1]"),
    "an agent of 999 bytes": ({"agents": ["a" * 999]}, "agents[0]"),
    "an agent with NUL that is allowed": ({"allowed_agents": ["a", "a\0"]}, "allowed_agents[1]"),
    "an async function for rooms": ({"allowed_rooms": waits}, "allowed_rooms"),
    "a generator for rooms": ({"allowed_rooms": yields}, "allowed_rooms"),
    "a number in client_may_set": ({"client_may_set": ["name", 7]}, "client_may_set[1]"),
    "a text as client_may_set": ({"client_may_set": "name"}, "client_may_set"),
    "identity in client_may_set": ({"client_may_set": ["identity"]}, "client_may_set"),
    "59 seconds": ({"ttl": 59}, "ttl"),
    "more than a day": ({"ttl": timedelta(days=1, seconds=1)}, "ttl"),
    "no number of seconds": ({"ttl": float("nan")}, "ttl"),
    "a text as ttl": ({"ttl": "15m"}, "ttl"),
    "a mapping as grants": ({"grants": {"hidden": True}}, "grants"),
    "a number as the key of the limit": ({"rate_limit_key": 7}, "rate_limit_key"),
    "a prefix beside a room": ({"room": "r", "room_prefix": "p-"}, "room_prefix"),
    "a prefix that leaves no space": ({"room_prefix": "p" * 225}, "room_prefix"),
    "a prefix with NUL": ({"room_prefix": "a\0b"}, "room_prefix"),
    "a number as prefix": ({"room_prefix": 7}, "room_prefix"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "field"), WRONG.values(), ids=WRONG)
def test_wrong_admission_is_refused(arguments: dict[str, Any], field: str) -> None:
    """A mistake in an app's authorize shows at once, by the argument's name."""
    with pytest.raises(InvalidArgument) as caught:
        Admission(**{"participant": ADA, **arguments})
    assert field == caught.value.field


def test_proxies_are_plain_texts() -> None:
    """Werkzeug's and Django's lazy texts, such as the ID of the signed-in user, become the text that they stand for."""
    local = pytest.importorskip("werkzeug.local").LocalProxy
    denied = Denied(401, local(lambda: "trial_over"), local(lambda: "Basic"))
    admission = Admission(
        ADA, rate_limit_key=local(lambda: "ada"), room_prefix=local(lambda: "p-"), agents=[local(lambda: "a")]
    )
    texts = [denied.code, denied.scheme, admission.rate_limit_key, admission.room_prefix, *(admission.agents or ())]
    assert ["trial_over", "Basic", "ada", "p-", "a"] == texts
    assert {str} == {type(text) for text in texts}


# Denied.


@pytest.mark.parametrize(
    ("denied", "status", "code"),
    [
        (Denied(), 403, "forbidden"),
        (Denied(401), 401, "unauthenticated"),
        (Denied(403, "trial_over"), 403, "trial_over"),
        (Denied(code="x" * 64), 403, "x" * 64),
    ],
)
def test_denied(denied: Denied, status: int, code: str) -> None:
    """A refusal has a status for browsers and a code for programs."""
    assert (status, code) == (denied.status, denied.code)


WRONG_DENIED: list[tuple[str, Any]] = [
    *(("status", status) for status in (200, 400, 404, 500, None, "403", True)),
    *(("code", code) for code in ("Trial over", "trial-over", "é", "x" * 65, "a\n", '"', 7)),
    *(("scheme", scheme) for scheme in ("", "Basic realm=\n", "Bäsic", 7, " x")),
]


@pytest.mark.parametrize(("field", "value"), WRONG_DENIED)
def test_wrong_denied_is_refused(field: str, value: Any) -> None:
    """The status is 401 or 403, the code is plain, and the scheme is the value of a header."""
    with pytest.raises(InvalidArgument) as caught:
        Denied(**{"status": 401, field: value})
    assert field == caught.value.field


# Guests.


def test_guests_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Admitting everyone is one warning in the log, when the endpoint is made."""
    allow_guests()
    assert [("moss_voice_server", logging.WARNING)] == [(record.name, record.levelno) for record in caplog.records]
    assert "GUESTS ARE ADMITTED" in caplog.text


def test_each_guest_is_new() -> None:
    """Each guest has an identity of 128 random bits with a reserved prefix, and no room in common with others."""
    authorize = allow_guests("Guest", agents=("helper",), ttl=120, client_may_set=("name",))
    admissions = [authorize(None, TokenRequest()) for _ in range(1000)]
    identities = {admission.participant.identity for admission in admissions}
    assert 1000 == len(identities)
    assert all(re.fullmatch("guest-[0-9a-f]{32}", identity) for identity in identities)
    assert {("Guest", None, ("helper",), 120, ("name",))} == {
        (a.participant.name, a.room, a.agents, a.ttl, a.client_may_set) for a in admissions
    }


def test_guests_are_counted_by_their_ip_address() -> None:
    """A guest's identity is new each time, so a limiter could not count it; the app may set another key."""
    scope = {"type": "http", "client": ("203.0.113.7", 5000)}
    assert "203.0.113.7" == allow_guests()(scope, TokenRequest()).rate_limit_key
    assert "all" == allow_guests(rate_limit_key="all")(scope, TokenRequest()).rate_limit_key


WRONG_GUESTS: list[tuple[str, Any]] = [
    ("room", "lobby"), ("participant", ADA), ("allowed_rooms", "lobby"), ("ttl", 1), ("name", 7), ("name", "a\n"),
    ("name", "n" * 257),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), WRONG_GUESTS)
def test_wrong_guests_are_refused_when_the_endpoint_is_made(field: str, value: Any) -> None:
    """A mistake shows before the first guest comes; one room for all guests is one."""
    with pytest.raises(InvalidArgument) as caught:
        allow_guests(**{field: value})
    assert field == caught.value.field


# Identities.

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


@QUICK
@given(USERS, KEYS)
def test_a_session_does_not_show_its_user(user: str, key: bytes) -> None:
    """An identity has one form for all users, and is new for each session."""
    first, second = session_identity(user, key), session_identity(user, key)
    assert first != second
    assert re.fullmatch("u-[0-9a-f]{32}-[0-9a-f]{16}", first)
    assert first[:34] == second[:34]


TAG = session_identity("ada", KEY)[:34]
OTHERS: list[Any] = [None, 7, b"u-", "", "-", "u-", "ada", "guest-0123", "u--", "u-é-1", "u-\ud800-1", "\ud800"]
OTHERS += [TAG + rest for rest in ("", "-", "-x", "-" + "0" * 15, "-" + "0" * 17)]


@pytest.mark.parametrize("identity", OTHERS, ids=ascii)
def test_other_identities_are_not_sessions(identity: Any) -> None:
    """Another identity, such as LiveKit's webhooks report, or a part of one, matches no user and is not an error."""
    assert is_session_of(identity, "ada", KEY) is False
    assert is_session_of(TAG + "-" + "0" * 16, "ada", KEY)


WRONG_SESSIONS: list[tuple[str, Any]] = [
    *(("key", key) for key in (b"", b"fifteen bytes..", "a text that is long enough", None)),
    *(("user_id", user) for user in ("", " ", None, 7, "a\nb", "\ud800", "x" * 4097)),
]


@pytest.mark.parametrize(("field", "value"), WRONG_SESSIONS)
def test_wrong_sessions_are_refused(field: str, value: Any) -> None:
    """A short key could be guessed, and then every user's tag; users without a proper ID would share a tag."""
    arguments = {"user_id": "ada", "key": KEY, field: value}
    for call in (session_identity, partial(is_session_of, "u-0-0")):
        with pytest.raises(InvalidArgument) as caught:
            call(**arguments)
        assert field == caught.value.field
        assert field != "key" or not value or str(value) not in str(caught.value)


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
    with pytest.raises(InvalidArgument) as caught:
        identity_from_sub(sub, issuer)
    assert field == caught.value.field


# Tenants.

TENANTS = st.from_regex(r"[A-Za-z0-9.-]{1,64}", fullmatch=True)


@QUICK
@given(TENANTS, TENANTS)
def test_a_room_has_one_tenant(tenant: str, other: str) -> None:
    """A tenant owns its new rooms, and no tenant owns another's, whatever their IDs have in common."""
    room = TenantRooms(tenant).new()
    assert TenantRooms(tenant)(room)
    assert TenantRooms(other)(room) is (tenant == other)
    assert re.fullmatch("[0-9a-f]{32}", room.removeprefix(f"{tenant}~"))
    assert len(room.encode()) <= 256


@pytest.mark.parametrize(
    "room", ["", "acme", "acme~", "acme-corp~x", "ACME~x", "xacme~x", " acme~x", "acme.~x", None, b"acme~x"]
)
def test_a_prefix_is_whole(room: Any) -> None:
    """A similar prefix is another tenant's, and the prefix alone is not a room."""
    assert TenantRooms("acme")(room) is False


@pytest.mark.parametrize("tenant", ["", "a~b", "a/b", "a b", "é", "a\n", "x" * 65, None, 7])
def test_a_tenant_has_a_plain_id(tenant: Any) -> None:
    """An ID that contains the separator could own others' rooms."""
    with pytest.raises(InvalidArgument) as caught:
        TenantRooms(tenant)
    assert "tenant" == caught.value.field


def test_tenant_rooms_in_an_admission() -> None:
    """A tenant's rooms are passed as `allowed_rooms`."""
    rooms = TenantRooms("acme")
    assert rooms is Admission(ADA, allowed_rooms=rooms).allowed_rooms
    assert 100 == len({rooms.new() for _ in range(100)})


# IP addresses.


def flask(remote_addr: str | None) -> Any:
    """What Flask's request has."""
    return SimpleNamespace(remote_addr=remote_addr)


def django(**fields: str) -> Any:
    """What Django's request has."""
    return SimpleNamespace(META=fields)


ADDRESSES: dict[str, tuple[Any, str]] = {
    "ASGI": ({"client": ("192.0.2.7", 50000)}, "192.0.2.7"),
    "ASGI on a Unix socket": ({"client": None}, "unknown"),
    "ASGI without a client": ({}, "unknown"),
    "ASGI with a damaged client": ({"client": 5}, "unknown"),
    "an object with a damaged client": (SimpleNamespace(client=5), "unknown"),
    "Starlette": (Request({"type": "http", "client": ("192.0.2.7", 50000)}), "192.0.2.7"),
    "a request of another framework": (SimpleNamespace(client=("192.0.2.7", 50000)), "192.0.2.7"),
    "another object": (object(), "unknown"),
    "WSGI": ({"REMOTE_ADDR": "192.0.2.7"}, "192.0.2.7"),
    "WSGI on a Unix socket": ({"REMOTE_ADDR": ""}, "unknown"),
    "Flask": (flask("192.0.2.7"), "192.0.2.7"),
    "Flask on a Unix socket": (flask(None), "unknown"),
    "Django": (django(REMOTE_ADDR="192.0.2.7"), "192.0.2.7"),
    "Django on a Unix socket": (django(REMOTE_ADDR=""), "unknown"),
    "a header that any client can send": (django(REMOTE_ADDR="192.0.2.7", HTTP_X_FORWARDED_FOR="198.51.100.1"), "192.0.2.7"),
    "IPv6": ({"client": ("2001:db8:1:2:3:4:5:6", 50000)}, "2001:db8:1:2::/64"),
    "the same customer's": ({"client": ("2001:db8:1:2:ffff::1", 50000)}, "2001:db8:1:2::/64"),
    "another customer's": ({"client": ("2001:db8:1:3::1", 50000)}, "2001:db8:1:3::/64"),
    "IPv4 on a socket for both": ({"client": ("::ffff:192.0.2.7", 50000)}, "192.0.2.7"),
    "with an interface": ({"client": ("fe80::1%eth0", 50000)}, "fe80::/64"),
    "with a port, as some proxies write it": (flask("192.0.2.7:50000"), "192.0.2.7"),
    "IPv6 with a port": (flask("[2001:db8::1]:50000"), "2001:db8::/64"),
    "no address": (flask("unix:"), "unix:"),
    "a test client's name": ({"client": ("testclient", 50000)}, "testclient"),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "address"), ADDRESSES.values(), ids=ADDRESSES)
def test_client_address(request_: Any, address: str) -> None:
    """One customer has one address in every framework, whatever its port and the rest of its network."""
    assert address == client_address(request_)
