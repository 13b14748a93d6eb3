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
    """A kind of worker: its class, the packages it needs, the application, the same preloaded, more arguments."""

    worker_class: str
    packages: tuple[str, ...]
    app: str
    preloaded_app: str
    arguments: tuple[str, ...] = ()


WSGI = "tests.processes.wsgi_app:application"
KINDS = {
    "sync": Kind("sync", ("gunicorn",), WSGI, WSGI),
    "gthread": Kind("gthread", ("gunicorn",), WSGI, WSGI, ("--threads", "4")),
    "gevent": Kind("gevent", ("gunicorn", "gevent"), WSGI, WSGI),
    "uvicorn": Kind(
        "uvicorn_worker.UvicornWorker",
        ("gunicorn", "uvicorn", "uvicorn_worker"),
        "tests.processes.asgi_app:application",
        "tests.processes.asgi_preloaded_app:application",
    ),
}
kinds = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())


@kinds
def test_preloaded(kind: Kind, steady: FakeMoss, quick: FakeMoss) -> None:
    """`--preload`: four workers start with the one fetch of their master, and each renews for itself."""
    with _gunicorn(kind, ["--preload", "--workers", "4"], kind.preloaded_app, steady, quick) as server:
        assert {steady.credentials["voice_agent_api_key"]} == set(server.keys_by_worker("/steady", 4).values())
        assert 1 == steady.count
        _each_worker_renews(server, 4, quick)
        assert 1 == steady.count


@kinds
def test_not_preloaded(kind: Kind, steady: FakeMoss, quick: FakeMoss) -> None:
    """Without `--preload` each worker fetches once when it starts, and renews for itself."""
    with _gunicorn(kind, ["--workers", "2"], kind.app, steady, quick) as server:
        assert {steady.credentials["voice_agent_api_key"]} == set(server.keys_by_worker("/steady", 2).values())
        assert 2 == steady.count
        _each_worker_renews(server, 2, quick)
        assert 2 == steady.count


def test_worker_that_is_started_later(steady: FakeMoss, quick: FakeMoss) -> None:
    """A preloaded master gives a later worker what it fetched at the start; the worker serves with it and renews."""
    kind = KINDS["sync"]
    with _gunicorn(kind, ["--preload", "--workers", "1"], kind.preloaded_app, steady, quick) as server:
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
    kind, hook = KINDS["sync"], "python:tests.processes.gunicorn_hook"
    with _gunicorn(
        kind, ["--preload", "--workers", "1", "--config", hook], kind.preloaded_app, steady, quick
    ) as server:
        first = server.get("/quick").body["pid"]
        new = quick.rotate()["voice_agent_api_key"]
        os.kill(first, signal.SIGTERM)
        until(lambda: first not in processes_in(server.program.pid), "the worker has ended")

        reply = server.get("/quick")
        assert (200, new, False) == (reply.status, reply.body["key"], reply.body["pid"] == first)


def test_uvicorn_with_workers(steady: FakeMoss, quick: FakeMoss) -> None:
    """`uvicorn --workers 2`, whose workers are new interpreters: each fetches once, and renews for itself."""
    needs("uvicorn")
    command = [sys.executable, "-m", "uvicorn", "--workers", "2", "--uds", "{socket}", KINDS["uvicorn"].app]
    with served(command, {"steady": steady, "quick": quick}) as server:
        assert {steady.credentials["voice_agent_api_key"]} == set(server.keys_by_worker("/steady", 2).values())
        assert 2 == steady.count
        _each_worker_renews(server, 2, quick)
        _stops_in_order(server)
    assert 2 == steady.count


@contextmanager
def _gunicorn(kind: Kind, arguments: list[str], app: str, steady: FakeMoss, quick: FakeMoss) -> Iterator[Served]:
    needs(*kind.packages)
    command = [sys.executable, "-m", "gunicorn", "--bind", "unix:{socket}", "--worker-class", kind.worker_class]
    with served([*command, *kind.arguments, *arguments, app], {"steady": steady, "quick": quick}) as server:
        yield server
        _stops_in_order(server)


def _each_worker_renews(server: Served, workers: int, quick: FakeMoss) -> None:
    """After the soft age every worker signs with the new key, no mint waits, and no request fails."""
    new = quick.rotate()["voice_agent_api_key"]
    until(lambda: set(server.keys_by_worker("/quick", workers).values()) == {new}, "every worker has the new key")
    server.serves_while(quick, "/quick")


def _stops_in_order(server: Served) -> None:
    """SIGTERM ends master and workers, and the log has nothing to complain of."""
    server.stop()
    # gevent's own, about `--preload`: the renewals above show that it is harmless here.
    log = "\n".join(line for line in server.program.errors.splitlines() if "MonkeyPatchWarning" not in line)
    for trouble in ("Traceback", "Exception", "Error", "TIMEOUT", "SIGKILL", "never awaited", "Event loop"):
        assert trouble not in log, log
