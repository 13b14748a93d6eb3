"""What applications write in `authorize`: Admission, Denied and guests."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.local import LocalProxy

from moss_voice_server.endpoint import Admission, Denied, TokenRequest, allow_guests
from moss_voice_server.grants import AgentDispatch, ParticipantGrants, ParticipantInfo
from tests.support.errors import refused

ADA = ParticipantInfo("ada")


def test_every_field() -> None:
    """By keyword; names from any collection, which is copied."""
    agents: list[str | AgentDispatch] = ["helper", AgentDispatch("other")]
    given: dict[str, Any] = {"participant": ADA, "room": "r", "allowed_rooms": re.compile("a+"), "agents": agents}
    given |= {
        "allowed_agents": {"helper": 1},
        "client_may_set": {"name"},
        "ttl": 90,
        "grants": ParticipantGrants(hidden=True),
    }
    admission = Admission(**given)
    agents.clear()
    given |= {"agents": ("helper", AgentDispatch("other")), "allowed_agents": ("helper",), "client_may_set": ("name",)}
    assert {**given, "room_prefix": "", "rate_limit_key": None} == vars(admission)
    with pytest.raises(AttributeError):
        admission.room = "s"  # type: ignore[misc]  # frozen: an admission may be used again


async def _waits() -> bool:
    return True


def _yields(room: str) -> Iterator[bool]:
    yield True


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"participant": "ada"}, "participant"),
    *(({"room": room}, "room") for room in ("", 7, "r" * 257, "a\0")),
    *(({"allowed_rooms": rooms}, "allowed_rooms") for rooms in ("lobby", None, re.compile(b"a"), iter("a"), _waits, _yields)),
    ({"allowed_rooms": ["a", 7]}, "allowed_rooms[1]"),
    ({"allowed_agents": "helper"}, "allowed_agents"),
    ({"allowed_agents": [AgentDispatch("a")]}, "allowed_agents[0]"),
    ({"allowed_agents": ["a", "a\0"]}, "allowed_agents[1]"),
    *(({"agents": agents}, "agents") for agents in ("helper", AgentDispatch("a"))),
    *(({"agents": ["a", agent]}, "agents[1]") for agent in (7, "", "a" * 999)),
    *(({"client_may_set": names}, "client_may_set") for names in ("name", ["identity"])),
    ({"client_may_set": ["name", 7]}, "client_may_set[1]"),
    *(({"ttl": ttl}, "ttl") for ttl in (59, timedelta(days=1, seconds=1), float("nan"), "15m")),
    ({"grants": {"hidden": True}}, "grants"),
    ({"rate_limit_key": 7}, "rate_limit_key"),
    *(({"room_prefix": prefix}, "room_prefix") for prefix in ("p" * 225, "a\0b", 7)),
    ({"room": "r", "room_prefix": "p-"}, "room_prefix"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "field"), WRONG)
def test_wrong_admission_is_refused(arguments: dict[str, Any], field: str) -> None:
    """A mistake in an app's authorize shows at once, by the argument's name."""
    assert field == refused(Admission, **{"participant": ADA, **arguments})[0]


def test_proxies_are_plain_texts() -> None:
    """Werkzeug's and Django's lazy texts, such as the ID of the signed-in user, become the text that they stand for."""
    code, scheme, key, prefix, agent = (LocalProxy(lambda text=text: text) for text in ("c", "Basic", "ada", "p-", "a"))  # type: ignore[misc]  # one function for each
    denied = Denied(401, code, scheme)  # type: ignore[arg-type]  # a proxy says that it is a str
    admission = Admission(ADA, rate_limit_key=key, room_prefix=prefix, agents=[agent])  # type: ignore[arg-type, list-item]  # the same
    texts = [denied.code, denied.scheme, admission.rate_limit_key, admission.room_prefix, *(admission.agents or ())]
    assert ["c", "Basic", "ada", "p-", "a"] == texts
    assert {str} == {type(text) for text in texts}


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
    *(("status", status) for status in (200, 404, 500, None, "403", True)),
    *(("code", code) for code in ("Trial over", "trial-over", "é", "x" * 65, "a\n", 7)),
    *(("scheme", scheme) for scheme in ("", "Basic realm=\n", "Bäsic", 7, " x")),
]


@pytest.mark.parametrize(("field", "value"), WRONG_DENIED)
def test_wrong_denied_is_refused(field: str, value: Any) -> None:
    """The status is 401 or 403, the code is plain, and the scheme is the value of a header."""
    assert field == refused(Denied, **{"status": 401, field: value})[0]


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
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), WRONG_GUESTS)
def test_wrong_guests_are_refused_when_the_endpoint_is_made(field: str, value: Any) -> None:
    """A mistake shows before the first guest comes; one room for all guests is one."""
    assert field == refused(allow_guests, **{field: value})[0]
