"""Pages: each shows the example that is tested, and the table of errors is correct and complete."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.endpoint import Admission, Denied
from moss_voice_server.testing import FakeMoss
from moss_voice_server.wsgi import token_app
from tests.examples.apps import EXAMPLES
from tests.examples.serving import run
from tests.support.tokens import API_KEY, API_SECRET, URL
from tests.test_readme import blocks

pytestmark = pytest.mark.once


DOCS = EXAMPLES.parent / "docs"
# Which page shows which example.
SHOWN = {
    "fastapi": "fastapi",
    "flask": "flask",
    "django": "django",
    "starlette": "asgi-wsgi",
    "wsgi": "asgi-wsgi",
    "serverless": "serverless",
    "script": "script",
}


def page(name: str) -> Path:
    """A page of the documentation."""
    return DOCS / f"{name}.md"


def test_every_example_has_a_page() -> None:
    """Each example is on a page."""
    assert SHOWN.keys() == {file.parent.name for file in EXAMPLES.glob("*/app.py")}


@pytest.mark.parametrize("example", SHOWN)
def test_page_shows_the_example(example: str) -> None:
    """The page shows the example's file unchanged, links to it, and mentions the doctor."""
    file = EXAMPLES / example / "app.py"
    text = page(SHOWN[example]).read_text(encoding="utf-8")

    shown = [block.text for block in blocks(page(SHOWN[example])) if block.language == "python"]
    assert 1 == shown.count(file.read_text(encoding="utf-8").rstrip("\n"))
    assert 1 == text.count(f"[examples/{example}/app.py](../examples/{example}/app.py)")
    assert "moss-voice-server doctor" in text


def test_clients_read_the_access_token_at_each_request() -> None:
    """The snippets of the page on clients take a bearer token from a function or a property, never from a constant."""
    snippets = [
        block.text for block in blocks(page("clients")) if block.language in ("javascript", "swift", "kotlin", "dart")
    ]
    bearers = [re.search(r"Bearer \W*(await getAccessToken|auth\.accessToken|accessToken)", text) for text in snippets]
    assert [text for text in snippets if "Bearer" in text] == [
        text for text, bearer in zip(snippets, bearers, strict=True) if bearer
    ]
    assert ["swift", "kotlin", "dart"] == [
        block.language for block in blocks(page("clients")) if block.language in ("swift", "kotlin", "dart")
    ]


class Row(NamedTuple):
    """One line of the table of errors."""

    status: int
    code: str


ROWS = [
    Row(int(status), code)
    for status, code in re.findall(
        r"^\| (\d{3}) \| `(\w+)` \|", page("token-endpoint").read_text(encoding="utf-8"), re.MULTILINE
    )
]


@dataclass(frozen=True)
class Case:
    """A request that ends in an error, and what the endpoint is made with."""

    body: str | Iterator[bytes] = "{}"
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    denied: Denied | None = None
    fetched: bool = True
    keywords: dict[str, Any] = field(default_factory=dict)


def token_request(**fields: object) -> Case:
    """A request with these fields."""
    return Case(json.dumps(fields))


def agents(*named: str) -> Case:
    """A request for these agents."""
    return token_request(room_config={"agents": [{"agent_name": name} for name in named]})


def clerk(**fields: str) -> Case:
    """A request for an agent that is allowed, with these fields."""
    admission = Admission(ParticipantInfo("user-42"), allowed_agents=("clerk",))
    body = json.dumps({"room_config": {"agents": [{"agent_name": "clerk", **fields}]}})
    return Case(body, keywords={"authorize": lambda _environ, _token_request: admission})


