"""The documentation builds without a warning, its links work, and it leaves out nothing that is public."""

from __future__ import annotations

import ast
import html
import importlib.util
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import moss_voice_server
from moss_voice_server import errors
from tests.livekit.needs import absent

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SOURCE = Path(moss_voice_server.__file__).parent

TOO_OLD = sys.version_info < (3, 11)
# In these, `environ` is a request's (PEP 3333), not the process's.
WSGI = {"wsgi.py", "flask.py", "django.py", "identity.py"}
# One page shows several modules.
SHOWS = re.compile(r"^\.\. (?:auto|py:)module:: moss_voice_server\.?(\w*)", re.MULTILINE)


def tags(path: Path) -> list[tuple[str, dict[str, str]]]:
    """The tags of a built page and their attributes; Sphinx writes these in double quotes."""
    return [
        (tag, {name: html.unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', attributes)})
        for tag, attributes in re.findall(r"<(\w+)\s([^>]*)>", path.read_text(encoding="utf-8"))
    ]


def test_site() -> None:
    """The site builds without a warning; its links find their places; nothing is loaded from another host; no page is
    missing in the table of contents.
    """
    if TOO_OLD:
        pytest.skip("the site is built on Python 3.11 or newer")
    for name in ("sphinx", "myst_parser", "furo"):
        if importlib.util.find_spec(name) is None:
            absent(f"{name} is not installed: pip install 'moss-voice-server[docs]'")
    site = ROOT / "build" / "docs"
    shutil.rmtree(site, ignore_errors=True)  # pages that were removed since the last build
    command, environ = [str(ROOT / "scripts" / "docs"), "-E"], {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert (0, "") == (done.returncode, done.stderr)

    found = [(path, tag, values) for path in site.rglob("*.html") for tag, values in tags(path)]
    ids = {(path, values["id"]) for path, _, values in found if "id" in values}
    links = {(path, values["href"]) for path, tag, values in found if tag == "a" and values.get("href")}
    resources = ("stylesheet", "preload", "icon")
    loads = {
        (path, values.get("src") or values["href"])
        for path, _, values in found
        if "src" in values or values.get("rel") in resources
    }
    broken = []
    for path, link in links | loads:
        parts = urlsplit(link)
        if parts.scheme or parts.netloc or link == "#":
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        place = (target, unquote(parts.fragment))
        if not target.exists() or (parts.fragment and target.suffix == ".html" and place not in ids):
            broken.append(f"{path.relative_to(site)}: {link}")
    assert links
    assert [] == broken

    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert set() == {link for _, link in loads if urlsplit(link).netloc}
    assert [] == re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)]*", styles)

    sources = {
        path.relative_to(DOCS).with_suffix(".html").as_posix()
        for path in DOCS.rglob("*")
        if path.suffix in (".md", ".rst")
    }
    linked = {urlsplit(link).path for path, link in links if path == site / "index.html"}
    assert set() == sources - linked - {"index.html"}


def test_structure_names_every_folder_and_public_module() -> None:
    """The page on the structure names each public module and each private folder of the package, and no file that is gone."""
    page = (DOCS / "structure.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE))))
    there = {path.parent.name for path in SOURCE.glob("_*/__init__.py")} | public_modules()
    assert set() == there - named
    files = re.findall(r"`(_\w+/\w+\.py)`", page)
    assert files
    assert [] == [file for file in files if not (SOURCE / file).is_file()]


def test_every_error_has_its_section() -> None:
    """Each error's code is a heading of the errors page, which names the class below it."""
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    sections = {name: heading for heading, name in re.findall(r"^## (\w+)\n\n`(\w+)`", page, re.MULTILINE)}
    kinds = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.MossVoiceError)]
    codes = {each.__name__: each.code for each in kinds}
    # Its code says why a request was rejected.
    assert {**codes, "WebhookRejected": "webhook_rejected"} == sections


def test_every_public_module_is_in_the_reference() -> None:
    """The pages of the API reference show exactly the public modules."""
    pages = "".join(path.read_text(encoding="utf-8") for path in sorted((DOCS / "reference" / "api").glob("*.rst")))
    assert {"", *public_modules()} == set(SHOWS.findall(pages))


def test_every_command_is_in_the_reference() -> None:
    """The page on the command line shows the help of each command that the program has."""
    done = subprocess.run(
        [sys.executable, "-m", "moss_voice_server", "--help"], capture_output=True, text=True, check=True
    )
    commands = re.findall(r"^    ([a-z]+)\b", done.stdout.partition("examples:")[0], flags=re.M)
    page = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")
    assert "token" in commands
    assert set(commands) == set(re.findall(r"^:::\{program-help\} (\w+)$", page, flags=re.M))


def test_every_variable_is_in_the_table() -> None:
    """Every environment variable that the source reads is in the page on the environment."""
    page = (DOCS / "reference" / "environment.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", page))
    read = {name for path in SOURCE.rglob("*.py") if path.name not in WSGI for name in variables(path)}
    assert {"MOSS_PROJECT_KEY", "LIVEKIT_API_SECRET", "XDG_CACHE_HOME", "K_SERVICE"} <= read
    assert set() == read - documented


def variables(path: Path) -> set[str]:
    """The environment variables that a file reads: arguments of `environ`, and texts that are named like ours."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = {getattr(node, "id", getattr(node, "name", "")) for node in ast.walk(tree)}
    found = {text for text in map(constant, ast.walk(tree)) if re.fullmatch(r"(?:MOSS|LIVEKIT)_[A-Z_]*[A-Z]", text)}
    found -= own
    for node in ast.walk(tree):
        # A function that uses the process's environment: every text in capitals.
        if isinstance(node, ast.FunctionDef) and "os.environ" in ast.unparse(node):
            found |= {text for text in map(constant, ast.walk(node)) if re.fullmatch(r"[A-Z][A-Z0-9_]{2,}", text)}
        elif isinstance(node, ast.Call) and re.search(r"environ(\.reveal\(\))?\.get$", ast.unparse(node.func)):
            found |= {*map(constant, node.args[:1])}
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
            found.add(constant(node.slice))
    return found - {""}


def constant(node: ast.AST) -> str:
    """The text of a literal, or nothing."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def public_modules() -> set[str]:
    """The modules and packages without a leading underscore, directly in the package."""
    return {module.name for module in pkgutil.iter_modules([str(SOURCE)]) if not module.name.startswith("_")}
