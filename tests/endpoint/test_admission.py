"""Vocabulary of the token endpoint: Admission, Denied, guests, and the helpers for identities and rooms."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from datetime import timedelta
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


def test_an_admission_lets_nothing_in_by_itself() -> None:
    """An admission with only a participant gives a new room with the server's agent, and allows nothing else."""
    admission = Admission(ADA)
    said = (
        admission.room,
        admission.allowed_rooms,
        admission.agents,
        admission.allowed_agents,
        admission.client_may_set,
    )
    assert (None, (), None, (), ()) == said
    assert (timedelta(minutes=15), None) == (admission.ttl, admission.grants)


def test_an_admission_keeps_what_it_was_given() -> None:
    """Every field by keyword, and names from any kind of collection."""
    pattern, grants = re.compile("a+"), ParticipantGrants(hidden=True)
    admission = Admission(
        participant=ADA,
        room="r",
        allowed_rooms=pattern,
        agents=["helper", AgentDispatch("other")],
        allowed_agents={"helper": 1},
        client_may_set={"name"},
        ttl=90,
        grants=grants,
    )
    assert ("r", pattern, ("helper", AgentDispatch("other"))) == (
        admission.room,
        admission.allowed_rooms,
        admission.agents,
    )
    assert (("helper",), ("name",), 90, grants) == (
        admission.allowed_agents,
        admission.client_may_set,
        admission.ttl,
        admission.grants,
    )


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a name as the participant": ({"participant": "ada"}, "participant"),
    "no participant": ({"participant": None}, "participant"),
    "a request as the participant": ({"participant": TokenRequest()}, "participant"),
    "an empty room": ({"room": ""}, "room"),
    "a blank room": ({"room": " "}, "room"),
    "a number as the room": ({"room": 7}, "room"),
    "a room of 257 bytes": ({"room": "r" * 257}, "room"),
    "a room with NUL": ({"room": "a\0"}, "room"),
    "a text as rooms": ({"allowed_rooms": "lobby"}, "allowed_rooms"),
    "an empty text as rooms": ({"allowed_rooms": ""}, "allowed_rooms"),
    "None as rooms": ({"allowed_rooms": None}, "allowed_rooms"),
    "True as rooms": ({"allowed_rooms": True}, "allowed_rooms"),
    "a pattern over bytes": ({"allowed_rooms": re.compile(b"a")}, "allowed_rooms"),
    "a number among rooms": ({"allowed_rooms": ["a", 7]}, "allowed_rooms[…]"),
    "an iterator as rooms": ({"allowed_rooms": iter(["a"])}, "allowed_rooms"),
    "a text as agents": ({"allowed_agents": "helper"}, "allowed_agents"),
    "a dispatch among agents": ({"allowed_agents": [AgentDispatch("a")]}, "allowed_agents[…]"),
    "a text as dispatch": ({"agents": "helper"}, "agents"),
    "a dispatch alone": ({"agents": AgentDispatch("a")}, "agents"),
    "a number as dispatch": ({"agents": [7]}, "agents[…]"),
    "a text as client_may_set": ({"client_may_set": "name"}, "client_may_set"),
    "identity in client_may_set": ({"client_may_set": ["identity"]}, "client_may_set"),
    "room in client_may_set": ({"client_may_set": ["name", "room"]}, "client_may_set"),
    "59 seconds": ({"ttl": 59}, "ttl"),
    "more than a day": ({"ttl": timedelta(days=1, seconds=1)}, "ttl"),
    "no number of seconds": ({"ttl": float("nan")}, "ttl"),
    "a text as ttl": ({"ttl": "15m"}, "ttl"),
    "no ttl": ({"ttl": None}, "ttl"),
    "a mapping as grants": ({"grants": {"hidden": True}}, "grants"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "field"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_admission_is_refused_when_it_is_made(arguments: dict[str, Any], field: str) -> None:
    """A mistake in an app's authorize shows at once, by the argument's name."""
    with pytest.raises(InvalidArgument) as caught:
        Admission(**{"participant": ADA, **arguments})
    assert field == caught.value.field


def test_an_admission_cannot_be_changed() -> None:
    """Frozen, so that one that is kept and given out again stays what it was."""
    with pytest.raises(AttributeError):
        Admission(ADA).room = "r"  # type: ignore[misc]  # that it cannot be set is the point


def test_names_are_copied() -> None:
    """A list that changes later changes no admission."""
    agents = ["helper"]
    admission = Admission(ADA, allowed_agents=agents, client_may_set=(sets := {"name"}))
    agents.append("other")
    sets.add("metadata")
    assert (("helper",), ("name",)) == (admission.allowed_agents, admission.client_may_set)


# Denied.


@pytest.mark.parametrize(
    ("denied", "status", "code"),
    [
        (Denied(), 403, "forbidden"),
        (Denied(401), 401, "unauthenticated"),
        (Denied(403, "trial_over"), 403, "trial_over"),
        (Denied(code="x" * 64), 403, "x" * 64),
    ],
    ids=["plain", "sign in", "own code", "longest code"],
)
def test_denied(denied: Denied, status: int, code: str) -> None:
    """A refusal is a status that a browser understands and a code that a program does."""
    assert (status, code) == (denied.status, denied.code)


@pytest.mark.parametrize("status", [200, 201, 400, 404, 500, None, "403", True])
def test_denied_has_two_statuses(status: Any) -> None:
    """401 or 403: anything else says something that authorize cannot mean."""
    with pytest.raises(InvalidArgument) as caught:
        Denied(status)
    assert "status" == caught.value.field


@pytest.mark.parametrize("code", ["Trial over", "trial-over", "é", "x" * 65, "a\n", '"', 7])
def test_denied_has_a_plain_code(code: Any) -> None:
    """A code is for programs, and travels as it is."""
    with pytest.raises(InvalidArgument) as caught:
        Denied(403, code)
    assert "code" == caught.value.field


# Guests.


def test_guests_are_loud(caplog: pytest.LogCaptureFixture) -> None:
    """Letting everybody in is one warning in the log, when the endpoint is made."""
    allow_guests()
    assert [("moss_voice_server", logging.WARNING)] == [(record.name, record.levelno) for record in caplog.records]
    assert "GUESTS ARE ADMITTED" in caplog.text


def test_each_guest_is_somebody_else() -> None:
    """Each guest has 128 random bits of an identity, a reserved prefix, and no room in common with others."""
    authorize = allow_guests("Guest", agents=("helper",), ttl=120, client_may_set=("name",))
    admissions = [authorize(None, TokenRequest()) for _ in range(1000)]
    identities = {admission.participant.identity for admission in admissions}
    assert 1000 == len(identities)
    assert all(re.fullmatch("guest-[0-9a-f]{32}", identity) for identity in identities)
    assert {("Guest", None, ("helper",), 120, ("name",))} == {
        (a.participant.name, a.room, a.agents, a.ttl, a.client_may_set) for a in admissions
    }


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"room": "lobby"}, "room"),
        ({"participant": ADA}, "participant"),
        ({"allowed_rooms": "lobby"}, "allowed_rooms"),
        ({"ttl": 1}, "ttl"),
        ({"name": 7}, "name"),
        ({"name": "a\n"}, "name"),
        ({"name": "n" * 257}, "name"),
    ],
)
def test_wrong_guests_are_refused_when_the_endpoint_is_made(arguments: dict[str, Any], field: str) -> None:
    """What can only be a mistake shows before the first guest comes; one room for all is one."""
    with pytest.raises(InvalidArgument) as caught:
        allow_guests(**arguments)
    assert field == caught.value.field


