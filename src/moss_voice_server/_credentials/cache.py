"""Keeper: holds the credentials and sees to their renewal: one fetch at a time, off the request path, across forks.

There is no resident thread. A renewal that is due is started by the mint that notices it, on a thread that lives for that
one fetch and may be lost at any moment (fork, freeze, exit): after a while its place is free again.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from .. import _clock as _clocks
from .._duration import format_duration
from .._secret import Sealed
from ..credentials import CredentialsStatus, RefreshPolicy, seconds
from ..errors import CredentialsNotLoaded, CredentialsUnavailable
from .events import Told, news, told
from .fetch import Failure, FetchFlow, FetchResult, fetch
from .state import Instant, Record, failed, redrawn, refusal, state, status, succeeded, waiting

if TYPE_CHECKING:
    from concurrent.futures import Future

    from .config import Settings
    from .response import Credentials

    Landing = Future[Failure | None]

_PATIENCE = 0.5  # seconds that a waiter allows beyond the fetch's own budget
_GOODBYE = 0.2  # seconds that it then allows the fetch's thread to leave the system, and that a fork allows it
_LOOK = 0.0005  # seconds between two looks whether it has
_INLINE_BUDGET = 2.5  # seconds that a mint may take for a renewal, where background threads do not run


def _uniform(low: float, high: float) -> float:
    """A random number from the system: a generator of our own would go on alike in forked and cloned processes."""
    return low + (high - low) * int.from_bytes(os.urandom(7), "big") / 2**56


def _spawn(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="moss-voice-server-refresh", daemon=True).start()


class World(NamedTuple):
    """What the keeper takes from outside, in one place so that tests can hand in their own."""

    wall: Callable[[], float] = time.time
    mono: Callable[[], float] = time.monotonic
    uniform: Callable[[float, float], float] = _uniform
    spawn: Callable[[Callable[[], None]], None] = _spawn
    """Runs something on another thread; a RuntimeError where there are none."""


class Flight(NamedTuple):
    """One fetch, shared by all who wait for it."""

    began: Instant
    landing: Landing
    """Done when the fetch is over and its result recorded; holds the failure, if it was one."""
    crew: list[int]
    """The system's id of the thread that fetches, once it runs."""


