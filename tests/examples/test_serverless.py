"""The serverless function, as API Gateway calls it."""

from __future__ import annotations

import importlib.util
import json
import re
from typing import Any

import pytest

from moss_voice_server.testing import FakeMoss
from tests.examples.apps import EXAMPLES
from tests.support.tokens import claims

pytestmark = pytest.mark.once


def event(body: str, *, base64_encoded: bool = False) -> dict[str, Any]:
    """A shortened event of API Gateway (payload format 2.0)."""
    return {
        "headers": {"content-type": "application/json", "content-length": str(len(body)), "host": "api.example"},
        "requestContext": {
            "authorizer": {"jwt": {"claims": {"sub": "ada", "iss": "https://login.example"}, "scopes": None}},
            "http": {"method": "POST", "path": "/voice/token", "sourceIp": "192.0.2.1"},
        },
        "body": body,
        "isBase64Encoded": base64_encoded,
    }


def test_function(fake_moss: FakeMoss, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gateway gets 201, the headers and a token for the authorized user, or the refusal of the endpoint's rules."""
    for name, value in fake_moss.environ.items():
        monkeypatch.setenv(name, value)
    spec = importlib.util.spec_from_file_location("serverless_example", EXAMPLES / "serverless" / "app.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    for good in (event("{}"), event(""), event("eyJyb29tX2NvbmZpZyI6e319", base64_encoded=True)):
        answer = module.handler(good, None)
        assert (201, "no-store") == (answer["statusCode"], answer["headers"]["cache-control"])
        assert re.fullmatch("sub-[0-9a-f]{40}", claims(json.loads(answer["body"])["participant_token"])["sub"])
    answer = module.handler(event('{"room_name": "the board meeting"}'), None)
    assert (403, "room_not_allowed") == (answer["statusCode"], json.loads(answer["body"])["error"])
