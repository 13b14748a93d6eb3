"""`moss-voice-server dev` as a process: what it prints and serves, with and without its parts, and that nothing stays."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server._dev import browser_client as client
from tests.cli.shell import Done, Shell, claims, read_soon
from tests.dev.program import children, dev
from tests.dev.wire import ask

if TYPE_CHECKING:
    from moss_voice_server.testing import LiveKitServer

pytestmark = pytest.mark.once

# A wheel holds LiveKit's client, and then nothing is fetched.
HAS_CLIENT = (client.VENDOR / client.FILE).exists()
SECRET = "a-secret-of-more-than-thirty-two-characters"
ANY_PORT = ("--port", "0")
# What a program that lacks these packages does; `None` is Python's own way to say that a module cannot be imported.
LACKING = (
    "import sys; sys.modules.update(dict.fromkeys({names})); from moss_voice_server._cli import main; sys.exit(main())"
)

INSTALL = {"darwin": "brew install livekit", "linux": "curl -sSL https://get.livekit.io | bash"}.get(
    sys.platform, "https://github.com/livekit/livekit/releases"
)
WITHOUT_LIVEKIT = """\
· LiveKit   none to ask; get one: {install}
✓ Moss API  a fake one, started on {api}
✓ Page      {url}

For a backend of your own: its environment
export MOSS_PROJECT_ID={project}
export MOSS_PROJECT_KEY={key}
export MOSS_VOICE_AGENT_ID={agent}
export MOSS_PLATFORM_API_URL={api}

For a page of your own, with Room and TokenSource of livekit-client
const tokens = TokenSource.endpoint("{url}voice/token");
const call = await tokens.fetch({{}});
await new Room().connect(call.serverUrl, call.participantToken);

Press Ctrl-C to stop.
"""


def lacking(*names: str) -> tuple[str, ...]:
    """The program on a machine where these packages are not installed."""
    return sys.executable, "-W", "error", "-c", LACKING.format(names=names)


def is_open(url: str) -> bool:
    """Whether somebody listens there."""
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname, parts.port)) == 0


def test_without_livekit(environ: dict[str, str]) -> None:
    """Without a LiveKit server, npm and network it serves all the same, and says what is missing and how to get it."""
    with dev(*ANY_PORT, environ=environ) as running:
        said = running.moss_environ
        config = ask(running.url, "/config.json").json
        reply = ask(running.url, "/voice/token", method="POST", body={})
        page = ask(running.url)
        ended = running.end()

    expected = WITHOUT_LIVEKIT.format(
        install=INSTALL,
        api=said["MOSS_PLATFORM_API_URL"],
        url=running.url,
        project=said["MOSS_PROJECT_ID"],
        key=said["MOSS_PROJECT_KEY"],
        agent=said["MOSS_VOICE_AGENT_ID"],
    )
    assert expected == running.out
    assert [] == [line for line in running.out.splitlines() if len(line) > 80]
    assert (0, "Stopped: nothing stays behind.\n", "") == ended
    assert ("", client.FILE if HAS_CLIENT else client.CDN) == (config["livekit"], config["client"]["src"])
    assert f"Get one: `{INSTALL}`" in config["livekit_remedy"]
    assert "npm" in config["client_remedy"]
    assert [("", "LiveKit's own rules: workers without a name")] == [
        (each["name"], each["label"]) for each in config["agents"]
    ]
    assert (200, 201, "ws://127.0.0.1:7880") == (page.status, reply.status, reply.json["server_url"])


@pytest.mark.parametrize(
    "number",
    [signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP"],
)
def test_stops(number: int, environ: dict[str, str]) -> None:
    """Whatever tells it to end, it ends with status 0, and nobody listens any more."""
    with dev(*ANY_PORT, environ=environ) as running:
        addresses = [running.url, running.moss_environ["MOSS_PLATFORM_API_URL"]]
        assert [True, True] == [is_open(address) for address in addresses]
        assert (0, "Stopped: nothing stays behind.\n", "") == running.end(number)
    assert [False, False] == [is_open(address) for address in addresses]


def test_backend_of_a_developer(environ: dict[str, str]) -> None:
    """The environment that it prints leads a backend to the fake Moss, and to the same LiveKit credentials."""
    with dev(*ANY_PORT, environ=environ) as running, MossVoiceServerSync.from_env(running.moss_environ) as server:
        token = server.create_participant_token(ParticipantInfo("ada"), "room")
        ours = ask(running.url, "/voice/token", method="POST", body={}).json["participant_token"]
        assert "echo" == server.get_agent_name()
    assert claims(ours)["iss"] == claims(token)["iss"]


def test_port_that_is_taken(environ: dict[str, str]) -> None:
    """A port that cannot be had is wrong usage, and nothing is started."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, out, err = Shell(environ)("dev", "--port", str(port))
    assert (2, "") == (status, out)
    assert re.fullmatch(
        rf"moss-voice-server: error: --port: port {port} cannot be had: .*: choose another, or leave it out\n", err
    )


