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


@pytest.fixture(scope="module")
def uwsgi() -> str:
    """The program."""
    return program_file("uwsgi")


@pytest.mark.parametrize(
    ("arguments", "fetches"),
    [
        (("--enable-threads",), 1),
        (("--enable-threads", "--lazy-apps"), 2),  # loaded in each worker and not in the master
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_uwsgi_with_threads(
    uwsgi: str, arguments: tuple[str, ...], fetches: int, steady: FakeMoss, quick: FakeMoss
) -> None:
    """Workers start with the master's fetch where it loads the application; each renews in the background; no mint waits."""
    with _running(uwsgi, list(arguments), steady, quick) as server:
        _each_worker_works(server, steady, quick)
        assert fetches == steady.count
        server.serves_while(quick, "/quick")


def test_uwsgi_without_threads(uwsgi: str, steady: FakeMoss, quick: FakeMoss) -> None:
    """The same; a mint renews in line, and when the Moss API hangs one in each worker waits for it, 2.5 s at most."""
    if _version(uwsgi) >= _THREADS_ALWAYS:
        pytest.skip("this uWSGI runs threads always: only those before 2.0.27 can do without")
    with _running(uwsgi, [], steady, quick) as server:
        _each_worker_works(server, steady, quick)
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
def _running(uwsgi: str, arguments: list[str], steady: FakeMoss, quick: FakeMoss) -> Iterator[Served]:
    command = [uwsgi, "--http-socket", "{socket}", "--master", "--processes", "2", "--need-app", "--die-on-term"]
    command += ["--pythonpath", str(ROOT), "--home", sys.prefix, "--module", "tests.processes.wsgi_app"]
    with served([*command, *arguments], {"steady": steady, "quick": quick}) as server:
        yield server
        server.stop()
        assert "Traceback" not in server.program.errors


def _each_worker_works(server: Served, steady: FakeMoss, quick: FakeMoss) -> None:
    assert {steady.credentials["voice_agent_api_key"]} == set(server.keys_by_worker("/steady", 2).values())
    new = quick.rotate()["voice_agent_api_key"]
    until(lambda: set(server.keys_by_worker("/quick", 2).values()) == {new}, "every worker has the new key")


def _version(uwsgi: str) -> tuple[int, ...]:
    reported = subprocess.run([uwsgi, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
    found = re.match(r"(\d+)\.(\d+)\.?(\d*)", reported.strip())
    assert found is not None, reported
    return tuple(int(part or 0) for part in found.groups())
