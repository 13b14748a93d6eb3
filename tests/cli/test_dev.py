"""`dev --once`: one token, with a LiveKit server and without; its output, and that everything stops."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import jwt
import pytest

from moss_voice_server._cli._local import AGENT_NAME
from moss_voice_server.testing import FakeMoss, LiveKitServer, MockResponse
from tests.cli.shell import PATIENCE, Done, Shell, claims, read_soon
from tests.dev.wire import is_open
from tests.support.programs import program

pytestmark = pytest.mark.once

SECRET = "a-secret-of-more-than-thirty-two-characters"
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


def test_given_server_accepts(shell: Shell, moss: FakeMoss) -> None:
    """The token is signed with the credentials of the options, and the server is asked about it."""
    shell.secrets.append(SECRET)
    moss.queue(MockResponse(body=b"success"))
    status, out, err = shell("dev", "--once", *given(moss.url), stdin=SECRET)

    assert (0, "") == (status, err)
    assert out.startswith(f"✓ LiveKit   {moss.url.replace('http', 'ws')}, from the options\n✓ Moss API  ")
    assert "\n✓ Checked   " in out
    assert "APIkey" == jwt.decode(shown_token(out), SECRET, algorithms=["HS256"])["iss"]
    assert f"Bearer {shown_token(out)}" == moss.requests[0].headers["Authorization"]


@pytest.mark.parametrize("reachable", [True, False])
def test_given_server_fails(reachable: bool, shell: Shell, moss: FakeMoss) -> None:
    """A rejection, or a server that cannot be reached, is exit status 1."""
    shell.secrets.append(SECRET)
    moss.queue(MockResponse(401, body=b"invalid API key: APIkey"))
    if not reachable:
        moss.close()
    status, out, err = shell("dev", "--once", *given(moss.url), stdin=SECRET)

    assert (1, "", True) == (status, err, "\n✗ Checked   " in out)


def test_token_of_a_real_server_is_not_shown(shell: Shell) -> None:
    """The signature of a token for another server is masked, because a reader could join with it."""
    # No LiveKit listens there, and we do not count the name as loopback.
    status, out, _ = shell("dev", "--once", *given("wss://127.0.0.2:1"), stdin=SECRET)
    lines = out.splitlines()

    assert 1 == status
    shown = lines[lines.index("Participant token, without its signature") + 1]
    assert re.fullmatch(r"eyJ[\w-]+\.eyJ[\w-]+\.\*{8}", shown)


WRONG = {
    "url": (["--livekit-url", "ws://livekit.example", "--api-key", "k"], "--livekit-url"),
    "missing": (["--livekit-url", "ws://127.0.0.1:1"], "--api-key"),
}


@pytest.mark.parametrize(("arguments", "text"), WRONG.values(), ids=WRONG.keys())
def test_wrong_argument(arguments: list[str], text: str, shell: Shell) -> None:
    """A wrong argument is one line that names the option, exit status 2, before anything is started."""
    status, out, err = shell("dev", "--once", *arguments, "--api-secret", "-", stdin=SECRET)
    assert (2, "", 1) == (status, out, err.count("\n"))
    assert err.startswith("moss-voice-server: error: ")
    assert text in err


def test_one_warning_about_a_weak_secret(shell: Shell, moss: FakeMoss) -> None:
    """The warning about a weak secret comes once, though the secret is checked twice."""
    moss.queue(MockResponse(body=b"success"))
    status, _, err = shell("dev", "--once", *given(moss.url), stdin="secret")
    assert (0, 1) == (status, err.count("fewer than 32 bytes"))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["Ctrl-C", "SIGTERM"])
def test_ended_while_it_waits(number: int, status: int, shell: Shell, moss: FakeMoss) -> None:
    """Ctrl-C or SIGTERM in the middle ends it without output."""
    moss.set_default(MockResponse(hang=True))
    shell.environ |= {"LIVEKIT_API_KEY": "APIkey", "LIVEKIT_API_SECRET": SECRET}
    with shell.started("dev", "--once", "--livekit-url", moss.url) as process:
        moss.wait_for(1, PATIENCE)
        done = shell.ended(process, number)
    assert (status, "") == (done.status, done.err)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
        (getattr(signal, "SIGHUP", 0), 129),
        (getattr(signal, "SIGQUIT", 0), 131),
    ],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP", "SIGQUIT"],
)
def test_started_server_ends(number: int, status: int, shell: Shell, tmp_path: Path) -> None:
    """Each signal that ends the command also ends its LiveKit server."""
    mark = tmp_path / "pid"
    os.mkfifo(mark)
    body = f"import os, time\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep({PATIENCE})"
    shell.environ["LIVEKIT_SERVER_BIN"] = str(program(tmp_path / "server", body))
    reader = os.open(mark, os.O_RDONLY | os.O_NONBLOCK)
    with shell.started("dev", "--once") as process:
        started = int(read_soon(reader, 100))
        os.close(reader)
        assert Done(status, "", "") == shell.ended(process, number)
    with pytest.raises(ProcessLookupError):
        os.kill(started, 0)


def test_server_that_does_not_start(shell: Shell, tmp_path: Path) -> None:
    """A server that ends at once is one line with the last line of its log, and exit status 1."""
    shell.environ["LIVEKIT_SERVER_BIN"] = str(
        program(tmp_path / "server", "print('first'); print('cannot bind'); raise SystemExit(3)")
    )
    binary = shell.environ["LIVEKIT_SERVER_BIN"]
    text = f"{binary} exited with status 3; its log ends: cannot bind"
    assert Done(1, "", f"moss-voice-server: error: {text}\n") == shell("dev", "--once")


def test_binary_that_is_absent(shell: Shell) -> None:
    """LIVEKIT_SERVER_BIN that names nothing is wrong usage."""
    shell.environ["LIVEKIT_SERVER_BIN"] = "/nowhere"
    text = "LIVEKIT_SERVER_BIN is '/nowhere', which is not an executable file: correct it or unset it"
    assert Done(2, "", f"moss-voice-server: error: {text}\n") == shell("dev", "--once")


@pytest.mark.livekit
def test_found_server(shell: Shell, livekit_binary: Path) -> None:
    """A LiveKit server that is found is started, accepts the token, and is stopped."""
    shell.environ["LIVEKIT_SERVER_BIN"] = str(livekit_binary)
    status, out, err = shell("dev", "--once")

    assert (0, "") == (status, err)
    url = re.findall(r"livekit-server, started on (ws://127\.0\.0\.1:\d+)\n", out)[0]
    assert "\n✓ Checked   " in out
    assert f"\nServer URL\n{url}\n" in out
    assert not is_open(url)


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
