"""`moss-voice-server dev` as a process: its output and its servers, with and without its parts, and that all of it stops."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from zipfile import ZipFile

import jwt
import pytest

import moss_voice_server
from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server._cli._local import AGENT_NAME, INSTALL
from moss_voice_server._dev import browser_client as client
from moss_voice_server.testing import FakeMoss, LiveKitServer
from tests.cli.shell import PATIENCE, Shell, claims, lacking, read_soon
from tests.dev.pages import keys
from tests.dev.program import dev, given
from tests.dev.wire import ask, is_open
from tests.livekit.server_api import validate
from tests.support.programs import program, runs, sleeper

pytestmark = pytest.mark.once

# A wheel contains LiveKit's client, and then nothing is fetched.
HAS_CLIENT = (client.VENDOR / client.FILE).exists()
ANY_PORT = ("--port", "0")

STOPPED = (0, "Stopped.\n", "")


def test_without_livekit(environ: dict[str, str]) -> None:
    """Without a LiveKit server, npm and network it still creates tokens, and says what to install; all ports are closed."""
    with dev(*ANY_PORT, environ=environ) as running:
        config = ask(running.url, "/config.json").json
        reply = ask(running.url, "/voice/token", method="POST", body={})
        page = ask(running.url)
        addresses = [running.url, running.moss_environ["MOSS_PLATFORM_API_URL"]]
        assert [True, True] == [is_open(address) for address in addresses]
        ended = running.end(signal.SIGTERM)
    assert [False, False] == [is_open(address) for address in addresses]

    assert f"· LiveKit   not installed; install it: {INSTALL}\n" in running.out
    assert f'TokenSource.endpoint("{running.url}voice/token")' in running.snippet
    assert 4 == len(running.moss_environ)
    assert [] == [line for line in running.out.splitlines() if len(line) > 80]
    assert ended == STOPPED
    assert ("", False) == (config["livekit"], config["can_join"])
    assert (client.FILE if HAS_CLIENT else client.CDN) == config["client"]["src"]
    assert INSTALL in config["livekit_remedy"]
    assert (200, 201, "ws://127.0.0.1:7880") == (page.status, reply.status, reply.json["server_url"])
    assert [{"agentName": AGENT_NAME}] == claims(reply.json["participant_token"])["roomConfig"]["agents"]


def test_port_that_is_taken(environ: dict[str, str]) -> None:
    """A port that is not available is wrong usage, and nothing is started."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, out, err = Shell(environ)("dev", "--port", str(port))
    assert (2, "") == (status, out)
    assert err.startswith(f"moss-voice-server: error: --port: port {port} is not available: ")


@pytest.mark.parametrize("arguments", [["--open"], []], ids=["--open", "by default"])
def test_open(arguments: list[str], environ: dict[str, str], tmp_path: Path) -> None:
    """`--open` opens the page in a browser; by default, without a terminal, it is not opened."""
    opened = tmp_path / "opened"
    os.mkfifo(opened)
    reader = os.open(opened, os.O_RDONLY | os.O_NONBLOCK)
    environ["BROWSER"] = str(
        program(tmp_path / "browser", f"import sys\nopen({str(opened)!r}, 'w').write(sys.argv[1])")
    )
    with dev(*ANY_PORT, *arguments, environ=environ) as running:
        shown = read_soon(reader, 100) if arguments else ""
    assert (running.url if arguments else "", b"") == (shown, os.read(reader, 100))
    os.close(reader)


def test_without_the_web_server(environ: dict[str, str]) -> None:
    """Without the HTTP server, the error has the command that installs it, and names what works without."""
    shell, without = Shell(environ), lacking("uvicorn")
    done = shell("dev", program=without)
    assert (2, "", 1) == (done.status, done.out, done.err.count('pip install "moss-voice-server[cli]"'))
    assert 0 == shell("dev", "--once", program=without).status


def fake_go(environ: dict[str, str], does: str) -> None:
    """A program called go on the PATH, which prints as many lines as Go would."""
    program(Path(environ["PATH"], "go"), f"import os\nfor n in range(120): print('package', n)\n{does}")


def test_build(environ: dict[str, str]) -> None:
    """Where Go is installed a LiveKit server is built at once, with progress and the way to skip it, and started."""
    stand_in = f"#!{sys.executable}\nraise SystemExit('it starts')\n"
    fake_go(
        environ,
        f"path = os.path.join(os.environ['GOBIN'], 'server')\n"
        f"open(path, 'w').write({stand_in!r})\nos.chmod(path, 0o755)",
    )
    status, out, err = Shell(environ)("dev", *ANY_PORT)
    assert (1, True) == (status, err.endswith("its log ends: it starts\n"))
    assert ["50 packages compiled", "100 packages compiled"] == re.findall(r"\d+ packages compiled", out)
    assert "--no-build-livekit" in out


