"""A LiveKit server on this machine's loopback, started and stopped: for development and tests."""

from __future__ import annotations

import atexit
import http.client
import json
import os
import random
import re
import secrets
import shutil
import socket
import string
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from moss_voice_server._secret import Secret

from ._livekit_binary import (
    LIVEKIT_VERSION,
    LiveKitServerError,
    build_livekit_server,
    cache_folder,
    find_livekit_server,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import Self

__all__ = [
    "LIVEKIT_VERSION",
    "LiveKitServer",
    "LiveKitServerError",
    "build_livekit_server",
    "cache_folder",
    "find_livekit_server",
]

_HOST = "127.0.0.1"
# Below the ranges from which systems take the ports of outgoing connections (Linux from 32768, others 49152):
# no client's own port can be in the way, neither now nor when the server is started again on the same port.
_PORTS = range(20_000, 32_000)
_PORT_ATTEMPTS = 5
_READY_POLL = 0.02  # seconds between two looks at a starting server
_TERM_EVERY = 0.3  # LiveKit waits for its participants after one SIGTERM and leaves at once after a second
_BASE62 = string.ascii_letters + string.digits
_TOKEN = re.compile(r"\beyJ[\w-]+(?:\.[\w-]*){1,2}")
# LiveKit takes every setting from a variable as well; only what a program needs to run at all is passed on.
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "TEMP", "SYSTEMROOT")