@pytest.mark.parametrize("port", ["-1", "65536", "http", "1.5", ""])
def test_port_that_is_none(port: str, environ: dict[str, str]) -> None:
    """A port that is no number from 0 to 65535 is wrong usage."""
    status, out, err = Shell(environ)("dev", f"--port={port}")
    assert (2, "") == (status, out)
    assert "--port: write a port as a number from 0 to 65535" in err


@pytest.mark.skipif(sys.platform == "win32", reason="needs a program that is a script")
def test_open(environ: dict[str, str], tmp_path: Path) -> None:
    """The page is opened in the browser when that is asked for."""
    told = tmp_path / "told"
    os.mkfifo(told)
    reader = os.open(told, os.O_RDONLY | os.O_NONBLOCK)
    environ["BROWSER"] = browser(tmp_path, f'echo "$1" > {told}')
    with dev(*ANY_PORT, "--open", environ=environ) as running:
        assert f"{running.url}\n" == read_soon(reader, 100)
    os.close(reader)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a program that is a script")
@pytest.mark.parametrize("arguments", [["--no-open"], []], ids=["--no-open", "by default"])
def test_not_opened(arguments: list[str], environ: dict[str, str], tmp_path: Path) -> None:
    """The page is not opened when that is not wanted, and by default only where a person sits at a terminal."""
    told = tmp_path / "told"
    environ["BROWSER"] = browser(tmp_path, f'echo "$1" > {told}')
    with dev(*ANY_PORT, *arguments, environ=environ) as running:
        ask(running.url)
    assert not told.exists()


def browser(folder: Path, command: str) -> str:
    """A browser that does nothing but run a shell command."""
    program = folder / "browser"
    program.write_text(f"#!/bin/sh\n{command}\n")
    program.chmod(0o755)
    return str(program)


def test_without_the_web_server(environ: dict[str, str]) -> None:
    """Where the HTTP server is not installed, it says which line brings it, and what works without."""
    shell = Shell(environ)
    program = lacking("uvicorn")
    text = 'the page needs an HTTP server: pip install "moss-voice-server[cli]"; `dev --once` works without'
    assert Done(2, "", f"moss-voice-server: error: {text}\n") == shell("dev", program=program)
    assert 0 == shell("dev", "--once", program=program).status


def test_build_without_go(environ: dict[str, str]) -> None:
    """A LiveKit server is to be built and there is no Go: one line that says where to get it."""
    status, out, err = Shell(environ)("dev", *ANY_PORT, "--build-livekit")
    assert 1 == status
    assert "building v" in out
    assert err.startswith("moss-voice-server: error: Go is needed to build livekit-server ")
    assert 1 == err.count("\n")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a program that is a script")
def test_build(environ: dict[str, str], tmp_path: Path) -> None:
    """A LiveKit server that is to be built is built by `go install`, and then started."""
    go = Path(environ["PATH"], "go")
    stand_in = f"#!{sys.executable}\nraise SystemExit('it starts')\n"
    go.write_text(
        f"#!{sys.executable}\nimport os\npath = os.path.join(os.environ['GOBIN'], 'server')\n"
        f"open(path, 'w').write({stand_in!r})\nos.chmod(path, 0o755)\n"
    )
    go.chmod(0o755)
    status, _, err = Shell(environ)("dev", *ANY_PORT, "--build-livekit")
    assert (1, True) == (status, err.endswith("its log ends: it starts\n"))


@pytest.mark.skipif(HAS_CLIENT, reason="LiveKit's client came with the wheel: npm has nothing to do")
@pytest.mark.skipif(sys.platform == "win32", reason="needs a program that is a script")
def test_npm_does_not_stay(environ: dict[str, str], tmp_path: Path) -> None:
    """npm, which is fetching LiveKit's client in the background, keeps nobody waiting and ends with us."""
    mark = tmp_path / "pid"
    os.mkfifo(mark)
    npm = Path(environ["PATH"], "npm")
    npm.write_text(
        f"#!{sys.executable}\nimport os, time\nopen({str(mark)!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)\n"
    )
    npm.chmod(0o755)
    reader = os.open(mark, os.O_RDONLY | os.O_NONBLOCK)
    with dev(*ANY_PORT, environ=environ) as running:
        pid = int(read_soon(reader, 100))
        os.close(reader)
        assert "livekit-client.umd.js" == ask(running.url, "/config.json").json["client"]["src"]
        assert (0, "Stopped: nothing stays behind.\n", "") == running.end()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_client_in_the_cache(environ: dict[str, str], client_folder: Path) -> None:
    """LiveKit's client that an earlier run has fetched is served."""
    cached = Path(environ["XDG_CACHE_HOME"], "moss-voice-server", f"livekit-client-{client.VERSION}")
    shutil.copytree(client_folder, cached)
    with dev(*ANY_PORT, environ=environ) as running:
        assert (client_folder / client.FILE).read_bytes() == ask(running.url, f"/{client.FILE}").body


