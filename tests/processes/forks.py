"""Programs that fork at the worst moments; `how` is "python" (`os.fork`) or "libc"."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable

from moss_voice_server.credentials import RefreshPolicy
from tests.processes.inside import (
    ALWAYS_DUE,
    Server,
    construct,
    create,
    end_child,
    mint,
    refresh,
    say,
    start_child,
    wait_for_go,
    wait_until_others_sleep,
)

# No time-out wakes a thread that waits for an answer.
PATIENT = RefreshPolicy(attempt_timeout=600, total_timeout=600)
PATIENT_AND_ALWAYS_DUE = RefreshPolicy(soft_age=1e-6, attempt_timeout=600, total_timeout=600)


def with_a_fetch_in_flight(face: str, how: str) -> None:
    """One child only mints, one also refreshes, while the parent waits for an answer."""
    server = create(face, refresh=PATIENT)
    waiter = _background(lambda: refresh(server))
    wait_for_go()
    for work in (lambda: [mint(server)], lambda: _mint_and_refresh(server)):
        end_child(start_child(how, work))
    say(parent="children are done")
    waiter.join()
    say(parent=[mint(server), server.status().last_error])


def with_the_first_fetch_in_flight(face: str, how: str) -> None:
    """The parent has no credentials yet and waits for them; the child fetches its own."""
    server = construct(face, refresh=PATIENT)
    waiter = _background(lambda: refresh(server))
    wait_for_go()
    end_child(start_child(how, lambda: [refresh(server), mint(server)]))
    say(parent="child is done")
    waiter.join()
    say(parent=mint(server))


def with_a_renewal_in_flight(face: str, how: str) -> None:
    """The parent's renewal was started by a mint; credentials are due in the child as well."""
    server = create(face, refresh=PATIENT_AND_ALWAYS_DUE)
    mint(server)
    wait_for_go()
    end_child(start_child(how, lambda: _mint_and_refresh(server)))


def with_the_lock_held(face: str, how: str) -> None:
    """A thread that will not exist in the child holds the keeper's lock."""
    server = create(face, refresh=ALWAYS_DUE)
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with server._keeper._lock:  # type: ignore[union-attr]
            held.set()
            let_go.wait()

    _background(hold)
    held.wait()
    end_child(start_child(how, lambda: _mint_and_refresh(server)))
    let_go.set()
    refresh(server)
    say(parent=mint(server))


def hundred_times_under_busy_threads(face: str) -> None:
    """Five threads mint and refresh without a pause meanwhile."""
    server = create(face, refresh=ALWAYS_DUE)
    for work in (mint, refresh, mint, refresh, lambda server: server.status()):
        _background(lambda work=work: _for_ever(work, server))
    _hundred("python", server)


def hundred_times_under_waiting_threads(face: str, how: str) -> None:
    """Five threads wait for one fetch meanwhile."""
    server = create(face, refresh=PATIENT)
    for _ in range(5):
        _background(lambda: refresh(server))
    wait_for_go()
    _hundred(how, server)


def from_inside_a_thread(face: str, how: str) -> None:
    """The thread that forks goes on as the child's only one."""
    server = create(face, refresh=ALWAYS_DUE)
    # Nothing of the interpreter's own is left to end such a child in order.
    work = _background(lambda: end_child(start_child(how, lambda: _mint_and_refresh(server), os._exit)))
    work.join()
    refresh(server)
    say(parent=mint(server))


def three_generations(face: str) -> None:
    """A child's child, as under a supervisor that forks a master that forks workers."""
    server = create(face, refresh=ALWAYS_DUE)

    def child() -> list[str]:
        keys = _mint_and_refresh(server)
        end_child(start_child("python", lambda: _mint_and_refresh(server)))
        return keys

    end_child(start_child("python", child))


def threads_at_once_after_a_fork(face: str, how: str) -> None:
    """The first thing that each of ten children does is to refresh from eight threads at the same moment."""
    server = create(face, refresh=PATIENT)
    sys.setswitchinterval(1e-6)  # threads take turns as often as they can, so that they meet where they may

    def child() -> list[str]:
        together = threading.Barrier(8)
        keys: list[str] = []

        def work() -> None:
            together.wait()
            refresh(server)
            keys.append(mint(server))

        threads = [_background(work) for _ in range(8)]
        wait_until_others_sleep()
        say(child="waits")
        for thread in threads:
            thread.join()
        return keys

    for _ in range(10):
        end_child(start_child(how, child))


def threads_after_fetches(face: str) -> None:
    """How many threads there are when `create` and `refresh` have returned."""
    counts = []
    for _ in range(25):
        server = create(face)
        counts.append(len(os.listdir("/proc/self/task")))
        refresh(server)
        counts.append(len(os.listdir("/proc/self/task")))
    say(counts=counts)


def _mint_and_refresh(server: Server) -> list[str]:
    before = mint(server)
    refresh(server)
    return [before, mint(server)]


def _hundred(how: str, server: Server) -> None:
    running: deque[int] = deque()
    for number in range(100):
        # A fetch takes much longer than a fork, and 25 are as good as 100.
        work = _mint_and_refresh if number % 4 == 0 else mint
        running.append(start_child(how, lambda work=work: work(server)))
        if len(running) == 4:
            end_child(running.popleft())
    while running:
        end_child(running.popleft())


def _for_ever(work: Callable[[Server], object], server: Server) -> None:
    while True:
        work(server)


def _background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
