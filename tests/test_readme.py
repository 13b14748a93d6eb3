"""Pages: every code block in README.md, CONTRIBUTING.md and docs/ is run, or checked where it cannot be run.

A page is one session, from top to bottom: its Python blocks share their names, and its commands find the
environment of a fake Moss. A block inside an HTML comment is run as well, but readers do not see it: that is
where a page keeps its assertions.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import metadata
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx2
import pytest

import moss_voice_server
from moss_voice_server.testing import FakeMoss

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
SOURCE = Path(moss_voice_server.__file__).parent
EXAMPLES = ROOT / "examples"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

MOSS_HOST = "service.usemoss.dev"
PROGRAM = Path(sys.executable).parent / "moss-voice-server"

# Nothing in a page outlives this; only a command that never ends comes near it.
LONGEST = 120  # seconds

# Read by people and checked by nobody: the languages that draw, that show what a program printed, or that clients speak.
# `python3` is Python that has to stand in a project of its own: tests/examples/test_walk.py runs it there.
SHOWN_LANGUAGES = {"dart", "javascript", "kotlin", "mermaid", "python3", "swift", "text"}
# The first words of commands that belong to the reader's machine; nothing of ours can be wrong in them. The web servers
# among them are started by the tests of the examples.
SHOWN_COMMANDS = {
    ".",
    "cd",
    "curl",
    "django-admin",
    "flask",
    "functions-framework",
    "git",
    "go",
    "gunicorn",
    "npm",
    "uvicorn",
}


class Block(NamedTuple):
    """One fenced block: its language, its text, and the line of its page on which the text starts."""

    language: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order (CommonMark 4.5: the closing fence is at least as long)."""
    found = []
    opening: tuple[str, str, int] | None = None
    content: list[str] = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        mark = re.fullmatch(r" {0,3}(`{3,}|~{3,})\s*([\w+-]*).*", line)
        if opening is None:
            if mark:
                opening, content = (mark[1], mark[2], number + 1), []
        elif mark and not mark[2] and mark[1].startswith(opening[0]):
            found.append(Block(opening[1], "\n".join(content), opening[2]))
            opening = None
        else:
            content.append(line)
    assert opening is None, f"{page.name}:{opening[2] - 1}: this fence is never closed"
    return found


class Session:
    """What the blocks of one page share: Python names, one event loop, the environment of commands."""

    def __init__(self, page: Path, environ: dict[str, str], folder: Path) -> None:
        self.page = page
        self.names: dict[str, Any] = {"__name__": f"page_{page.stem}"}
        self.loop = asyncio.new_event_loop()
        self.environ = environ
        self.folder = folder

    def run(self, block: Block) -> None:
        """Run or check a block, by its language."""
        if block.language == "python":
            self.python(block)
        elif block.language == "bash":
            self.bash(block)
        elif block.language == "json":
            json.loads(block.text)
        else:
            where = f"{self.page.name}:{block.line}"
            assert block.language in SHOWN_LANGUAGES, f"{where}: how is {block.language or 'this'} to be run?"

    def python(self, block: Block) -> None:
        """Run Python among the page's names, under its line numbers; `await` may stand outside a function."""
        text = "\n" * (block.line - 1) + block.text
        code = compile(text, self.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        result = eval(code, self.names)
        if inspect.iscoroutine(result):
            self.loop.run_until_complete(asyncio.wait_for(result, LONGEST))

    def bash(self, block: Block) -> None:
        """Check each command of a shell block, and run those that are `moss-voice-server`'s."""
        for line in block.text.replace("\\\n", " ").splitlines():
            for command in re.split(r"\s&&\s", line):
                words = shlex.split(command, comments=True)
                while words and re.match(r"[A-Z_]+=", words[0]):
                    del words[0]
                if words:
                    self.command(command, words, f"{self.page.name}:{block.line}: {command.strip()}")

    def command(self, command: str, words: list[str], where: str) -> None:
        """Run one command, or check it, or know why neither is needed."""
        name = words[0].removeprefix(".venv/bin/")
        if name == "moss-voice-server":
            assert PROGRAM.exists(), f"{where}: install the package to run this"
            if words[1:] == ["dev"]:
                self.serve(where)
                return
            # bash, since the reader types it into a shell: pipes, quotes and all.
            script = f"set -o pipefail; {command.replace('.venv/bin/', '')}"
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=self.folder,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=LONGEST,
                check=False,
            )
            assert 0 == done.returncode, f"{where}\n{done.stdout}{done.stderr}"
        elif name in ("pip", "python", "python3", "uv"):
            check_python_tool(words[1:], where)
        elif name == "pytest":
            for path in (ROOT / word.partition("::")[0] for word in words[1:] if "/" in word):
                assert path.exists(), f"{where}: no {path.name}"
        elif name == "export":
            check_variable(words[1].partition("=")[0], where)
        elif "/" in name:
            assert os.access(ROOT / name, os.X_OK), f"{where}: no such program"
        else:
            assert name in SHOWN_COMMANDS, f"{where}: how is this to be run? Say so in {Path(__file__).name}"

    def serve(self, where: str) -> None:
        """Run `dev` until it says how to end it, and end it so."""
        with subprocess.Popen(
            [PROGRAM, "dev"], cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        ) as process:
            watch = Timer(LONGEST, process.kill)
            watch.start()
            try:
                assert process.stdout is not None
                assert any(line == b"Ctrl-C ends it.\n" for line in process.stdout), f"{where}: it ended by itself"
                process.send_signal(signal.SIGINT)
                assert 0 == process.wait(LONGEST), where
            finally:
                process.kill()
                watch.cancel()


