"""The pages on the call after the token: their code runs, against the fakes of this package."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server.testing import FakeMoss, decode_token
from tests.rooms.plain import AGENT

pytestmark = pytest.mark.once

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str) -> list[str]:
    """The Python blocks of a page, in order."""
    return re.findall(
        r"^```python\n(.*?)^```", (DOCS / f"{page}.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def run(source: str, names: dict[str, Any]) -> dict[str, Any]:
    """The names after the code has run."""
    exec(compile(source, "page", "exec"), names)
    return names


@pytest.mark.parametrize("page", ["after-the-call-starts", "webhooks", "transcripts"])
def test_tests_of_the_pages(page: str) -> None:
    """The test that each page shows passes."""
    names = run(blocks(page)[-1], {})
    tests = [value for name, value in names.items() if name.startswith("test_")]
    assert 1 == len(tests)
    tests[0]()


def test_user_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """The context is in the agent's dispatch, where the worker reads it, and nowhere else in the token."""
    from fastapi.testclient import TestClient

    with FakeMoss(agent_name=AGENT) as moss:
        for name, value in moss.environ.items():
            monkeypatch.setenv(name, value)
        users = {"session": {"id": 42, "plan": "pro", "name": "Ada"}}
        names = run(blocks("user-context")[0], {"USERS": users, "__name__": "page"})
        with TestClient(names["app"]) as client:
            assert 401 == client.post("/voice/token", json={}).status_code
            answer = client.post("/voice/token", json={}, headers={"Authorization": "Bearer session"})

    claims = decode_token(answer.json()["participant_token"])
    (dispatch,) = claims["roomConfig"]["agents"]
    assert {"user_id": 42, "plan": "pro"} == json.loads(dispatch.pop("metadata"))
    assert "pro" not in json.dumps(claims)
    assert claims["video"]["room"].startswith("support-")
