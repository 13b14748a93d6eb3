"""Follows a quickstart word for word, in an empty folder."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from moss_voice_server.testing import FakeMoss, LiveKitServer
from tests.dev.chromium import Browser, Page, chromium
from tests.examples.serving import LONGEST, serving
from tests.processes.program import clean_environ

ROOT = Path(__file__).parents[2]
# Placeholders for the reader's own values.
_YOURS = {
    "your-project-id": "MOSS_PROJECT_ID",
    "your-project-key": "MOSS_PROJECT_KEY",
    "your-voice-agent-id": "MOSS_VOICE_AGENT_ID",
}
# Programs that serve: the default port of each, and the argument for a free one.
_SERVERS = {
    "uvicorn": (8000, "--port=0"),
    "flask": (5000, "--port=0"),
    "gunicorn": (8000, "--bind=127.0.0.1:0"),
    "python": (8000, "127.0.0.1:0"),  # manage.py runserver
    "functions-framework": (8080, "--port=0"),
}
_SERVES = re.compile(r"(uvicorn|flask run|gunicorn|functions-framework|python manage\.py runserver)\b")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_NAMED = re.compile(r"[Ss]ave (?:this|it) as `([\w./-]+)`")
_SIGN_IN = re.compile(r"[Ss]ign in at <http://127\.0\.0\.1:8000([\w/]+)> as `(\w+)` with `([\w-]+)`")
_TOKEN = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+")


@dataclass(frozen=True)
class Walk:
    """A quickstart: a page, and the sections of it that a reader follows."""

    page: str
    sections: tuple[str, ...] = ("Install", "The application")
    needs: str = ""
    """A program that the page installs and the tests' environment lacks."""


WALKS = {
    "readme": Walk("README.md", ("FastAPI",)),
    **{name: Walk(f"docs/{name}.md") for name in ("fastapi", "flask", "django", "asgi", "wsgi")},
    "script": Walk("docs/script.md", ("Install", "The script")),
    "lambda": Walk("docs/serverless.md", ("Install", "AWS Lambda")),
    "google": Walk("docs/serverless.md", ("Install", "Google Cloud Run functions"), "functions-framework"),
}


class Step(NamedTuple):
    """One block of a page, and the reader's action: `write`, `run`, `browse` or `compare`."""

    deed: str
    text: str
    file: str = ""
    before: str = ""
    """The prose before it."""


def steps(walk: Walk) -> list[Step]:
    """The reader's actions, in order; HTML comments are left out."""
    page = _COMMENT.sub("", (ROOT / walk.page).read_text(encoding="utf-8"))
    found = []
    for section in walk.sections:
        begin = page.index(f"\n## {section}\n")
        text = page[begin : end if (end := page.find("\n## ", begin + 1)) > 0 else len(page)]
        last = 0
        for fence in _FENCE.finditer(text):
            found += _step(fence[1], fence[2], text[last : fence.start()])
            last = fence.end()
    return found


def _step(language: str, text: str, before: str) -> list[Step]:
    if named := _NAMED.findall(before):
        return [Step("write", text, named[-1])]
    deeds = {"bash": "run", "javascript": "browse", "json": "compare"}
    # Anything else is not a step.
    return [Step(deeds[language], text, before=before)] if language in deeds else []