def check_python_tool(words: list[str], where: str) -> None:
    """Whatever is installed is us, with extras that exist; whatever file is run is there."""
    for word in words:
        ours = re.fullmatch(r"(?:\.|moss-voice-server)\[([a-z,]+)\]", word)
        if ours:
            assert [] == sorted(set(ours[1].split(",")) - extras()), f"{where}: no such extra"
        elif word.endswith(".py"):
            # In a page on an example, a file is one of that example's folder.
            assert (ROOT / word).exists() or any(EXAMPLES.glob(f"*/{word}")), f"{where}: no {word}"


def check_variable(name: str, where: str) -> None:
    """A variable that a page sets is read somewhere in the source, or in an example."""
    word = re.compile(rf"\b{name.removesuffix('_FILE')}\b")
    files = [*SOURCE.rglob("*.py"), *EXAMPLES.rglob("*.py")]
    assert any(word.search(path.read_text(encoding="utf-8")) for path in files), f"{where}: nothing reads it"


def extras() -> set[str]:
    """The extras that the installed package offers."""
    return set(metadata("moss-voice-server").get_all("Provides-Extra") or ())


@pytest.fixture
def moss(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMoss]:
    """A fake Moss; it answers for the real one too, so that a page may leave `api_url` out as readers do."""
    with FakeMoss() as moss:
        transport = moss.transport()
        plain = httpx2.HTTPTransport.handle_request
        plain_async = httpx2.AsyncHTTPTransport.handle_async_request

        def handle(self: httpx2.HTTPTransport, request: httpx2.Request) -> httpx2.Response:
            return transport.handle_request(request) if is_moss(request) else plain(self, request)

        async def handle_async(self: httpx2.AsyncHTTPTransport, request: httpx2.Request) -> httpx2.Response:
            if is_moss(request):
                return await transport.handle_async_request(request)
            return await plain_async(self, request)

        monkeypatch.setattr(httpx2.HTTPTransport, "handle_request", handle)
        monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", handle_async)
        yield moss


def is_moss(request: httpx2.Request) -> bool:
    """Whether a request is for the real Moss API; one that would go anywhere else outside is an error."""
    host = urlsplit(str(request.url)).hostname
    assert host in (MOSS_HOST, "127.0.0.1", "localhost"), f"a page asks {host}: only loopback is allowed"
    return host == MOSS_HOST


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


@every_page
def test_page_runs(page: Path, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every block of a page does what the page says, read from top to bottom."""
    for name, value in moss.environ.items():
        monkeypatch.setenv(name, value)
    # A home of its own: no LiveKit server from the cache folder, no file of whoever runs the tests.
    environ = {**moss.environ, "PATH": f"{PROGRAM.parent}:{os.defpath}", "HOME": str(tmp_path)}
    session = Session(page, environ, tmp_path)
    try:
        for block in blocks(page):
            session.run(block)
    finally:
        session.loop.close()


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    """Every link of a page to another file of this repository finds it."""
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [] == [link for link in links if "://" not in link and not (page.parent / link).exists()]


def test_readme_opens_with_two_commands() -> None:
    """The README's first two blocks are one line each: the first runs the main job, the second the tests."""
    first, second = blocks(ROOT / "README.md")[:2]
    assert ("bash", 1) == (first.language, len(first.text.splitlines()))
    assert ("bash", 1) == (second.language, len(second.text.splitlines()))
    assert "moss-voice-server" in first.text
    assert second.text.endswith("pytest")
