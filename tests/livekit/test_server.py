"""`testing.LiveKitServer`: on loopback only, with its own keys only, and it leaves nothing behind."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server.testing import LiveKitServer, LiveKitServerError
from tests.livekit.server_api import validate
from tests.livekit.signalling import join
from tests.support.programs import program

pytestmark = pytest.mark.livekit
PATIENCE = 20.0  # seconds


@pytest.fixture
def own_server(livekit_binary: Path) -> Iterator[LiveKitServer]:
    """A server for one test."""
    with LiveKitServer(livekit_binary) as server:
        yield server


def token_of(server: LiveKitServer) -> str:
    """A token of ours that `server` should accept."""
    voice = MossVoiceServerSync.from_livekit(server.url, server.api_key, server.api_secret)
    return voice.create_participant_token(ParticipantInfo("user-42"), "room")


def is_alive(pid: int) -> bool:
    """Whether a process of this id exists, even as a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def stand_in(path: Path, text: str) -> Path:
    """A program in place of a LiveKit server, with the server's `config`."""
    return program(path, f"import json, os, sys\nconfig = json.loads(os.environ['LIVEKIT_CONFIG'])\n{dedent(text)}")


def sockets_of(pid: int) -> set[str]:
    """The local addresses of all TCP and UDP sockets of a process, as hexadecimal text, from Linux's /proc."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor))
        if found:
            inodes.add(found[1])
    return {
        fields[1].split(":")[0]
        for table in ("tcp", "tcp6", "udp", "udp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
        if (fields := line.split())[9] in inodes
    }


def test_listens_on_loopback_only(own_server: LiveKitServer) -> None:
    """Every socket of the server, for signals and for media, is bound to 127.0.0.1, also with a guest inside."""
    if not Path("/proc/net/tcp").exists():
        pytest.skip("reads the sockets of a process from Linux's /proc")
    assert own_server.pid is not None

    with join(own_server.url, token_of(own_server)):
        assert {"0100007F"} == sockets_of(own_server.pid)


def test_sends_clients_to_no_public_server(own_server: LiveKitServer) -> None:
    """The STUN servers that clients get are on loopback."""
    with join(own_server.url, token_of(own_server)) as signal:
        urls = [url for each in signal.joined.ice_servers for url in each.urls]

    assert [True] == [url.startswith("stun:127.0.0.1:") for url in urls]


@pytest.mark.parametrize("keys", [{}, {"": "secret"}, {"APIkey": ""}])
def test_empty_keys_are_refused(keys: dict[str, str], livekit_binary: Path) -> None:
    """No pair at all, an empty key or an empty secret is an error before anything is started."""
    with pytest.raises(ValueError, match="keys must map"):
        LiveKitServer(livekit_binary, keys=keys)


def test_environment_does_not_leak_in(livekit_binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiveKit's variables for keys and ports do not reach the server."""
    monkeypatch.setenv("LIVEKIT_KEYS", "APIleaked: a-secret-that-came-from-the-environment")
    monkeypatch.setenv("LIVEKIT_PORT", "1")
    monkeypatch.setenv("UDP_PORT", "1")

    with LiveKitServer(livekit_binary) as server:
        leaked = MossVoiceServerSync.from_livekit(
            server.url, "APIleaked", "a-secret-that-came-from-the-environment"
        ).create_participant_token(ParticipantInfo("user-42"), "room")

        assert 401 == validate(server, leaked)[0]
        assert 200 == validate(server, token_of(server))[0]


def test_keys_are_in_no_file(livekit_binary: Path) -> None:
    """The server's folder is private and contains no secret, and `stop` removes it."""
    server = LiveKitServer(livekit_binary)
    with server:
        folder = server._folder
        assert folder is not None
        texts = [path.read_text() for path in folder.iterdir()]
        assert ("0o700", [False]) == (oct(folder.stat().st_mode & 0o777), [server.api_secret in text for text in texts])
    assert not folder.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT, signal.SIGTERM], ids=["KILL", "QUIT", "TERM"])
