"""Serving: a measured server program on a separate core, with its processor time and memory."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .programs import environment


class Served:
    """A running server program."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    def processor_time(self) -> float:
        """Processor seconds of all its processes."""
        return sum(time.clock_gettime(_clock(pid)) for pid in self._processes())

    def peak_memory(self) -> float:
        """Sum of its processes' peak memory in KiB."""
        return sum(map(_peak, self._processes()))

    def ended(self) -> bool:
        """Whether it has exited."""
        return self._process.poll() is not None

    def _processes(self) -> list[int]:
        found, left = [], [self._process.pid]
        while left:
            pid = left.pop()
            found.append(pid)
            for task in Path(f"/proc/{pid}/task").iterdir():
                left += map(int, (task / "children").read_text(encoding="ascii").split())
        return found


def _clock(pid: int) -> int:
    # The same as clock_getcpuclockid(3) on Linux, which Python does not provide for other processes.
    return (~pid << 3) | 2


def _peak(pid: int) -> float:
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        return next(float(line.split()[1]) for line in status if line.startswith("VmHWM:"))


@contextmanager
def served(command: Callable[[int], list[str]], folder: Path, variables: Mapping[str, str]) -> Iterator[Served]:
    """A server program; `command` makes its command line from the file descriptor of a listening socket.

    So there is no moment at which its port could be taken, and a request that comes too early waits for the start.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        # Every connection inherits it. gunicorn sends a response in two parts; the second would wait for the first's ACK.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        process = subprocess.Popen(
            command(listening.fileno()),
            cwd=folder,
            env=environment(**variables),
            stdin=subprocess.DEVNULL,
            pass_fds=[listening.fileno()],
        )
        port = listening.getsockname()[1]
    try:
        yield Served(process, port)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def cores() -> tuple[set[int], set[int]]:
    """The cores for a server and for its client: one each, or the same core if there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return ({allowed[0]}, {allowed[1]}) if len(allowed) > 1 else (set(allowed), set(allowed))


@contextmanager
def on(core: set[int]) -> Iterator[None]:
    """Restrict this thread, and the programs that it starts, to these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
