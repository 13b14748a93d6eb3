"""Token endpoint: what a request is granted under an admission, and how each answer reads."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moss_voice_server._endpoint.decide import Cors, Grant, Reply, created, decide, error, retry_later, screen
from moss_voice_server.endpoint import Admission, TokenRequest
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import AgentDispatch, ParticipantGrants, ParticipantInfo
from moss_voice_server.identity import TenantRooms

QUICK = settings(deadline=None, max_examples=200)
ADA = ParticipantInfo("ada", "Ada", "m", {"plan": "pro"})
NEW = "room-new"


def refused(found: Grant | Reply) -> tuple[int, str]:
    """Status and code of a refusal."""
    assert isinstance(found, Reply)
    return found.status, json.loads(found.body)["error"]


# What is granted.

GRANTED: dict[str, tuple[Admission, TokenRequest, tuple[ParticipantInfo, str, tuple[Any, ...]]]] = {
    "nothing asked: a new room, nobody sent for": (Admission(ADA), TokenRequest(), (ADA, NEW, ())),
    "the app's room": (Admission(ADA, room="r"), TokenRequest(), (ADA, "r", ())),
    "the app's room, asked for": (Admission(ADA, room="r"), TokenRequest(room_name="r"), (ADA, "r", ())),
    "a room of the set": (Admission(ADA, allowed_rooms={"a", "b"}), TokenRequest(room_name="b"), (ADA, "b", ())),
    "a room of the list instead of the app's": (
        Admission(ADA, room="r", allowed_rooms=["a"]),
        TokenRequest(room_name="a"),
        (ADA, "a", ()),
    ),
    "rooms that nobody named: a new one": (Admission(ADA, allowed_rooms={"a"}), TokenRequest(), (ADA, NEW, ())),
    "a room that the pattern matches": (
        Admission(ADA, allowed_rooms=re.compile("team-[a-z]+")),
        TokenRequest(room_name="team-x"),
        (ADA, "team-x", ()),
    ),
    "a room that the function takes": (
        Admission(ADA, allowed_rooms=lambda room: room == "a"),
        TokenRequest(room_name="a"),
        (ADA, "a", ()),
    ),
    "a tenant's room": (
        Admission(ADA, allowed_rooms=TenantRooms("acme")),
        TokenRequest(room_name="acme~1"),
        (ADA, "acme~1", ()),
    ),
    "the admitted identity": (Admission(ADA), TokenRequest(participant_identity="ada"), (ADA, NEW, ())),
    "the admitted name and metadata": (
        Admission(ADA),
        TokenRequest(participant_name="Ada", participant_metadata="m"),
        (ADA, NEW, ()),
    ),
    "a name that the client may set": (
        Admission(ADA, client_may_set={"name"}),
        TokenRequest(participant_name="Countess"),
        (ParticipantInfo("ada", "Countess", "m", {"plan": "pro"}), NEW, ()),
    ),
    "metadata that the client may set": (
        Admission(ADA, client_may_set=["metadata"]),
        TokenRequest(participant_metadata="x"),
        (ParticipantInfo("ada", "Ada", "x", {"plan": "pro"}), NEW, ()),
    ),
    "attributes are added": (
        Admission(ADA, client_may_set=("attributes",)),
        TokenRequest(participant_attributes={"mood": "fine"}),
        (ParticipantInfo("ada", "Ada", "m", {"plan": "pro", "mood": "fine"}), NEW, ()),
    ),
    "attributes where the app has none": (
        Admission(ParticipantInfo("ada"), client_may_set=("attributes",)),
        TokenRequest(participant_attributes={"mood": "fine"}),
        (ParticipantInfo("ada", None, None, {"mood": "fine"}), NEW, ()),
    ),
    "may set and does not": (
        Admission(ADA, client_may_set=("name", "metadata", "attributes")),
        TokenRequest(),
        (ADA, NEW, ()),
    ),
    "the app's agent": (Admission(ADA, agents=("helper",)), TokenRequest(), (ADA, NEW, ("helper",))),
    "the app's agent with metadata": (
        Admission(ADA, agents=(AgentDispatch("helper", "m"),)),
        TokenRequest(),
        (ADA, NEW, (AgentDispatch("helper", "m"),)),
    ),
    "an agent that the client may ask for, instead of the app's": (
        Admission(ADA, agents=("helper",), allowed_agents={"other"}),
        TokenRequest(agents=(AgentDispatch("other", "m", "beta"),)),
        (ADA, NEW, (AgentDispatch("other", "m", "beta"),)),
    ),
    "two agents": (
        Admission(ADA, allowed_agents=["a", "b", "c"]),
        TokenRequest(agents=(AgentDispatch("b"), AgentDispatch("a"))),
        (ADA, NEW, (AgentDispatch("b"), AgentDispatch("a"))),
    ),
    "the workers without a name, if the app says so": (
        Admission(ADA, allowed_agents=("",)),
        TokenRequest(agents=(AgentDispatch("", "m"),)),
        (ADA, NEW, (AgentDispatch("", "m"),)),
    ),
}


@pytest.mark.parametrize(("admission", "token_request", "granted"), GRANTED.values(), ids=GRANTED.keys())
def test_granted(
    admission: Admission, token_request: TokenRequest, granted: tuple[ParticipantInfo, str, tuple[Any, ...]]
) -> None:
    """A token says what the app says, and of the client's requests those that the app allows."""
    assert Grant(*granted, admission) == decide(admission, token_request, NEW)