# Identities.

USERS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=50).filter(str.strip)
KEYS = st.binary(min_size=16, max_size=64)


@QUICK
@given(USERS, USERS, KEYS, KEYS)
def test_a_session_belongs_to_one_user(user: str, other: str, key: bytes, other_key: bytes) -> None:
    """A session's identity is matched to its user with the key, and to nobody else or with another key."""
    assume(user != other)
    assume(key != other_key)
    identity = session_identity(user, key)
    found = [is_session_of(identity, *given_) for given_ in ((user, key), (other, key), (user, other_key))]
    assert [True, False, False] == found


@QUICK
@given(USERS, KEYS)
def test_a_session_says_nothing_of_its_user(user: str, key: bytes) -> None:
    """An identity has one shape for everybody, and is new for each session."""
    first, second = session_identity(user, key), session_identity(user, key)
    assert first != second
    assert re.fullmatch("u-[0-9a-f]{32}-[0-9a-f]{16}", first)
    assert first[:34] == second[:34]


NO_SESSIONS = ["", "-", "u-", "ada", "guest-0123", "u--", "u-é-1", "u-\ud800-1", "\ud800"]


@pytest.mark.parametrize("identity", NO_SESSIONS, ids=ascii)
def test_other_identities_are_no_sessions(identity: Any) -> None:
    """An identity of another make, such as LiveKit's webhooks report, is nobody's session and no error."""
    assert is_session_of(identity, "ada", KEY) is False


def test_a_session_without_its_random_part_is_none() -> None:
    """Only whole identities are matched."""
    tag = session_identity("ada", KEY)[:34]
    assert [False] * 5 == [
        is_session_of(tag + rest, "ada", KEY) for rest in ("", "-", "-x", "-" + "0" * 15, "-" + "0" * 17)
    ]
    assert is_session_of(tag + "-" + "0" * 16, "ada", KEY)