class Keeper(Sealed):
    """Keeps one voice agent's credentials.

    `drive` runs an exchange on the calling thread and returns its outcome.
    """

    ready: tuple[float, float, Credentials | None]
    """All that a mint looks at: until when, on the wall clock and on the monotonic one, it may sign with which credentials
    without asking for a `lease`. A plain tuple, because a mint takes it apart in a hundredth of its time."""

    def __init__(
        self,
        owner: str,
        settings: Settings,
        policy: RefreshPolicy,
        drive: Callable[[FetchFlow], FetchResult],
        on_change: Callable[[CredentialsStatus], object] | None = None,
        world: World | None = None,
    ) -> None:
        self.record = Record()
        self._owner = owner
        self._settings = settings
        self._policy = policy
        self._drive = drive
        self._on_change = on_change
        self.world = world or World(*_clocks.current)
        self._told = Told()
        self._closed = False
        self._flight: Flight | None = None
        self._landed: Flight | None = None
        # Not plain locks: a signal's handler runs in the middle of anything, and may mint.
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._noticing: dict[int, threading.RLock] = {}
        _keepers.add(self)

    @property
    def record(self) -> Record:
        """All that is remembered."""
        return self._record

    @record.setter
    def record(self, record: Record) -> None:
        self._record = record
        self.ready = (record.fresh_wall, record.fresh_mono, record.credentials)

    # What a mint calls: never waits, except where no background thread would ever run.

    def lease(self) -> Credentials:
        """The credentials to sign with, called when `record` is no longer fresh.

        Raises:
            CredentialsNotLoaded: nobody has fetched yet.
            CredentialsError: there is nothing to mint with; a renewal has been started if one may be.
        """
        self._notice_fork()
        now = self._now()
        flight, record = self._flight, self.record  # in this order: a fetch that lands in between is seen by its result
        if flight is None and record.credentials is None and record.failure is None:
            raise CredentialsNotLoaded(
                f"{self._owner} was constructed but has no credentials yet: make it with {self._owner}.create(...) or "
                f"{self._owner}.from_env(), or fetch them with refresh()"
            )
        if state(record, now) != "fresh":
            self._renew_behind()
            self._announce()
            record, now = self.record, self._now()
        if record.credentials is not None and state(record, now) in ("fresh", "stale"):
            return record.credentials
        if self._closed and not record.denied:
            raise self._ended()
        # At least a second: a renewal may be on its way, and who asks again at once would only be told the same.
        raise refusal(record, now).error(retry_after=max(1.0, waiting(record, now, background=True)))

    def start(self) -> None:
        """Begins a fetch off the caller's path, if one may be made and none is under way."""
        self._notice_fork()
        self._renew_behind()

    def known(self) -> Credentials:
        """The credentials in hand, whatever their age; for what is not secret in them."""
        return self.record.credentials or self.lease()

    def status(self) -> CredentialsStatus:
        """How things are; changes nothing and starts nothing."""
        return status(self.record, self._now())

    def close(self) -> None:
        """No more renewals from here on."""
        self._closed = True

    # What `create` and `refresh` call: waits.

    def renew(self) -> None:
        """Fetches now, or joins the fetch that is under way.

        Raises:
            CredentialsError: this fetch failed, or the last one did a moment ago.
        """
        flight = self._join()
        _wait(flight.landing, self._patience())
        end = time.monotonic() + _GOODBYE
        while not _gone(flight) and time.monotonic() < end:
            time.sleep(_LOOK)
        self._deliver(flight)

    async def renew_async(self) -> None:
        """The same for a coroutine, on whatever event loop it runs: asyncio's, or trio's."""
        from .._http.threads import asyncio_is_running, run_in_thread

        if asyncio_is_running():
            await self._renew_on_loop()
        else:
            await run_in_thread(self.renew)

    async def _renew_on_loop(self) -> None:
        import asyncio

        loop = asyncio.get_running_loop()
        landed = loop.create_future()

        def arrive() -> None:
            if not landed.done():
                landed.set_result(None)

        def wake(_landing: object) -> None:
            with suppress(RuntimeError):  # that loop was closed meanwhile: nobody waits there any more
                loop.call_soon_threadsafe(arrive)

        flight = self._join()
        flight.landing.add_done_callback(wake)
        await asyncio.wait([landed], timeout=self._patience())
        end = time.monotonic() + _GOODBYE
        while not _gone(flight) and time.monotonic() < end:  # noqa: ASYNC110  # no event tells of a thread's end
            await asyncio.sleep(_LOOK)
        self._deliver(flight)

    def _patience(self) -> float:
        return seconds(self._policy.total_timeout) + _PATIENCE

    def _deliver(self, flight: Flight) -> None:
        if flight.landing.done():
            failure = flight.landing.result()
        elif self._flight is flight:
            failure = _overdue(self._patience())
        else:  # its result is there, and `on_change` takes its time
            failure = self.record.failure
        if failure is not None:
            # Everybody gets an exception of their own: a shared one would collect the frames of all.
            raise failure.error(retry_after=waiting(self.record, self._now(), background=False))

    def _join(self) -> Flight:
        """The fetch to wait for: the one under way or a new one.

        Raises:
            CredentialsError: a fetch failed so shortly ago that it stands for this one.
        """
        self._notice_fork()
        if self._closed:
            raise self._ended()
        flight, mine = self._board(background=False)
        if flight is None:
            failure = self.record.failure or _overdue(0)
            raise failure.error(retry_after=waiting(self.record, self._now(), background=False))
        if mine:
            policy = self._policy
            self._launch(flight, policy.attempts, seconds(policy.total_timeout))
        return flight

    def _ended(self) -> CredentialsUnavailable:
        return CredentialsUnavailable(f"this {self._owner} is closed and fetches no more: create a new one")

    # The fetch itself.

    def _renew_behind(self) -> None:
        flight, mine = self._board(background=True)
        if flight is None or not mine:
            return
        if background_threads_run():
            self._launch(flight, 1, seconds(self._policy.attempt_timeout), inline_budget=_INLINE_BUDGET)
        else:
            # A thread started here would stand still as soon as the request is answered: give it a moment now.
            self._launch(flight, 1, _INLINE_BUDGET)
            _wait(flight.landing, _INLINE_BUDGET)

    def _board(self, *, background: bool) -> tuple[Flight | None, bool]:
        """The flight to share and whether the caller has to launch it; none where it is too early for another."""
        _load()
        from concurrent.futures import Future

        with self._lock:
            now = self._now()
            if self._flight is not None:
                if now.since(self._flight.began) < self._lost_after():
                    return self._flight, False
                # Its thread was frozen or lost, or hangs where no time-out reaches.
                lost = Failure(CredentialsUnavailable, "the fetch before this one never came back")
                self.record = failed(self.record, lost, self._policy, self._flight.began, self.world.uniform)
                self._flight = None
            if background and (self._closed or state(self.record, now) == "fresh"):
                return None, False
            if waiting(self.record, now, background=background) > 0:
                return None, False
            self._flight = Flight(now, Future(), [])
            return self._flight, True

    def _lost_after(self) -> float:
        return seconds(self._policy.total_timeout) + seconds(self._policy.attempt_timeout)

    def _launch(self, flight: Flight, attempts: int, budget: float, inline_budget: float | None = None) -> None:
        def work() -> None:
            flight.crew.append(threading.get_native_id())
            self._fly(flight, attempts, budget)

        try:
            self.world.spawn(work)
        except RuntimeError:  # no thread can be started here: then on this one
            self._fly(flight, attempts, inline_budget or budget)

    def _fly(self, flight: Flight, attempts: int, budget: float) -> None:
        outcome: FetchResult = Failure(CredentialsUnavailable, "the fetch was interrupted")
        try:
            outcome = self._drive(
                fetch(
                    self._settings,
                    self._policy,
                    attempts=attempts,
                    budget=budget,
                    etag=self.record.etag,
                    mono=self.world.mono,
                    wall=self.world.wall,
                    uniform=self.world.uniform,
                )
            )
        except Exception as error:  # noqa: BLE001  # a transport handed in raises anything, with anything in its text
            outcome = Failure(CredentialsUnavailable, f"the HTTP transport failed with {type(error).__name__}")
        finally:
            self._land(flight, outcome)

    def _land(self, flight: Flight, outcome: FetchResult) -> None:
        self._landed = flight
        with self._lock:
            # A flight that was given up for lost may come in late: its result must not undo a newer one, and those who
            # still wait for it hear how things are now.
            if self._flight is flight:
                now = self._now()
                if isinstance(outcome, Failure):
                    self.record = failed(self.record, outcome, self._policy, now, self.world.uniform)
                else:
                    self.record = succeeded(self.record, outcome, self._policy, now, self.world.uniform)
                self._flight = None  # last: a mint that sees no flight sees what has come of it
            failure = self.record.failure
        try:
            self._announce()
        finally:
            flight.landing.set_result(failure)

    def _announce(self) -> None:
        """Tells the log and `on_change` what they do not know yet."""
        now = self._now()
        with self._lock:
            record, old = self.record, self._told
            new = self._told = told(record, state(record, now))
        item = news(old, new, record)
        if item is None:
            return
        shown = status(record, now)
        import logging

        logger = logging.getLogger("moss_voice_server")
        logger.log(
            item.level,
            "%s",
            item.text,
            extra={"moss_event": item.event, "moss_state": shown.state, "moss_key": shown.fingerprint},
        )
        if self._on_change is not None:
            try:
                self._on_change(shown)
            except Exception as error:  # noqa: BLE001  # the application's own code must not stop a renewal
                logger.error("on_change failed with %s: correct the callback", type(error).__name__)

    # Forks.

    def _notice_fork(self) -> None:
        """A fork made outside of Python (uWSGI) runs no hooks: compare process ids before touching the lock."""
        pid = os.getpid()
        if self._pid != pid:
            # Several threads may notice at once. This lock was made in this very process, by whoever came first.
            with self._noticing.setdefault(pid, threading.RLock()):
                if self._pid != pid:
                    self.after_fork()

    def before_fork(self, end: float) -> None:
        """Lets the thread of a fetch that is over leave the system first, until `end` on the monotonic clock; see `_gone`."""
        landed = self._landed
        while landed is not None and _runs(landed) and time.monotonic() < end:
            time.sleep(_LOOK)
        self._landed = None  # the system may give that thread's id to another one

    def after_fork(self) -> None:
        """In the child: the parent's lock may be held and its fetch is not ours; the credentials are."""
        self._lock = threading.RLock()
        self._flight = self._landed = None
        self.record = redrawn(self.record, self.world.uniform)
        self._pid = os.getpid()  # last: from here on other threads go on

    def _now(self) -> Instant:
        return Instant(self.world.wall(), self.world.mono())