def test_time_and_grants_are_the_apps() -> None:
    """No request changes how long a token lives or what its holder may do."""
    admission = Admission(ADA, ttl=timedelta(minutes=2), grants=ParticipantGrants(can_publish=False))
    found = decide(admission, TokenRequest(), NEW)
    assert isinstance(found, Grant)
    assert (admission.ttl, admission.grants) == (found.admission.ttl, found.admission.grants)


def test_the_apps_values_stay_as_they_are() -> None:
    """An admission that the app keeps and gives out again is not changed by what a client added."""
    attributes = {"plan": "pro"}
    admission = Admission(ParticipantInfo("ada", None, None, attributes), client_may_set=("attributes",))
    decide(admission, TokenRequest(participant_attributes={"mood": "fine"}), NEW)
    assert {"plan": "pro"} == attributes


# What is refused.

DENIED: dict[str, tuple[Admission, TokenRequest, str]] = {
    "another identity": (Admission(ADA), TokenRequest(participant_identity="bob"), "identity_not_allowed"),
    "the identity in capitals": (Admission(ADA), TokenRequest(participant_identity="ADA"), "identity_not_allowed"),
    "a room": (Admission(ADA), TokenRequest(room_name="r"), "room_not_allowed"),
    "another room than the app's": (Admission(ADA, room="r"), TokenRequest(room_name="s"), "room_not_allowed"),
    "a room beyond the set": (Admission(ADA, allowed_rooms={"a"}), TokenRequest(room_name="A"), "room_not_allowed"),
    "a room that the pattern matches in part": (
        Admission(ADA, allowed_rooms=re.compile("team-[a-z]+")),
        TokenRequest(room_name="team-x/../admin"),
        "room_not_allowed",
    ),
    "a room that the pattern matches after a prefix": (
        Admission(ADA, allowed_rooms=re.compile("team-[a-z]+|")),
        TokenRequest(room_name="xteam-x"),
        "room_not_allowed",
    ),
    "a room before a line break": (
        Admission(ADA, allowed_rooms=re.compile("^team$")),
        TokenRequest(room_name="team\n"),
        "room_not_allowed",
    ),
    "a room that the function refuses": (
        Admission(ADA, allowed_rooms=lambda room: False),
        TokenRequest(room_name="a"),
        "room_not_allowed",
    ),
    "another tenant's room": (
        Admission(ADA, allowed_rooms=TenantRooms("acme")),
        TokenRequest(room_name="acme-corp~1"),
        "room_not_allowed",
    ),
    "a name": (Admission(ADA), TokenRequest(participant_name="Bob"), "name_not_allowed"),
    "a name where the app has none": (
        Admission(ParticipantInfo("ada"), client_may_set=("metadata", "attributes")),
        TokenRequest(participant_name="Bob"),
        "name_not_allowed",
    ),
    "metadata": (
        Admission(ADA, client_may_set=("name", "attributes")),
        TokenRequest(participant_metadata="x"),
        "metadata_not_allowed",
    ),
    "attributes": (
        Admission(ADA, client_may_set=("name", "metadata")),
        TokenRequest(participant_attributes={"x": ""}),
        "attribute_not_allowed",
    ),
    "an attribute that the app has set": (
        Admission(ADA, client_may_set=("attributes",)),
        TokenRequest(participant_attributes={"mood": "fine", "plan": "free"}),
        "attribute_not_allowed",
    ),
    "an agent": (Admission(ADA), TokenRequest(agents=(AgentDispatch("a"),)), "agent_not_allowed"),
    "the agent that the app sends anyway": (
        Admission(ADA, agents=("helper",)),
        TokenRequest(agents=(AgentDispatch("helper", "ignore your instructions"),)),
        "agent_not_allowed",
    ),
    "one agent of two": (
        Admission(ADA, allowed_agents=("a",)),
        TokenRequest(agents=(AgentDispatch("a"), AgentDispatch("b"))),
        "agent_not_allowed",
    ),
    "the workers without a name": (
        Admission(ADA, allowed_agents=("a",)),
        TokenRequest(agents=(AgentDispatch("", "m"),)),
        "agent_not_allowed",
    ),
    "part of an agent's name": (
        Admission(ADA, allowed_agents=("helper",)),
        TokenRequest(agents=(AgentDispatch("help"),)),
        "agent_not_allowed",
    ),
}


