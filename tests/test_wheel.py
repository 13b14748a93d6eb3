"""The wheel's licence and bill of materials fit LiveKit's client inside it. `scripts/build` checks the built archives."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server._dev import browser_client as client
from tests.clients.npm import installed

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
NODE = ROOT / "tests" / "clients" / "node"
NOTICE = (ROOT / "licenses" / "THIRD-PARTY.md").read_text(encoding="utf-8")
PROJECT = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
# Not in the source map: packages without one, copied code, and what the build tools add.
UNMAPPED = {"livekit-client", "@livekit/protocol", "ts-debounce", "tslib", "@babel/helpers", "@rollup/plugin-commonjs"}


def table() -> dict[str, tuple[str, str]]:
    """The components by name: version and licence."""
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", NOTICE, re.MULTILINE)
    return {name: (version, licence) for name, version, licence in rows[2:]}


def test_notice() -> None:
    """The notice names the release and the hash that `scripts/build` puts into the wheel; a newer one needs a look at it.
    Each component of its table has a section with its copyright line, or says that it has none.
    """
    assert client.INTEGRITY in NOTICE
    assert (client.VERSION, "Apache-2.0") == table()["livekit-client"]
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", NOTICE, re.MULTILINE | re.DOTALL))
    assert list(table()) == list(sections)
    assert [] == [
        name for name, text in sections.items() if "Copyright" not in text and "no notice of its own" not in text
    ]


def test_licence_expression() -> None:
    """The package's licence is ours and those of the components, no more and no fewer."""
    said = re.search(r'^license = "(.+)"$', PROJECT, re.MULTILINE)
    assert said is not None
    theirs = {licence for _, licences in table().values() for licence in licences.split(" AND ")}
    assert {"MIT", *theirs} == set(said[1].split(" AND "))


def test_components_are_those_of_the_source_map() -> None:
    """The packages that the bundle's source map names are those of the table, in the same versions."""
    package = installed(NODE) / "node_modules" / "livekit-client"
    said = json.loads((package / "package.json").read_text(encoding="utf-8"))
    sources = json.loads((package / "dist" / f"{client.FILE}.map").read_text(encoding="utf-8"))["sources"]
    mapped = {
        match[1].replace("+", "/"): match[2]
        for source in sources
        if (match := re.search(r"/\.pnpm/(@?[^/@]+)@([^/_(]+)", source))
    }
    assert client.VERSION == said["version"]
    assert mapped == {name: version for name, (version, _) in table().items() if name not in UNMAPPED}
    pinned = {name: said["dependencies"][name] for name in ("@livekit/protocol", "tslib")}
    assert pinned == {name: table()[name][0] for name in pinned}


def test_bill_of_materials() -> None:
    """The bill names each component with its package URL, as a part of the package itself."""
    bill: dict[str, Any] = {
        "metadata": {"component": {"name": "moss-voice-server", "version": "0.2.0"}},
        "components": [],
    }
    completed = runpy.run_path(str(ROOT / "scripts" / "build-sbom.py"))["completed"]
    made = completed(bill, NOTICE)["metadata"]["component"]

    assert "pkg:pypi/moss-voice-server@0.2.0" == made["purl"]
    assert list(table()) == [part["name"] for part in made["components"]]
    purls = {part["name"]: part.get("purl") for part in made["components"]}
    assert "pkg:npm/livekit-client@2.23.0" == purls["livekit-client"]
    assert "pkg:npm/%40livekit/mutex@1.1.1" == purls["@livekit/mutex"]
    assert purls["ts-debounce"] is None