def background_threads_run() -> bool:
    """Whether a thread goes on running after the request that started it.

    Not in functions that are frozen between requests, and not in uWSGI before 2.0.27 without `enable-threads` or `threads`.
    """
    frozen = ("AWS_LAMBDA_FUNCTION_NAME", "K_SERVICE", "FUNCTIONS_WORKER_RUNTIME")
    if any(os.environ.get(name) for name in frozen):
        return False
    # What uWSGI came to from its options and its version: from 2.0.27 on threads run always.
    return bool(getattr(sys.modules.get("uwsgi"), "has_threads", True))


def _gone(flight: Flight) -> bool:
    """Whether the thread of a fetch that has landed is gone from the system, where /proc tells.

    A thread that is just ending holds a lock of OpenSSL's for a moment, and maybe the interpreter's, and a child forked in
    that moment would wait for it for ever; a server program forks right after it has loaded the application. `Thread.join`
    is too early: before Python 3.13 it knows only of Python's own part of the end.
    """
    return not flight.landing.done() or not _runs(flight)


def _runs(flight: Flight) -> bool:
    others = [thread for thread in flight.crew if thread != threading.get_native_id()]
    return any(os.path.exists(f"/proc/self/task/{thread}") for thread in others)


def _wait(landing: Landing, timeout: float) -> None:
    from concurrent.futures import wait

    wait([landing], timeout)


def _overdue(patience: float) -> Failure:
    # No time-out of the attempts got this far, so the fetch hangs where none reaches: in the system's resolver, or one
    # after the other on several addresses that do not answer.
    return Failure(
        CredentialsUnavailable,
        f"no fetch came to an end within {format_duration(patience)}: check the machine's DNS and whether a firewall is in the way",
    )


def _load() -> None:
    """Imports what a fetch needs, on the caller's thread.

    An import on the fetching thread could leave the import lock held for ever in a child that is forked meanwhile.
    """
    from .._http import drivers as _http  # noqa: F401  # loaded for its effect


_keepers: weakref.WeakSet[Keeper] = weakref.WeakSet()


def _before_fork() -> None:
    end = time.monotonic() + _GOODBYE
    with suppress(RuntimeError):  # another thread has just made a server, and changed the set
        for keeper in list(_keepers):
            keeper.before_fork(end)


def _after_fork_in_child() -> None:
    for keeper in list(_keepers):
        keeper.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)