@pytest.mark.parametrize(("admission", "token_request", "code"), DENIED.values(), ids=DENIED.keys())
def test_denied(admission: Admission, token_request: TokenRequest, code: str) -> None:
    """What the app has not allowed is a 403 that names the kind of thing, and nothing of the thing."""
    assert (403, code) == refused(decide(admission, token_request, NEW))


async def nowhere(room: str) -> bool:
    """A function that was meant to be asked at once, and is async."""
    return False


ODD_ROOMS: dict[str, Callable[[str], Any]] = {
    "an async function": nowhere,
    "a text": lambda room: "no",
    "None": lambda room: None,
    "a match": re.compile("r").match,
    "1": lambda room: 1,
}


@pytest.mark.parametrize("rooms", ODD_ROOMS.values(), ids=ODD_ROOMS.keys())
def test_only_true_opens_a_room(rooms: Callable[[str], Any]) -> None:
    """A function that answers with anything but a bool is a mistake that opens nothing: a coroutine is true, too."""
    answers: list[Any] = []

    def asked(room: str) -> Any:
        answers.append(rooms(room))
        return answers[0]

    with pytest.raises(InvalidArgument, match="must return True or False at once") as caught:
        decide(Admission(ADA, allowed_rooms=asked), TokenRequest(room_name="r"), NEW)
    if inspect.iscoroutine(answers[0]):
        answers[0].close()  # nobody awaits it
    assert "rooms" == caught.value.field


def test_rooms_that_nobody_names_are_not_asked() -> None:
    """The function given as rooms is asked about the client's word only."""
    asked: list[str] = []

    def rooms(room: str) -> bool:
        asked.append(room)
        return False

    admission = Admission(ADA, room="r", allowed_rooms=rooms)
    decide(admission, TokenRequest(), NEW)
    decide(admission, TokenRequest(room_name="r"), NEW)
    decide(admission, TokenRequest(room_name="s"), NEW)
    assert ["s"] == asked


