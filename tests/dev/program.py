"""`moss-voice-server dev` as a process: started, read until it runs, stopped."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from moss_voice_server.testing import LiveKitServer
from tests.cli.shell import PATIENCE, PROGRAM

LAST_WORD = "Press Ctrl-C to stop.\n"


class Dev:
    """The running command and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.out = ""

    @property
    def url(self) -> str:
        return re.findall(r"Page +(http://127\.0\.0\.1:\d+/)\n", self.out)[0]

    @property
    def livekit_url(self) -> str:
        url: str = re.findall(r"started on (ws://\S+)\n", self.out)[0]
        return url

    @property
    def moss_environ(self) -> dict[str, str]:
        """The environment lines that it has printed for a backend."""
        return dict(re.findall(r"^export (MOSS_\w+)=(\S+)$", self.out, re.MULTILINE))

    @property
    def livekit_environ(self) -> dict[str, str]:
        """The environment lines that it has printed for a worker."""
        return dict(re.findall(r"^export (LIVEKIT_\w+)=(\S+)$", self.out, re.MULTILINE))

    @property
    def snippet(self) -> str:
        """The three lines for a page that it has printed."""
        return self.out.split("livekit-client\n")[1].split("\n\n")[0]

    def read_until(self, word: str) -> None:
        """Read what it prints until `word` comes."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + PATIENCE
        while word not in self.out:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{word!r} did not come; it printed {self.out!r}"
            part = os.read(self._process.stdout.fileno(), 65536)
            assert part, f"it ended before {word!r}; it printed {self.out!r}"
            self.out += part.decode()

    def end(self, number: int = signal.SIGINT) -> tuple[int, str, str]:
        """Send a signal; its exit status, the rest of what it printed, and its standard error."""
        self._process.send_signal(number)
        out, err = self._process.communicate(timeout=PATIENCE)
        return self._process.returncode, out.decode(), err.decode()


@contextmanager
def dev(
    *arguments: str, environ: Mapping[str, str], program: Sequence[str] = PROGRAM, stdin: str = ""
) -> Iterator[Dev]:
    """The command while it serves; it does not outlive the context."""
    with subprocess.Popen(
        [*program, "dev", *arguments],
        env=dict(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        running = Dev(process)
        try:
            assert process.stdin is not None
            process.stdin.write(stdin.encode())
            process.stdin.close()
            process.stdin = None
            running.read_until(LAST_WORD)
            yield running
        finally:
            if process.poll() is None:
                running.end(signal.SIGTERM)


def given(server: LiveKitServer) -> tuple[str, ...]:
    """The options for a LiveKit server that runs; the secret comes by standard input."""
    return "--livekit-url", server.url, "--api-key", server.api_key, "--api-secret", "-"
