"""Django: its CSRF check, its middlewares, sync and async views under servers of both kinds, and who reads the body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from moss_voice_server.django import token_view
from tests.endpoint.calls import ADA as ADMISSION
from tests.endpoint.calls import SERVER
from tests.endpoint.frameworks import AllFrameworks
from tests.support.errors import refused
from tests.support.wire import Answer, Request, bearer

PROGRAMS = ["django-gunicorn", "django-uvicorn"]
TOKEN = "a" * 32  # in Django's cookie, and in the header that the page's script sets
ADA = bearer("ada")
SIGNED = ADA | {"cookie": f"csrftoken={TOKEN}", "x-csrftoken": TOKEN}

programs = pytest.mark.parametrize("program", PROGRAMS)
modes = pytest.mark.parametrize("mode", ["sync", "async"])


def ask(all_frameworks: AllFrameworks, program: str, path: str, request: Request) -> Answer:
    """Sends one request to one of the two Django programs."""
    return all_frameworks.programs[program].ask(path, request)


@programs
@modes
def test_csrf(all_frameworks: AllFrameworks, program: str, mode: str) -> None:
    """Without Django's token in cookie and header a request does not reach the endpoint, signed in or not."""
    assert "ada" == ask(all_frameworks, program, f"/checked/{mode}", Request(SIGNED)).claims["sub"]
    for headers in (ADA, ADA | {"cookie": f"csrftoken={TOKEN}"}, ADA | {"x-csrftoken": TOKEN}, {}):
        answer = ask(all_frameworks, program, f"/checked/{mode}", Request(headers))
        assert 403 == answer.status
        assert b"CSRF" in answer.body
    for wrong in ({"x-csrftoken": "b" * 32}, {"origin": "https://evil.example"}):
        assert 403 == ask(all_frameworks, program, f"/checked/{mode}", Request(SIGNED | wrong)).status


def _plain(request: Any, token_request: Any) -> Any:
    return ADMISSION


async def _waiting(request: Any, token_request: Any) -> Any:
    return ADMISSION


@pytest.mark.parametrize("authorize", [_plain, _waiting])
def test_only_csrf_exempt_disables_it(authorize: Any) -> None:
    """And no other argument."""
    views = [token_view(SERVER, authorize=authorize, allow_origins=["https://a.example"])]
    views += [token_view(SERVER, authorize=authorize, csrf_exempt=value) for value in (False, True)]
    assert [False, False, True] == [getattr(view, "csrf_exempt", False) for view in views]
    for value in ("False", None, 1):
        assert "csrf_exempt" == refused(token_view, SERVER, authorize=authorize, csrf_exempt=value)[0]


@programs
@modes
@pytest.mark.parametrize("path", ["body", "body-before"])
def test_others_may_read_the_body(all_frameworks: AllFrameworks, program: str, mode: str, path: str) -> None:
    """A middleware can read the body before the endpoint, and authorize after it: some clients sign what they send."""
    token_request = {"room_name": "r"}
    claims = ask(all_frameworks, program, f"/{path}/{mode}", Request(json=token_request)).claims
    assert ("r", token_request) == (claims["video"]["room"], json.loads(claims["metadata"]))


@programs
@modes
def test_body_that_a_middleware_has_consumed(all_frameworks: AllFrameworks, program: str, mode: str) -> None:
    """A middleware that reads the request as a file leaves nothing: the request is not granted."""
    answer = ask(all_frameworks, program, f"/body-consumed/{mode}", Request(json={"room_name": "r"}))
    assert (400, "body_incomplete") == (answer.status, answer.json["error"])


@programs
@modes
@pytest.mark.parametrize(
    ("path", "seen"), [("acme/named", "[] {'tenant': 'acme', 'plan': 'pro'}"), ("acme/unnamed", "['acme'] {}")]
)
def test_variables_in_the_path(all_frameworks: AllFrameworks, program: str, mode: str, path: str, seen: str) -> None:
    """As in any other view, the URL may have variables; authorize finds them in the request."""
    assert seen == ask(all_frameworks, program, f"/{mode}/{path}", Request(ADA)).claims["metadata"]