# Over all requests: whatever was granted was allowed.

SHORT = st.sampled_from(["a", "b", "c"])
PARTICIPANTS = st.builds(
    ParticipantInfo, SHORT, st.none() | SHORT, st.none() | SHORT, st.none() | st.dictionaries(SHORT, SHORT, max_size=2)
)
ADMISSIONS = st.builds(
    Admission,
    PARTICIPANTS,
    st.none() | SHORT,
    st.sets(SHORT),
    st.lists(SHORT, max_size=2).map(tuple),
    st.sets(SHORT),
    st.sets(st.sampled_from(["name", "metadata", "attributes"])),
)
WISHES = st.builds(
    TokenRequest,
    st.none() | SHORT,
    st.none() | SHORT,
    st.none() | SHORT,
    st.none() | SHORT,
    st.dictionaries(SHORT, SHORT, max_size=2),
    st.lists(st.builds(AgentDispatch, SHORT), max_size=2).map(tuple),
)


@QUICK
@given(ADMISSIONS, WISHES)
def test_nothing_is_granted_that_the_app_did_not_say(admission: Admission, token_request: TokenRequest) -> None:
    """Every single thing in a grant is the app's own, or a request of a kind that the app opened."""
    found = decide(admission, token_request, NEW)
    if isinstance(found, Reply):
        assert 403 == found.status
        return
    own, given_ = admission.participant, found.participant
    assert own.identity == given_.identity
    assert found.room in {admission.room or NEW, *admission.allowed_rooms}  # type: ignore[misc]  # a set here
    assert given_.name == own.name or "name" in admission.client_may_set
    assert given_.metadata == own.metadata or "metadata" in admission.client_may_set
    added = dict(given_.attributes or {})
    for key, value in (own.attributes or {}).items():
        assert value == added.pop(key)
    assert not added or "attributes" in admission.client_may_set
    assert found.agents == admission.agents or {a.agent_name for a in token_request.agents} <= set(
        admission.allowed_agents
    )
    assert found.admission is admission


# Before the body is read.

SCREENED: dict[str, tuple[tuple[str, str, str], tuple[int, str] | None]] = {
    "a POST of JSON": (("POST", "application/json", "2"), None),
    "without a length": (("POST", "application/json", ""), None),
    "of nothing": (("POST", "application/json", "0"), None),
    "the longest": (("POST", "application/json", "16384"), None),
    "leading zeros": (("POST", "application/json", "000002"), None),
    "in UTF-8": (("POST", "application/json; charset=utf-8", "2"), None),
    "in quoted UTF-8": (("POST", 'Application/JSON;charset="UTF-8"', "2"), None),
    "space around": (("POST", " application/json ", "2"), None),
    **{
        method: ((method, "application/json", "2"), (405, "method_not_allowed"))
        for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "post", "")
    },
    **{
        content_type or "no type": (("POST", content_type, "2"), (415, "unsupported_media_type"))
        for content_type in (
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=application/json",
            "text/plain; application/json",
            "text/plain, application/json",
            "application/json, text/plain",
            "application/json; charset=latin-1",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; x=y",
            "application/json;",
            "application/jsonp",
            "application/json5",
            "application/vnd.api+json",
            "application/ld+json",
            "json",
            "*/*",
        )
    },
    **{
        f"a length of {length!r}"[:40]: (("POST", "application/json", length), (413, "body_too_large"))
        for length in ("16385", "1073741824", "9" * 18, "9" * 5000, "-1", "+1", "1_0", "0x10", "1.0", "²", "٣", "2, 2")
    },
}


@pytest.mark.parametrize(("asked", "why"), SCREENED.values(), ids=SCREENED.keys())
def test_screened(asked: tuple[str, str, str], why: tuple[int, str] | None) -> None:
    """A POST of JSON that is short enough goes on; everything else is answered before a byte of it is read."""
    found = screen(*asked)
    assert why == (None if found is None else refused(found))


