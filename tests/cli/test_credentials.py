"""Where the commands' credentials come from: the Moss API, LiveKit's variables and options, files and standard input."""

from __future__ import annotations

import os
import re
from pathlib import Path

import jwt
import pytest

from moss_voice_server.testing import FakeMoss, MockResponse
from tests.cli.shell import LIVEKIT, SECRET, Shell, claims, read_soon

pytestmark = pytest.mark.once


def test_precedence(moss_shell: Shell, moss: FakeMoss) -> None:
    """One of LiveKit's options chooses LiveKit's credentials, and the others come from the environment. Without an option,
    where the environment has both, the Moss API is asked."""
    moss_shell.environ.update(LIVEKIT)
    url, token = moss_shell("token", "--url", "--livekit-url", "ws://localhost:7880").out.splitlines()
    assert ("ws://localhost:7880", "APIkey", 0) == (url, claims(token)["iss"], moss.count)
    assert moss.credentials["voice_agent_api_key"] == claims(moss_shell("token").out)["iss"]


def test_secret_from_a_file(livekit_shell: Shell, tmp_path: Path) -> None:
    """LIVEKIT_API_SECRET_FILE names a file that contains the secret; its trailing newline is ignored."""
    (tmp_path / "secret").write_text(f"{SECRET}\r\n")
    del livekit_shell.environ["LIVEKIT_API_SECRET"]
    out = livekit_shell("token", environ={"LIVEKIT_API_SECRET_FILE": str(tmp_path / "secret")}).out
    jwt.decode(out.strip(), SECRET, algorithms=["HS256"])


@pytest.mark.parametrize("typed", [SECRET, f"{SECRET}\r\n"], ids=["no newline", "CRLF"])
def test_secret_from_standard_input(typed: str, shell: Shell) -> None:
    """`--api-secret -` reads the secret from standard input, without a warning."""
    shell.secrets.append(SECRET)
    options = ("--livekit-url", "ws://[::1]:7880", "--api-key", "APIkey", "--api-secret", "-")
    status, out, err = shell("token", *options, "--identity", "a", "--room", "b", stdin=typed)

    assert (0, "") == (status, err)
    assert "APIkey" == jwt.decode(out.strip(), SECRET, algorithms=["HS256"])["iss"]


def test_secret_as_an_argument(livekit_shell: Shell) -> None:
    """A secret as an argument works, with a warning that names the alternative."""
    status, out, err = livekit_shell("token", "--api-secret", f"{SECRET}2", "--identity", "a", "--room", "b")

    assert (0, 1, True) == (status, err.count("\n"), "warning: " in err and "`--api-secret -`" in err)
    jwt.decode(out.strip(), f"{SECRET}2", algorithms=["HS256"])


@pytest.mark.parametrize(("typed", "status"), [(f"{SECRET}\n", 0), ("\x04", 2)], ids=["secret", "Ctrl-D"])
def test_secret_typed_at_a_terminal(typed: str, status: int, shell: Shell) -> None:
    """At a terminal the program prompts for the secret without an echo; the end of input is accepted as well."""
    import pty

    shell.secrets.append(SECRET)
    prompt = "LiveKit API secret: "
    options = ["--livekit-url", "ws://localhost:1", "--api-key", "APIkey", "--api-secret", "-"]
    ours, theirs = pty.openpty()
    # In a separate session there is no other terminal, so the prompt comes on standard error.
    with shell.started("token", *options, stdin=theirs, start_new_session=True) as process:
        os.close(theirs)
        assert process.stderr is not None
        assert prompt == read_soon(process.stderr.fileno(), 100)
        os.write(ours, typed.encode())
        assert status == shell.ended(process).status
    os.close(ours)


# Changes to a whole set of LiveKit's variables (`None` removes one), and a pattern of the error.
SETTINGS: dict[str, tuple[dict[str, str | None], str]] = {
    "nothing": (dict.fromkeys(LIVEKIT), "MOSS_PROJECT_ID, .* or LIVEKIT_URL"),
    "half of Moss": ({"MOSS_PROJECT_ID": "p"}, "MOSS_PROJECT_KEY.* not set"),
    "no URL": ({"LIVEKIT_URL": None}, "LIVEKIT_URL is not set.*--livekit-url"),
    "no key and no secret": (
        {"LIVEKIT_API_KEY": None, "LIVEKIT_API_SECRET": None},
        "LIVEKIT_API_KEY and LIVEKIT_API_SECRET are not set.*--api-key and --api-secret",
    ),
    "secret twice": ({"LIVEKIT_API_SECRET_FILE": "/nowhere"}, "LIVEKIT_API_SECRET and LIVEKIT_API_SECRET_FILE"),
    "empty file": ({"LIVEKIT_API_SECRET": None, "LIVEKIT_API_SECRET_FILE": os.devnull}, "LIVEKIT_API_SECRET_FILE"),
    "unencrypted URL": ({"LIVEKIT_URL": "ws://livekit.example"}, "--livekit-url: .*wss"),
    "invalid key": ({"LIVEKIT_API_KEY": "A P I"}, "--api-key: "),
    "secret with a space": ({"LIVEKIT_API_SECRET": f"{SECRET} "}, "LIVEKIT_API_SECRET .*whitespace"),
}


@pytest.mark.parametrize(("changes", "pattern"), SETTINGS.values(), ids=SETTINGS.keys())
def test_wrong_settings(changes: dict[str, str | None], pattern: str, livekit_shell: Shell) -> None:
    """Missing or damaged credentials are one line that names the variable or the option, exit status 2."""
    for name, value in changes.items():
        livekit_shell.environ.pop(name, None)
        if value is not None:
            livekit_shell.environ[name] = value
    status, out, err = livekit_shell("token")

    assert (2, "", 1) == (status, out, err.count("\n"))
    assert re.search(pattern, err), err


@pytest.mark.parametrize(
    "typed", [b"", b"\n", b"one\ntwo\n", b"\xff\xfe\n"], ids=["nothing", "empty line", "two lines", "not text"]
)
def test_wrong_standard_input(typed: bytes, livekit_shell: Shell) -> None:
    """Standard input without a secret is an error, and not shown."""
    livekit_shell.environ |= {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8:strict"}
    status, out, err = livekit_shell("token", "--api-secret", "-", stdin=typed)

    assert (2, "", 1) == (status, out, err.count("\n"))
    assert err.startswith("moss-voice-server: error: argument --api-secret: ")


FAILURES: dict[str, tuple[MockResponse | int | None, str]] = {
    "rejected": (401, "HTTP 401.*MOSS_PROJECT_ID and MOSS_PROJECT_KEY"),
    "no such agent": (404, "HTTP 404.*MOSS_VOICE_AGENT_ID"),
    "busy": (MockResponse.retry_after("120"), "HTTP 429.*retry in 120 s"),
    "unusable": (MockResponse(json={"voice_agent_url": "wss://x"}), "voice_agent_api_key"),
    "down": (None, "refused.*3 attempts.*MOSS_PLATFORM_API_URL"),
}


@pytest.mark.parametrize(("answer", "pattern"), FAILURES.values(), ids=FAILURES.keys())
def test_no_credentials(answer: MockResponse | int | None, pattern: str, moss_shell: Shell, moss: FakeMoss) -> None:
    """Without credentials there is one line, the library's own, and exit status 1."""
    if answer is None:
        moss.close()
    else:
        moss.set_default(answer)
    status, out, err = moss_shell("token")

    assert (1, "", 1) == (status, out, err.count("\n"))
    assert re.search(pattern, err), err
