"""Django: its CSRF check, its middlewares, sync and async views under servers of both kinds, and who reads the body."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.endpoint.frameworks import AllFrameworks
from tests.endpoint.programs import Program
from tests.endpoint.wire import Answer, Request, bearer

PROGRAMS = ["django-gunicorn", "django-uvicorn"]
VIEWS = ["/checked", "/checked-async"]
TOKEN = "a" * 32  # what Django puts into its cookie, and the page's script into its header
ADA = bearer("ada")
SIGNED = ADA | {"cookie": f"csrftoken={TOKEN}", "x-csrftoken": TOKEN}

django = pytest.mark.parametrize("program", PROGRAMS)
views = pytest.mark.parametrize("view", VIEWS)


def ask(all_frameworks: AllFrameworks, program: str, path: str, request: Request) -> Answer:
    """One request to one of the two Django programs."""
    found: Program = all_frameworks.programs[program]
    answer: Answer = found.ask(path, request)
    return answer


@django
@views
def test_csrf_is_checked(all_frameworks: AllFrameworks, program: str, view: str) -> None:
    """Without Django's token a request does not reach us, signed in or not: a cookie alone proves nothing."""
    for headers in (ADA, ADA | {"cookie": f"csrftoken={TOKEN}"}, ADA | {"x-csrftoken": TOKEN}, {}):
        answer = ask(all_frameworks, program, view, Request(headers))
        assert 403 == answer.status
        assert b"CSRF" in answer.body
        assert b"participant_token" not in answer.body


@django
@views
def test_with_djangos_token(all_frameworks: AllFrameworks, program: str, view: str) -> None:
    """A page of the application sends Django's token in a header, and is served."""
    answer = ask(all_frameworks, program, view, Request(SIGNED))
    assert "ada" == answer.claims["sub"]
    assert 403 == ask(all_frameworks, program, view, Request(SIGNED | {"x-csrftoken": "b" * 32})).status


@django
@views
def test_another_origin_with_a_stolen_token(all_frameworks: AllFrameworks, program: str, view: str) -> None:
    """Django looks at the origin as well."""
    assert 403 == ask(all_frameworks, program, view, Request(SIGNED | {"origin": "https://evil.example"})).status


def test_only_the_word_itself_switches_it_off() -> None:
    """`csrf_exempt` is set by csrf_exempt and by nothing else."""
    from moss_voice_server import MossVoiceServerSync
    from moss_voice_server.django import token_view
    from tests.support.tokens import API_KEY, API_SECRET, URL

    server = MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET)

    async def waiting(request: Any, token_request: Any) -> Any:
        """An async authorize."""

    authorizers: tuple[Any, ...] = (lambda request, token_request: None, waiting)
    for authorize in authorizers:
        views = [token_view(server, authorize=authorize, allow_origins=["https://a.example"])]
        views += [token_view(server, authorize=authorize, csrf_exempt=value) for value in (False, True)]
        assert [False, False, True] == [getattr(view, "csrf_exempt", False) for view in views]


@django
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("path", ["body", "body-before"])
def test_others_may_read_the_body(all_frameworks: AllFrameworks, program: str, mode: str, path: str) -> None:
    """A middleware that reads the body leaves it to us, and we leave it to authorize: some sign what they send."""
    token_request = {"room_name": "r"}
    answer = ask(all_frameworks, program, f"/{path}/{mode}", Request(json=token_request))
    claims = answer.claims
    assert ("r", token_request) == (claims["video"]["room"], json.loads(claims["metadata"]))


@django
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_body_that_a_middleware_has_consumed(all_frameworks: AllFrameworks, program: str, mode: str) -> None:
    """A middleware that reads the request as a file leaves nothing, and Django says so: the request is not granted."""
    answer = ask(all_frameworks, program, f"/body-consumed/{mode}", Request(json={"room_name": "r"}))
    assert (400, "body_incomplete") == (answer.status, answer.json["error"])


@django
def test_djangos_own_headers_are_kept(all_frameworks: AllFrameworks, program: str) -> None:
    """Our answers pass through the application's middlewares, whose headers stand beside ours."""
    answer = ask(all_frameworks, program, "/sync/token", Request(ADA))
    said = [answer.header(name) for name in ("x-frame-options", "referrer-policy", "cache-control")]
    assert ["DENY", "no-referrer", "no-store"] == said


@django
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    ("path", "seen"), [("acme/named", "[] {'tenant': 'acme', 'plan': 'pro'}"), ("acme/unnamed", "['acme'] {}")]
)
def test_variables_in_the_path(all_frameworks: AllFrameworks, program: str, mode: str, path: str, seen: str) -> None:
    """As in any other view, the URL may have variables; authorize finds them in the request."""
    assert seen == ask(all_frameworks, program, f"/{mode}/{path}", Request(ADA)).claims["metadata"]
