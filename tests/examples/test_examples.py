"""Examples: each does what its page says, from the login to the token, and admits only signed-in users."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import jwt
import pytest

from moss_voice_server.testing import FakeMoss
from tests.examples.apps import APPS, EXAMPLES, SETTINGS, TOKEN_PATH, Running, started
from tests.processes.program import until
from tests.support.tokens import claims

if TYPE_CHECKING:
    from pathlib import Path

    import httpx2

pytestmark = pytest.mark.once

UNDER = 25  # lines that are not blank


def ask(app: Running, headers: dict[str, str], body: object = None) -> httpx2.Response:
    """A token request, as the clients send it."""
    with app.client() as client:
        return client.post(TOKEN_PATH, headers=headers, json={} if body is None else body)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/app.py")), ids=lambda file: file.parent.name)
def test_example_is_short(file: Path) -> None:
    """Each example has fewer than 25 lines, without blank ones."""
    assert UNDER > len([line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()])


def test_signed_in_user_gets_a_token(app: Running, moss: FakeMoss) -> None:
    """A signed-in user gets 201 and a token for their identity and the voice agent, signed with Moss's key."""
    answer = ask(app, app.sign_in())

    body = answer.json()
    signed = jwt.decode(body["participant_token"], moss.credentials["voice_agent_api_secret"], ["HS256"])
    assert (201, {"server_url", "participant_token"}) == (answer.status_code, body.keys())
    assert moss.credentials["voice_agent_url"] == body["server_url"]
    assert moss.credentials["voice_agent_api_key"] == signed["iss"]
    assert re.fullmatch(app.example.identity, signed["sub"])
    assert [{"agentName": moss.credentials["voice_agent_name"]}] == signed["roomConfig"]["agents"]


def test_each_token_is_for_a_new_room(app: Running) -> None:
    """Two requests of one user lead to two rooms with 128 random bits in their names."""
    headers = app.sign_in()
    rooms = [claims(ask(app, headers).json()["participant_token"])["video"]["room"] for _ in range(2)]

    assert 2 == len(set(rooms))
    assert all(re.fullmatch("room-[0-9a-f]{32}", room) for room in rooms)


def test_stranger_gets_401(app: Running) -> None:
    """A client that is not signed in gets 401, with a wrong secret as with none."""
    headers = {name: value for name, value in app.sign_in().items() if name == "X-CSRFToken"}
    if headers:
        # Django's CSRF check comes first. A stranger gets its cookie from any page with a form.
        headers["Cookie"] = f"csrftoken={headers['X-CSRFToken']}"
    guesses = [
        {},
        {"Authorization": "Bearer guess"},
        {"Authorization": "Basic YWRhOmd1ZXNz"},
        {"Authorization": "Basic"},
    ]
    answers = [ask(app, {**headers, **guess}) for guess in guesses]

    assert [401] * len(guesses) == [answer.status_code for answer in answers]
    assert {"unauthenticated"} == {answer.json()["error"] for answer in answers}


def test_another_identity_is_refused(app: Running) -> None:
    """The body cannot choose the identity."""
    answer = ask(app, app.sign_in(), {"participant_identity": "another-user"})
    assert (403, "identity_not_allowed") == (answer.status_code, answer.json()["error"])


@pytest.mark.parametrize("app", ["fastapi"], indirect=True)
def test_forged_access_token_is_refused(app: Running) -> None:
    """An access token that is expired, unsigned, signed with another key, or without expiry gets 401."""
    key, now = SETTINGS["APP_KEY"], 1_700_000_000
    forged = [
        jwt.encode({"sub": "ada", "exp": now}, key, "HS256"),
        jwt.encode({"sub": "ada", "exp": 4 * now}, "", "none"),
        jwt.encode({"sub": "ada", "exp": 4 * now}, "another-key-of-at-least-thirty-two-bytes", "HS256"),
        jwt.encode({"sub": "ada"}, key, "HS256"),
    ]
    assert [401] * len(forged) == [ask(app, {"Authorization": f"Bearer {token}"}).status_code for token in forged]


@pytest.mark.parametrize("app", ["django"], indirect=True)
def test_session_alone_does_not_pass_djangos_csrf_check(app: Running) -> None:
    """Ada's session without the CSRF token, as another site's form would send it, gets Django's 403."""
    headers = app.sign_in()
    answer = ask(app, {"Cookie": headers["Cookie"]})
    assert (403, False) == (answer.status_code, "participant_token" in answer.text)


def test_django_site_starts_without_moss(tmp_path: Path) -> None:
    """While Moss is down the site runs, and its token view returns 503 with Retry-After; later it returns tokens."""
    with FakeMoss() as moss:
        moss.set_default(503)
        with started(APPS["django on gunicorn"], moss, tmp_path) as app:
            headers = app.sign_in()
            answer = ask(app, headers)
            moss.reset()
            until(lambda: 201 == ask(app, headers).status_code, "a token after Moss is back")

    assert (503, "unavailable") == (answer.status_code, answer.json()["error"])
    assert re.fullmatch("[1-9][0-9]*", answer.headers["retry-after"])
