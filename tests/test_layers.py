"""Layers: the allowed imports, checked in the source; and the modules that `import moss_voice_server` loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import moss_voice_server

pytestmark = pytest.mark.once

PACKAGE = "moss_voice_server"
ROOT = Path(moss_voice_server.__file__).parent

# From the bottom up, one chain: a module may import from its own line and from the lines above it. A folder counts as one name.
LAYERS = (
    "errors",
    "_clock _duration _escape _files _functions _json _jwt _livekit_credentials _random _secret _urls _validation",
    "_environment",
    "grants credentials",
    "_token",
    "_http",
    "_credentials",
    "_livekit_api _session_reports",
    "rooms webhooks transcripts",
    "_server",
    "identity _admission",
    "_guests",
    "endpoint rate_limit",
    "_endpoint",
    "asgi wsgi fastapi flask django",
    "testing",
    "pytest_plugin",
    "_inspect",
    "_dev _doctor",
    "_cli __main__",
    "__init__",
)
LEVELS = {name: level for level, names in enumerate(LAYERS) for name in names.split()}

# Other packages, and the only modules that may import each.
OWNERS = {
    "httpx2": {"_http", "testing"},
    # These two come with httpx2: it cannot be installed without them.
    "anyio": {"_http", "_endpoint.asgi", "testing"},
    "fastapi": {"fastapi"},
    "starlette": {"fastapi"},
    "flask": {"flask"},
    "werkzeug": {"flask"},
    "django": {"django"},
    "asgiref": {"django"},
    "limits": {"rate_limit"},
    "websockets": {"_doctor", "_dev"},
    "livekit": {"_dev", "_doctor"},
    "uvicorn": {"_dev"},
    "pytest": {"pytest_plugin"},
    "rich": {"_cli"},
    # Imported only when a caller passes a protobuf message.
    "google": {"_token.room_config"},
}

# The rules are pure: no I/O, clock, environment or threads. They may use this part of the standard library: of `_hashlib`,
# `_json` and `_datetime` one name in C, see _token.signing, _token.json_string and _duration; of `datetime` the types,
# because IMPURE_CALLS has its clock.
PURE_MODULES = """
_datetime _hashlib _json __future__ base64 binascii collections dataclasses datetime email enum functools hashlib hmac http
ipaddress itertools json math operator re string types typing unicodedata urllib warnings
"""
IMPURE_CALLS = "breakpoint exec eval input now open print today urandom utcnow"
PURE = """
errors grants credentials _duration _escape _json _jwt _livekit_credentials _secret _urls _validation
_token _credentials.config _credentials.fetch _credentials.source _credentials.state _credentials.wording
_http.flow _http.model _livekit_api.agents _livekit_api.call _livekit_api.models _livekit_api.operations
_livekit_api.parse _livekit_api.webhook _session_reports.models _session_reports.pages
_endpoint.cors _endpoint.decide _endpoint.openapi
_endpoint.parse _endpoint.refusal _endpoint.responses _inspect
"""

# A bare import must not load these. `google.protobuf` and `httpcore2` come with other packages.
HEAVY = "anyio asyncio datetime django fastapi flask google.protobuf httpcore2 httpx2 livekit rich starlette"


class Import(NamedTuple):
    """One import statement's target, and where it stands."""

    target: str
    line: int

    @property
    def root(self) -> str:
        """The package it belongs to."""
        return self.target.partition(".")[0]


def modules() -> dict[str, Path]:
    """Every module by its name below the package: `errors`, `_token.claims`, `_token` for the folder itself."""
    found = {}
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str) -> list[Import]:
    """What a module imports when it runs, as absolute names: what only a type checker reads is left out."""
    package = [PACKAGE, *MODULES[name].relative_to(ROOT).parent.parts]
    found: list[Import] = []
    pending: list[ast.AST] = [TREES[name]]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).removeprefix("typing.") == "TYPE_CHECKING":
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import):
            found += [Import(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module.split(".") if node.module else [])]
            # `from . import labels` names a module, `from .errors import X` a thing in one: both start alike.
            found += [Import(".".join([*base, alias.name]), node.lineno) for alias in node.names]
        pending.extend(ast.iter_child_nodes(node))
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8"), filename=str(path)) for name, path in MODULES.items()}
IMPORTS = {name: imports(name) for name in MODULES}


def test_module_has_a_place() -> None:
    """Each module has a place in LAYERS (and in docs/structure.md), and LAYERS names no other."""
    assert {name.partition(".")[0] for name in MODULES} == set(LEVELS)


def test_module_imports_only_downwards() -> None:
    """No module imports one of ours that lies above it."""
    upwards = []
    for name, items in IMPORTS.items():
        for item in items:
            if item.root == PACKAGE and item.target.count("."):
                layer = item.target.split(".")[1]
                # What is no module is a name of the package itself.
                if LEVELS.get(layer, LEVELS["__init__"]) > LEVELS[name.partition(".")[0]]:
                    upwards.append(f"{name}:{item.line} imports {item.target}")
    assert [] == upwards


def test_module_imports_only_the_packages_it_owns() -> None:
    """Only a package's owners import it: httpx2 in `_http` and `testing`, a framework in its adapter."""
    strangers = []
    for name, items in IMPORTS.items():
        for item in items:
            owners = OWNERS.get(item.root, set())
            foreign = item.root != PACKAGE and item.root not in sys.stdlib_module_names
            if foreign and not {name, name.partition(".")[0]} & owners:
                strangers.append(f"{name}:{item.line} imports {item.target}: only {sorted(owners)} may")
    assert [] == strangers


def test_rules_are_pure() -> None:
    """The rules do no I/O, read no clock and no environment, and start no thread: a caller passes what varies."""
    impure = []
    for name in MODULES:
        if {name, name.partition(".")[0]}.isdisjoint(PURE.split()):
            continue
        impure += [
            f"{name}:{item.line} imports {item.target}: pass the value, or add a pure module to PURE_MODULES"
            for item in IMPORTS[name]
            if item.root in sys.stdlib_module_names and item.root not in PURE_MODULES.split()
        ]
        for node in ast.walk(TREES[name]):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func).rpartition(".")[2]
                if called in IMPURE_CALLS.split():
                    impure.append(f"{name}:{node.lineno} calls {called}(): pass the value")
    assert [] == impure


def test_import_is_light() -> None:
    """Importing the package's three names loads no HTTP client, event loop, framework or protobuf."""
    script = f"import sys\nfrom {PACKAGE} import MossVoiceServer, MossVoiceServerSync, ParticipantInfo\n"
    script += f"print(*(name for name in {HEAVY.split()!r} if name in sys.modules))"
    command = [sys.executable, "-I", "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ("", "", 0) == (done.stdout.strip(), done.stderr, done.returncode)
