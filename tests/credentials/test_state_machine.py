"""The cache against the pure rules: whatever happens, in whatever order, one fetch at a time leads from state to state."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from moss_voice_server._credentials import state as rules
from moss_voice_server._credentials.model import Credentials
from moss_voice_server._credentials.source import Fetched, Result
from moss_voice_server._http.flow import Flow
from moss_voice_server._http.model import Failure, Response, TransportError
from moss_voice_server.errors import CredentialsError, CredentialsInvalid
from tests.support.errors import caught
from tests.support.secret_scan import spilled
from tests.support.simulation import DOWN, Simulation, Source, answer, cache, good, mint, server, status
from tests.support.states import EMPTY, HOUR, OUTAGE, POLICY, REJECTION, credentials

pytestmark = pytest.mark.once

LOST = 13.0
ATTEMPTS = {"ok": 1, "down": 3, "rejected": 1, "garbage": 3, "whole": 1}
INVALID = Failure(CredentialsInvalid, "of no use")
FAILURES = {"down": OUTAGE, "rejected": REJECTION, "garbage": INVALID, "whole": INVALID}
# The moments at which something changes, and any other; whole numbers, so that no rounding blurs them.
TIMES = st.sampled_from([1, 5, 12, 13, 30, 60, 300, 600, 1800, 3600, 71 * 3600, 72 * 3600]) | st.integers(
    0, 11 * 24 * 3600
)
SECRETS = ("moss-project-key", "secret-", "BODY")


class SingleSource(Source):
    """A source that checks that there is only one fetch at a time."""

    under_way = 0

    def run(self, flow: Flow[Result[Credentials]]) -> Result[Credentials]:
        """Sends what a fetch asks for."""
        self.under_way += 1
        assert 1 == self.under_way
        try:
            return super().run(flow)
        finally:
            self.under_way -= 1


class Life(RuleBasedStateMachine):
    """Steps in any order; after each, the cache has the state that the rules give."""

    def __init__(self) -> None:
        super().__init__()
        logging.getLogger("moss_voice_server").disabled = True

    @initialize(random=st.sampled_from([0.0, 0.25, 1.0]), created=st.booleans())
    def start(self, random: float, created: bool) -> None:
        """A server that has its credentials, or has not fetched yet."""
        self.simulation = Simulation(random)
        self.source = SingleSource(self.simulation)
        self.cache = cache(self.simulation, self.source, POLICY)
        self.server = server(self.cache)
        self.model = EMPTY
        self.sent = 1
        self.kind = "ok"
        self.began: rules.Instant | None = None  # when the current renewal started
        self.parked: list[bool] = []  # for each renewal that is held back: whether it is the current one
        if created:
            self.server.refresh()
            self.count()

    @property
    def now(self) -> rules.Instant:
        """Both clocks."""
        return rules.Instant(self.simulation.wall, self.simulation.mono)

    @property
    def state(self) -> str:
        """By the rules."""
        return rules.state_at(self.model, self.now)

    def is_lost(self) -> bool:
        """Whether the current renewal has taken too long."""
        return self.began is not None and self.now.since(self.began) >= LOST

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

    @rule(seconds=TIMES, wall=st.sampled_from([1, 1, 1, -1, 0]), mono=st.booleans())
    def wait(self, seconds: int, wall: int, mono: bool) -> None:
        """Time goes by; or the machine sleeps, or the wall clock is corrected, or one of the clocks jumps."""
        self.simulation.wall += seconds * wall
        self.simulation.mono += seconds * mono

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

    def give_up(self) -> None:
        """A renewal that takes too long counts as a failure at the time when it started."""
        if self.is_lost():
            assert self.began is not None
            self.model = rules.after(self.model, OUTAGE, POLICY, self.began, self.simulation.uniform)
            self.parked, self.began = [False] * len(self.parked), None

    def count(self) -> None:
        """The effect of a fetch that has just ended."""
        result = Fetched(credentials(self.sent)) if self.kind == "ok" else FAILURES[self.kind]
        self.model = rules.after(self.model, result, POLICY, self.now, self.simulation.uniform)

    @rule()
    def mint(self) -> None:
        """Creates a token."""
        before, started = self.source.count, self.simulation.started
        created = self.model.value or self.model.failures or self.began
        if created and self.state != "fresh":
            self.give_up()
        wait = rules.retry_delay(self.model, self.now, background=True)
        due = created and self.state != "fresh" and self.began is None and wait <= 0
        if due and self.simulation.hold:
            self.began = self.now
            self.parked.append(True)
        elif due:
            self.count()
        if self.state in ("fresh", "stale"):
            assert self.model.value
            assert self.model.value.url.replace("wss://livekit", "key") == mint(self.server)
        else:
            error = self.ours(lambda: mint(self.server))
            assert error.code == "credentials_rejected" or self.state != "rejected"
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
        wait = rules.retry_delay(self.model, self.now, background=False)
        if self.kind == "ok" and wait <= 0:
            self.server.refresh()
        else:
            error = self.ours(self.server.refresh)
            assert wait <= 0 or wait == pytest.approx(error.retry_after)
        if wait <= 0:
            self.count()
        assert (ATTEMPTS[self.kind] if wait <= 0 else 0) == self.source.count - before
        self.simulation.hold = hold

    def ours(self, call: Callable[[], object]) -> CredentialsError:
        """The error that it raises is one of ours, and shows nothing."""
        error = caught(call)
        assert isinstance(error, CredentialsError)
        assert [] == spilled(error, SECRETS)
        return error

    @invariant()
    def agrees(self) -> None:
        """The status is that of the rules, and at 72 hours by either clock nothing is served."""
        shown = self.server.status()
        assert rules.status(self.model, self.now) == shown
        assert shown.state in ("empty", "expired", "rejected") or (shown.age or 0) < 72 * HOUR

    def teardown(self) -> None:
        """Whatever has happened: once the source works, time and minting alone are enough to recover."""
        logging.getLogger("moss_voice_server").disabled = False
        self.simulation.hold = False
        self.simulation.lose()
        self.source.otherwise = good(99)
        if self.state == "empty" and not self.model.failures:
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
