"""Frameworks: every adapter gives the same response to a request, and reports it alike; the rules have tests elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

import pytest

from tests.endpoint.frameworks import HEADERS, AllFrameworks, Target, observed
from tests.endpoint.policy_names import LEAK
from tests.support.wire import Request, bearer

ADA = bearer("ada")
CLAIMS = {
    "iss": "APIexample",
    "exp": 900,
    "sub": "ada",
    "name": "Ada",
    "video": {"roomJoin": True, "canPublish": True, "canSubscribe": True, "canPublishData": True, "room": "room-new"},
    "roomConfig": {"agents": [{"agentName": "helper"}]},
}


def test_token(all_frameworks: AllFrameworks) -> None:
    """An empty request of a user who is signed in gets a token for a new room, and no cache may store it."""
    said = all_frameworks(Request(ADA))
    assert (201, HEADERS, CLAIMS) == (said.status, said.headers, said.claims)


def test_below_a_prefix(all_frameworks: AllFrameworks) -> None:
    """An endpoint answers on whatever path the framework mounts it at."""

    def mounted(target: Target) -> bool:
        # Starlette's Mount itself redirects from the path without a slash.
        return target.program.name != "asgi-uvicorn"

    assert CLAIMS == all_frameworks(Request(ADA), below="/below", where=mounted).claims
    assert 405 == all_frameworks(Request(ADA, method="GET"), below="/below", where=mounted).status
    assert CLAIMS == all_frameworks(Request(ADA), "token/", below="/below", where=lambda t: not mounted(t)).claims


class Case(NamedTuple):
    """A request without a token: the response, our one log record, and the event for `on_token`."""

    request: Request
    status: int
    code: str
    level: str
    event: tuple[str, str] | None = None
    """Outcome and identity; `None`: no event, because the body was not read."""
    headers: Mapping[str, str] = {}
    logged: str = ""
    """What the log record contains."""
    route: str = "token"


DENIED, INVALID, ERROR = ("denied", ""), ("invalid", ""), ("error", "")
SIGN_IN = {"www-authenticate": "Bearer"}
POST = {"allow": "POST"}
# The first ones have no login: what is not a token request is refused before `authorize` is called.
REFUSED: dict[str, Case] = {
    "a form": Case(Request({"content-type": "text/plain"}, b"room_name=r"), 415, "unsupported_media_type", "DEBUG"),
    "compressed": Case(Request({"content-encoding": "gzip"}), 415, "unsupported_encoding", "DEBUG"),
    "one byte too many": Case(Request(body=b" " * 16385), 413, "body_too_large", "DEBUG"),
    "one byte too many, in chunks": Case(Request(body=b" " * 16385, chunked=True), 413, "body_too_large", "DEBUG"),
    "an empty body in chunks": Case(Request(body=b"", chunked=True), 400, "body_incomplete", "DEBUG"),
    "no UTF-8, in chunks": Case(Request(body=b'{"room_name":"\xff"}', chunked=True), 400, "invalid_json", "DEBUG", INVALID),
    "a name of 257 bytes": Case(Request(json={"participant_name": "n" * 257}), 422, "invalid_value", "DEBUG", INVALID),
    "egress": Case(Request(json={"room_config": {"egress": {"room": {}}}}), 403, "room_config_not_allowed", "INFO", DENIED),
    **{
        method: Case(Request(method=method), 405, "method_not_allowed", "DEBUG", headers=POST)
        for method in ("GET", "HEAD", "PUT", "OPTIONS", "TRACE")
    },
    "no login": Case(Request(), 401, "unauthenticated", "INFO", DENIED, SIGN_IN),
    "Denied with a code": Case(Request(bearer("denied-raised")), 403, "trial_over", "INFO", DENIED),
    "the framework's 400": Case(Request(bearer("framework-400")), 400, "refused", "INFO", DENIED),
    "the framework's 401": Case(Request(bearer("framework-401")), 401, "unauthenticated", "INFO", DENIED, SIGN_IN),
    "the framework's 403": Case(Request(bearer("framework-403")), 403, "forbidden", "INFO", DENIED),
    "the framework's 404": Case(Request(bearer("framework-404")), 404, "refused", "INFO", DENIED),
    "a custom 429": Case(Request(bearer("unusual-429")), 429, "refused", "INFO", DENIED),
    "a room": Case(Request(ADA, json={"room_name": "r"}), 403, "room_not_allowed", "INFO", ("denied", "ada")),
    "a crash": Case(Request(bearer("fails")), 500, "internal_error", "ERROR", ERROR, logged=LEAK),
    "StopIteration": Case(Request(bearer("stops")), 500, "internal_error", "ERROR", ERROR, logged=LEAK),
    "a blank identity": Case(Request(bearer("blank-identity")), 500, "internal_error", "ERROR", ("error", " ")),
    "a limiter that fails": Case(Request(ADA), 500, "internal_error", "ERROR", route="limited-broken"),
    "no server found": Case(Request(ADA), 500, "internal_error", "ERROR", route="nowhere"),
    "no credentials yet": Case(
        Request(bearer("credentials")), 503, "unavailable", "DEBUG", ("unavailable", ""), {"retry-after": "some"}
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED)
def test_refused(all_frameworks: AllFrameworks, case: Case) -> None:
    """The response has a fixed status and code; the log and `on_token` learn of the request once."""
    for target in all_frameworks.targets:
        answer, records = target.ask_logged(case.route, case.request)
        said = observed(answer)
        assert (case.status, {**HEADERS, **case.headers}) == (said.status, said.headers)
        if case.request.method == "HEAD":
            assert b"" == said.body
        else:
            assert case.code == answer.json["error"]
        (ours,) = [record for record in records if record["logger"] == "moss_voice_server.endpoint"]
        assert case.level == ours["level"]
        assert case.logged in ours["text"]
        assert case.status == 500 or case.code == ours["moss_code"]
        assert "moss_voice_server.audit" not in [record["logger"] for record in records]
        events = [json.loads(record["text"])[:3] for record in records if record["logger"] == "tests.events"]
        assert ([[case.event[0], case.code, case.event[1]]] if case.event else []) == events


EMPTY = [
    Request(ADA | {"content-length": None}, b""),
    Request(ADA, b""),
    Request(ADA, b"{" + b" " * 16382 + b"}"),
    Request(ADA, b"{" + b" " * 16382 + b"}", chunked=True),
    Request(ADA | {"content-type": "Application/JSON; charset=UTF-8", "cookie": "a=b", "accept": "text/html"}),
]


@pytest.mark.parametrize("request_", EMPTY, ids=["no length", "no body", "longest", "longest in chunks", "a browser's"])
def test_empty_request(all_frameworks: AllFrameworks, request_: Request) -> None:
    """Each way to request nothing gets the token of the admission."""
    assert CLAIMS == all_frameworks(request_).claims


def test_token_request_is_passed_to_authorize(all_frameworks: AllFrameworks) -> None:
    """Every field arrives, from a body with a length or in chunks, in ASCII or UTF-8."""
    token_request = {
        "room_name": "Küche 🎤",
        "participant_name": "Ada",
        "participant_identity": "ada",
        "participant_attributes": {"é": "\n"},
        "room_config": {"agents": [{"agent_name": "helper", "metadata": "m", "deployment": "beta", "new": 1}, {}]},
    }
    seen = ["Küche 🎤", "Ada", "ada", None, {"é": "\n"}, [["helper", "m", "beta"]]]
    in_utf8 = json.dumps(token_request, ensure_ascii=False).encode()
    for sent in (Request(body=in_utf8), Request(json=token_request, chunked=True)):
        claims = all_frameworks(sent._replace(headers=bearer("seen"))).claims
        assert seen == json.loads(claims["metadata"])
        assert ("Küche 🎤", "Ada", {"é": "\n"}) == (claims["video"]["room"], claims["name"], claims["attributes"])
        assert [{"agentName": "helper", "metadata": "m", "deployment": "beta"}] == claims["roomConfig"]["agents"]


def test_guests(all_frameworks: AllFrameworks) -> None:
    """Guests need no login; each has a new identity and a new room, in any program."""
    claims = [target.ask("guests", Request()).claims for target in all_frameworks.targets for _ in range(2)]
    assert len(claims) == len({each["sub"] for each in claims}) == len({each["video"]["room"] for each in claims})
    assert {"Guest"} == {each["name"] for each in claims}
    assert 403 == all_frameworks(Request(json={"participant_identity": "guest-1"}), "guests").status
    for program in all_frameworks.programs.values():
        assert any("GUESTS ARE ADMITTED" in record["text"] for record in program.records)