@pytest.mark.livekit
def test_with_everything(environ: dict[str, str], livekit_binary: Path) -> None:
    """A LiveKit server that is found is started, the echo agent registers with it, and both end with us."""
    with dev(*ANY_PORT, environ={**environ, "LIVEKIT_SERVER_BIN": str(livekit_binary)}) as running:
        config = ask(running.url, "/config.json").json
        started = children(running.pid)
        assert is_open(running.livekit_url)
        assert (0, "Stopped: nothing stays behind.\n", "") == running.end()
    assert not is_open(running.livekit_url)
    assert running.out.startswith(f"✓ LiveKit   livekit-server, started on {running.livekit_url}\n")
    assert "\n✓ Agent     echo: plays back what it hears\n" in running.out
    assert 'await tokens.fetch({ agentName: "echo" });' in running.snippet
    assert [True] == [str(livekit_binary) in command for command in started]
    assert (True, ["echo", ""]) == (
        config["livekit"].startswith("ws://127.0.0.1:"),
        [each["name"] for each in config["agents"]],
    )
    assert (
        f"This page asks {running.url}voice/token for a token, as your page asks your backend. That endpoint is "
        f"moss-voice-server; it has LiveKit's credentials from a fake Moss API on "
        f"{running.moss_environ['MOSS_PLATFORM_API_URL']}. With the token you and the echo agent meet at the LiveKit server "
        f"on {running.livekit_url}. Nothing leaves this machine."
    ) == config["chain"]


@pytest.mark.livekit
def test_without_the_agent(environ: dict[str, str], livekit_binary: Path) -> None:
    """Without the extra, the terminal and the page say which line brings the echo agent, and all else works."""
    environ["LIVEKIT_SERVER_BIN"] = str(livekit_binary)
    with dev(*ANY_PORT, environ=environ, program=lacking("livekit")) as running:
        config = ask(running.url, "/config.json").json
        refused = ask(
            running.url, "/voice/token", method="POST", body={"room_config": {"agents": [{"agent_name": "echo"}]}}
        )
        assert (0, "") == running.end()[::2]
    assert '· Agent     no echo agent; get it: pip install "moss-voice-server[cli,agent]"\n' in running.out
    assert 'pip install "moss-voice-server[cli,agent]"' in config["agent_remedy"]
    assert [""] == [each["name"] for each in config["agents"]]
    assert 403 == refused.status


@pytest.mark.livekit
def test_no_agent(environ: dict[str, str], livekit_server: LiveKitServer) -> None:
    """With `--no-agent` there is none, and nothing is said of it."""
    given = ("--livekit-url", livekit_server.url, "--api-key", livekit_server.api_key, "--api-secret", "-")
    with dev(*ANY_PORT, "--no-agent", *given, environ=environ, stdin=livekit_server.api_secret) as running:
        config = ask(running.url, "/config.json").json
        assert (0, "") == running.end()[::2]
    assert "Agent" not in running.out
    assert "\n✓ Checked   LiveKit accepts the token (GET /rtc/validate)\n" in running.out
    assert ([""], "") == ([each["name"] for each in config["agents"]], config["agent_remedy"])
    assert livekit_server.pid is not None
    assert livekit_server.api_secret not in running.out


@pytest.mark.livekit
def test_given_server_with_a_wrong_secret(environ: dict[str, str], livekit_server: LiveKitServer) -> None:
    """A LiveKit server that does not take our secret is said at once, with what finds out more; the page is served."""
    given = ("--livekit-url", livekit_server.url, "--api-key", livekit_server.api_key, "--api-secret", "-")
    with dev(*ANY_PORT, *given, environ=environ, stdin=SECRET) as running:
        config = ask(running.url, "/config.json").json
        assert (0, "") == running.end()[::2]
    text = "the echo agent could not register with the LiveKit server (HTTP 401)"
    why = "LiveKit refuses the token (HTTP 401): the secret does not belong to the API key: check --api-secret"
    assert f"✗ Checked   {why}\n" in running.out
    assert f"✗ Agent     {text}\n" in running.out
    assert "`moss-voice-server doctor` says why." in config["agent_remedy"]
    assert "LiveKit server (HTTP 401)" in config["agent_remedy"]
