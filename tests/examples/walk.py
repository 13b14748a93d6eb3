"""Walk: a quickstart followed to the letter by a reader who knows nothing else, in a folder with nothing in it.

`python -m tests.examples.walk WHEEL [NAME...]` walks in an empty virtual environment each; the tests walk in their own.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import httpx2

from moss_voice_server.testing import FakeMoss, LiveKitServer
from tests.dev.chromium import Browser, Page, chromium
from tests.examples.serving import LONGEST, serving
from tests.processes.program import clean_environ

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
INSTALLING = 300.0  # seconds for one block of commands, if it installs packages

# What a page writes for the reader's own values.
_YOURS = {
    "your-project-id": "MOSS_PROJECT_ID",
    "your-project-key": "MOSS_PROJECT_KEY",
    "your-voice-agent-id": "MOSS_VOICE_AGENT_ID",
}
# The programs that serve until they are ended: the port that each takes by itself, and how to give it a free one.
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
_APPENDED = re.compile(r"[Aa]dd (?:this|these lines) at the end of `([\w./-]+)`")
_SIGN_IN = re.compile(r"[Ss]ign in at <http://127\.0\.0\.1:8000([\w/]+)> as `(\w+)` with `([\w-]+)`")
_TOKEN = re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+")


@dataclass(frozen=True)
class Walk:
    """A quickstart: a page, and those of its sections that a reader goes through."""

    page: str
    sections: tuple[str, ...]
    needs: str = ""
    """A program that the page installs and the tests do not."""


WALKS = {
    "readme-asyncio": Walk("README.md", ("Use it with asyncio (FastAPI and others)",)),
    "readme-sync": Walk("README.md", ("Install", "Use it without (Flask, Django, scripts)")),
    "fastapi": Walk("docs/fastapi.md", ("Install", "The application")),
    "flask": Walk("docs/flask.md", ("Install", "The application")),
    "django": Walk("docs/django.md", ("Install", "The application")),
    "asgi": Walk("docs/asgi-wsgi.md", ("Install", "ASGI: Starlette")),
    "wsgi": Walk("docs/asgi-wsgi.md", ("Install", "WSGI")),
    "script": Walk("docs/script.md", ("Install", "The script")),
    "lambda": Walk("docs/serverless.md", ("Install", "AWS Lambda")),
    "google": Walk("docs/serverless.md", ("Install", "Google Cloud Run functions"), "functions-framework"),
}


class Step(NamedTuple):
    """One block of a page: what a reader does with it is `write`, `append`, `run`, `browse` or `compare`."""

    deed: str
    text: str
    file: str = ""
    before: str = ""
    """The prose that leads to it."""


def steps(walk: Walk) -> list[Step]:
    """What a page tells its reader to do, in order. HTML comments are not seen by readers, and so not here."""
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
    if appended := _APPENDED.findall(before):
        return [Step("append", text, appended[-1])]
    deeds = {"bash": "run", "javascript": "browse", "json": "compare"}
    # Anything else is shown as another way, not as part of this one.
    return [Step(deeds[language], text, before=before)] if language in deeds else []


@dataclass
class Reader:
    """Somebody at a terminal, in an empty folder, with a Moss project and a LiveKit server."""

    folder: Path
    moss: FakeMoss
    environ: Mapping[str, str]
    """What the terminal has before anything is typed."""
    installs: bool
    """Whether what the page says about installing is done, or has been done already."""
    browser: Browser | None = None
    seen: str = ""
    """Everything that was printed."""
    _url: str = ""
    _default: int = 0
    _exported: dict[str, str] = field(default_factory=dict)

    def follow(self, walk: Walk, stack: ExitStack) -> None:
        """Do everything that the page says; servers run on until `stack` is closed."""
        self._exported = dict(self.environ)
        for step in steps(walk):
            if step.deed in ("write", "append"):
                with (self.folder / step.file).open("w" if step.deed == "write" else "a", encoding="utf-8") as file:
                    file.write(step.text)
            elif step.deed == "run":
                self._type(step.text, stack)
            elif step.deed == "browse":
                self._browse(step, stack)
            else:
                self._compare(step.text)

    def _type(self, block: str, stack: ExitStack) -> None:
        """Type a block of commands. One that serves keeps its terminal; what comes after is typed into a new one."""
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
        if not self.installs:
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
            timeout=INSTALLING if self.installs else LONGEST,
            check=False,
        )
        assert 0 == done.returncode, f"{script}\n{done.stdout}{done.stderr}"
        self.seen += done.stdout
        self._exported = dict(line.split("=", 1) for line in kept.read_text().split("\0") if line)
        kept.unlink()

    def _browse(self, step: Step, stack: ExitStack) -> None:
        """Sign in where the page says, and type the script into the browser's console."""
        said = _SIGN_IN.search(step.before)
        assert said, "where to sign in, as whom and with what?"
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
        """The page shows what comes of it: the last answer has the same keys."""
        shown = json.loads(text)
        answer = json.loads(self.seen[self.seen.rindex("{") :])
        assert shown.keys() == answer.keys(), f"the page shows {list(shown)}, and it is {list(answer)}"

    def token(self) -> str:
        """The token that the reader has got at the end: the last one that was printed."""
        found = _TOKEN.findall(self.seen)
        assert found, f"no token was printed:\n{self.seen}"
        return found[-1]


