"""Installed: the packages and megabytes that `pip install` brings, here and in release 0.1.0 of this package."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from . import budgets
from .figures import Figure
from .plan import Plan
from .programs import ROOT, Absent, environment

_LOOK = """
import json, sysconfig
from importlib.metadata import distributions
from pathlib import Path
folders = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
print(json.dumps({
    "names": [each.metadata["Name"] for each in distributions(path=list(folders))],
    "bytes": sum(file.stat().st_size for folder in folders for file in Path(folder).rglob("*") if file.is_file()),
}))
"""


class Installation(NamedTuple):
    """What an installation adds to an empty environment."""

    packages: int
    megabytes: float


def measure(plan: Plan) -> list[Figure]:
    """Compare this tree with 0.1.0. One round is enough: the result does not vary."""
    if plan.quick:
        return _absent("left out by --quick, because it fetches packages")
    try:
        mine, theirs = _install(str(ROOT)), _install("moss-voice-server==0.1.0")
    except Absent as error:
        return _absent(str(error))
    return [
        Figure(
            budgets.PACKAGES,
            budgets.PREDECESSOR,
            (float(mine.packages),),
            unit="packages",
            detail=f"{mine.packages} : {theirs.packages} packages",
        ),
        Figure(
            budgets.SIZE,
            budgets.PREDECESSOR,
            (theirs.megabytes / mine.megabytes,),
            detail=f"{mine.megabytes:.1f} : {theirs.megabytes:.1f} MB",
        ),
    ]


def _absent(reason: str) -> list[Figure]:
    return [
        Figure(budgets.PACKAGES, budgets.PREDECESSOR, unit="packages", absent=reason),
        Figure(budgets.SIZE, budgets.PREDECESSOR, absent=reason),
    ]


def _install(requirement: str) -> Installation:
    with tempfile.TemporaryDirectory() as folder:
        _run(sys.executable, "-m", "venv", folder)
        python = str(next(Path(folder).glob("[bS]*/python*")))
        empty = json.loads(_run(python, "-c", _LOOK))
        _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement)
        full = json.loads(_run(python, "-c", _LOOK))
    return Installation(len(full["names"]) - len(empty["names"]), (full["bytes"] - empty["bytes"]) / 1e6)


def _run(*command: str) -> str:
    done = subprocess.run(
        command, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        raise Absent(f"{' '.join(command[1:4])} failed: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout
