"""`dev --once`: one token, with a LiveKit server and without; its output, and that everything stops."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import jwt
import pytest

from moss_voice_server._cli._local import AGENT_NAME
from moss_voice_server.testing import LiveKitServer
from tests.cli.shell import SECRET, Done, Shell, claims, read_soon
from tests.dev.wire import is_open
from tests.support.programs import program, runs, sleeper

pytestmark = pytest.mark.once

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def shown_token(out: str) -> str:
    """The printed token."""
    lines = out.splitlines()
    return lines[lines.index("Participant token") + 1]


def test_without_livekit(shell: Shell) -> None:
    """Without a LiveKit server it creates a token that names the voice agent; the environment changes nothing."""
    shell.environ |= {
        **dict.fromkeys(("MOSS_PROJECT_ID", "MOSS_PROJECT_KEY", "MOSS_VOICE_AGENT_ID"), "a-moss-setting"),
        **dict.fromkeys(("MOSS_PLATFORM_API_URL", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:1"),
        "LIVEKIT_URL": "ws://127.0.0.1:1",
        "LIVEKIT_API_KEY": "APIkey",
        "LIVEKIT_API_SECRET": SECRET,
    }
    status, out, err = shell("dev", "--once")
    said = claims(shown_token(out))

    assert (0, "", "ws://127.0.0.1:7880") == (status, err, out.splitlines()[-5])
    assert ("Ada", [{"agentName": AGENT_NAME}], 900) == (
        said["name"],
        said["roomConfig"]["agents"],
        said["exp"] - said["nbf"],
    )
    assert f"API key {said['iss']}, secret ********" in out
    assert "· Checked   no" in out
    assert not is_open(re.findall(r"http://127\.0\.0\.1:\d+", out)[0])


def test_ascii(shell: Shell) -> None:
    """Where only ASCII can be written, all of it is."""
    status, out, err = shell("dev", "--once", environ={"PYTHONIOENCODING": "ascii"})
    assert (0, "", True) == (status, err, out.isascii())
    assert out.startswith("- LiveKit   not installed")


@pytest.mark.parametrize("no_color", ["", "1"], ids=["colours", "NO_COLOR"])
def test_on_a_terminal(no_color: str, shell: Shell) -> None:
    """On a terminal of 80 columns only the token is longer than a line; colours unless NO_COLOR is set."""
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 80, 0, 0))
    shell.environ["NO_COLOR"] = no_color
    with shell.started("dev", "--once", stdin=theirs, stdout=theirs) as process:
        os.close(theirs)
        raw = read_all(ours)
        assert Done(0, "", "") == shell.ended(process)

    text = ESCAPE.sub("", raw).replace("\r\n", "\n")
    assert (no_color == "") == ("\x1b" in raw)
    assert [] == [line for line in text.splitlines() if len(line) > 80 and line != shown_token(text)]
    assert re.search(r"^   canPublishData +true +can send data$", text, re.MULTILINE)


def read_all(terminal: int) -> str:
    """What is written to a terminal until its other end is closed."""
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # Linux says so when the other end is closed
            part = b""
        if not part:
            os.close(terminal)
            return b"".join(parts).decode()
        parts.append(part)


def given(url: str, *, key: str = "APIkey") -> list[str]:
    """The options for a LiveKit server that is given; the secret comes by standard input."""
    return ["--livekit-url", url.replace("http", "ws"), "--api-key", key, "--api-secret", "-"]


def test_token_of_a_real_server_is_not_shown(shell: Shell) -> None:
    """The signature of a token for another server is masked, because a reader could join with it. A server that cannot be
    reached is exit status 1. The warning about a weak secret comes once, though the secret is checked twice."""
    # No LiveKit listens there, and we do not count the name as loopback.
    status, out, err = shell("dev", "--once", *given("wss://127.0.0.2:1"), stdin="weak%")

    assert (1, True) == (status, "\n✗ Checked   " in out)
    assert re.search(r"^Participant token, without its signature\neyJ[\w-]+\.eyJ[\w-]+\.\*{8}$", out, re.MULTILINE)
    assert [True, 1] == [err.startswith("moss-voice-server: warning: "), err.count("fewer than 32 bytes")]


def test_wrong_argument(shell: Shell) -> None:
    """A wrong argument is one line that names the option, exit status 2, before anything is started."""
    options = ("--livekit-url", "ws://livekit.example", "--api-key", "k", "--api-secret", "-")
    status, out, err = shell("dev", "--once", *options, stdin=SECRET)
    assert (2, "", 1) == (status, out, err.count("\n"))
    assert err.startswith("moss-voice-server: error: argument --livekit-url: ")


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129), ("SIGQUIT", 131)])
def test_started_server_ends(name: str, status: int, shell: Shell, tmp_path: Path) -> None:
    """Each signal that ends the command also ends its LiveKit server."""
    reader = sleeper(tmp_path / "server")
    shell.environ["LIVEKIT_SERVER_BIN"] = str(tmp_path / "server")
    with shell.started("dev", "--once") as process:
        started = int(read_soon(reader, 100))
        os.close(reader)
        assert Done(status, "", "") == shell.ended(process, getattr(signal, name))
    assert not runs(started)


def test_server_that_does_not_start(shell: Shell, tmp_path: Path) -> None:
    """A server that ends at once is one line with the last line of its log, and exit status 1."""
    binary = program(tmp_path / "server", "print('first'); print('cannot bind'); raise SystemExit(3)")
    text = f"moss-voice-server: error: {binary} exited with status 3; its log ends: cannot bind\n"
    assert Done(1, "", text) == shell("dev", "--once", environ={"LIVEKIT_SERVER_BIN": str(binary)})


def test_binary_that_is_absent(shell: Shell) -> None:
    """LIVEKIT_SERVER_BIN that names nothing is wrong usage."""
    done = shell("dev", "--once", environ={"LIVEKIT_SERVER_BIN": "/nowhere"})
    assert (2, "", 1) == (done.status, done.out, done.err.count("LIVEKIT_SERVER_BIN"))


@pytest.mark.livekit
def test_real_server_given(shell: Shell, livekit_server: LiveKitServer) -> None:
    """A real LiveKit server is asked, and stays as it is: accepts its own key, refuses others with the reason."""
    ours = given(livekit_server.url, key=livekit_server.api_key)
    secret = livekit_server.api_secret
    shell.secrets += [secret, secret[::-1]]
    accepted = shell("dev", "--once", *ours, stdin=secret)
    wrong_secret = shell("dev", "--once", *ours, stdin=secret[::-1])
    unknown_key = shell("dev", "--once", *given(livekit_server.url, key="APIunknown"), stdin=secret)

    said = [re.findall("(.) Checked   ", done.out) for done in (accepted, wrong_secret, unknown_key)]
    assert [["✓"], ["✗"], ["✗"]] == said
    assert [0, 1, 1] == [accepted.status, wrong_secret.status, unknown_key.status]
    assert is_open(livekit_server.http_url)
    assert accepted.out.startswith(f"✓ LiveKit   {livekit_server.url}, from the options\n✓ Moss API  ")
    jwt.decode(shown_token(accepted.out), secret, algorithms=["HS256"])
