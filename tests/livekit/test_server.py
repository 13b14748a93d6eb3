"""`testing.LiveKitServer`: on loopback only, with its own keys only, and it leaves nothing behind."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import time
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


def test_everything_stays_on_loopback(livekit_binary: Path) -> None:
    """Every socket of the server, for signals and for media, is bound to 127.0.0.1, also with a guest inside; so are the
    STUN servers that clients get.
    """
    if not Path("/proc/net/tcp").exists():
        pytest.skip("reads the sockets of a process from Linux's /proc")
    with LiveKitServer(livekit_binary) as server, join(server.url, token_of(server)) as signal:
        assert server.pid is not None
        assert {"0100007F"} == sockets_of(server.pid)
        urls = [url for each in signal.joined.ice_servers for url in each.urls]

    assert [True] == [url.startswith("stun:127.0.0.1:") for url in urls]


def test_secret_is_shown_nowhere(livekit_binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret is in no file, attribute, repr or pickle; the log has no refused token, which LiveKit writes into it.
    The server's folder is private. LiveKit's variables of this process do not reach it, and `stop` removes the folder.
    """
    for name, value in {
        "LIVEKIT_KEYS": "APIleaked: a-secret-that-came-from-the-environment",
        "LIVEKIT_PORT": "1",
        "UDP_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    with LiveKitServer(livekit_binary) as server:
        folder = server._folder
        assert folder is not None
        texts = [path.read_text() for path in folder.iterdir()]
        assert ("0o700", True) == (oct(folder.stat().st_mode & 0o777), bool(texts))
        assert [] == [text for text in (*texts, repr(server), repr(vars(server))) if server.api_secret in text]
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(server)

        for key, secret in [(server.api_key, "x" * 40), ("APIleaked", "a-secret-that-came-from-the-environment")]:
            other = MossVoiceServerSync.from_livekit(server.url, key, secret)
            token = other.create_participant_token(ParticipantInfo("user-42"), "room")
            assert 401 == validate(server, token)[0]
            assert token.split(".")[1] not in server.log_tail(1000)
        assert 200 == validate(server, token_of(server))[0]
        assert 1 == server.log_tail(1000).count("starting LiveKit server")
    assert not folder.exists()


def test_wrong_use_is_an_error(livekit_binary: Path, tmp_path: Path) -> None:
    """No keys, an empty key or secret; a second start, which would lose the first process; a restart before the start; a
    file that is no program. No frame of an error holds the secret.
    """
    for keys in ({}, {"": "secret"}, {"APIkey": ""}):
        with pytest.raises(ValueError, match="keys must map"):
            LiveKitServer(livekit_binary, keys=keys)
    with pytest.raises(LiveKitServerError, match="not running"):
        LiveKitServer().restart()

    server = LiveKitServer(tmp_path / "absent")
    with pytest.raises(LiveKitServerError, match="absent could not be started") as failed:
        server.start()
    frames, error = [], failed.value.__traceback__
    while error is not None:
        frames.append(repr(error.tb_frame.f_locals))
        error = error.tb_next
    assert [] == [text for text in frames if server.api_secret in text]


def test_stop_ends_the_process_with_guests_inside(livekit_binary: Path) -> None:
    """`stop` does not wait for participants to leave; process and zombie are gone when it returns."""
    server = LiveKitServer(livekit_binary)
    server.start()
    pid = server.pid
    assert pid is not None
    try:
        with pytest.raises(LiveKitServerError, match="running already"):
            server.start()
        with join(server.url, token_of(server)):
            server.stop()
            assert not is_alive(pid)
    finally:
        server.stop()  # harmless a second time

    assert server.pid is None
    assert "starting LiveKit server" in server.log_tail(200)
    with server:  # and it can be started again
        assert 200 == validate(server, token_of(server))[0]


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
    """A port that is taken between our look and the server's own leads to another one, though it is answered there."""
    unlucky = stand_in(
        tmp_path / "unlucky",
        f"""
        import socket
        if not os.path.exists({str(tmp_path / "first")!r}):
            open({str(tmp_path / "first")!r}, "w").write(str(config["port"]))
            taken = socket.create_server(("127.0.0.1", config["port"]))
            taken.settimeout(0.5)
            try:
                while True:
                    with taken.accept()[0] as client:
                        client.recv(1000)
                        client.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n")
            except TimeoutError:
                pass
            print("listen tcp: bind: address already in use")
            sys.exit(0)
        os.execv({str(livekit_binary)!r}, sys.argv)
        """,
    )
    with LiveKitServer(unlucky) as server:
        assert 200 == validate(server, token_of(server))[0]
        assert (tmp_path / "first").read_text() not in server.url


PROGRAM = """
import os, sys, time
from moss_voice_server.testing import LiveKitServer
server = LiveKitServer({binary!r})
server.start()
print(server.pid, server._folder, flush=True)
"""


def test_server_ends_with_a_killed_parent(livekit_binary: Path) -> None:
    """When the process that started a server is killed, the server ends and its folder is removed."""
    code = PROGRAM.format(binary=str(livekit_binary)) + "time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, folder = parent.stdout.readline().split()
        assert is_alive(int(pid))
        parent.kill()
    deadline = time.monotonic() + PATIENCE
    while is_alive(int(pid)) or Path(folder).exists():
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.02)


def test_parent_that_is_killed_while_it_starts_a_server(tmp_path: Path) -> None:
    """Between the starts of the server and of the shell that guards it, nothing is left behind."""
    server = stand_in(tmp_path / "server", f"import time\nopen({str(tmp_path / 'ran')!r}, 'w').close()\ntime.sleep(60)")
    code = f"""
import os, sys
from moss_voice_server.testing import LiveKitServer
def kill_at_the_second_start(event, _arguments, starts=[]):
    if event == "subprocess.Popen":
        starts.append(event)
        if len(starts) == 2:
            os.kill(os.getpid(), 9)
sys.addaudithook(kill_at_the_second_start)
LiveKitServer({str(server)!r}).start()
"""
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    assert -9 == subprocess.run([sys.executable, "-c", code], env=environ, check=False).returncode
    deadline = time.monotonic() + PATIENCE
    while list(tmp_path.glob("livekit-server-*")):
        assert time.monotonic() < deadline, "the server outlived its parent"
        time.sleep(0.02)
    assert not (tmp_path / "ran").exists()


def test_interpreter_exit_stops_the_server(livekit_binary: Path) -> None:
    """A program that fails leaves no server behind. A forked child that exits, or stops the server, leaves it alone."""
    code = PROGRAM.format(binary=str(livekit_binary)) + dedent(
        """
        for leave in (sys.exit, lambda: (server.stop(), os._exit(0))):
            child = os.fork()
            if not child:
                leave()
            os.waitpid(child, 0)
        print(server._answers() and os.path.isdir(server._folder))
        raise RuntimeError("wanted")
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)

    pid, folder, still_answers = done.stdout.split()
    assert "RuntimeError: wanted" == done.stderr.splitlines()[-1]
    assert ("True", False, False) == (still_answers, is_alive(int(pid)), Path(folder).exists())
