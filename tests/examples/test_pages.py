"""Pages of the documentation: each shows its example unchanged, and the table of errors is correct and complete."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from moss_voice_server._endpoint import responses
from tests.examples.apps import EXAMPLES
from tests.examples.serving import run
from tests.test_readme import blocks

pytestmark = pytest.mark.once


DOCS = EXAMPLES.parent / "docs"
# Which page shows which file of which example.
SHOWN = {
    "fastapi/app.py": "fastapi",
    "flask/app.py": "flask",
    "django/app.py": "django",
    "django/wsgi.py": "deploying",
    "starlette/app.py": "asgi",
    "wsgi/app.py": "wsgi",
    "serverless/app.py": "serverless",
    "script/app.py": "script",
}


@pytest.mark.parametrize(
    "example", [*(f"{path.parent.name}/app.py" for path in EXAMPLES.glob("*/app.py")), "django/wsgi.py"]
)
def test_page_shows_the_example(example: str) -> None:
    """The page shows the example's code unchanged, links to it, and mentions the doctor."""
    page = DOCS / f"{SHOWN[example]}.md"
    code = (EXAMPLES / example).read_text(encoding="utf-8").rstrip("\n")
    text = page.read_text(encoding="utf-8")

    assert 1 == [block.text for block in blocks(page)].count(code)
    assert 1 == text.count(f"[examples/{example}](../examples/{example})")
    assert "moss-voice-server doctor" in text


def test_table_of_errors_is_complete() -> None:
    """The page lists each error code of the endpoint with its status."""
    text = (DOCS / "token-endpoint.md").read_text(encoding="utf-8")
    rows = {code: int(status) for status, code in re.findall(r"^\| (\d{3}) \| `(\w+)` \|", text, re.MULTILINE)}
    source = "".join(path.read_text(encoding="utf-8") for path in Path(responses.__file__).parent.glob("*.py"))
    statuses = {code: int(status) for status, code in re.findall(r'Refusal\(\s*(\d{3}),\s*"(\w+)"', source)}

    assert {*responses._MESSAGES, "forbidden"} == set(rows)
    assert {code: statuses.get(code, 403) for code in rows if code != "unauthenticated"} == {
        code: status for code, status in rows.items() if code != "unauthenticated"
    }
    assert 401 == rows["unauthenticated"]


# The file, and the command that runs it, in the page's order. Other plugins would take seconds to load.
PYTEST = ("test_voice.py", "-m", "pytest", "-q", "-p", "moss_voice_server.pytest_plugin", "-p", "no:cacheprovider")
SUITES = {"fastapi": PYTEST, "flask": PYTEST, "django": ("tests.py", "manage.py", "test")}


@pytest.mark.parametrize("name", SUITES)
def test_suites_of_the_page(name: str, tmp_path: Path) -> None:
    """The suite that the page on testing shows for a framework passes beside that framework's example."""
    file, *command = SUITES[name]
    shown = [block.text for block in blocks(DOCS / "testing.md") if block.language == "python3"]
    assert len(SUITES) == len(shown)
    project = tmp_path / name
    shutil.copytree(EXAMPLES / name, project, ignore=shutil.ignore_patterns("__pycache__", "db.sqlite3"))
    (project / file).write_text(shown[list(SUITES).index(name)], encoding="utf-8")

    run((sys.executable, *command), project, {"APP_KEY": "a-key-for-tests", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"})
