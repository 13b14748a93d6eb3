"""Packages: what is in the wheel and the source archive that `scripts/build` made, and whether the wheel works.

    python scripts/build-check.py DIST AGAIN

DIST holds the archives, AGAIN those of a second build of the same tree. Needs what `build` needs and no more;
says on one line what was seen, or ends with status 1 and one line for each thing that is wrong.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from base64 import b64encode
from collections.abc import Iterable, Iterator
from configparser import ConfigParser
from email.message import Message
from email.parser import Parser
from hashlib import sha384
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # `build` brings it

ROOT = Path(__file__).parents[1]
PACKAGE = "moss_voice_server"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
STEM = f"{PACKAGE}-{PROJECT['version']}"
BUNDLE = f"{PACKAGE}/_dev/page/vendor/livekit-client.umd.js"
LICENCES = ["LICENSE", "licenses/Apache-2.0.txt", "licenses/THIRD-PARTY.md"]
# Files of editors, tools and test runs, and secrets; none of them may be in an archive.
LEFT_BEHIND = re.compile(
    r"(^|/)(__pycache__|\.(?!gitignore$)[^/]*|node_modules|[^/]*\.egg-info)(/|$)|^(build|dist)/|\.py[cod]$|~$"
)
# What users do first, with the keys of `livekit-server --dev` made long enough.
MINT = """
from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.grants import AgentDispatch
server = MossVoiceServerSync.from_livekit("wss://livekit.example", "devkey", "s" * 32, "agent")
token = server.create_participant_token(ParticipantInfo("user-42"), "room", agents=[AgentDispatch("agent")])
assert token.count(".") == 2
"""


def main(dist: Path, again: Path) -> int:
    """Check what lies in `dist`; 0, or 1 and the reasons."""
    wheel, archive = dist / f"{STEM}-py3-none-any.whl", dist / f"{STEM}.tar.gz"
    wrong = [f"{each.name} was not built into {dist}" for each in (wheel, archive) if not each.is_file()]
    if not wrong:
        wrong = [*_repeated((wheel, archive), again), *_wheel(wheel), *_archive(archive)] or [*_installed(wheel)]
    for each in wrong:
        sys.stderr.write(f"{each}\n")
    if not wrong:
        sys.stdout.write(
            f"{wheel.name} and {archive.name}: the same bytes twice, complete, nothing else, and it mints\n"
        )
    return bool(wrong)


def _repeated(archives: Iterable[Path], again: Path) -> Iterator[str]:
    for each in archives:
        if each.read_bytes() != (again / each.name).read_bytes():
            yield f"{each.name} has other bytes when it is built again"


def _wheel(wheel: Path) -> Iterator[str]:
    """The package and its metadata, file by file: nothing is missing, and nothing came along."""
    info = f"{STEM}.dist-info"
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        metadata = Parser().parsestr(opened.read(f"{info}/METADATA").decode())
        entries = opened.read(f"{info}/entry_points.txt").decode()
        bundle = opened.read(BUNDLE) if BUNDLE in names else b""
        notice = opened.read(f"{info}/licenses/licenses/THIRD-PARTY.md").decode()
    source = ROOT / "src"
    expected = {path.relative_to(source).as_posix() for path in (source / PACKAGE).rglob("*") if path.is_file()}
    expected = {name for name in expected if not LEFT_BEHIND.search(name)} | {BUNDLE}
    expected |= {f"{info}/{name}" for name in ("METADATA", "RECORD", "WHEEL", "entry_points.txt")}
    expected |= {f"{info}/licenses/{name}" for name in LICENCES}
    found = {name for name in names if not name.endswith("/")}
    yield from (f"the wheel lacks {name}" for name in sorted(expected - found))
    yield from (f"the wheel should not hold {name}" for name in sorted(found - expected))
    code = re.compile(rf"{PACKAGE}/(.*\.py|py\.typed|_dev/page/.*)")
    strange = sorted(name for name in found if not name.startswith(info) and not code.fullmatch(name))
    yield from (f"the wheel holds {name}, which is neither code nor the local page" for name in strange)
    if f"{PACKAGE}/py.typed" not in found:
        yield "the wheel lacks py.typed, so that type checkers would not look at its types"
    if f"sha384-{b64encode(sha384(bundle).digest()).decode()}" not in notice:
        yield "licenses/THIRD-PARTY.md is about another livekit-client.umd.js than the one in the wheel"
    yield from _metadata(metadata, "the wheel")
    parser = ConfigParser()
    parser.read_string(entries)
    if dict(parser["console_scripts"]) != PROJECT["scripts"]:
        yield "the wheel's commands are not those of pyproject.toml"
    if dict(parser["pytest11"]) != PROJECT["entry-points"]["pytest11"]:
        yield "the wheel's pytest plugin is not that of pyproject.toml"


def _metadata(found: Message, where: str) -> Iterator[str]:
    """The fields by which an index shows and an installer chooses, as pyproject.toml says them."""
    pythons = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    single = {
        "Name": PROJECT["name"],
        "Version": PROJECT["version"],
        "Summary": PROJECT["description"],
        "License-Expression": PROJECT["license"],
        "Requires-Python": f">={pythons[0]}",
        "Description-Content-Type": "text/markdown",
    }
    for field, value in single.items():
        if found[field] != value:
            yield f"{where} says {field}: {found[field]}, not {value}"
    if sorted(found.get_all("License-File", [])) != sorted(LICENCES):
        yield f"{where} names other licence files: {found.get_all('License-File', [])}"
    if found.get_all("Classifier", []) != PROJECT["classifiers"]:
        yield f"{where} has other classifiers than pyproject.toml"
    needed = [line for line in found.get_all("Requires-Dist", []) if "extra ==" not in line]
    if [line.replace(" ", "") for line in needed] != [line.replace(" ", "") for line in PROJECT["dependencies"]]:
        yield f"{where} needs {needed} at run time"
    if sorted(found.get_all("Provides-Extra", [])) != sorted(PROJECT["optional-dependencies"]):
        yield f"{where} has other extras than pyproject.toml"
    addresses = found.get_all("Project-URL", [])
    for line in addresses:
        if not re.search(r", https://[^/\s]+\.[a-z]+/\S*$", line):
            yield f"{where} has a Project-URL that is not a URL: {line}"
    readme = str(found.get_payload() or "")
    if not readme:
        yield f"{where} has no description: the README is missing"
    # An index shows the README on its page. Without project URLs there is nothing else to link to.
    if addresses and (lost := re.findall(r"\]\((?!https://|#)([^)\s]+)", readme)):
        yield f"{where} has a README with links that lead nowhere on an index, make them absolute: {', '.join(lost)}"


def _archive(archive: Path) -> Iterator[str]:
    """Enough to build and to test from; every file under one folder, and nothing that is not in the repository."""
    with tarfile.open(archive) as opened:
        members = opened.getmembers()
        information = opened.extractfile(f"{STEM}/PKG-INFO")
        metadata = Parser().parsestr(information.read().decode()) if information else Message()
    if strange := [each.name for each in members if not (each.isfile() or each.isdir())]:
        yield f"the source archive holds links or devices: {strange}"
    if outside := [each.name for each in members if each.name.split("/")[0] != STEM]:
        yield f"the source archive has files outside of {STEM}/: {outside}"
    names = {each.name.partition("/")[2] for each in members if each.isfile()}
    needed = {"pyproject.toml", "README.md", "CHANGELOG.md", "SECURITY.md", "scripts/test", f"src/{BUNDLE}", *LICENCES}
    needed |= {f"src/{PACKAGE}/{name}" for name in ("__init__.py", "py.typed")} | {"tests/test_public_api.py"}
    yield from (f"the source archive lacks {name}" for name in sorted(needed - names))
    yield from (f"the source archive should not hold {name}" for name in sorted(filter(LEFT_BEHIND.search, names)))
    if (known := _known()) is not None:
        allowed = known | {"PKG-INFO", f"src/{BUNDLE}", f"src/{Path(BUNDLE).with_name('LICENSE').as_posix()}"}
        allowed.add("pyproject.toml.orig")  # ours, letter by letter, beside what the build backend makes of it
        yield from (f"the source archive holds {name}, which git does not know" for name in sorted(names - allowed))
    yield from _metadata(metadata, "the source archive")


def _known() -> set[str] | None:
    """The files that git knows, or will with the next commit; `None` outside of a clone."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return set(done.stdout.split("\0")) if done.returncode == 0 and (ROOT / ".git").exists() else None


def _installed(wheel: Path) -> Iterator[str]:
    """The wheel in a new environment: its dependencies are complete and consistent, and it creates a token."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        bin_ = Path(folder, "Scripts" if os.name == "nt" else "bin")
        python = str(bin_ / "python")
        for what, command in {
            "cannot be installed": [python, "-m", "pip", "install", "-q", str(wheel.resolve())],
            "is installed with something missing": [python, "-m", "pip", "check"],
            "makes no token": [python, "-W", "error", "-I", "-c", MINT],
            "has a command that does not start": [str(bin_ / "moss-voice-server"), "--help"],
        }.items():
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                yield f"{wheel.name} {what}: {(done.stderr or done.stdout).strip()[-1000:]}"
                return


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
