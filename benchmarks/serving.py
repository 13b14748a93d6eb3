"""Serving: a server program to be measured, with its processes' time and memory, on a core of its own."""

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
    """A server program that runs."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.port = port

    def processor_time(self) -> float:
        """Seconds that the processor has worked for all its processes, to the nanosecond."""
        return sum(time.clock_gettime(_clock(pid)) for pid in self._processes())

    def peak_memory(self) -> float:
        """KiB that its processes have had at the highest, each for itself."""
        return sum(map(_peak, self._processes()))

    def ended(self) -> bool:
        """Whether it has ended by itself."""
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
    # What clock_getcpuclockid(3) makes of a process id on Linux; Python does not have this function.
    return (~pid << 3) | 2


def _peak(pid: int) -> float:
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as status:
        return next(float(line.split()[1]) for line in status if line.startswith("VmHWM:"))


@contextmanager
def served(command: Callable[[int], list[str]], folder: Path, variables: Mapping[str, str]) -> Iterator[Served]:
    """A server program; `command` makes its command line from the descriptor of a socket that listens already.

    So there is no moment at which its port could be taken, and a request that comes too early waits for the start.
    """
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        # Every connection inherits it. Gunicorn sends an answer in two parts, and the second would wait for the first's receipt.
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
    """The cores for a server and for who asks it: one each, or all for both where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return ({allowed[0]}, {allowed[1]}) if len(allowed) > 1 else (set(allowed), set(allowed))


@contextmanager
def on(core: set[int]) -> Iterator[None]:
    """This thread on these cores only, and all programs that it starts meanwhile."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
