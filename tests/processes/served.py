"""Served: an application under a real server program, and requests to it over a socket in its own folder."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from moss_voice_server.testing import FakeMoss, MockResponse
from tests.livekit.needs import absent
from tests.processes.program import LONGEST, Program, processes_in, running, until

# Seconds. Far more than a mint takes on a busy machine, and less than an attempt that hangs: 2 (`app.QUICK`).
NO_WAIT = 1.5


class Reply(NamedTuple):
    """A response."""

    status: int
    body: dict[str, Any]


class Served:
    """A server program that runs."""

    def __init__(self, program: Program, path: str) -> None:
        self.program = program
        self._path = path

    def get(self, path: str) -> Reply:
        """One request on a new connection. (httpx2 leaves a socket open that cannot connect.)"""
        connection = http.client.HTTPConnection("localhost", timeout=LONGEST)
        with closing(connection), socket.socket(socket.AF_UNIX) as connection.sock:
            connection.sock.settimeout(LONGEST)
            connection.sock.connect(self._path)
            connection.request("GET", path)
            response = connection.getresponse()
            return Reply(response.status, json.loads(response.read()))

    def get_many(self, path: str, count: int) -> list[Reply]:
        """So many requests, eight at a time."""
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(self.get, [path] * count))

    def keys_by_worker(self, path: str, workers: int) -> dict[int, str]:
        """The API key that each worker signs with, once so many workers have answered. Every request must succeed."""
        keys: dict[int, str] = {}

        def all_answered() -> bool:
            for reply in self.get_many(path, 16):
                assert 200 == reply.status, reply
                keys[reply.body["pid"]] = reply.body["key"]
            return len(keys) == workers

        until(all_answered, f"{workers} workers answer")
        return keys

    def each_worker_renews(self, workers: int, steady: FakeMoss, quick: FakeMoss) -> None:
        """Every worker signs with the first key, and with the new one once a renewal is due."""
        assert {steady.credentials["voice_agent_api_key"]} == set(self.keys_by_worker("/steady", workers).values())
        new = quick.rotate()["voice_agent_api_key"]
        until(lambda: set(self.keys_by_worker("/quick", workers).values()) == {new}, "every worker has the new key")

    def serves_while(self, moss: FakeMoss, path: str) -> None:
        """While the Moss API hangs no mint waits for it."""
        moss.set_default(MockResponse(hang=True))
        replies: list[Reply] = []

        def a_renewal_hangs() -> bool:
            replies.append(self.get(path))
            return moss.in_flight > 0

        until(a_renewal_hangs, "a renewal hangs")
        replies += self.get_many(path, 32)
        assert {200} == {reply.status for reply in replies}
        assert max(reply.body["seconds"] for reply in replies) < NO_WAIT
        moss.reset()
        moss.release()

    def stop(self) -> int:
        """SIGTERM, as a service manager sends it: the exit status, once the master and its workers are gone."""
        self.program.send_signal(signal.SIGTERM)
        status = self.program.end()
        until(lambda: processes_in(self.program.pid) == [], "every worker has ended")
        return status


@contextmanager
def served(command: list[str], steady: FakeMoss, quick: FakeMoss) -> Iterator[Served]:
    """`app.py` under a server program, `{socket}` in its command line replaced; it answers when the context is entered."""
    folder = tempfile.mkdtemp(prefix="moss-")  # not pytest's: the path of a socket may have 107 characters (unix(7))
    path = os.path.join(folder, "socket")
    environ = {"HOME": folder}  # gunicorn keeps its own socket there
    environ |= {
        f"{name}_{variable}": value
        for name, moss in (("STEADY", steady), ("QUICK", quick))
        for variable, value in moss.environ.items()
    }
    try:
        with running([part.format(socket=path) for part in command], environ) as program:
            here = Served(program, path)
            until(lambda: _answers(here), f"the server answers; its log:\n{program.errors}")
            yield here
    finally:
        shutil.rmtree(folder)


def _answers(here: Served) -> bool:
    assert here.program.is_running, here.program.errors
    try:
        return here.get("/steady").status == 200
    except OSError:
        return False


def needs(*modules: str) -> None:
    """Skip the test where a package is not installed."""
    for module in modules:
        if find_spec(module) is None:
            absent(f"{module} is not installed: pip install {module.replace('_', '-')}")


def program_file(name: str) -> str:
    """A program beside this Python, or on the path."""
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        absent(f"no {name}: pip install py{name}")
    return found