@pytest.mark.parametrize("use", [session_identity, lambda user, key: is_session_of("u-0-0", user, key)])
@pytest.mark.parametrize("key", [b"", b"fifteen bytes..", "a text that is long enough", None])
def test_a_key_is_secret_bytes(use: Callable[[str, Any], object], key: Any) -> None:
    """A short key could be guessed, and then every user's tag."""
    with pytest.raises(InvalidArgument) as caught:
        use("ada", key)
    assert "key" == caught.value.field
    assert str(key) not in str(caught.value) or not key


@pytest.mark.parametrize("user", ["", " ", None, 7, "a\nb", "\ud800", "x" * 4097])
def test_a_user_has_an_id(user: Any) -> None:
    """A user without a proper id would share a tag with others."""
    with pytest.raises(InvalidArgument) as caught:
        session_identity(user, KEY)
    assert "user_id" == caught.value.field


@QUICK
@given(USERS, USERS, st.just("") | USERS, st.just("") | USERS)
def test_a_sub_is_one_identity(sub: str, other: str, issuer: str, other_issuer: str) -> None:
    """The same subject and issuer are always the same short plain identity, and any two others are not."""
    identity = identity_from_sub(sub, issuer)
    assert re.fullmatch("sub-[0-9a-f]{40}", identity)
    assert ((sub, issuer) == (other, other_issuer)) == (identity == identity_from_sub(other, other_issuer))


def test_a_sub_does_not_change_between_releases() -> None:
    """Identities are stored by apps, so what they are made of is fixed: SHA-256 of the issuer, a line break, the subject."""
    assert "sub-bf025b6b6162b3cf25d5560cf2c20e6085fc2861" == identity_from_sub("auth0|42")
    assert "sub-998322debe8142c5e5b3c2644bf48439828204cb" == identity_from_sub("42", "https://issuer.example/")


@pytest.mark.parametrize(
    ("sub", "issuer", "field"),
    [
        ("", "", "sub"),
        (" ", "", "sub"),
        (None, "", "sub"),
        ("a\nb", "", "sub"),
        ("a", "b\nc", "issuer"),
        ("a", None, "issuer"),
    ],
)
def test_a_sub_is_a_text(sub: Any, issuer: Any, field: str) -> None:
    """No two pairs can be written alike: neither may hold a line break."""
    with pytest.raises(InvalidArgument) as caught:
        identity_from_sub(sub, issuer)
    assert field == caught.value.field


# Tenants.

TENANTS = st.from_regex(r"[A-Za-z0-9.-]{1,64}", fullmatch=True)


@QUICK
@given(TENANTS, TENANTS)
def test_a_room_has_one_tenant(tenant: str, other: str) -> None:
    """A tenant owns its new rooms, and no tenant owns another's, whatever their ids have in common."""
    room = TenantRooms(tenant).new()
    assert TenantRooms(tenant)(room)
    assert TenantRooms(other)(room) is (tenant == other)
    assert re.fullmatch("[0-9a-f]{32}", room.removeprefix(f"{tenant}~"))
    assert len(room.encode()) <= 256


@pytest.mark.parametrize("room", ["", "acme", "acme~", "acme-corp~x", "ACME~x", "xacme~x", " acme~x", "acme.~x"])
def test_a_prefix_is_whole(room: str) -> None:
    """Something alike is another's, and the prefix alone is no room."""
    assert TenantRooms("acme")(room) is False


@pytest.mark.parametrize("tenant", ["", "a~b", "a/b", "a b", "é", "a\n", "x" * 65, None, 7])
def test_a_tenant_has_a_plain_id(tenant: Any) -> None:
    """An id that could hold the separator could own others' rooms."""
    with pytest.raises(InvalidArgument) as caught:
        TenantRooms(tenant)
    assert "tenant" == caught.value.field


def test_tenants_are_admitted() -> None:
    """A tenant's rooms go straight into an admission."""
    rooms = TenantRooms("acme")
    assert rooms is Admission(ADA, allowed_rooms=rooms).allowed_rooms
    assert 100 == len({rooms.new() for _ in range(100)})


# Addresses.


def flask(remote_addr: str | None) -> Any:
    """What Flask's request has."""
    return SimpleNamespace(remote_addr=remote_addr)


def django(**fields: str) -> Any:
    """What Django's request has."""
    return SimpleNamespace(META=fields)