@pytest.mark.parametrize(
    ("arguments", "text"),
    [((), "✗ LiveKit   not built: no route\n"), (("--no-build-livekit",), "· LiveKit   not installed; ")],
    ids=["fails", "skipped"],
)
def test_build_that_fails_or_is_skipped(arguments: tuple[str, ...], text: str, environ: dict[str, str]) -> None:
    """Without a LiveKit server the page still creates tokens, and the terminal says what to install."""
    fake_go(environ, "raise SystemExit('no route')")
    with dev(*ANY_PORT, *arguments, environ=environ) as running:
        reply = ask(running.url, "/voice/token", method="POST", body={})
        assert running.end() == STOPPED
    assert 201 == reply.status
    assert text in running.out
    assert f"install it{' instead' if not arguments else ''}: {INSTALL}\n" in running.out


def test_real_voice_agent(environ: dict[str, str]) -> None:
    """`--moss` uses the voice agent of the environment: its LiveKit server, its credentials, its name."""
    with FakeMoss(url="wss://voice.example", agent_name="support") as moss:
        with dev(*ANY_PORT, "--moss", environ={**environ, **moss.environ}) as running:
            config = ask(running.url, "/config.json").json
            reply = ask(running.url, "/voice/token", method="POST", body={}).json
            assert running.end() == STOPPED
        secret = moss.credentials["voice_agent_api_secret"]
    token = jwt.decode(reply["participant_token"], secret, algorithms=["HS256"])
    assert ("moss", "wss://voice.example", "support") == (config["mode"], config["livekit"], config["agent"])
    assert [{"agentName": "support"}] == token["roomConfig"]["agents"]
    assert ({}, True) == (running.moss_environ, secret not in running.out)


WRONG = {
    "not a port": ["--port=http"],
    "a port of five digits": ["--port=65536"],
    "--moss without its variables": ["--moss"],
    "--moss with a LiveKit server": ["--moss", "--livekit-url", "ws://127.0.0.1:1"],
    "no URL": ["--endpoint", "voice/token"],
    "plain HTTP elsewhere": ["--endpoint", "http://app.example/voice/token"],
    "a password": ["--endpoint", "https://user:hunter2@app.example/voice/token"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG.keys())
def test_wrong_usage(arguments: list[str], environ: dict[str, str]) -> None:
    """Wrong usage is one line and exit status 2, before anything is started."""
    status, out, err = Shell(environ)("dev", *ANY_PORT, *arguments)
    assert (2, "", 1, False) == (status, out, err.count("\n"), "hunter2" in err)


def test_from_a_zip(environ: dict[str, str], tmp_path: Path) -> None:
    """The package also runs from a zip file, page included."""
    root = Path(moss_voice_server.__file__).parent
    archive = tmp_path / "app.zip"
    with ZipFile(archive, "w") as file:
        for path in root.rglob("*"):
            if path.suffix != ".pyc":
                file.write(path, path.relative_to(root.parent))
    start = (
        f"import sys; sys.path.insert(0, {str(archive)!r}); from moss_voice_server._cli import main; sys.exit(main())"
    )
    with dev(*ANY_PORT, environ=environ, program=(sys.executable, "-c", start)) as running:
        page = ask(running.url).body
    assert (root / "_dev" / "page" / "index.html").read_bytes() == page


@pytest.mark.livekit
def test_killed(environ: dict[str, str], livekit_binary: Path) -> None:
    """When it is killed, the LiveKit server ends with it, and no folder is left."""
    environ = {**environ, "LIVEKIT_SERVER_BIN": str(livekit_binary), "TMPDIR": environ["HOME"]}
    folders = Path(environ["HOME"])
    with dev(*ANY_PORT, "--no-agent", environ=environ) as running:
        assert [1, True] == [len(list(folders.glob("livekit-server-*"))), is_open(running.livekit_url)]
        running.end(signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while is_open(running.livekit_url) or list(folders.glob("livekit-server-*")):
        assert time.monotonic() < deadline, "the LiveKit server is still there"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("tool", "work"),
    [
        ("go", "from moss_voice_server.testing._livekit_binary import build_livekit_server as f; f()"),
        ("npm", "from pathlib import Path; from moss_voice_server._dev.browser_client import fetch; fetch(Path('c'))"),
    ],
)
def test_killed_while_a_tool_works(tool: str, work: str, environ: dict[str, str], tmp_path: Path) -> None:
    """Go and npm end with it as well, and leave no temporary folder."""
    reader = sleeper(Path(environ["PATH"], tool))
    process = subprocess.Popen([sys.executable, "-c", work], env=environ, cwd=tmp_path)
    pid = int(read_soon(reader, 100))
    os.close(reader)
    folders = (*tmp_path.rglob("fetch-*"), *Path(environ["HOME"]).rglob("build-*"))
    assert folders
    process.kill()
    process.wait()
    deadline = time.monotonic() + PATIENCE
    while any(folder.exists() for folder in folders) or runs(pid):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.02)


