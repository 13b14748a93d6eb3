"""Servers: gunicorn and uvicorn with every kind of worker, preloaded and not. (`test_soak.py` has threads.)"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from moss_voice_server.testing import FakeMoss
from tests.processes.program import processes_in, until
from tests.processes.served import Served, needs, served

pytestmark = [pytest.mark.once, pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork")]

GUNICORN = "gunicorn --bind=unix:{socket}"
WSGI = "tests.processes.app:wsgi_application()"
UVICORN_WORKER = "--worker-class=uvicorn_worker.UvicornWorker"
COMMANDS = {
    "gunicorn": f"{GUNICORN} --workers=2 {WSGI}",
    "uvicorn": "uvicorn --workers=2 --uds={socket} tests.processes.app:asgi",
    "gunicorn, preloaded, gevent": f"{GUNICORN} --preload --workers=2 --worker-class=gevent {WSGI}",
    "gunicorn, preloaded, uvicorn": (
        f"{GUNICORN} --preload --workers=2 {UVICORN_WORKER} tests.processes.app:asgi_application()"
    ),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_workers(command: str, steady: FakeMoss, quick: FakeMoss) -> None:
    """Each worker fetches once when it starts, or starts with its master's fetch, and renews for itself; no mint waits."""
    with _running(command, steady, quick) as server:
        server.each_worker_renews(2, steady, quick)
        server.serves_while(quick, "/quick")
        assert (1 if "--preload" in command else 2) == steady.count


@pytest.mark.parametrize("hook", ["", "--config=python:tests.processes.app"], ids=["without", "with the hook"])
def test_worker_that_is_started_later(hook: str, steady: FakeMoss, quick: FakeMoss) -> None:
    """A master gives a later worker its first fetch; with the documentation's `post_fork` the first token has the new key."""
    with _running(f"{GUNICORN} --preload --workers=1 {hook} {WSGI}", steady, quick) as server:
        old, first = quick.credentials["voice_agent_api_key"], server.get("/quick").body["pid"]
        new = quick.rotate()["voice_agent_api_key"]
        os.kill(first, signal.SIGTERM)
        until(lambda: first not in processes_in(server.program.pid), "the worker has ended")

        reply = server.get("/quick")
        assert (200, new if hook else old, False) == (reply.status, reply.body["key"], reply.body["pid"] == first)
        until(lambda: server.get("/quick").body["key"] == new, "the later worker has the new key")


@contextmanager
def _running(command: str, steady: FakeMoss, quick: FakeMoss) -> Iterator[Served]:
    """The server; SIGTERM ends it with its workers, and the log shows no error."""
    needs(*(name for name in ("gunicorn", "uvicorn", "uvicorn_worker", "gevent") if name in command))
    with served([sys.executable, "-m", *command.split()], steady, quick) as server:
        yield server
        server.stop()
        # gevent warns about `--preload`: the renewals above show that it is harmless here. gunicorn may close a socket
        # that uvicorn has closed.
        harmless = ("MonkeyPatchWarning", "Error while closing socket")
        log = [line for line in server.program.errors.splitlines() if not any(each in line for each in harmless)]
    for trouble in ("Traceback", "Exception", "Error", "TIMEOUT", "SIGKILL", "never awaited", "Event loop"):
        assert [] == [line for line in log if trouble in line], log
