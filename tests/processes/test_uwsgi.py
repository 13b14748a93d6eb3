"""uWSGI: forks past Python's hooks, with threads and without."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from moss_voice_server.testing import FakeMoss, MockResponse
from tests.processes.program import ROOT, until
from tests.processes.served import Served, program_file, served

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="uWSGI needs fork")

# From this version on threads run always, whatever `enable-threads` says.
_THREADS_ALWAYS = (2, 0, 27)


def test_uwsgi_with_threads(steady: FakeMoss, quick: FakeMoss) -> None:
    """Workers start with the master's fetch; each renews in the background, and no mint waits."""
    with _running(["--enable-threads"], steady, quick) as server:
        server.each_worker_renews(2, steady, quick)
        assert 1 == steady.count
        server.serves_while(quick, "/quick")


def test_uwsgi_without_threads(steady: FakeMoss, quick: FakeMoss) -> None:
    """The same; a mint renews in line, and when the Moss API hangs one in each worker waits for it, 2.5 s at most."""
    if _version() >= _THREADS_ALWAYS:
        pytest.skip("this uWSGI runs threads always: only those before 2.0.27 can do without")
    with _running([], steady, quick) as server:
        server.each_worker_renews(2, steady, quick)
        assert 1 == steady.count
        quick.set_default(MockResponse(hang=True))
        before = quick.count
        waits: dict[int, list[float]] = {}

        def both_have_waited() -> bool:
            for reply in server.get_many("/quick", 16):
                assert 200 == reply.status
                waits.setdefault(reply.body["pid"], []).append(reply.body["seconds"])
            return len(waits) == 2 and all(max(seconds) > 1.0 for seconds in waits.values())

        until(both_have_waited, "a mint has waited in each worker")
        assert [1, 1] == [sum(second > 1.0 for second in seconds) for seconds in waits.values()]
        assert max(map(max, waits.values())) < 2.5 + 1.5
        assert 2 == quick.count - before


@contextmanager
def _running(arguments: list[str], steady: FakeMoss, quick: FakeMoss) -> Iterator[Served]:
    command = [
        program_file("uwsgi"),
        "--http-socket",
        "{socket}",
        "--master",
        "--processes",
        "2",
        "--need-app",
        "--die-on-term",
    ]
    command += ["--pythonpath", str(ROOT), "--home", sys.prefix, "--module", "tests.processes.app:wsgi_application()"]
    with served([*command, *arguments], steady, quick) as server:
        yield server
        server.stop()
        assert "Traceback" not in server.program.errors


def _version() -> tuple[int, ...]:
    reported = subprocess.run(
        [program_file("uwsgi"), "--version"], capture_output=True, text=True, timeout=60, check=True
    ).stdout
    found = re.match(r"(\d+)\.(\d+)\.?(\d*)", reported.strip())
    assert found is not None, reported
    return tuple(int(part or 0) for part in found.groups())