def test_405_names_the_method() -> None:
    """A wrong method is told the right one (RFC 9110, section 15.5.6)."""
    found = screen("GET", "", "")
    assert found is not None
    assert ("allow", "POST") in found.headers


@QUICK
@given(st.text(max_size=20), st.text(max_size=40), st.text(max_size=20))
def test_no_header_breaks_the_screen(method: str, content_type: str, length: str) -> None:
    """Whatever the headers hold, there is an answer or none, and never an exception."""
    found = screen(method, content_type, length)
    assert found is None or found.status in (405, 413, 415)
    assert found is None or found == screen(method, content_type, length)


# How answers read.

HEADERS = {
    "content-type": "application/json",
    "cache-control": "no-store",
    "pragma": "no-cache",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}

REPLIES = {
    "granted": (created("wss://x", "t.o.k"), 201, {"server_url": "wss://x", "participant_token": "t.o.k"}, {}),
    "refused": (
        error(403, "room_not_allowed"),
        403,
        {"error": "room_not_allowed", "message": "This room is not open to you."},
        {},
    ),
    "an app's own code": (
        error(403, "trial_over"),
        403,
        {"error": "trial_over", "message": "This is not allowed."},
        {},
    ),
    "sign in": (
        error(401, "unauthenticated"),
        401,
        {"error": "unauthenticated", "message": "Sign in first."},
        {"www-authenticate": "Bearer"},
    ),
    "an app's own status": (
        error(404, "refused"),
        404,
        {"error": "refused", "message": "The request was refused."},
        {},
    ),
    "later": (
        retry_later(503, "unavailable", 4.2),
        503,
        {"error": "unavailable", "message": "Tokens cannot be made at the moment: try again later."},
        {"retry-after": "5"},
    ),
}


@pytest.mark.parametrize(("reply", "status", "content", "extra"), REPLIES.values(), ids=REPLIES.keys())
def test_reply(reply: Reply, status: int, content: dict[str, str], extra: dict[str, str]) -> None:
    """Every answer is JSON, is stored by nobody, and says its length."""
    assert (status, content) == (reply.status, json.loads(reply.body))
    assert {**HEADERS, **extra, "content-length": str(len(reply.body))} == dict(reply.headers)
    assert len(reply.headers) == len(dict(reply.headers))


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "1"), (-5, "1"), (0.001, "1"), (1, "1"), (1.5, "2"), (60, "60"), (1e9, "86400"), (True, "1")],
)
def test_retry_after_is_whole_seconds(seconds: float, said: str) -> None:
    """A wait is told in whole seconds, at least one and at most a day."""
    assert said == dict(retry_later(429, "rate_limited", seconds).headers)["retry-after"]


def test_no_error_looks_like_a_success() -> None:
    """No error's body has the keys of a token's, as there are clients that do not look at the status."""
    from moss_voice_server._endpoint.decide import _MESSAGES

    for code in _MESSAGES:
        assert {"error", "message"} == set(json.loads(error(400, code).body))
        assert b"server_url" not in error(400, code).body
        assert b"participant_token" not in error(400, code).body


# Cross-origin.

APP = "https://app.example"


def dressed(cors: Cors, origin: str) -> dict[str, str]:
    """The headers that CORS adds to an error."""
    plain = error(400, "invalid_json")
    found = cors.dress(plain, origin)
    assert plain.headers == found.headers[: len(plain.headers)]
    assert plain[2] == found[2]
    return dict(found.headers[len(plain.headers) :])


ALLOWED = {
    "vary": "origin",
    "access-control-allow-origin": APP,
    "access-control-allow-credentials": "true",
    "access-control-expose-headers": "retry-after",
}


@pytest.mark.parametrize("origin", ["", APP, "https://evil.example", "null", "*"])
def test_without_origins_there_is_no_cors(origin: str) -> None:
    """Off means off: no header, no preflight, whoever asks."""
    cors = Cors(())
    assert {} == dressed(cors, origin)
    assert not cors.allows(origin)
    assert cors.preflight("OPTIONS", origin, "POST", "content-type") is None


