"""Workflows: the GitHub files are valid, safe and pinned, and run the project's scripts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # it ships no types; what it reads is `Any` in any case

from tests.livekit.needs import absent

pytestmark = pytest.mark.once

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / ".github"
WORKFLOWS = sorted((FOLDER / "workflows").glob("*.yml"))
TOO_OLD = sys.version_info < (3, 11)

# The write permissions that a job may have, and the jobs that may have them.
POWERS = {"publish": {"id-token"}, "announce": {"attestations", "contents", "id-token"}}


@pytest.fixture(autouse=True)
def present() -> None:
    """Skip in the source archive, which has no workflows."""
    if not WORKFLOWS:
        absent("there is no .github here: the source archive leaves it out")


def read(path: Path) -> dict[str, Any]:
    """Read a workflow; YAML 1.1 reads its key `on` as true."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every job of every workflow, by its name."""
    for path in WORKFLOWS:
        yield from read(path)["jobs"].items()


def commands() -> list[str]:
    """Every line that a step runs."""
    steps = [step for _, job in jobs() for step in job.get("steps", [])]
    return [line.strip() for step in steps for line in step.get("run", "").splitlines() if line.strip()]


def test_zizmor_finds_nothing() -> None:
    """zizmor finds nothing: actions are pinned, triggers are safe, and permissions are few."""
    if TOO_OLD:
        pytest.skip("zizmor needs Python 3.11 or newer")
    zizmor = shutil.which("zizmor", path=sysconfig.get_path("scripts"))
    if zizmor is None:
        absent("zizmor is not installed: pip install 'moss-voice-server[dev]'")
    options = ["--offline", "--no-config", "--persona=pedantic", "--strict-collection", "--no-progress", "-q"]
    done = subprocess.run([zizmor, *options, "."], cwd=FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert 0 == done.returncode, done.stdout + done.stderr


def test_powers() -> None:
    """Jobs may read only; the two publishing jobs have more permissions, and they run no project code. No checkout stores
    the job's token.
    """
    assert [{}] * len(WORKFLOWS) == [read(path)["permissions"] for path in WORKFLOWS]
    for name, job in jobs():
        beyond = {power for power, level in job["permissions"].items() if level != "read"}
        assert POWERS.get(name, set()) == beyond, name
        if beyond:
            assert "checkout" not in str(job["steps"])
        for step in job.get("steps", ()):
            is_checkout = step.get("uses", "").startswith("actions/checkout@")
            assert not is_checkout or step["with"]["persist-credentials"] is False


def test_commands() -> None:
    """CI runs the project's scripts. Each package that it installs is pinned by uv.lock or its hash, except the wheel that
    was just built.
    """
    assert {"scripts/check", "scripts/test", "scripts/build"} <= set(" ".join(commands()).split())
    installs = [
        line for line in commands() if re.search(r"\b(uv sync|uv export|pip (install|download)|uvx|npm|curl)\b", line)
    ]
    loose = [line for line in installs if not re.search(r"--locked|--require-hashes|--no-deps dist/", line)]
    assert installs
    assert [] == loose


def test_the_tested_archives_are_published() -> None:
    """A release publishes the files that CI built and tested; no second build takes their place."""
    release = read(FOLDER / "workflows" / "release.yml")["jobs"]
    downloads = [
        step["with"].get("name", "all")
        for name in ("publish", "announce")
        for step in release[name]["steps"]
        if step.get("uses", "").startswith("actions/download-artifact@")
    ]
    assert downloads == ["tested", "all"]
    assert "scripts/build " not in str(release)
    uploads = [
        step["with"]["name"]
        for step in read(FOLDER / "workflows" / "ci.yml")["jobs"]["build"]["steps"]
        if "upload" in step.get("uses", "")
    ]
    assert uploads == ["tested"]


def test_pythons() -> None:
    """The tests run on every Python in the classifiers."""
    said = re.findall(
        r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    )
    assert said == dict(jobs())["test"]["strategy"]["matrix"]["python"]
