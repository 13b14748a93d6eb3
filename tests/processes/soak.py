"""Soak: an application under gunicorn mints under steady load while the Moss API fails, refuses, hangs and rotates its keys.

    python -m tests.processes.soak --minutes 3

No request may fail, no mint may wait, every worker signs with the new key after each rotation, and memory stays flat. In
the long run workers recover by themselves, at most a minute after the trouble; in the short one, which is a test, the
operator's `refresh()` is what they recover by.
"""

from __future__ import annotations

import argparse
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from moss_voice_server.testing import FakeMoss
from tests.processes.program import processes_in
from tests.processes.served import Served, served
from tests.support.fault_response import FaultResponse

WORKERS = 2
_CLIENTS = 4
_PACE = 0.01  # seconds between two requests of one client
_RECOVERY = 150.0  # seconds that the workers have to get over a trouble; the second pause of the background is up to 60


class Phase(NamedTuple):
    """What one phase came to. `mints` counts requests, `slowest` is a mint's time in seconds, `memory` kB by worker."""

    name: str
    seconds: float
    mints: int
    failures: int
    slowest: float
    fetches: int
    memory: tuple[int, ...]


class Report(NamedTuple):
    """What the whole run came to."""

    phases: list[Phase]
    failures: list[str]

    @property
    def growth(self) -> int:
        """By how many kB the fattest worker has grown since the end of the warm-up."""
        return max(last - first for first, last in zip(self.phases[0].memory, self.phases[-1].memory, strict=True))

    @property
    def slowest(self) -> float:
        """The longest mint, in seconds."""
        return max(phase.slowest for phase in self.phases)


class Load:
    """Clients that ask for tokens all the time, and what they got."""

    def __init__(self, server: Served) -> None:
        self._server = server
        self._over = threading.Event()
        self._lock = threading.Lock()
        self.mints = 0
        self.slowest = 0.0
        self.failures: list[str] = []
        self.keys: dict[int, str] = {}

    @contextmanager
    def running(self) -> Iterator[Load]:
        """For as long as the context lasts."""
        threads = [threading.Thread(target=self._ask) for _ in range(_CLIENTS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _ask(self) -> None:
        while not self._over.wait(_PACE):
            try:
                reply = self._server.get("/quick")
            except OSError as error:
                problem, body = f"{type(error).__name__}: {error}", {}
            else:
                problem, body = "" if reply.status == 200 else f"{reply.status} {reply.body}", reply.body
            with self._lock:
                self.mints += 1
                if problem:
                    self.failures.append(problem)
                else:
                    self.slowest = max(self.slowest, body["seconds"])
                    self.keys[body["pid"]] = body["key"]


class Soak:
    """The run: one phase after the other, under load."""

    def __init__(self, server: Served, moss: FakeMoss, load: Load, calm: float, is_patient: bool) -> None:
        self._server = server
        self._moss = moss
        self._load = load
        self._calm = calm
        self._is_patient = is_patient
        self.phases: list[Phase] = []

    def run(self) -> None:
        """All phases."""
        with self._phase("warm-up"):
            time.sleep(self._calm)
        with self._phase("rotation"):
            self._rotate()
        for name, answer in (
            ("outage: 503", FaultResponse(503)),
            ("outage: reset", FaultResponse(reset="request")),
            ("refusal: 401", FaultResponse(401)),
            ("hang", FaultResponse(hang=True)),
        ):
            with self._phase(name):
                self._moss.set_default(answer)
                time.sleep(self._calm)
                self._moss.reset()
                self._moss.release()
                self._rotate()
        with self._phase("calm"):
            time.sleep(self._calm)
            self._rotate()

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        began, load = time.monotonic(), self._load
        mints, failures, fetches, load.slowest = load.mints, len(load.failures), self._moss.count, 0.0
        yield
        self.phases.append(
            Phase(
                name,
                time.monotonic() - began,
                load.mints - mints,
                len(load.failures) - failures,
                load.slowest,
                self._moss.count - fetches,
                tuple(memory(worker) for worker in self._workers()),
            )
        )

    def _rotate(self) -> None:
        """Exchange the keys, and wait until every worker signs with the new one."""
        new = self._moss.rotate()["voice_agent_api_key"]
        deadline = time.monotonic() + _RECOVERY
        while set(self._load.keys.values()) != {new}:
            assert time.monotonic() < deadline, f"not every worker has the new key: {self._load.keys}"
            if not self._is_patient:
                # Too early for another attempt is an answer, too; it counts as no failure of a mint.
                self._server.get_many("/quick/refresh", 4)
            time.sleep(0.2)

    def _workers(self) -> list[int]:
        return sorted(set(processes_in(self._server.program.pid)) - {self._server.program.pid})


def memory(process: int) -> int:
    """A process's resident memory in kB (proc(5))."""
    found = re.search(r"VmRSS:\s*(\d+) kB", Path(f"/proc/{process}/status").read_text())
    assert found is not None
    return int(found[1])


def soak(calm: float, *, is_patient: bool) -> Report:
    """The whole run; `calm` is how many seconds the quiet and the troubled parts of a phase last."""
    command = [sys.executable, "-m", "gunicorn", "--bind", "unix:{socket}", "--workers", str(WORKERS)]
    command += ["--worker-class", "gthread", "--threads", "4", "--preload", "tests.processes.wsgi_app:application"]
    with FakeMoss() as moss, served(command, {"steady": moss, "quick": moss}) as server:
        server.keys_by_worker("/quick", WORKERS)
        load = Load(server)
        with load.running():
            run = Soak(server, moss, load, calm, is_patient)
            run.run()
        server.stop()
        assert "Traceback" not in server.program.errors, server.program.errors
    return Report(run.phases, load.failures)


def main() -> None:
    """Run for about so many minutes, and print a line for each phase."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=3.0, help="about how long (default: 3)")
    minutes = parser.parse_args().minutes
    report = soak(max(2.0, (minutes * 60 - 75) / 6), is_patient=True)
    print(
        f"{'phase':16}{'seconds':>9}{'mints':>9}{'failed':>8}{'slowest ms':>12}{'fetches':>9}  memory of the workers, kB"
    )
    for phase in report.phases:
        name, seconds, mints, failures, slowest, fetches, kilobytes = phase
        print(f"{name:16}{seconds:9.1f}{mints:9}{failures:8}{slowest * 1000:12.1f}{fetches:9}  {kilobytes}")
    print(f"memory grew by {report.growth} kB since the warm-up")
    for failure in report.failures[:10]:
        print("failed:", failure)
    sys.exit(bool(report.failures))


if __name__ == "__main__":
    main()
