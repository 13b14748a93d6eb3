"""Examples without a web server: the script and the serverless function."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest

from moss_voice_server.testing import FakeMoss
from tests.examples.apps import EXAMPLES
from tests.examples.serving import run
from tests.support.tokens import claims

pytestmark = pytest.mark.once

Handler = Callable[[dict[str, Any], object], dict[str, Any]]


def test_script_prints_url_and_token(moss: FakeMoss) -> None:
    """The script prints LiveKit's URL and a token that names the voice agent."""
    printed = run((sys.executable, "app.py", "user-42", "support-room"), EXAMPLES / "script", moss.environ)

    url, token = printed.splitlines()
    signed = claims(token)
    assert moss.credentials["voice_agent_url"] == url
    assert ("user-42", "support-room") == (signed["sub"], signed["video"]["room"])
    assert moss.credentials["voice_agent_name"] == signed["roomConfig"]["agents"][0]["agentName"]


@pytest.fixture
def handler(moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> Handler:
    """The function, loaded once with its configured environment."""
    for name, value in moss.environ.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("serverless_example", EXAMPLES / "serverless" / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.handler


def event(body: str, *, base64_encoded: bool = False, method: str = "POST") -> dict[str, Any]:
    """A shortened event of API Gateway (payload format 2.0)."""
    return {
        "version": "2.0",
        "routeKey": "POST /voice/token",
        "rawPath": "/voice/token",
        "headers": {"content-type": "application/json", "content-length": str(len(body)), "host": "api.example"},
        "requestContext": {
            "authorizer": {"jwt": {"claims": {"sub": "ada", "iss": "https://login.example"}, "scopes": None}},
            "http": {"method": method, "path": "/voice/token", "sourceIp": "192.0.2.1"},
        },
        "body": body,
        "isBase64Encoded": base64_encoded,
    }


@pytest.mark.parametrize(
    "event",
    [event("{}"), event(""), event(base64.b64encode(b'{"room_config":{}}').decode(), base64_encoded=True)],
    ids=["object", "nothing", "base64"],
)
def test_function_answers_the_gateway(event: dict[str, Any], handler: Handler) -> None:
    """The gateway gets 201, the headers and a token for the authorized user."""
    answer = handler(event, None)

    body = json.loads(answer["body"])
    assert 201 == answer["statusCode"]
    assert "no-store" == answer["headers"]["cache-control"]
    assert re.fullmatch("sub-[0-9a-f]{40}", claims(body["participant_token"])["sub"])


def test_function_refuses_as_every_adapter_does(handler: Handler) -> None:
    """The endpoint's rules hold in a function too: a room that is not allowed is refused."""
    answer = handler(event('{"room_name": "the board meeting"}'), None)
    assert (403, "room_not_allowed") == (answer["statusCode"], json.loads(answer["body"])["error"])
