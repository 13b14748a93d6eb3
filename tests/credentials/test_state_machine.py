"""The cache against a small model of itself: whatever happens, in whatever order, both agree."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from moss_voice_server._credentials.model import Credentials
from moss_voice_server._credentials.source import Result
from moss_voice_server._http.flow import Flow
from moss_voice_server._http.model import Response, TransportError
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsError
from tests.support.errors import everything
from tests.support.simulation import DOWN, Simulation, Source, answer, cache, good, mint, server, status

pytestmark = pytest.mark.once

HOUR = 3600.0
LOST = 13.0
ATTEMPTS = {"ok": 1, "down": 3, "rejected": 1, "garbage": 3, "whole": 1}
# The moments at which something changes, and any other; whole numbers, so that no rounding blurs them.
TIMES = st.sampled_from([1, 5, 13, 30, 60, 300, 600, 1800, 3600, 71 * 3600, 72 * 3600]) | st.integers(0, 11 * 24 * 3600)
SECRETS = ("moss-project-key", "secret-", "BODY")


class Model:
    """The state and the rules in their simplest form; times are those of two clocks."""

    def __init__(self, random: float) -> None:
        self.random = random
        self.generation = 0
        self.fetched: tuple[float, float] | None = None
        self.failed_at: tuple[float, float] | None = None
        self.failures = self.rejections = 0
        self.rejected_since = (0.0, 0.0)
        self.is_rejected = False

    def draw(self, low: float, high: float) -> float:
        """A random number that is pinned."""
        return low + self.random * (high - low)

    def state(self, now: tuple[float, float]) -> str:
        """One of the five states."""
        if self.fetched is None:
            return "empty"
        if self.is_rejected:
            return "rejected"
        age = since(now, self.fetched)
        if age >= 72 * HOUR:
            return "expired"
        return "stale" if self.rejections or age >= self.draw(HOUR / 2, HOUR) else "fresh"

    def wait(self, now: tuple[float, float], background: bool) -> float:
        """Seconds before the next request is allowed."""
        if self.failed_at is None:
            return 0.0
        if background and self.state(now) in ("fresh", "stale"):
            wait = self.draw(0.5, 1) * min(600.0, 30.0 * 2 ** (self.failures - 1))
        elif background and self.is_rejected:
            wait = self.draw(30, 60)
        elif self.rejections:
            wait = self.draw(1, 5)
        else:
            wait = self.draw(0.5, 1) * min(30.0, 2.0 ** (self.failures - 1))
        return wait - since(now, self.failed_at)

    def success(self, now: tuple[float, float], generation: int) -> None:
        """After new credentials."""
        self.__init__(self.random)  # type: ignore[misc]  # a success forgets everything
        self.generation, self.fetched = generation, now

    def failure(self, now: tuple[float, float], rejected: bool) -> None:
        """After a failure, a rejection or another."""
        if not self.rejections:
            self.rejected_since = now
        self.rejections = self.rejections + 1 if rejected else 0
        self.failures, self.failed_at = self.failures + 1, now
        if self.fetched and self.rejections >= 3 and since(now, self.rejected_since) >= 600:
            self.is_rejected = True


def since(now: tuple[float, float], then: tuple[float, float]) -> float:
    """Seconds since then, by the clock that has advanced further."""
    return max(now[0] - then[0], now[1] - then[1], 0.0)


class SingleSource(Source):
    """A source that checks that there is only one fetch at a time."""

    under_way = 0

    def run(self, flow: Flow[Result[Credentials]]) -> Result[Credentials]:
        """As `Source.run`."""
        self.under_way += 1
        assert 1 == self.under_way
        try:
            return super().run(flow)
        finally:
            self.under_way -= 1


class Life(RuleBasedStateMachine):
    """Steps in any order; after each, the real thing and the model agree."""

    def __init__(self) -> None:
        super().__init__()
        logging.getLogger("moss_voice_server").disabled = True

    @initialize(random=st.sampled_from([0.0, 0.25, 1.0]), created=st.booleans())
    def start(self, random: float, created: bool) -> None:
        """A server that has its credentials, or has not fetched yet."""
        self.simulation = Simulation(random)
        self.source = SingleSource(self.simulation)
        self.cache = cache(self.simulation, self.source, RefreshPolicy())
        self.server = server(self.cache)
        self.model = Model(random)
        self.sent = 1
        self.kind = "ok"
        self.began: tuple[float, float] | None = None  # when the current renewal started
        self.parked: list[bool] = []  # for each renewal that is held back: whether it is the current one
        if created:
            self.server.refresh()
            self.model.success(self.now, 1)

    @property
    def now(self) -> tuple[float, float]:
        """Both clocks."""
        return self.simulation.wall, self.simulation.mono

    def is_lost(self) -> bool:
        """Whether the current renewal has taken too long."""
        return self.began is not None and since(self.now, self.began) >= LOST

    # What the source does.

    @rule(kind=st.sampled_from(list(ATTEMPTS)))
    def answers(self, kind: str) -> None:
        """What the source answers from now on; `ok` brings another generation each time."""
        self.kind = kind
        self.sent += kind == "ok"
        replies: dict[str, Response | TransportError] = {
            "ok": good(self.sent),
            "down": (self.sent % 2 and status(503)) or DOWN,
            "rejected": answer(b"BODY", 401 + 2 * (self.sent % 2)),
            "garbage": answer(b"<html>BODY"),
            "whole": answer(b'{"BODY": 1}'),
        }
        self.source.otherwise = replies[kind]

    # What time does.

    @rule(seconds=TIMES)
    def advance(self, seconds: int) -> None:
        """Time goes by."""
        self.simulation.advance(seconds)

    @rule(seconds=TIMES)
    def freeze(self, seconds: int) -> None:
        """The machine sleeps: only the wall clock goes on."""
        self.simulation.wall += seconds

    @rule(seconds=TIMES)
    def set_back(self, seconds: int) -> None:
        """The wall clock is corrected."""
        self.simulation.wall -= seconds

    @rule(seconds=TIMES)
    def jump(self, seconds: int) -> None:
        """The monotonic clock jumps."""
        self.simulation.mono += seconds

    # What the process does.

    @rule(hold=st.booleans())
    def threads(self, hold: bool) -> None:
        """Whether renewals that start from now on stay in progress or run at once."""
        self.simulation.hold = hold

    @rule()
    def fork(self) -> None:
        """The child goes on, without the threads of its parent."""
        self.simulation.lose()
        self.parked, self.began = [], None
        self.cache.after_fork()

    @rule()
    def lose(self) -> None:
        """The threads never run again."""
        self.simulation.lose()
        self.parked = []

    @precondition(lambda self: self.parked)
    @rule()
    def finish(self) -> None:
        """The oldest renewal that was held back runs."""
        self.simulation.run()
        if self.parked.pop(0):  # one that was given up changes nothing
            self.began = None
            self.count()

    # What callers do.

    def give_up(self) -> None:
        """A renewal that takes too long counts as a failure at the time when it started."""
        if self.is_lost():
            assert self.began is not None
            self.model.failure(self.began, rejected=False)
            self.parked, self.began = [False] * len(self.parked), None

    def count(self) -> None:
        """The effect of a fetch that has just ended."""
        if self.kind == "ok":
            self.model.success(self.now, self.sent)
        else:
            self.model.failure(self.now, rejected=self.kind == "rejected")

    @rule()
    def mint(self) -> None:
        """Creates a token."""
        before, started, state = self.source.count, self.simulation.started, self.model.state(self.now)
        if state == "fresh":
            assert f"key-{self.model.generation}" == mint(self.server)
            assert (before, started) == (self.source.count, self.simulation.started)
            return
        created = self.model.fetched or self.model.failures or self.began
        if created:
            self.give_up()
        state = self.model.state(self.now)
        due = created and state != "fresh" and self.began is None and self.model.wait(self.now, background=True) <= 0
        if due and self.simulation.hold:
            self.began = self.now
            self.parked.append(True)
        elif due:
            self.count()
        state = self.model.state(self.now)
        if state in ("fresh", "stale"):
            assert f"key-{self.model.generation}" == mint(self.server)
        else:
            error = self.ours(lambda: mint(self.server))
            expected = {"empty": None, "expired": None, "rejected": "credentials_rejected"}[state]
            assert expected in (None, error.code)
            assert error.code == "credentials_not_loaded" or (error.retry_after or 0.0) >= 1.0
            assert (error.code == "credentials_not_loaded") is (not created)
        requests = 1 if due and not self.simulation.hold else 0
        assert (requests, int(bool(due))) == (self.source.count - before, self.simulation.started - started)

    # A call that waits would wait for what the test itself holds back.
    @precondition(lambda self: self.began is None or self.is_lost())
    @rule()
    def refresh(self) -> None:
        """Refreshes now."""
        hold, self.simulation.hold = self.simulation.hold, False
        before = self.source.count
        self.give_up()
        wait = self.model.wait(self.now, background=False)
        if wait > 0:
            error = self.ours(self.server.refresh)
            assert before == self.source.count
            assert wait == pytest.approx(error.retry_after)
        elif self.kind == "ok":
            self.server.refresh()
            self.count()
        else:
            self.ours(self.server.refresh)
            self.count()
        if wait <= 0:
            assert ATTEMPTS[self.kind] == self.source.count - before
        self.simulation.hold = hold

    def ours(self, call: Callable[[], object]) -> CredentialsError:
        """The error that it raises is one of ours, and shows nothing."""
        try:
            call()
        except CredentialsError as error:
            shown = everything(error)
            for secret in SECRETS:
                assert secret not in shown
            return error
        raise AssertionError("nothing was raised")

    # What always holds.

    @invariant()
    def agrees(self) -> None:
        """The status is that of the model."""
        shown = self.server.status()
        assert self.model.state(self.now) == shown.state
        assert (shown.fingerprint is None) is (self.model.fetched is None)
        assert shown.age is None or shown.age >= 0
        assert shown.next_attempt_in is None or shown.next_attempt_in >= 0

    @invariant()
    def never_serves_expired(self) -> None:
        """At 72 hours by either clock the credentials expire."""
        if self.model.fetched and since(self.now, self.model.fetched) >= 72 * HOUR:
            assert self.server.status().state in ("expired", "rejected")

    def teardown(self) -> None:
        """Whatever has happened: once the source works, time and minting alone are enough to recover."""
        logging.getLogger("moss_voice_server").disabled = False
        self.simulation.hold = False
        self.simulation.lose()
        self.source.otherwise = good(99)
        if self.server.status().state == "empty" and not self.model.failures:
            return
        self.simulation.advance(100 * HOUR)
        for _ in range(3):
            try:
                assert "key-99" == mint(self.server)
                break
            except CredentialsError:
                self.simulation.advance(60)
        assert "fresh" == self.server.status().state


Life.TestCase.settings = settings(
    max_examples=100,
    stateful_step_count=50,
    deadline=None,
    phases=[phase for phase in Phase if phase is not Phase.explain],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


TestLifeCycle = Life.TestCase  # the name by which pytest finds it
