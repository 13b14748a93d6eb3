"""Site: the documentation builds without a warning, its links lead somewhere, and it leaves out nothing that is public."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import os
import pkgutil
import re
import subprocess
import sys
import traceback
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

import moss_voice_server
from moss_voice_server import errors

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
SOURCE = Path(moss_voice_server.__file__).parent

TOO_OLD = sys.version_info < (3, 11)

# The inside of the commands, of the doctor and of the local page: no underscore, and nothing to import for an application.
INSIDE = re.compile(r"moss_voice_server(\.cli.*|\.doctor\..+|\.dev(?!\.livekit$).*|\.pytest_plugin|\.server|)")
FRONT = ("moss_voice_server.MossVoiceServer", "moss_voice_server.ParticipantInfo")
# There `environ` is a request's (PEP 3333), not the process's.
WSGI = {"wsgi.py", "flask.py", "django.py", "endpoint.py", "_endpoint.py"}


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
    """What a built page offers to link to, links to, and loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at one tag."""
        said = dict(attrs)
        self.ids.add(said.get("id") or "")
        if tag == "a" and said.get("href"):
            self.links.append(said["href"] or "")
        if tag in ("img", "script", "iframe", "source") and said.get("src"):
            self.loads.append(said["src"] or "")
        if tag == "link" and said.get("href") and said.get("rel") in ("stylesheet", "preload", "icon"):
            self.loads.append(said["href"] or "")


def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    """Every link between pages finds its page, and the very place on it."""
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
    """A reader without a network sees the whole site: no script, style, font or picture comes from another host."""
    foreign = {link for path in site.rglob("*.html") for link in Page(path).loads if urlsplit(link).netloc}
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    assert (set(), []) == (foreign, re.findall(r"(?:@import|url\()\s*[\"']?(?:https?:)?//[^)]*", styles))


def test_every_page_is_in_the_table_of_contents(site: Path) -> None:
    """Every page of the sources is built, and the home page leads to it."""
    sources = {
        path.relative_to(DOCS).with_suffix(".html").as_posix() for path in [*DOCS.rglob("*.md"), *DOCS.rglob("*.rst")]
    }
    linked = {urlsplit(link).path for link in Page(site / "index.html").links}
    assert set() == sources - linked - {"index.html"}


def test_every_module_is_in_the_page_on_the_structure() -> None:
    """The page on the structure names the modules of each folder of the package: all that are there, each once, and no other."""
    page = (DOCS / "structure.md").read_text(encoding="utf-8")
    told: dict[str, list[str]] = {}
    for folder, text in re.findall(r"^## [^\n]*`([\w/]+)/`\n(.*?)(?=^## )", page, flags=re.DOTALL | re.MULTILINE):
        rows = re.findall(r"^\| (`[^|]*) \|", text, flags=re.MULTILINE)
        told[folder.removeprefix("moss_voice_server")] = sorted(re.findall(r"`(\w+\.py)`", " ".join(rows)))
    there: dict[str, list[str]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        folder = path.parent.relative_to(SOURCE).as_posix()
        # What stands in an __init__.py of a folder is said by the folder's heading.
        if folder == "." or path.name != "__init__.py":
            there.setdefault("" if folder == "." else folder, []).append(path.name)
    assert there == told


def test_every_error_has_its_section() -> None:
    """Each error's code is a heading of the errors page, which names the class below it; that is where `help_link` leads."""
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (\w+)\n\n`(\w+)`", page, flags=re.M))
    kinds = [each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.MossVoiceError)]
    assert {each.code: each.__name__ for each in kinds} == {each.code: sections.get(each.code) for each in kinds}
    assert [f"docs/reference/errors.md#{each.code}" for each in kinds] == [each("text").help_link for each in kinds]
    assert (ROOT / kinds[0]("").help_link.partition("#")[0]).exists()


@pytest.mark.skipif(TOO_OLD, reason="tracebacks show notes from Python 3.11 on (PEP 678)")
def test_a_traceback_tells_where_the_remedy_stands() -> None:
    """The last line of an error's traceback leads to its section; its text stays what it is."""
    error = errors.CredentialsRejected("refused")
    lines = "".join(traceback.format_exception_only(error)).splitlines()
    assert ("refused", "cause and remedy: docs/reference/errors.md#credentials_rejected") == (str(error), lines[-1])


def test_every_public_name_has_a_docstring() -> None:
    """Whatever can be imported says what it is: modules, classes, functions, methods and properties."""
    bare = [
        name
        for module in public_modules()
        for name, value in public_names(module)
        if not (inspect.getdoc(value) or "").strip() or (inspect.isclass(value) and not vars(value).get("__doc__"))
    ]
    assert [] == bare


def test_every_refusal_of_an_argument_is_documented() -> None:
    """The docstring of whatever can be called and refuses arguments says what it refuses, under `Raises:`."""
    silent = [
        name
        for module in public_modules()
        for name, value in public_names(module)
        if (name.startswith(FRONT) or not INSIDE.fullmatch(module.__name__))
        and refuses(value)
        and "Raises:" not in documentation(value)
    ]
    assert [] == silent


