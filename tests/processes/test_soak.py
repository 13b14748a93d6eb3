"""Soak: an application under gunicorn mints under load while the Moss API fails, rejects, hangs and rotates its keys."""

from __future__ import annotations

import re
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server.testing import FakeMoss
from tests.processes.program import processes_in
from tests.processes.served import NO_WAIT, Reply, Served, needs, served
from tests.support.fault_response import FaultResponse

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory in /proc, which only Linux has"),
]

WORKERS = 2
CALM = 0.6  # seconds that a fault lasts
PACE = 0.02  # seconds between two requests of one client
RECOVERY = 60.0  # seconds that the workers have to get the new key
FAULTS = [FaultResponse(503), FaultResponse(reset="request"), FaultResponse(401), FaultResponse(hang=True)]


class Load:
    """Clients that request tokens all the time; `keys` has the key that each worker signed with last."""

    def __init__(self, server: Served) -> None:
        self.server = server
        self.replies: list[Reply] = []
        self.errors: list[str] = []
        self.keys: dict[int, str] = {}
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(4)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while not self._over.wait(PACE):
            try:
                reply = self.server.get("/quick")
            except OSError as error:
                self.errors.append(repr(error))
                continue
            self.replies.append(reply)
            if reply.status == 200:
                self.keys[reply.body["pid"]] = reply.body["key"]

    def rotate(self, moss: FakeMoss) -> None:
        """Rotates the keys, and waits until every worker signs with the new one; an operator refreshes meanwhile."""
        new = moss.rotate()["voice_agent_api_key"]
        deadline = time.monotonic() + RECOVERY
        while set(self.keys.values()) != {new} or len(self.keys) < WORKERS:
            assert time.monotonic() < deadline, self.keys
            self.server.get_many("/quick/refresh", 4)
            time.sleep(0.1)


def memory(server: Served) -> list[int]:
    """The resident memory of each worker in kB (proc(5))."""
    workers = sorted(set(processes_in(server.program.pid)) - {server.program.pid})
    texts = [Path(f"/proc/{worker}/status").read_text() for worker in workers]
    return [int(found[1]) for text in texts if (found := re.search(r"VmRSS:\s*(\d+) kB", text))]


def test_soak(steady: FakeMoss, quick: FakeMoss) -> None:
    """Through outages, rejections, a hang and rotations no request fails, no mint waits, and memory stays flat."""
    needs("gunicorn")
    command = [sys.executable, "-m", "gunicorn", "--bind=unix:{socket}", f"--workers={WORKERS}", "--preload"]
    command += ["--worker-class=gthread", "--threads=4", "tests.processes.app:wsgi_application()"]
    with served(command, steady, quick) as server:
        server.each_worker_renews(WORKERS, steady, quick)
        assert 1 == steady.count
        with Load(server) as load:
            load.rotate(quick)
            before = memory(server)
            for fault in FAULTS:
                quick.set_default(fault)
                time.sleep(CALM)  # how long the fault lasts is what the test is about
                quick.reset()
                quick.release()
                load.rotate(quick)
            after = memory(server)
        server.stop()
        assert "Traceback" not in server.program.errors, server.program.errors
    assert [] == load.errors
    assert {200} == {reply.status for reply in load.replies}
    assert max(reply.body["seconds"] for reply in load.replies) < NO_WAIT
    assert WORKERS == len(before)
    assert max(last - first for first, last in zip(before, after, strict=True)) < 8 * 1024