def test_server_ends_with_a_killed_parent(number: int, livekit_binary: Path) -> None:
    """When the process that started a server is killed, the server ends and its folder is removed."""
    code = f"""
import time
from moss_voice_server.testing import LiveKitServer
server = LiveKitServer({str(livekit_binary)!r})
server.start()
print(server.pid, server._folder, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().split()
        assert is_alive(int(pid))
        parent.send_signal(number)
        parent.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while is_alive(int(pid)) or Path(folder).exists():
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.02)


def test_program_that_cannot_be_started(tmp_path: Path) -> None:
    """A file that is no program is an error that names it, and no frame of the error holds the secret."""
    server = LiveKitServer(tmp_path / "absent")
    with pytest.raises(LiveKitServerError, match="absent could not be started") as failed:
        server.start()
    frames, error = [], failed.value.__traceback__
    while error is not None:
        frames.append(repr(error.tb_frame.f_locals))
        error = error.tb_next
    assert [] == [text for text in frames if server.api_secret in text]


def test_secret_is_shown_nowhere(own_server: LiveKitServer) -> None:
    """Neither repr nor the attributes show the secret, and pickling is refused."""
    shown = repr(own_server) + str(own_server) + repr(vars(own_server))

    assert own_server.api_secret not in shown
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(LiveKitServer(keys={"APIkey": "secret"}))


def test_log_hides_tokens(own_server: LiveKitServer) -> None:
    """LiveKit writes a refused token into its log; we show the log without it."""
    other = MossVoiceServerSync.from_livekit(own_server.url, own_server.api_key, "x" * 40)
    token = other.create_participant_token(ParticipantInfo("user-42"), "room")

    assert 401 == validate(own_server, token)[0]
    assert token.split(".")[1] not in own_server.log_tail(1000)
    assert own_server.log_tail(1000).count("starting LiveKit server") == 1


def test_restart_rotates_the_keys(own_server: LiveKitServer) -> None:
    """After `restart(keys=…)` the server has the same URL and accepts only the new pair."""
    url, pid, old = own_server.url, own_server.pid, token_of(own_server)

    own_server.restart(keys={"APInew": "n" * 43})

    assert (url, "APInew", "n" * 43) == (own_server.url, own_server.api_key, own_server.api_secret)
    assert pid is not None
    assert not is_alive(pid)
    assert [401, 200] == [validate(own_server, each)[0] for each in (old, token_of(own_server))]


def test_stop_ends_the_process_with_guests_inside(livekit_binary: Path) -> None:
    """`stop` does not wait for participants to leave; process and zombie are gone when it returns."""
    server = LiveKitServer(livekit_binary)
    server.start()
    pid = server.pid
    assert pid is not None
    try:
        with join(server.url, token_of(server)):
            server.stop()
            assert not is_alive(pid)
    finally:
        server.stop()  # harmless a second time

    assert server.pid is None
    assert "starting LiveKit server" in server.log_tail(200)
    with server:  # and it can be started again
        assert 200 == validate(server, token_of(server))[0]


def test_starting_twice_is_an_error(own_server: LiveKitServer) -> None:
    """A running server is not started over: that would lose the first process."""
    with pytest.raises(LiveKitServerError, match="running already"):
        own_server.start()
    with pytest.raises(LiveKitServerError, match="not running"):
        LiveKitServer().restart()


def test_server_that_exits(tmp_path: Path) -> None:
    """The error has the exit status and the end of the log, with the secret and tokens masked."""
    broken = stand_in(
        tmp_path / "broken",
        """
        print("my keys are", config["keys"], "and a token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.c2lnbmF0dXJl")
        sys.exit(3)
        """,
    )
    server = LiveKitServer(broken)

    with pytest.raises(LiveKitServerError) as failed:
        server.start()

    text = str(failed.value)
    assert "exited with status 3" in text
    assert f"my keys are {{'{server.api_key}': '[secret]'}} and a token [token]" in text
    assert server.pid is None


def test_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    """After `start_timeout` the process is ended, by SIGKILL if it ignores SIGTERM, and the start fails."""
    deaf = stand_in(
        tmp_path / "deaf",
        """
        import signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.pause()
        """,
    )
    server = LiveKitServer(deaf, start_timeout=1.0, stop_timeout=0.1)
    pids = set()

    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(server.start)
        while not start.done():
            pids.add(server.pid)
            time.sleep(0.01)

    with pytest.raises(LiveKitServerError, match=r"did not answer within 1 s"):
        start.result()
    (pid,) = pids - {None}
    assert pid is not None
    assert not is_alive(pid)


def test_taken_port_is_tried_again_elsewhere(livekit_binary: Path, tmp_path: Path) -> None:
    """A port that is taken between our look and the server's own leads to another one."""
    unlucky = stand_in(
        tmp_path / "unlucky",
        f"""
        if not os.path.exists({str(tmp_path / "first")!r}):
            open({str(tmp_path / "first")!r}, "w").write(str(config["port"]))
            print("listen tcp: bind: address already in use")
            sys.exit(0)
        os.execv({str(livekit_binary)!r}, sys.argv)
        """,
    )
    with LiveKitServer(unlucky) as server:
        assert 200 == validate(server, token_of(server))[0]
        assert (tmp_path / "first").read_text() not in server.url


def run(livekit_binary: Path, text: str) -> list[str]:
    """Run Python code with a started `server` in another interpreter; the lines that it prints."""
    code = f"""
import os, sys
from moss_voice_server.testing import LiveKitServer
server = LiveKitServer({str(livekit_binary)!r})
server.start()
print(server.pid, flush=True)
{dedent(text)}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    return [*done.stdout.split(), *([] if "RuntimeError: wanted" in done.stderr else done.stderr.split())]


@pytest.mark.parametrize("end", ["", "sys.exit(5)", "raise RuntimeError('wanted')"])
def test_interpreter_exit_stops_the_server(end: str, livekit_binary: Path) -> None:
    """A program that forgets to stop its server leaves none behind, however it ends."""
    (pid,) = run(livekit_binary, end)

    assert not is_alive(int(pid))


def test_forked_child_leaves_the_server_alone(livekit_binary: Path) -> None:
    """A child that exits, or stops the server it was forked with, does not stop its parent's."""
    pid, still_answers = run(
        livekit_binary,
        """
        for leave in (sys.exit, lambda: (server.stop(), os._exit(0))):
            child = os.fork()
            if not child:
                leave()
            os.waitpid(child, 0)
        print(server._answers())
        """,
    )

    assert ("True", False) == (still_answers, is_alive(int(pid)))
