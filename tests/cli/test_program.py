"""The program: help, version, wrong usage, the absent extra, and ends that are not the command's own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from moss_voice_server._cli import main
from tests.cli.shell import LIVEKIT, PATIENCE, PROGRAM, Done, Shell, lacking

INSTALL = 'moss-voice-server: error: the command line needs the extra `cli`: pip install "moss-voice-server[cli]"\n'


@pytest.mark.parametrize(
    "command", ["", "token", "dev", "inspect", "doctor", "rooms", "rooms end", "transcripts"], ids=repr
)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command has help with examples, which fits into 80 columns."""
    status = main([*command.split(), "--help"])
    done = capsys.readouterr()

    assert (0, "", True) == (status, done.err, done.out.isascii())
    assert done.out.startswith(f"usage: moss-voice-server {command}")
    assert "examples:\n  moss-voice-server " in done.out or " " in command
    assert [] == [line for line in done.out.splitlines() if len(line) > 80]


def test_help_is_quick() -> None:
    """Help loads neither rich nor an HTTP client nor asyncio: only what parses arguments."""
    script = (
        "import sys; before = set(sys.modules)\n"
        "from moss_voice_server._cli import main; main(['token', '--help'])\n"
        "heavy = {'rich', 'httpx2', 'asyncio', 'urllib.request', 'importlib.metadata', 'moss_voice_server.server'}\n"
        "print(*sorted(heavy & set(sys.modules) - before), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (0, "") == (done.returncode, done.stderr.strip())


@pytest.mark.parametrize("script", ["module", "script"])
def test_both_ways_in(script: str, shell: Shell) -> None:
    """`python -m moss_voice_server` and the installed script are one program."""
    program = PROGRAM if script == "module" else (str(Path(sys.executable).parent / "moss-voice-server"),)
    assert Done(0, f"moss-voice-server {version('moss-voice-server')}\n", "") == shell("--version", program=program)


CHOICES = "argument COMMAND: invalid choice (choose from token, dev, inspect, doctor, rooms, transcripts)"
USAGE = {
    "nothing": ([], "the following arguments are required: COMMAND", ""),
    "unknown command": (["S3CRET"], CHOICES, ""),
    "misspelled command": (["tokn"], f"{CHOICES}; did you mean token?", ""),
    "option before the command": (["--api-secret", "S3CRET", "token"], CHOICES, ""),
    "misspelled option with its value": (
        ["dev", "--api-secert=S3CRET"],
        "unrecognized arguments: --api-secert; did you mean --api-secret?",
        "dev",
    ),
    "abbreviated option": (
        ["token", "--ident", "x"],
        "unrecognized arguments: --ident; did you mean --identity?",
        "token",
    ),
    "short option": (["token", "-r", "S3CRET"], "unrecognized arguments: -r", "token"),
    "a value too many": (["token", "S3CRET"], "unrecognized arguments", "token"),
    "option without its value": (["token", "--ttl"], "argument --ttl: expected one argument", "token"),
    "two outputs": (["token", "--json", "--url"], "argument --url: not allowed with argument --json", "token"),
    "data and no data": (
        ["token", "--publish-data", "--no-publish-data"],
        "argument --no-publish-data: not allowed with argument --publish-data",
        "token",
    ),
    "a ttl of 5": (["token", "--ttl", "5"], "argument --ttl: 5 means 5 seconds; write 5m for minutes", "token"),
}


@pytest.mark.parametrize(("arguments", "text", "command"), USAGE.values(), ids=USAGE.keys())
def test_wrong_usage(arguments: list[str], text: str, command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage is one line that shows no value, names the help that helps, and exit status 2."""
    status = main(arguments)
    done = capsys.readouterr()

    name = f"moss-voice-server {command}".strip()
    assert (2, "", f"moss-voice-server: error: {text}; see `{name} --help`\n") == (status, done.out, done.err)


@pytest.mark.once
def test_without_the_extra(shell: Shell) -> None:
    """Without rich a command prints only the line that installs the extra, which help does not need."""
    assert Done(2, "", INSTALL) == shell("dev", program=lacking("rich"))
    done = shell("dev", "--help", program=lacking("rich"))
    assert (0, "") == (done.status, done.err)


# Output that cannot be written fails at once when it is not buffered, and at the end when it is.
buffering = pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])


def mint(shell: Shell, unbuffered: str, stdout: int) -> Done:
    """Mint a token without network, into a given file."""
    shell.environ |= {**LIVEKIT, "PYTHONUNBUFFERED": unbuffered}
    with shell.started("token", "--identity", "user-42", "--room", "support", stdout=stdout) as process:
        os.close(stdout)
        return shell.ended(process)


@pytest.mark.once
@buffering
def test_reader_that_leaves(unbuffered: str, shell: Shell) -> None:
    """Output into a closed pipe ends without a word."""
    reader, writer = os.pipe()
    os.close(reader)
    assert Done(1, "", "") == mint(shell, unbuffered, writer)


@pytest.mark.once
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@buffering
def test_full_disk(unbuffered: str, shell: Shell) -> None:
    """Output that cannot be written is an error, not a success."""
    text = "moss-voice-server: error: I/O error: No space left on device\n"
    assert Done(1, "", text) == mint(shell, unbuffered, os.open("/dev/full", os.O_WRONLY))
