"""Site: the documentation builds without a warning, its links work, and it leaves out nothing that is public."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import pkgutil
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import moss_voice_server
from moss_voice_server import errors

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SOURCE = Path(moss_voice_server.__file__).parent

TOO_OLD = sys.version_info < (3, 11)

# In these, `environ` is a request's (PEP 3333), not the process's.
WSGI = {"wsgi.py", "flask.py", "django.py", "identity.py"}
# One page shows several modules.
SHOWS = re.compile(r"^\.\. (?:auto|py:)module:: moss_voice_server\.?(\w*)", re.MULTILINE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `scripts/docs` builds it."""
    if TOO_OLD:
        pytest.skip("the site is built on Python 3.11 or newer")
    absent = [name for name in ("sphinx", "myst_parser", "furo") if importlib.util.find_spec(name) is None]
    if absent:
        assert "CI" not in os.environ, f"{absent} must be here: the extra `docs` is part of `dev`"
        pytest.skip(f"{', '.join(absent)} not installed: pip install 'moss-voice-server[docs]'")
    folder = tmp_path_factory.mktemp("site")
    options = ["-b", "html", "-n", "-W", "--keep-going", "-q", "-d", str(folder / "trees")]
    command = [sys.executable, "-m", "sphinx", *options, str(DOCS), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (0, "") == (done.returncode, done.stderr)
    return folder / "html"


class Page(HTMLParser):
    """The IDs, links and resources of a built page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record one tag."""
        values = dict(attrs)
        self.ids.add(values.get("id") or "")
        if tag == "a" and values.get("href"):
            self.links.append(values["href"] or "")
        if tag in ("img", "script", "iframe", "source") and values.get("src"):
            self.loads.append(values["src"] or "")
        if tag == "link" and values.get("href") and values.get("rel") in ("stylesheet", "preload", "icon"):
            self.loads.append(values["href"] or "")


def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    """Every link between pages finds its page, and its place on the page."""
    pages = {path: Page(path) for path in site.rglob("*.html")}
    broken = []
    for path, page in pages.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link == "#":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = target.exists()
            if there and parts.fragment and target in pages:
                there = unquote(parts.fragment) in pages[target].ids
            if not there:
                broken.append(f"{path.relative_to(site)}: {link}")
    assert [] == broken


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    """The site works offline: no script, style, font or picture comes from another host."""
    foreign = {link for path in site.rglob("*.html") for link in Page(path).loads if urlsplit(link).netloc}
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert (set(), []) == (foreign, re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)]*", styles))


def test_every_page_is_in_the_table_of_contents(site: Path) -> None:
    """Every page is built, and the home page's navigation contains it."""
    sources = {
        path.relative_to(DOCS).with_suffix(".html").as_posix() for path in [*DOCS.rglob("*.md"), *DOCS.rglob("*.rst")]
    }
    linked = {urlsplit(link).path for link in Page(site / "index.html").links}
    assert set() == sources - linked - {"index.html"}


def test_structure_names_every_folder_and_public_module() -> None:
    """The page on the structure names each public module and each private folder of the package."""
    page = (DOCS / "structure.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`[^|]*) \|", page, re.MULTILINE))))
    there = {path.parent.name for path in SOURCE.glob("_*/__init__.py")} | public_modules()
    assert set() == there - named


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
    """The environment variables that a file reads: `environ` asked for them, or they are named like ours."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    own = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, ast.alias)}
    found = {text for text in texts(tree) if re.fullmatch(r"(?:MOSS|LIVEKIT)_[A-Z_]*[A-Z]", text)} - own
    for node in ast.walk(tree):
        # A function that goes through the process's environment: whatever it spells in capitals.
        if isinstance(node, ast.FunctionDef) and "os.environ" in ast.unparse(node):
            found |= {text for text in texts(node) if re.fullmatch(r"[A-Z][A-Z0-9_]{2,}", text)}
        elif isinstance(node, ast.Call) and re.search(r"environ(\.reveal\(\))?\.get$", ast.unparse(node.func)):
            found |= {text for text in map(constant, node.args[:1]) if text}
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
            found |= {text for text in [constant(node.slice)] if text}
    return found


def texts(tree: ast.AST) -> set[str]:
    """Every text in a piece of source."""
    return {text for node in ast.walk(tree) for text in [constant(node)] if text}


def constant(node: ast.AST) -> str:
    """The text of a literal, or nothing."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def public_modules() -> set[str]:
    """The modules and packages without a leading underscore, directly in the package."""
    return {module.name for module in pkgutil.iter_modules([str(SOURCE)]) if not module.name.startswith("_")}
