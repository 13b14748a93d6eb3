"""Servers: gunicorn and uvicorn with every kind of worker, preloaded and not."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from moss_voice_server.testing import FakeMoss
from tests.processes.program import processes_in, until
from tests.processes.served import Served, needs, served

pytestmark = [pytest.mark.once, pytest.mark.skipif(sys.platform == "win32", reason="gunicorn needs fork")]


class Kind(NamedTuple):
    """A kind of worker: the packages it needs, gunicorn's arguments, and the application that is preloaded."""

    packages: tuple[str, ...]
    arguments: tuple[str, ...]
    app: str = "tests.processes.wsgi_app:application"


SYNC = Kind((), ("--worker-class=sync",))
KINDS = {
    "gthread": Kind((), ("--worker-class=gthread", "--threads=4")),
    "gevent": Kind(("gevent",), ("--worker-class=gevent",)),
    "uvicorn": Kind(
        ("uvicorn", "uvicorn_worker"),
        ("--worker-class=uvicorn_worker.UvicornWorker",),
        "tests.processes.asgi_preloaded_app:application",
    ),
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_preloaded(kind: Kind, steady: FakeMoss, quick: FakeMoss) -> None:
    """`--preload`: three workers start with the one fetch of their master, and each renews for itself."""
    with _gunicorn(kind, ["--preload", "--workers=3"], steady, quick) as server:
        _each_worker_renews(server, 3, steady, quick)
        assert 1 == steady.count


def test_not_preloaded(steady: FakeMoss, quick: FakeMoss) -> None:
    """Without `--preload` each worker fetches once when it starts, and renews for itself."""
    with _gunicorn(SYNC, ["--workers=2"], steady, quick) as server:
        _each_worker_renews(server, 2, steady, quick)
        assert 2 == steady.count


def test_worker_that_is_started_later(steady: FakeMoss, quick: FakeMoss) -> None:
    """A preloaded master gives a later worker what it fetched at the start; the worker serves with it and renews."""
    with _gunicorn(SYNC, ["--preload", "--workers=1"], steady, quick) as server:
        old = quick.credentials["voice_agent_api_key"]
        new = quick.rotate()["voice_agent_api_key"]
        until(lambda: server.get("/quick").body["key"] == new, "the worker has the new key")
        first = server.get("/quick").body["pid"]
        os.kill(first, signal.SIGTERM)
        until(lambda: first not in processes_in(server.program.pid), "the worker has ended")

        reply = server.get("/quick")
        assert (200, old, False) == (reply.status, reply.body["key"], reply.body["pid"] == first)
        until(lambda: server.get("/quick").body["key"] == new, "the later worker has the new key")


def test_worker_that_is_started_later_with_the_hook(steady: FakeMoss, quick: FakeMoss) -> None:
    """With the documentation's `post_fork` hook the first token of a later worker is signed with the new key."""
    arguments = ["--preload", "--workers=1", "--config=python:tests.processes.gunicorn_hook"]
    with _gunicorn(SYNC, arguments, steady, quick) as server:
        first = server.get("/quick").body["pid"]
        new = quick.rotate()["voice_agent_api_key"]
        os.kill(first, signal.SIGTERM)
        until(lambda: first not in processes_in(server.program.pid), "the worker has ended")

        reply = server.get("/quick")
        assert (200, new, False) == (reply.status, reply.body["key"], reply.body["pid"] == first)


def test_uvicorn_with_workers(steady: FakeMoss, quick: FakeMoss) -> None:
    """`uvicorn --workers 2`, whose workers are new interpreters: each fetches once, and renews for itself."""
    needs("uvicorn")
    command = [sys.executable, "-m", "uvicorn", "--workers=2", "--uds={socket}", "tests.processes.asgi_app:application"]
    with served(command, {"steady": steady, "quick": quick}) as server:
        _each_worker_renews(server, 2, steady, quick)
        _stops_in_order(server)
    assert 2 == steady.count


@contextmanager
def _gunicorn(kind: Kind, arguments: list[str], steady: FakeMoss, quick: FakeMoss) -> Iterator[Served]:
    needs("gunicorn", *kind.packages)
    command = [sys.executable, "-m", "gunicorn", "--bind=unix:{socket}", *kind.arguments, *arguments, kind.app]
    with served(command, {"steady": steady, "quick": quick}) as server:
        yield server
        _stops_in_order(server)


def _each_worker_renews(server: Served, workers: int, steady: FakeMoss, quick: FakeMoss) -> None:
    """Every worker signs with the first key, and with the new one once a renewal is due; no mint waits and no request fails."""
    assert {steady.credentials["voice_agent_api_key"]} == set(server.keys_by_worker("/steady", workers).values())
    new = quick.rotate()["voice_agent_api_key"]
    until(lambda: set(server.keys_by_worker("/quick", workers).values()) == {new}, "every worker has the new key")
    server.serves_while(quick, "/quick")


def _stops_in_order(server: Served) -> None:
    """SIGTERM ends master and workers, and the log shows no error."""
    server.stop()
    # gevent warns about `--preload`: the renewals above show that it is harmless here. gunicorn may close a socket that
    # uvicorn has closed.
    harmless = ("MonkeyPatchWarning", "Error while closing socket")
    log = "\n".join(line for line in server.program.errors.splitlines() if not any(each in line for each in harmless))
    for trouble in ("Traceback", "Exception", "Error", "TIMEOUT", "SIGKILL", "never awaited", "Event loop"):
        assert trouble not in log, log