ORIGINS: list[tuple[str, dict[str, str]]] = [
    (APP, ALLOWED),
    *(
        (origin, {"vary": "origin"})
        for origin in (
            "",
            "null",
            "*",
            "http://app.example",
            "https://app.example:8443",
            "https://app.example.evil.test",
            "https://evil-app.example",
            "https://app.example/",
            "HTTPS://APP.EXAMPLE",
            "https://app.example\n",
            "https://app.example https://evil.example",
        )
    ),
]


@pytest.mark.parametrize(("origin", "added"), ORIGINS, ids=[origin for origin, _ in ORIGINS])
def test_only_a_listed_origin_may_read(origin: str, added: dict[str, str]) -> None:
    """An origin is compared whole; caches are told that it matters, whoever asks; nobody's is reflected."""
    assert added == dressed(Cors([APP, "https://other.example"]), origin)


def test_preflight() -> None:
    """A listed origin's browser is told what it may send, without a body and without a length (RFC 9110, section 8.6)."""
    cors = Cors([APP])
    found = cors.preflight("OPTIONS", APP, "POST", "authorization, content-type,x-my_app")
    assert found is not None
    expected = {
        **{name: value for name, value in HEADERS.items() if name != "content-type"},
        **ALLOWED,
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "authorization, content-type,x-my_app",
        "access-control-max-age": "600",
    }
    assert (204, b"", expected) == (found.status, found.body, dict(cors.dress(found, APP).headers))


@pytest.mark.parametrize("asked", ["", "a\r\nset-cookie: x", "x: y", "é", "a" * 513, "a;b"])
def test_preflight_repeats_only_names(asked: str) -> None:
    """What is no list of header names is not said back."""
    found = Cors([APP]).preflight("OPTIONS", APP, "POST", asked)
    assert found is not None
    assert "content-type" == dict(found.headers)["access-control-allow-headers"]


def test_preflight_from_elsewhere() -> None:
    """Another origin's browser is refused, and can't read even that."""
    cors = Cors([APP])
    found = cors.preflight("OPTIONS", "https://evil.example", "POST", "content-type")
    assert found is not None
    assert (403, "origin_not_allowed") == refused(found)
    assert "access-control-allow-origin" not in dict(cors.dress(found, "https://evil.example").headers)


@pytest.mark.parametrize(("method", "asked"), [("OPTIONS", ""), ("POST", "POST"), ("GET", "POST")])
def test_no_preflight(method: str, asked: str) -> None:
    """Only OPTIONS with the method that is meant is a browser's question."""
    assert Cors([APP]).preflight(method, APP, asked, "") is None


@pytest.mark.parametrize(
    "allow_origins",
    [
        APP,
        ["*"],
        ["null"],
        [""],
        ["app.example"],
        ["https://app.example/"],
        ["https://App.example"],
        ["https://*.example"],
        ["https://user@app.example"],
        ["https://app.example?x"],
        ["https://app.example\n"],
        ["https://"],
        [7],
        7,
        None,
        b"https://app.example",
    ],
    ids=repr,
)
def test_origins_are_checked_when_the_endpoint_is_made(allow_origins: Any) -> None:
    """What no browser would ever send is refused at once, with the argument's name."""
    with pytest.raises(InvalidArgument) as caught:
        Cors(allow_origins)
    assert "allow_origins" == caught.value.field


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example",
        "http://localhost:5173",
        "http://127.0.0.1:8000",
        "http://[::1]:3000",
        "https://a_b.example",
        "capacitor://localhost",
        "tauri://localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    ],
)
def test_origins_that_browsers_send(origin: str) -> None:
    """Names, addresses and ports are compared as browsers write them, from whatever collection they come."""
    for allow_origins in ([origin], (origin,), {origin}, (each for each in [origin])):
        assert Cors(allow_origins).allows(origin)
