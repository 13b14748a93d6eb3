"""`inspect`: a token as a table, as JSON, and as an exit status."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import jwt
import pytest

from tests.cli.shell import Done, Shell
from tests.inspect.cases import KEY, SECRET, good

pytestmark = pytest.mark.once

ENVIRON = {"LIVEKIT_API_KEY": KEY, "LIVEKIT_API_SECRET": SECRET}
HUSH = "hush-hush-hush"
STORAGE = {"egress": {"room": {"fileOutputs": [{"filepath": "talk.mp4", "s3": {"secret": HUSH}}]}}}


def token(secret: str = SECRET, **changes: Any) -> str:
    """A token of now, with these changes to a good one's claims."""
    now = int(time.time())
    return jwt.encode({**good(), "nbf": now, "exp": now + 900, **changes}, secret, algorithm="HS256")


def inspected(shell: Shell, *arguments: str, text: str | None = None, **environ: str) -> Done:
    """The result of `inspect`, which contains neither the token nor a secret."""
    shell.secrets += [SECRET, HUSH, text.strip() if text and "." in text else SECRET]
    return shell("inspect", *arguments, stdin=text, environ=environ)


def findings(done: Done) -> dict[str, str]:
    """The codes and severities in the JSON."""
    return {finding["code"]: finding["severity"] for finding in json.loads(done.out)["findings"]}


def test_good_token(shell: Shell) -> None:
    """A good token: its claims in words, its times both absolute and relative, and exit status 0."""
    done = inspected(shell, "-", text=token(), **ENVIRON)

    assert (0, "") == (done.status, done.err)
    for words in ("expires in 15 minutes", " UTC", "identity: who joins", "can hear and see", "dispatched agent"):
        assert words in done.out
    assert done.out.endswith("No problems found.\n")


def test_a_terminal_that_lacks_characters(shell: Shell) -> None:
    """What standard output's encoding does not have is shown as an escape; it does not end in a traceback."""
    done = inspected(shell, "-", text=token(name="🎤"), **ENVIRON, PYTHONIOENCODING="ascii")

    assert (0, "") == (done.status, done.err)
    assert "\\U0001f3a4" in done.out


def test_json(shell: Shell) -> None:
    """JSON has three fields, the claims with their secrets masked, and four texts to each finding."""
    done = inspected(shell, "--json", "-", text=token(roomConfig=STORAGE))
    shown_json = json.loads(done.out)

    assert ["ok", "claims", "findings"] == list(shown_json)
    assert shown_json["ok"] is False
    assert "********" == shown_json["claims"]["roomConfig"]["egress"]["room"]["fileOutputs"][0]["s3"]["secret"]
    for finding in shown_json["findings"]:
        assert ["code", "severity", "message", "remedy"] == list(finding)
        assert all(isinstance(text, str) and text for text in finding.values())
        assert finding["severity"] in ("error", "warning", "info")


def test_error(shell: Shell) -> None:
    """What LiveKit would refuse is an error with a remedy, exit status 1, and no secret is shown."""
    text = token(iss=SECRET, secret=f"{KEY:_<40}")
    as_json = inspected(shell, "--json", "-", text=text, **{**ENVIRON, "LIVEKIT_API_KEY": f"{KEY:_<40}"})
    as_words = inspected(shell, "hello")

    assert (1, "error") == (as_json.status, findings(as_json)["swapped"])
    assert (1, True) == (as_words.status, as_words.out.startswith("✗ error malformed: "))
    assert "\n  → " in as_words.out
    assert as_words.out.endswith("1 error found: this token will not work.\n")
    assert json.loads(inspected(shell, "--json", "hello").out)["claims"] is None


def test_secret(shell: Shell, tmp_path: Path) -> None:
    """The secret may be in a file, come through standard input when the token does not, or be an argument, with a warning;
    without a key the signature alone is checked."""
    (tmp_path / "secret").write_text(f"{SECRET}\n", encoding="utf-8")
    file = inspected(shell, "--json", "-", text=token(), LIVEKIT_API_SECRET_FILE=str(tmp_path / "secret"))
    piped = shell("inspect", "--json", token(), "--api-key", KEY, "--api-secret", "-", stdin=f"{SECRET}\n")
    typed = inspected(shell, "--json", token(), "--api-secret", SECRET)

    assert [(0, {"agents_open_rooms": "info"})] * 3 == [(done.status, findings(done)) for done in (file, piped, typed)]
    assert ["", "", True] == [file.err, piped.err, "--api-secret -" in typed.err]


USAGE: dict[str, tuple[list[str], str | bytes | None, dict[str, str], str]] = {
    "no token": ([], None, {}, "the following arguments are required: TOKEN"),
    "nothing on standard input": (["-"], "\n", {}, "standard input contains no token"),
    "no text on standard input": (
        ["-"],
        b"\xff\xfe",
        {"PYTHONIOENCODING": "utf-8:strict"},
        "standard input contains no token",
    ),
    "two things on standard input": (
        ["-", "--api-secret", "-"],
        "x",
        {},
        "--api-secret: standard input cannot contain the token as well",
    ),
    "secret twice": (
        ["x"],
        None,
        {"LIVEKIT_API_SECRET": SECRET, "LIVEKIT_API_SECRET_FILE": "secret"},
        "LIVEKIT_API_SECRET_FILE",
    ),
    "secret's file is not there": (["x"], None, {"LIVEKIT_API_SECRET_FILE": "/no/such/file"}, "cannot be read"),
}


@pytest.mark.parametrize(("arguments", "stdin", "environ", "text"), USAGE.values(), ids=USAGE.keys())
def test_wrong_usage(
    arguments: list[str], stdin: str | bytes | None, environ: dict[str, str], text: str, shell: Shell
) -> None:
    """Wrong usage is one line on standard error, and exit status 2."""
    done = shell("inspect", *arguments, stdin=stdin, environ=environ)

    assert (2, "", 1) == (done.status, done.out, done.err.count("\n"))
    assert text in done.err


@pytest.mark.parametrize("columns", ["60", "80", "120"])
def test_width(columns: str, shell: Shell) -> None:
    """No line is longer than the terminal is wide, long claims and findings included."""
    text = token(metadata="m" * 500, attributes={"lk.key": "v" * 100}, roomConfig=STORAGE)
    done = inspected(shell, "-", text=text, COLUMNS=columns)

    assert [] == [line for line in done.out.splitlines() if len(line) > int(columns)]


def test_control_characters_are_escaped(shell: Shell) -> None:
    """Control characters of a token, and what cannot be written, are shown by their numbers."""
    done = inspected(shell, "-", text=token(name="\x1b[31mred", metadata="a\u202eb", **{"\x9b2J": "x"}))

    assert [] == [char for char in done.out if not char.isprintable() and char != "\n"]
    assert r"\x1b[31mred" in done.out
