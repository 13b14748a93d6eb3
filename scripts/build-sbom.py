"""Software bill of materials: uv's list of the Python packages, completed by what the bundled livekit-client.umd.js holds.

    uv export --format cyclonedx1.5 | python scripts/build-sbom.py

Reads and writes CycloneDX 1.5 (JSON); the additions come from the table in licenses/THIRD-PARTY.md.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

TABLE = Path(__file__).parents[1] / "licenses" / "THIRD-PARTY.md"
ROW = re.compile(
    r"^\| (?P<name>[@\w/-]+) \| (?P<version>[\d.]+|-) \| (?P<licence>[\w. -]+) \| (?P<what>.+) \|$", re.MULTILINE
)


def completed(bill: dict[str, Any], table: str) -> dict[str, Any]:
    """The bill with a component for each row of the table, as parts of the package itself."""
    root = bill["metadata"]["component"]
    parts = [_component(*row) for row in ROW.findall(table) if row[0] != "component"]
    root["licenses"] = [{"license": {"id": "MIT"}}]
    root["purl"] = f"pkg:pypi/{root['name']}@{root['version']}"
    root["components"] = [*root.get("components", ()), *parts]
    return bill


def _component(name: str, version: str, licence: str, what: str) -> dict[str, Any]:
    said = {"type": "library", "bom-ref": f"bundled:{name}", "name": name, "description": what}
    licences = [{"expression": licence}] if " " in licence else [{"license": {"id": licence}}]
    # What was copied in by hand has no version.
    if version == "-":
        return {**said, "licenses": licences}
    return {**said, "version": version, "purl": f"pkg:npm/{quote(name)}@{version}", "licenses": licences}


if __name__ == "__main__":
    json.dump(completed(json.load(sys.stdin), TABLE.read_text(encoding="utf-8")), sys.stdout, indent=2)
    sys.stdout.write("\n")