@pytest.mark.skipif(HAS_CLIENT, reason="LiveKit's client came with the wheel: npm has nothing to do")
def test_npm_ends(environ: dict[str, str]) -> None:
    """npm, which fetches LiveKit's client in the background, does not delay the page and ends with `dev`."""
    reader = sleeper(Path(environ["PATH"], "npm"))
    with dev(*ANY_PORT, environ=environ) as running:
        pid = int(read_soon(reader, 100))
        os.close(reader)
        assert "livekit-client.umd.js" == ask(running.url, "/config.json").json["client"]["src"]
        assert STOPPED == running.end()
    assert not runs(pid)


@pytest.mark.livekit
def test_with_everything(environ: dict[str, str], livekit_binary: Path) -> None:
    """A LiveKit server that is found is started, the echo agent registers with it, and both end with `dev`."""
    with dev(*ANY_PORT, environ={**environ, "LIVEKIT_SERVER_BIN": str(livekit_binary)}) as running:
        config = ask(running.url, "/config.json").json
        assert is_open(running.livekit_url)
        worker = running.livekit_environ
        token = MossVoiceServerSync.from_livekit(*worker.values()).create_participant_token(ParticipantInfo("a"), "b")
        verdict, _ = validate(keys(running), token)
        assert running.end() == STOPPED
    assert not is_open(running.livekit_url)
    assert running.out.startswith(f"✓ LiveKit   livekit-server, started on {running.livekit_url}\n")
    assert f"\n✓ Agent     {AGENT_NAME}: repeats what you say\n" in running.out
    assert ["LIVEKIT_URL", "LIVEKIT_API_KEY", "LIVEKIT_API_SECRET"] == list(worker)
    assert 200 == verdict
    assert (running.livekit_url, True, AGENT_NAME) == (config["livekit"], config["has_echo"], config["agent"])


@pytest.mark.livekit
def test_without_the_agent(environ: dict[str, str], livekit_binary: Path) -> None:
    """Without the extra, terminal and page have the command that installs the echo agent, and the rest works."""
    environ["LIVEKIT_SERVER_BIN"] = str(livekit_binary)
    with dev(*ANY_PORT, environ=environ, program=lacking("livekit")) as running:
        config = ask(running.url, "/config.json").json
        assert 201 == ask(running.url, "/voice/token", method="POST", body={}).status
        assert (0, "") == running.end()[::2]
    assert '· Agent     no echo agent; install it: pip install "moss-voice-server[cli,agent]"\n' in running.out
    assert 'pip install "moss-voice-server[cli,agent]"' in config["agent_remedy"]
    assert not config["has_echo"]


@pytest.mark.livekit
def test_no_agent(environ: dict[str, str], livekit_server: LiveKitServer) -> None:
    """With `--no-agent` there is no echo agent, and no line about it."""
    secret = livekit_server.api_secret
    with dev(*ANY_PORT, "--no-agent", *given(livekit_server), environ=environ, stdin=secret) as running:
        config = ask(running.url, "/config.json").json
        assert (0, "") == running.end()[::2]
    assert "Agent" not in running.out
    assert "\n✓ Checked   " in running.out
    assert (False, "") == (config["has_echo"], config["agent_remedy"])
    assert {} == running.livekit_environ
    assert secret not in running.out


@pytest.mark.livekit
def test_given_server_with_a_wrong_secret(environ: dict[str, str], livekit_server: LiveKitServer) -> None:
    """A LiveKit server that refuses the secret is reported at once, with the next command; the page is served."""
    with dev(*ANY_PORT, *given(livekit_server), environ=environ, stdin="s" * 32) as running:
        config = ask(running.url, "/config.json").json
        assert (0, "") == running.end()[::2]
    assert "\n✗ Checked   " in running.out
    assert "\n✗ Agent     the echo agent could not register with the LiveKit server (HTTP 401)\n" in running.out
    assert config["agent_remedy"].endswith("LiveKit server (HTTP 401): run `moss-voice-server doctor`.")
