"""The example applications: from the login to the token, for signed-in users only."""

from __future__ import annotations

import re
from pathlib import Path

import httpx2
import jwt
import pytest

from moss_voice_server.testing import FakeMoss
from tests.examples.apps import APPS, EXAMPLES, SETTINGS, Running, started
from tests.examples.serving import LONGEST
from tests.processes.program import until

pytestmark = pytest.mark.once

UNDER = 25  # lines that are not blank


def ask(app: Running, headers: dict[str, str], body: object = None) -> httpx2.Response:
    """A token request, as the clients send it."""
    with httpx2.Client(timeout=LONGEST, trust_env=False) as client:
        return client.post(app.token_url, headers=headers, json={} if body is None else body)


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*/app.py")), ids=lambda file: file.parent.name)
def test_example_is_short(file: Path) -> None:
    """Each example has fewer than 25 lines, without blank ones."""
    assert UNDER > len([line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()])


@pytest.mark.parametrize("name", APPS)
def test_example(name: str, tmp_path: Path) -> None:
    """A signed-in user gets a token for a new room and the voice agent; others get 401, and another identity 403. While
    Moss is down the Django site starts, and its token view returns 503 with Retry-After.
    """
    with FakeMoss() as moss:
        moss.set_default(503 if name == "django" else 200)
        with started(name, moss, tmp_path) as app:
            headers = app.sign_in()
            if name == "django":
                early = ask(app, headers)
                assert (503, "unavailable") == (early.status_code, early.json()["error"])
                assert re.fullmatch("[1-9][0-9]*", early.headers["retry-after"])
                moss.reset()
                until(lambda: 201 == ask(app, headers).status_code, "a token after Moss is back")
            answers = [ask(app, headers) for _ in range(2)]
            other_identity = ask(app, headers, {"participant_identity": "another-user"})
            # Django's CSRF check comes first. Any visitor gets its cookie from a page with a form.
            visitor = {key: value for key, value in headers.items() if key == "X-CSRFToken"}
            if visitor:
                visitor["Cookie"] = f"csrftoken={headers['X-CSRFToken']}"
                without_csrf = ask(app, {"Cookie": headers["Cookie"]})
                assert (403, False) == (without_csrf.status_code, "participant_token" in without_csrf.text)
            credentials = [*GUESSES, *(forged() if name == "fastapi" else ())]
            rejected = [ask(app, {**visitor, "Authorization": value} if value else visitor) for value in credentials]

    rooms = set()
    for answer in answers:
        body = answer.json()
        signed = jwt.decode(body["participant_token"], moss.credentials["voice_agent_api_secret"], ["HS256"])
        assert (201, {"server_url", "participant_token"}) == (answer.status_code, body.keys())
        assert moss.credentials["voice_agent_url"] == body["server_url"]
        assert moss.credentials["voice_agent_api_key"] == signed["iss"]
        assert re.fullmatch(app.example.identity, signed["sub"])
        assert [{"agentName": moss.credentials["voice_agent_name"]}] == signed["roomConfig"]["agents"]
        rooms.add(signed["video"]["room"])
    assert [True, True] == [bool(re.fullmatch("room-[0-9a-f]{32}", room)) for room in rooms]
    assert (403, "identity_not_allowed") == (other_identity.status_code, other_identity.json()["error"])
    assert {(401, "unauthenticated")} == {(each.status_code, each.json()["error"]) for each in rejected}


GUESSES = ["", "Bearer guess", "Basic YWRhOmd1ZXNz", "Basic"]


def forged() -> list[str]:
    """Access tokens that are expired, unsigned, signed with another key, or without expiry."""
    key, now = SETTINGS["APP_KEY"], 1_700_000_000
    tokens = [
        jwt.encode({"sub": "ada", "exp": now}, key, "HS256"),
        jwt.encode({"sub": "ada", "exp": 4 * now}, "", "none"),
        jwt.encode({"sub": "ada", "exp": 4 * now}, "another-key-of-at-least-thirty-two-bytes", "HS256"),
        jwt.encode({"sub": "ada"}, key, "HS256"),
    ]
    return [f"Bearer {token}" for token in tokens]