class LiveKitServer:
    """A LiveKit server of its own on free loopback ports; a context manager.

    Nothing listens beyond loopback and nothing is sent there: signalling and media are bound to 127.0.0.1,
    ICE over TCP (which LiveKit would bind to every interface) is off, and clients are told of no public STUN
    server. The configuration, which holds the secrets, lies in a private temporary folder and goes with it.
    The server is also stopped when the interpreter exits; a process that is killed outright (SIGKILL, or
    SIGTERM without a handler) leaves it running.

    Args:
        binary: the executable; by default what `find_livekit_server` finds.
        keys: API keys and their secrets; the first pair is what `api_key` and `api_secret` tell. By default
            one random pair.
        start_timeout: seconds to wait for the server to answer.
        stop_timeout: seconds to wait for it to end before it is killed.

    Raises:
        ValueError: `keys` is empty, or holds an empty key or secret.
        LiveKitServerError: on `start` and `restart`, when no server is found or it does not come up; the text
            ends with the last lines of its log, secrets and tokens masked.
    """

    def __init__(
        self,
        binary: str | os.PathLike[str] | None = None,
        *,
        keys: Mapping[str, str] | None = None,
        start_timeout: float = 20.0,
        stop_timeout: float = 5.0,
    ) -> None:
        self._binary = None if binary is None else Path(binary)
        self._keys = _sealed(_random_pair() if keys is None else keys)
        self._masked = [self._keys]  # all that the log may tell of
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._port = 0
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._last_log = ""

    def __repr__(self) -> str:
        state = "running" if self._process is not None else "stopped"
        return f"<{type(self).__name__} {self.url} key {self.api_key}, {state}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What clients connect to: `ws://127.0.0.1:` and the port, which is 0 before the first start."""
        return f"ws://{_HOST}:{self._port}"

    @property
    def http_url(self) -> str:
        """The same server for HTTP requests, such as `/rtc/validate`."""
        return f"http://{_HOST}:{self._port}"

    @property
    def api_key(self) -> str:
        """The first API key."""
        return next(iter(self._keys.reveal()))

    @property
    def api_secret(self) -> str:
        """The secret of the first API key."""
        return next(iter(self._keys.reveal().values()))

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the server and return when it answers; entering the context does the same."""
        if self._folder is not None:
            raise LiveKitServerError("this LiveKit server was started already: stop() or restart() it")
        if self._binary is None:
            self._binary = find_livekit_server()
        if self._binary is None:
            raise LiveKitServerError(
                "no livekit-server was found: name one in LIVEKIT_SERVER_BIN, put livekit-server on PATH, or "
                "let build_livekit_server() build one (it needs Go)"
            )
        self._folder = Path(tempfile.mkdtemp(prefix="livekit-server-"))
        self._owner = os.getpid()
        atexit.register(self.stop)
        try:
            for attempt in range(1, _PORT_ATTEMPTS + 1):
                self._port = _free_port()
                try:
                    self._launch(self._binary, self._folder)
                    return
                except LiveKitServerError as error:
                    # Between our look at the port and the server's own, somebody else may have taken it.
                    if attempt == _PORT_ATTEMPTS or "address already in use" not in str(error):
                        raise
        except BaseException:
            self.stop()
            raise

    def restart(self, *, keys: Mapping[str, str] | None = None) -> None:
        """Stop the server and start it on the same ports, with other `keys` if given: keys are exchanged so.

        Rooms and participants are gone, as after any restart of a LiveKit server without Redis.
        """
        if self._folder is None or self._binary is None:
            raise LiveKitServerError("this LiveKit server is not running: start() it first")
        if keys is not None:
            self._keys = _sealed(keys)
            self._masked.append(self._keys)
        self._end_process()
        try:
            self._launch(self._binary, self._folder)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server and remove its folder; harmless when it is not running.

        A forked child leaves it alone: the server belongs to the process that started it.
        """
        if self._folder is None or os.getpid() != self._owner:
            return
        self._end_process()
        self._last_log = self.log_tail(200)
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder = None
        atexit.unregister(self.stop)

    def log_tail(self, lines: int = 40) -> str:
        """The last `lines` lines of the server's log, secrets and tokens masked; kept after `stop`."""
        if self._folder is None:
            return "\n".join(self._last_log.splitlines()[-lines:])
        log = self._folder / "server.log"
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        text = "\n".join(text.splitlines()[-lines:])
        for keys in self._masked:
            for secret in keys.reveal().values():
                text = text.replace(secret, "[secret]")
        return _TOKEN.sub("[token]", text)  # release 1.13.5 writes a refused token into its log

    def _launch(self, binary: Path, folder: Path) -> None:
        """Run the server on our port and wait until it answers."""
        config = folder / "config.yaml"
        config.unlink(missing_ok=True)
        descriptor = os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(_config(self._port, self._keys.reveal())))  # JSON is YAML
        with (folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the server that the caller named, or that was found
                [binary, "--config", config],
                cwd=folder,
                env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self._end_process()
            raise

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._start_timeout
        ready = False
        while True:
            # After an answer look once more: it may have been somebody else who answered on this port.
            if process.poll() is not None:
                raise self._failure(f"ended by itself with exit status {process.returncode}")
            if ready:
                return
            if time.monotonic() > deadline:
                raise self._failure(f"did not answer within {self._start_timeout:g} s")
            ready = self._answers()
            if not ready:
                time.sleep(_READY_POLL)

    def _answers(self) -> bool:
        """Whether `GET /` is answered with 200, as LiveKit does when it is ready."""
        connection = http.client.HTTPConnection(_HOST, self._port, timeout=1.0)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _failure(self, what: str) -> LiveKitServerError:
        return LiveKitServerError(f"{self._binary} {what}; its log ends:\n{self.log_tail() or '(empty)'}")

    def _end_process(self) -> None:
        """End the server by its process id and collect it: SIGTERM as often as it takes, SIGKILL at last."""
        process, self._process = self._process, None
        if process is None:
            return
        deadline = time.monotonic() + self._stop_timeout
        try:
            while time.monotonic() < deadline:
                process.terminate()
                try:
                    process.wait(_TERM_EVERY)
                    return
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _random_pair() -> dict[str, str]:
    """A key and its secret in the form that `livekit-server generate-keys` prints."""
    key = "API" + "".join(secrets.choice(_BASE62) for _ in range(12))
    return {key: "".join(secrets.choice(_BASE62) for _ in range(43))}


def _sealed(keys: Mapping[str, str]) -> Secret[dict[str, str]]:
    """A copy of `keys` that cannot be printed."""
    if not keys or "" in keys or "" in keys.values():
        raise ValueError("keys must map at least one API key to its secret, neither of them empty")
    return Secret(dict(keys))


def _free_port() -> int:
    """A port that is free on loopback for TCP (signalling) and for UDP (media)."""
    for port in random.sample(_PORTS, k=100):
        try:
            with (
                socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            ):
                tcp.bind((_HOST, port))
                udp.bind((_HOST, port))
        except OSError:
            continue
        return port
    raise LiveKitServerError(f"no free port on {_HOST} between {_PORTS.start} and {_PORTS.stop}")


def _config(port: int, keys: Mapping[str, str]) -> dict[str, object]:
    """LiveKit's configuration: signalling and media on loopback only."""
    return {
        "port": port,
        "bind_addresses": [_HOST],
        "keys": dict(keys),
        "logging": {"level": "info"},
        "rtc": {
            "node_ip": _HOST,
            "udp_port": port,
            "tcp_port": 0,  # off: LiveKit binds this one to every interface, whatever bind_addresses says
            "allow_tcp_fallback": False,
            "use_external_ip": False,
            "enable_loopback_candidate": True,
            "ips": {"includes": [f"{_HOST}/32"]},  # else the UDP port is bound on every address
            # Else clients are told to ask public ones. Nobody is there, and nobody is needed on loopback; it must
            # not be our own port: clients take its traffic for STUN then, and never connect.
            "stun_servers": [f"{_HOST}:9"],
        },
    }
