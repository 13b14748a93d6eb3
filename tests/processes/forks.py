"""Programs that fork while a fetch, a lock or a thread is in use; `how` is "python" (`os.fork`) or "libc"."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from moss_voice_server._credentials import cache, forks
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsUnavailable
from tests.processes.inside import (
    ALWAYS_DUE,
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
from tests.rooms.plain import PlainRooms
from tests.support.servers import SYNC, Server

# Seconds allowed to a thread that leaves the system, instead of 0.2: on a busy machine the system may not run it for longer.
PATIENCE = 30.0
# No timeout wakes a thread that waits for an answer.
PATIENT = RefreshPolicy(attempt_timeout=600, total_timeout=600)


def with_the_first_fetch_in_flight(server_class: str, how: str) -> None:
    """The parent has no credentials yet and waits for them; the child fetches its own."""
    server = construct(server_class, refresh=PATIENT)
    waiter = _background(partial(refresh, server))
    wait_for_go()
    end_child(start_child(how, lambda: _refresh_and_mint(server)))
    say(parent="child is done")
    waiter.join()
    say(parent=mint(server))


def with_the_lock_held(server_class: str, how: str) -> None:
    """A thread that will not exist in the child holds the cache's lock; the child forks as well, as some supervisors do."""
    server = create(server_class, refresh=ALWAYS_DUE)
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with server._cache._lock:  # type: ignore[union-attr]
            held.set()
            release.wait()

    def child() -> list[str]:
        refresh(server)
        end_child(start_child(how, lambda: _mint_and_refresh(server)))
        return _mint_and_refresh(server)

    _background(hold)
    held.wait()
    end_child(start_child(how, child))
    release.set()
    say(parent=_mint_and_refresh(server))


def many_times_under_busy_threads(server_class: str, count: str) -> None:
    """Five threads mint and refresh without a pause in an outage: each call checks whether a renewal is due."""
    server = create(server_class, refresh=ALWAYS_DUE)
    say(created=1)
    wait_for_go()

    def ask() -> None:
        with suppress(CredentialsUnavailable):
            refresh(server)

    ask()
    sys.setswitchinterval(1e-4)  # they take turns often, so that this thread gets its own
    for work in (mint, mint, mint, lambda _: ask(), lambda _: ask()):
        _background(partial(_without_end, work, server))
    _many("python", int(count), lambda _: mint(server))


def many_times_under_waiting_threads(server_class: str, how: str, count: str) -> None:
    """Five threads wait for one fetch meanwhile."""
    server = create(server_class, refresh=PATIENT)
    for _ in range(5):
        _background(lambda: refresh(server))
    wait_for_go()
    _many(how, int(count), lambda number: mint(server) if number % 5 else _mint_and_refresh(server)[-1])


def from_inside_a_thread(server_class: str, how: str) -> None:
    """The thread that forks goes on as the child's only one."""
    server = create(server_class, refresh=ALWAYS_DUE)
    # Nothing of the interpreter's own is left to end such a child in order.
    work = _background(lambda: end_child(start_child(how, lambda: _mint_and_refresh(server), os._exit)))
    work.join()
    say(parent=_mint_and_refresh(server))


def threads_at_once_after_a_fork(server_class: str, how: str) -> None:
    """The first thing that each of three children does is to refresh from eight threads at the same moment."""
    server = create(server_class, refresh=PATIENT)
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

    for _ in range(3):
        end_child(start_child(how, child))


def with_calls_to_livekit(server_class: str, how: str) -> None:
    """Calls, forks two children that call, after the keys were rotated too, and calls again."""
    rooms = PlainRooms(create(server_class))

    def names() -> list[str]:
        return [room.name for room in rooms.list()]

    say(parent=names())
    wait_for_go()
    for _ in range(2):
        end_child(start_child(how, names))
    say(parent=names())


def while_a_fetchs_thread_is_leaving(server_class: str) -> None:
    """The main thread forks when a renewal has finished, and its thread has not left the system yet."""
    forks.THREAD_EXIT_TIMEOUT = PATIENCE  # type: ignore[attr-defined]  # where it is imported
    leave, refresher, seen = threading.Event(), [0], []

    class Lingering:
        def __del__(self) -> None:  # what a thread keeps for itself ends with it
            leave.wait()
            time.sleep(0.05)

    cached = threading.local()

    def linger(_status: object) -> None:
        refresher[0], cached.until_the_end = threading.get_native_id(), Lingering()

    server = create(server_class, refresh=ALWAYS_DUE)
    say(created=1)
    wait_for_go()
    server._cache._on_change = linger  # type: ignore[union-attr]
    mint(server)
    while server._cache._refresh is not None:  # type: ignore[union-attr]
        time.sleep(0.001)
    # Hooks before a fork run in the reverse order, so this one is the first.
    os.register_at_fork(
        before=leave.set, after_in_parent=lambda: seen.append(os.path.exists(f"/proc/self/task/{refresher[0]}"))
    )
    end_child(start_child("python", lambda: mint(server)))
    say(lingered=seen[0], refresher=refresher[0] > 0)


def threads_after_fetches(server_class: str) -> None:
    """How many threads there are when `create` and `refresh` have returned."""
    cache.THREAD_EXIT_TIMEOUT = PATIENCE  # type: ignore[attr-defined]  # where it is imported
    counts = []
    for _ in range(10):
        server = create(server_class)
        counts.append(len(os.listdir("/proc/self/task")))
        refresh(server)
        counts.append(len(os.listdir("/proc/self/task")))
    say(counts=counts)


def _refresh_and_mint(server: Server) -> str:
    refresh(server)
    return mint(server)


def _mint_and_refresh(server: Server) -> list[str]:
    before = mint(server)
    refresh(server)
    SYNC.close(server)  # so that the last mint starts no renewal, in the middle of which the process would end
    return [before, mint(server)]


def _many(how: str, count: int, work: Callable[[int], str]) -> None:
    running: deque[int] = deque()
    for number in range(count):
        running.append(start_child(how, partial(work, number)))
        if len(running) == 4:
            end_child(running.popleft())
    while running:
        end_child(running.popleft())


def _without_end(work: Callable[[Server], object], server: Server) -> None:
    while True:
        work(server)


def _background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
