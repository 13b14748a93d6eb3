"""A LiveKit server on this machine's loopback: for development and tests."""

from __future__ import annotations

import atexit
import http.client
import os
import re
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from moss_voice_server._clock import elapsed
from moss_voice_server._secret import Secret

from ._guarded import GuardedProcess
from ._livekit_binary import LiveKitServerError, find_livekit_server
from ._livekit_config import HOST, checked_keys, config, free_port, random_keys

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self

_PORT_ATTEMPTS = 5
_READY_POLL = 0.02  # seconds between two looks at a starting server
_LISTENS = b"starting LiveKit server"  # in its log, once its ports are bound
_TOKEN = re.compile(r"\beyJ[\w-]+(?:\.[\w-]*){1,2}")
# LiveKit also reads its settings from variables; only what any program needs is passed on.
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "TEMP", "SYSTEMROOT")


class LiveKitServer:
    """A LiveKit server on free loopback ports; a context manager.

    Everything stays on loopback: signalling and media are bound to 127.0.0.1, and clients get no public STUN server.
    ICE over TCP is off, because LiveKit would bind it to every interface. The keys are in no file. The server stops
    with `stop`, when the interpreter exits, and, except on Windows, when this process is killed.

    Args:
        binary: the executable; by default the first of `LIVEKIT_SERVER_BIN`, `PATH`, the cache folder.
        keys: API keys and their secrets; `api_key` and `api_secret` return the first pair. By default one random
            pair.
        webhook_urls: where the server sends webhooks, signed with the first key.
        start_timeout: seconds to wait until the server answers.
        stop_timeout: seconds to wait until it ends, before it is killed.

    Raises:
        ValueError: `keys` is empty, or contains an empty key or secret.
        LiveKitServerError: by `start` and `restart`, when no server is found or it does not start; the text ends with
            the last lines of its log, secrets and tokens masked.
    """

    def __init__(
        self,
        binary: str | os.PathLike[str] | None = None,
        *,
        keys: Mapping[str, str] | None = None,
        webhook_urls: Sequence[str] = (),
        start_timeout: float = 20.0,
        stop_timeout: float = 5.0,
    ) -> None:
        self._binary = None if binary is None else Path(binary)
        self._keys = checked_keys(random_keys() if keys is None else keys)
        self._masked = [self._keys]  # every pair that may be in the log
        self._webhook_urls = tuple(webhook_urls)
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._port = 0
        self._folder: Path | None = None
        self._process: GuardedProcess | None = None
        self._owner = 0
        self._last_log = ""

    def __repr__(self) -> str:
        state = "running" if self._process is not None else "stopped"
        return f"<{type(self).__name__} {self.url} key {self.api_key}, {state}>"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What clients connect to: `ws://127.0.0.1:` and the port, which is 0 before the first start."""
        return f"ws://{HOST}:{self._port}"

    @property
    def http_url(self) -> str:
        """The same server for HTTP requests, such as `/rtc/validate`."""
        return f"http://{HOST}:{self._port}"

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
        return None if self._process is None else self._process.process.pid

    def start(self) -> None:
        """Start the server and return when it answers; entering the context does the same."""
        if self._folder is not None:
            raise LiveKitServerError("this LiveKit server is running already: call stop() or restart()")
        if self._binary is None:
            self._binary = find_livekit_server()
        if self._binary is None:
            raise LiveKitServerError(
                "no livekit-server was found: set LIVEKIT_SERVER_BIN, put livekit-server on PATH, or run "
                "`moss-voice-server dev`, which builds one with Go"
            )
        self._folder = Path(tempfile.mkdtemp(prefix="livekit-server-"))
        self._owner = os.getpid()
        atexit.register(self.stop)
        try:
            for attempt in range(1, _PORT_ATTEMPTS + 1):
                self._port = free_port()
                try:
                    self._launch(self._binary, self._folder)
                    return
                except LiveKitServerError as error:
                    # Another program may have taken the port after we found it free.
                    if attempt == _PORT_ATTEMPTS or "address already in use" not in str(error):
                        raise
        except BaseException:
            self.stop()
            raise

    def restart(self, *, keys: Mapping[str, str] | None = None) -> None:
        """Stop the server and start it on the same ports, with other `keys` if given, as in a rotation.

        Rooms and participants are gone, as after any restart of a LiveKit server without Redis.
        """
        if self._folder is None or self._binary is None:
            raise LiveKitServerError("this LiveKit server is not running: call start() first")
        if keys is not None:
            self._keys = checked_keys(keys)
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
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        environ: Secret[Mapping[str, str]] = Secret(
            {**passed_on, "LIVEKIT_CONFIG": config(self._port, self._keys, self._webhook_urls).reveal()}
        )
        with (folder / "server.log").open("ab") as log:
            log_begins = log.tell()
            try:
                self._process = GuardedProcess([binary], folder, environ, log)
            except OSError as error:
                raise LiveKitServerError(f"{binary} could not be started: {error.strerror}") from None
        try:
            self._wait_until_ready(self._process, log_begins)
        except BaseException:
            self._end_process()
            raise

    def _wait_until_ready(self, server: GuardedProcess, log_begins: int) -> None:
        deadline = elapsed() + self._start_timeout
        while not (self._listens(log_begins) and self._answers()):
            if server.process.poll() is not None:
                raise self._failure(f"exited with status {server.process.poll()}")
            if elapsed() > deadline:
                raise self._failure(f"did not answer within {self._start_timeout:g} s")
            time.sleep(_READY_POLL)

    def _listens(self, log_begins: int) -> bool:
        """Whether our process has the port: another program that took it first may answer there."""
        if self._folder is None:
            return False
        with (self._folder / "server.log").open("rb") as log:
            log.seek(log_begins)
            return _LISTENS in log.read()

    def _answers(self) -> bool:
        """Whether `GET /` is answered with 200, as LiveKit does when it is ready."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=1.0)
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
        process, self._process = self._process, None
        if process is not None:
            process.end(self._stop_timeout)
