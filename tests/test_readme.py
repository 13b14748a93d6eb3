"""Pages: every code block of the READMEs, CONTRIBUTING.md, RELEASING.md and docs/ runs, or is checked where it cannot run.

A page is one session, from top to bottom: its Python blocks share their names, and its commands see the environment of
a fake Moss. A block in an HTML comment runs too, but readers do not see it: there a page keeps its assertions.
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

import pytest

import moss_voice_server
from moss_voice_server.testing import FakeLiveKit, FakeMoss

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
SOURCE = Path(moss_voice_server.__file__).parent
EXAMPLES = ROOT / "examples"
PAGES = [
    *(ROOT / page for page in ("README.md", "CONTRIBUTING.md", "RELEASING.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]

PROGRAM = Path(sys.executable).parent / "moss-voice-server"

LONGEST = 120  # seconds for one command or block; only one that hangs comes near it

# Shown, not run: drawings, output, the clients' languages, and files that belong to a reader's project (`python3`), which
# tests/examples/test_walk.py runs there.
SHOWN_LANGUAGES = {"dart", "html", "javascript", "kotlin", "mermaid", "python3", "swift", "text", "yaml"}
# Programs on the reader's machine. The tests of the examples start the web servers among them.
SHOWN_COMMANDS = ". cd curl django-admin flask functions-framework git go gunicorn npm uvicorn"


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
            assert block.language in SHOWN_LANGUAGES, f"{where}: no rule for the language {block.language!r}"

    def python(self, block: Block) -> None:
        """Run Python with the page's names and line numbers; `await` may stand outside a function."""
        text = "\n" * (block.line - 1) + block.text
        code = compile(text, self.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        result = eval(code, self.names)
        if inspect.iscoroutine(result):
            self.loop.run_until_complete(asyncio.wait_for(result, LONGEST))

    def bash(self, block: Block) -> None:
        """Check each command of a shell block, and run those of `moss-voice-server`."""
        for line in block.text.replace("\\\n", " ").splitlines():
            for command in re.split(r"\s&&\s", line):
                words = shlex.split(command, comments=True)
                while words and re.match(r"[A-Z_]+=", words[0]):
                    del words[0]
                if words:
                    self.command(command, words, f"{self.page.name}:{block.line}: {command.strip()}")

    def command(self, command: str, words: list[str], where: str) -> None:
        """Run one command, or check it."""
        name = words[0].removeprefix(".venv/bin/")
        if name == "moss-voice-server":
            assert PROGRAM.exists(), f"{where}: install the package to run this"
            self.program(command, words[1:], where)
        elif name in ("pip", "python", "python3", "uv"):
            check_python_tool(words[1:], where)
        elif name == "pytest":
            for path in (ROOT / word.partition("::")[0] for word in words[1:] if "/" in word):
                assert path.exists(), f"{where}: no {path.name}"
        elif name == "export":
            check_variable(words[1].partition("=")[0], self.page, where)
        elif "/" in name:
            assert os.access(ROOT / name, os.X_OK), f"{where}: no such program"
        else:
            assert name in SHOWN_COMMANDS.split(), f"{where}: no rule for this command in {Path(__file__).name}"

    def program(self, command: str, arguments: list[str], where: str) -> None:
        """Run `moss-voice-server` as a reader types it into a shell; one that serves is ended with Ctrl-C."""
        serves = arguments == ["dev"]
        script = command.strip().replace(".venv/bin/", "")
        process = subprocess.Popen(
            ["bash", "-c", f"exec {script} --no-build-livekit" if serves else f"set -o pipefail; {script}"],
            cwd=self.folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        watch = Timer(LONGEST, process.kill)
        watch.start()
        try:
            assert process.stdout is not None
            if serves:
                assert any("Ctrl-C" in line for line in process.stdout), f"{where}: it ended by itself"
                process.send_signal(signal.SIGINT)
            output = process.stdout.read()
            assert 0 == process.wait(LONGEST), f"{where}\n{output}"
        finally:
            watch.cancel()
            process.kill()
            process.communicate()


def check_python_tool(words: list[str], where: str) -> None:
    """An installed extra of ours exists, and so does each file that runs."""
    for word in words:
        ours = re.fullmatch(r"(?:\.|(?:\./)?moss-voice-server)\[([a-z,]+)\]", word)
        if ours:
            assert [] == sorted(set(ours[1].split(",")) - extras()), f"{where}: no such extra"
        elif word.endswith(".py"):
            # On a page about an example, a file is one of that example's folder.
            assert (ROOT / word).exists() or any(EXAMPLES.glob(f"*/{word}")), f"{where}: no {word}"


def check_variable(name: str, page: Path, where: str) -> None:
    """The source, an example or the page itself reads a variable that the page sets."""
    word = re.compile(rf"\b{name.removesuffix('_FILE')}\b")
    files = [*SOURCE.rglob("*.py"), *EXAMPLES.rglob("*.py")]
    texts = [path.read_text(encoding="utf-8") for path in files]
    assert any(word.search(text) for text in [*texts, *(b.text for b in blocks(page) if b.language == "python")]), where


def extras() -> set[str]:
    """The extras of the installed package."""
    return set(metadata("moss-voice-server").get_all("Provides-Extra") or ())


@pytest.fixture
def moss() -> Iterator[FakeMoss]:
    """A fake Moss, with a fake LiveKit."""
    with (
        FakeLiveKit(agents=["example-agent"]) as livekit,
        FakeMoss(url=livekit.url, api_key=livekit.api_key, api_secret=livekit.api_secret) as moss,
    ):
        yield moss


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


@every_page
def test_page_runs(page: Path, moss: FakeMoss, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every block of a page does what the page says, read from top to bottom."""
    for name, value in moss.environ.items():
        monkeypatch.setenv(name, value)
    # A separate home: neither a cached LiveKit server nor the developer's files.
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
    """The README's first two blocks are one line each: the main job, and the tests. `.ci/run` runs them."""
    first, second = blocks(ROOT / "README.md")[:2]
    assert [("bash", 1), ("bash", 1)] == [(each.language, len(each.text.splitlines())) for each in (first, second)]
    assert ("moss-voice-server" in first.text, ".venv/bin/pytest" in second.text) == (True, True)


# What the glossary replaced. A hit needs its reason here.
BANNED = re.compile(
    r"\b(wish(es)?|keeper|crew|boarding|told|exchang(e|es|ing|ed) (the )?keys|weakness(es)?|nobody|whoever|anybody|sent for|"
    r"sends? for|for ever|in hand|of its own|perhaps|it seems|time-outs?|white space|log-in|look-up|soft[ _]age|hard[ _]age)\b",
    re.IGNORECASE,
)


@every_page
def test_words_of_the_glossary(page: Path) -> None:
    """No page uses a word that docs/glossary.md has replaced."""
    lines = enumerate(page.read_text(encoding="utf-8").splitlines(), start=1)
    assert [] == [f"{number}: {line}" for number, line in lines if BANNED.search(line)]