def test_every_public_module_is_in_the_reference() -> None:
    """The API page shows every module that an application may import."""
    page = (DOCS / "reference" / "api.rst").read_text(encoding="utf-8")
    shown = set(re.findall(r"^\.\. auto(?:module|class):: ([\w.]+)", page, flags=re.M))
    wanted = {name for name in names_of_modules() if not INSIDE.fullmatch(name)}
    assert set() == wanted - shown
    assert set(moss_voice_server.__all__) <= {name.rpartition(".")[2] for name in shown}


def test_every_command_is_in_the_reference() -> None:
    """The page on the command line shows the help of each command that the program has."""
    done = subprocess.run(
        [sys.executable, "-m", "moss_voice_server", "--help"], capture_output=True, text=True, check=True
    )
    commands = re.findall(r"^    ([a-z]+) ", done.stdout.partition("examples:")[0], flags=re.M)
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


def refuses(value: Any) -> bool:
    """Whether calling this may raise `InvalidArgument`: itself, a function of ours that it calls, or a class that it makes."""
    value = value.fget if isinstance(value, property) else inspect.unwrap(getattr(value, "__func__", value))
    ours = getattr(value, "__module__", "").startswith("moss_voice_server")
    if not ours or not (inspect.isclass(value) or inspect.isfunction(value)):
        return False  # the language's own, such as what a dataclass or a named tuple brings
    file = inspect.getsourcefile(value)
    assert file
    # A class refuses when it is made: its other methods speak for themselves.
    names = [value.__qualname__]
    if inspect.isclass(value):
        names = [f"{value.__qualname__}.{maker}" for maker in MAKERS]
    todo = [(Path(file), name) for name in names]
    done: set[tuple[Path, str]] = set()
    while todo:
        path, name = each = todo.pop()
        tree = TREES.get(path) or TREES.setdefault(path, ast.parse(path.read_text(encoding="utf-8")))
        definition = find(tree, name)
        if each in done or definition is None:
            continue
        done.add(each)
        for node in ast.walk(definition):
            if isinstance(node, ast.Raise) and node.exc and ast.unparse(node.exc).startswith("InvalidArgument("):
                return True
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                target = where(node.func.id, path, tree)
                todo += [(target, node.func.id), *((target, f"{node.func.id}.{maker}") for maker in MAKERS)]
    return False


def documentation(value: Any) -> str:
    """The docstring, and those that it sends its reader to: the sync class says what differs from the async one."""
    text = inspect.getdoc(value) or ""
    others = re.findall(r"See `MossVoiceServer\.(\w+)`", text)
    return "\n".join(
        [text, *(inspect.getdoc(getattr(moss_voice_server.MossVoiceServer, other)) or "" for other in others)]
    )


MAKERS = ("__init__", "__post_init__", "__new__")
TREES: dict[Path, ast.Module] = {}


def find(tree: ast.Module, name: str) -> ast.AST | None:
    """The function or method with this qualified name."""
    found: ast.AST | None = tree
    for part in name.split("."):
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        inside = ast.iter_child_nodes(found) if found else ()
        found = next((node for node in inside if isinstance(node, kinds) and node.name == part), None)
    return None if isinstance(found, ast.ClassDef) else found


def where(name: str, path: Path, tree: ast.Module) -> Path:
    """The file of the package that a name of this file comes from: this one, if it is not imported from another."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and name in (each.name for each in node.names):
            folder = path.parents[node.level - 1] if node.level else SOURCE.parent
            file = folder.joinpath(*(node.module or "").split(".")).with_suffix(".py")
            if file.exists():
                return file
    return path


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


def names_of_modules() -> list[str]:
    """Every module without an underscore in its path."""
    walked = pkgutil.walk_packages([str(SOURCE)], "moss_voice_server.", onerror=lambda _name: None)
    names = ["moss_voice_server", *(module.name for module in walked)]
    return [name for name in names if not any(part.startswith("_") for part in name.split("."))]


def public_modules() -> list[Any]:
    """Those modules, imported; one whose framework is absent is left out."""
    modules = []
    for name in names_of_modules():
        try:
            modules.append(importlib.import_module(name))
        except ImportError:
            if "CI" in os.environ:
                raise
    return modules


def public_names(module: Any) -> list[tuple[str, Any]]:
    """The module, what it defines and what `__all__` names; of classes, what they define themselves."""
    names = getattr(module, "__all__", None) or [
        name for name, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
    ]
    found = [(module.__name__, module)]
    for name in names:
        value = getattr(module, name)
        if name.startswith("_") or not (inspect.isclass(value) or inspect.isroutine(value)):
            continue
        found.append((f"{module.__name__}.{name}", value))
        if inspect.isclass(value):
            found += [
                (f"{module.__name__}.{name}.{member}", each)
                for member, each in vars(value).items()
                if not member.startswith("_")
                and (inspect.isroutine(each) or isinstance(each, (property, classmethod, staticmethod)))
            ]
    return found