ADDRESSES: dict[str, tuple[Any, str]] = {
    "ASGI": ({"client": ("192.0.2.7", 50000)}, "192.0.2.7"),
    "ASGI, a list": ({"client": ["192.0.2.7", 50000]}, "192.0.2.7"),
    "ASGI on a Unix socket": ({"client": None}, "unknown"),
    "ASGI without a word": ({}, "unknown"),
    "Starlette": (Request({"type": "http", "client": ("192.0.2.7", 50000)}), "192.0.2.7"),
    "Starlette on a Unix socket": (Request({"type": "http"}), "unknown"),
    "a request of another framework": (SimpleNamespace(client=("192.0.2.7", 50000)), "192.0.2.7"),
    "something else": (object(), "unknown"),
    "WSGI": ({"REMOTE_ADDR": "192.0.2.7"}, "192.0.2.7"),
    "WSGI on a Unix socket": ({"REMOTE_ADDR": ""}, "unknown"),
    "Flask": (flask("192.0.2.7"), "192.0.2.7"),
    "Flask on a Unix socket": (flask(None), "unknown"),
    "Django": (django(REMOTE_ADDR="192.0.2.7"), "192.0.2.7"),
    "Django on a Unix socket": (django(REMOTE_ADDR=""), "unknown"),
    "a header that anybody can send": (django(REMOTE_ADDR="192.0.2.7", HTTP_X_FORWARDED_FOR="198.51.100.1"), "192.0.2.7"),
    "IPv6": ({"client": ("2001:db8:1:2:3:4:5:6", 50000)}, "2001:db8:1:2::/64"),
    "the same customer's": ({"client": ("2001:db8:1:2:ffff::1", 50000)}, "2001:db8:1:2::/64"),
    "another customer's": ({"client": ("2001:db8:1:3::1", 50000)}, "2001:db8:1:3::/64"),
    "IPv4 on a socket for both": ({"client": ("::ffff:192.0.2.7", 50000)}, "192.0.2.7"),
    "another one there": ({"client": ("::ffff:c000:208", 50000)}, "192.0.2.8"),
    "with an interface": ({"client": ("fe80::1%eth0", 50000)}, "fe80::/64"),
    "with a port, as some proxies write it": (flask("192.0.2.7:50000"), "192.0.2.7"),
    "IPv6 with a port": (flask("[2001:db8::1]:50000"), "2001:db8::/64"),
    "no address": (flask("unix:"), "unix:"),
    "a test client's name": ({"client": ("testclient", 50000)}, "testclient"),
}  # fmt: skip


@pytest.mark.parametrize(("request_", "address"), ADDRESSES.values(), ids=ADDRESSES.keys())
def test_where_a_request_comes_from(request_: Any, address: str) -> None:
    """One customer has one address, in every framework, and gets no other by its port or by the rest of its network."""
    assert address == client_address(request_)


def test_guests_are_counted_by_their_address() -> None:
    """A guest's identity is new each time, so a limiter could not count it; the app may count otherwise."""
    scope = {"type": "http", "client": ("203.0.113.7", 5000)}
    assert "203.0.113.7" == allow_guests()(scope, TokenRequest()).rate_limit_key
    assert "all" == allow_guests(rate_limit_key="all")(scope, TokenRequest()).rate_limit_key


def test_limit_key_must_be_a_text() -> None:
    """Another kind of key is named."""
    with pytest.raises(InvalidArgument) as caught:
        Admission(ParticipantInfo("ada"), rate_limit_key=7)  # type: ignore[arg-type]
    assert "rate_limit_key" == caught.value.field


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"room": "r", "room_prefix": "p-"}, "room_prefix"),
        ({"room_prefix": "p" * 225}, "room_prefix"),
        ({"room_prefix": "a\0b"}, "room_prefix"),
        ({"room_prefix": 7}, "room_prefix"),
        ({"client_may_set": ("agent_name",)}, "client_may_set"),
    ],
)
def test_prefixes_and_permissions_are_checked(arguments: dict[str, Any], field: str) -> None:
    """A prefix is for new rooms and leaves room for their random part; permissions have fixed names."""
    with pytest.raises(InvalidArgument) as caught:
        Admission(ADA, **arguments)
    assert field == caught.value.field


@pytest.mark.parametrize("scheme", ["", "Basic realm=\n", "Bäsic", 7, " x"])
def test_a_challenge_is_a_header(scheme: Any) -> None:
    """What could not be a header's value is refused."""
    with pytest.raises(InvalidArgument) as caught:
        Denied(401, scheme=scheme)
    assert "scheme" == caught.value.field


def test_proxies_are_plain_texts() -> None:
    """Werkzeug's and Django's lazy texts, such as the signed-in user's id, are what they stand for."""
    local = pytest.importorskip("werkzeug.local").LocalProxy
    denied = Denied(401, local(lambda: "trial_over"), local(lambda: "Basic"))
    admission = Admission(ADA, rate_limit_key=local(lambda: "ada"), room_prefix=local(lambda: "p-"))
    texts = [denied.code, denied.scheme, admission.rate_limit_key, admission.room_prefix]
    assert ["trial_over", "Basic", "ada", "p-"] == texts
    assert {str} == {type(text) for text in texts}