@dataclass
class Reader:
    """A reader at a terminal, in an empty folder, with a Moss project and a LiveKit server."""

    folder: Path
    moss: FakeMoss
    environ: Mapping[str, str]
    """The terminal's variables at the start."""
    browser: Browser | None = None
    seen: str = ""
    """Everything that was printed."""
    _url: str = ""
    _default: int = 0
    _exported: dict[str, str] = field(default_factory=dict)

    def follow(self, walk: Walk, stack: ExitStack) -> None:
        """Do everything that the page says; servers run until `stack` is closed."""
        self._exported = dict(self.environ)
        for step in steps(walk):
            if step.deed == "write":
                (self.folder / step.file).write_text(step.text, encoding="utf-8")
            elif step.deed == "run":
                self._type(step.text, stack)
            elif step.deed == "browse":
                self._browse(step, stack)
            else:
                self._compare(step.text)

    def _type(self, block: str, stack: ExitStack) -> None:
        """Type a block of commands. A server keeps its terminal; later blocks go into a new one."""
        for text, name in _YOURS.items():
            block = block.replace(text, self.moss.environ[name])
        *commands, last = block.replace("\\\n", " ").splitlines()
        if not _SERVES.match(last):
            self._run([*commands, last])
            return
        self._run(commands)
        program, *arguments = shlex.split(last)
        self._default, port = _SERVERS[program]
        found = subprocess.run(
            ["bash", "-c", f"command -v {program}"], env=self._exported, capture_output=True, text=True, check=False
        ).stdout.strip()
        assert found, f"no such program: {program}"
        self._url = stack.enter_context(serving([found, *arguments, port], self.folder, self._exported))
        self._exported = dict(self.environ)

    def _run(self, commands: list[str]) -> None:
        # The tests' environment contains what the page installs.
        commands = [each for each in commands if not re.match(r"(?:pip install|python3 -m venv) ", each)]
        if not commands:
            return
        if self._url:
            commands = [each.replace(f"http://127.0.0.1:{self._default}", self._url) for each in commands]
        kept = self.folder / ".kept"
        script = "\n".join(["set -eo pipefail", *commands, f"env -0 > {kept}"])
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self._exported,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST,
            check=False,
        )
        assert 0 == done.returncode, f"{script}\n{done.stdout}{done.stderr}"
        self.seen += done.stdout
        self._exported = dict(line.split("=", 1) for line in kept.read_text().split("\0") if line)
        kept.unlink()

    def _browse(self, step: Step, stack: ExitStack) -> None:
        """Sign in where the page says, and run the script in the browser's console."""
        said = _SIGN_IN.search(step.before)
        assert said, "the prose before the script does not say where to sign in, as whom and with what"
        if self.browser is None:
            self.browser = stack.enter_context(chromium(self.folder))
        with self.browser.page(self._url + said[1]) as page:
            page.wait("document.querySelector('[type=submit]')")
            page.type("[name=username]", said[2])
            page.type("[name=password]", said[3])
            page.click("[type=submit]")
            _until_signed_in(page)
            *first, last = step.text.strip().splitlines()
            script = "\n".join([*first, f"return {last}"])
            self.seen += json.dumps(page.value(f"(async () => {{ {script} }})()"))

    def _compare(self, text: str) -> None:
        """The last response has the keys that the page shows."""
        shown = json.loads(text)
        answer = json.loads(self.seen[self.seen.rindex("{") :])
        assert shown.keys() == answer.keys(), f"the page shows {list(shown)}, the response has {list(answer)}"

    def token(self) -> str:
        """The last token that was printed."""
        found = _TOKEN.findall(self.seen)
        assert found, f"no token was printed:\n{self.seen}"
        return found[-1]


def _until_signed_in(page: Page) -> None:
    """Wait for the page after the form; an evaluation during the navigation fails and is repeated."""
    for _ in range(3):
        try:
            page.wait("document.readyState === 'complete' && !document.querySelector('[name=password]')")
            break
        except AssertionError as error:
            if "navigation" not in str(error):
                raise


def fake_moss(livekit: LiveKitServer) -> FakeMoss:
    """A Moss API whose voice agent uses this LiveKit server."""
    return FakeMoss(url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret)


def terminal(moss: FakeMoss, folder: Path, path: str) -> dict[str, str]:
    """A terminal's environment: without Moss's variables, except the URL of the fake Moss."""
    kept = {
        name: value for name, value in clean_environ().items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "APP_"))
    }
    url = {"MOSS_PLATFORM_API_URL": moss.environ["MOSS_PLATFORM_API_URL"]}
    return {**kept, "HOME": str(folder), "PATH": path, **url}
