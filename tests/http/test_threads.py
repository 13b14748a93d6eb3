"""Calls on a daemon thread: neither a thread that dies at once nor one that cannot start holds up the caller."""

from __future__ import annotations

import _thread
from collections.abc import Callable

import pytest

from moss_voice_server._http.threads import DaemonExecutor


def test_thread_that_dies_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """`submit` returns although the thread never runs; `threading.Thread.start` would wait for it."""
    started: list[Callable[[], object]] = []
    monkeypatch.setattr(_thread, "start_new_thread", lambda work, _arguments: started.append(work))
    future = DaemonExecutor().submit(int, "7")
    assert (1, False) == (len(started), future.done())
    started[0]()
    assert 7 == future.result(timeout=0)


@pytest.mark.parametrize("kind", [RuntimeError, MemoryError])
def test_no_thread_can_be_started(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """The call then runs on the caller's thread."""

    def refuse(_work: object, _arguments: object) -> int:
        raise kind

    monkeypatch.setattr(_thread, "start_new_thread", refuse)
    assert 7 == DaemonExecutor().submit(int, "7").result(timeout=0)