def _until_signed_in(page: Page) -> None:
    """Wait for the page that comes after the form; a look at the moment of the change is no look at either."""
    for _ in range(3):
        try:
            page.wait("document.readyState === 'complete' && !document.querySelector('[name=password]')")
            break
        except AssertionError as error:
            if "navigation" not in str(error):
                raise


def fake_moss(livekit: LiveKitServer) -> FakeMoss:
    """A Moss API whose voice agent has this LiveKit server."""
    return FakeMoss(url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret)


def verdict(livekit: LiveKitServer, token: str) -> tuple[int, str]:
    """What the LiveKit server says to a token."""
    with httpx2.Client(trust_env=False, timeout=LONGEST) as client:
        answer = client.get(f"{livekit.http_url}/rtc/validate", params={"access_token": token})
    return answer.status_code, answer.text.strip()


def terminal(moss: FakeMoss, folder: Path, path: str) -> dict[str, str]:
    """The environment of a terminal: nothing of Moss but where its fake is, since the real one is not asked."""
    kept = {
        name: value for name, value in clean_environ().items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "APP_"))
    }
    url = {"MOSS_PLATFORM_API_URL": moss.environ["MOSS_PLATFORM_API_URL"]}
    return {**kept, "HOME": str(folder), "PATH": path, **url}


def main() -> int:
    """Walk each quickstart in an empty environment of its own, and say how it ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.examples.walk", description=main.__doc__)
    parser.add_argument("wheel", type=Path, help="the wheel that `pip install moss-voice-server` finds")
    parser.add_argument("names", nargs="*", metavar="name", help=f"of {', '.join(WALKS)} (default: all)")
    options = parser.parse_args()
    failed = []
    os.environ["PIP_FIND_LINKS"] = str(options.wheel.resolve().parent)
    with LiveKitServer() as livekit:
        for name in options.names or WALKS:
            with ExitStack() as stack:
                folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"walk-{name}-")))
                moss = stack.enter_context(fake_moss(livekit))
                path = os.pathsep.join(each for each in os.defpath.split(os.pathsep) if each)
                reader = Reader(folder, moss, terminal(moss, folder, path), installs=True)
                try:
                    reader.follow(WALKS[name], stack)
                    end = verdict(livekit, reader.token())
                except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as error:
                    end = 0, str(error)
            print(f"{'ok  ' if end == (200, 'success') else 'FAIL'}  {name}: {' '.join(map(str, end))}", flush=True)
            failed += [name] if end != (200, "success") else []
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