CASES = {
    "body_incomplete": Case("{}", headers={"Content-Length": "3"}),
    "invalid_json": Case("{"),
    "too_deep": Case('{"room_config":' + '{"a":' * 9 + "1" + "}" * 10),
    "unknown_field": token_request(roomName="lobby"),
    "invalid_field": token_request(room_name=1),
    "unauthenticated": Case(denied=Denied(401)),
    "forbidden": Case(denied=Denied(403)),
    "identity_not_allowed": token_request(participant_identity="user-43"),
    "room_not_allowed": token_request(room_name="lobby"),
    "agent_not_allowed": agents("auditor"),
    "agent_metadata_not_allowed": clerk(metadata="vip"),
    "agent_deployment_not_allowed": clerk(deployment="staging"),
    "name_not_allowed": token_request(participant_name="Countess"),
    "metadata_not_allowed": token_request(participant_metadata="vip"),
    "attribute_not_allowed": token_request(participant_attributes={"plan": "gold"}),
    "room_config_not_allowed": token_request(room_config={"max_participants": 2}),
    "origin_not_allowed": Case(headers={"Sec-Fetch-Site": "cross-site", "Origin": "https://elsewhere.example"}),
    "method_not_allowed": Case(method="GET"),
    "length_required": Case(iter([b"{}"])),
    "body_too_large": token_request(participant_metadata="m" * 20_000),
    "unsupported_media_type": Case(headers={"Content-Type": "text/plain"}),
    "invalid_value": token_request(participant_name="n" * 300),
    "too_many_agents": agents(*"abcdefghi"),
    "duplicate_agent": agents("clerk", "clerk"),
    "rate_limited": Case(keywords={"rate_limiter": lambda _identity: 60}),
    "internal_error": Case(keywords={"authorize": lambda _environ, _token_request: None}),
    "unavailable": Case(fetched=False),
}


@pytest.mark.parametrize("code", CASES)
def test_error_has_its_status_and_code(code: str) -> None:
    """Each line of the table is what the endpoint returns."""
    case = CASES[code]
    with FakeMoss() as moss:
        moss.set_default(503)
        if case.fetched:
            server = MossVoiceServerSync.from_livekit(URL, API_KEY, API_SECRET)
        else:
            server = MossVoiceServerSync(**moss.arguments)
        keywords: dict[str, Any] = {
            "authorize": lambda _environ, _token_request: case.denied or Admission(ParticipantInfo("user-42")),
            **case.keywords,
        }
        app = token_app(server, **keywords)

        def without_length(environ: dict[str, Any], start_response: Any) -> Any:
            # Servers set no length for a chunked body; the transport does.
            chunked = "HTTP_TRANSFER_ENCODING" in environ
            return app(
                {**environ, "CONTENT_LENGTH": "" if chunked else environ.get("CONTENT_LENGTH", "")}, start_response
            )

        with httpx2.Client(transport=httpx2.WSGITransport(without_length), base_url="http://127.0.0.1") as client:
            headers = {"Content-Type": "application/json", **case.headers}
            response = client.request(case.method, "/", headers=headers, content=case.body)
        server.close()

    assert code == response.json()["error"]
    assert Row(response.status_code, code) in ROWS


def test_table_of_errors_is_complete() -> None:
    """The page lists each code of the endpoint once, and no other."""
    assert sorted(CASES) == sorted(row.code for row in ROWS)


# The file, and the command that runs it, in the page's order. Other plugins would take seconds to load.
PYTEST = ("test_voice.py", "-m", "pytest", "-q", "-p", "moss_voice_server.pytest_plugin", "-p", "no:cacheprovider")
SUITES = {"fastapi": PYTEST, "flask": PYTEST, "django": ("tests.py", "manage.py", "test")}


@pytest.mark.parametrize("name", SUITES)
def test_an_application_is_tested_as_the_page_says(name: str, tmp_path: Path) -> None:
    """The suite that the page on testing shows for a framework passes beside that framework's example."""
    file, *command = SUITES[name]
    shown = [block.text for block in blocks(page("testing")) if block.language == "python3"]
    assert len(SUITES) == len(shown)
    project = tmp_path / name
    shutil.copytree(EXAMPLES / name, project, ignore=shutil.ignore_patterns("__pycache__", "db.sqlite3"))
    (project / file).write_text(shown[list(SUITES).index(name)], encoding="utf-8")

    run((sys.executable, *command), project, {"APP_KEY": "a-key-for-tests", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
