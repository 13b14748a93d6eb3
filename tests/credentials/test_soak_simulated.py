"""Thirty days in the life of a server, in fake time: rotations, outages, refusals, freezes and forks, and what must hold."""

from __future__ import annotations

import logging
from collections import Counter
from random import Random

import pytest

from moss_voice_server._http.model import Response, TransportError
from moss_voice_server.errors import CredentialsError
from tests.support.world import DOWN, FakeWorld, Source, answer, good, keeper, mint, server, status

pytestmark = pytest.mark.once

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
DAYS = 30
STEP = 30.0  # seconds between two mints, on average
HARD = 72 * HOUR


class Weather:
    """What the source is like, one spell after the other; seeded, so that a failure can be seen again."""

    def __init__(self, random: Random, world: FakeWorld, source: Source) -> None:
        self.generation = 1
        self.kind = "well"
        self.spells: Counter[str] = Counter()
        self._random = random
        self._world = world
        self._source = source
        self._end = 0.0

    def turn(self) -> None:
        """Begin another spell when this one is over, and now and then exchange the keys."""
        if self._world.mono >= self._end:
            kinds = ["well"] * 6 + ["down", "slow", "busy", "refusing", "broken", "flapping"]
            self.kind = self._random.choice(kinds)
            self.spells[self.kind] += 1
            longest = {"well": 12 * HOUR, "refusing": HOUR}.get(self.kind, 8 * HOUR)
            if self.kind == "down" and self.spells["down"] == 2:
                longest = 160 * HOUR  # one outage that outlasts the hard age
                self._end = self._world.mono + longest
            else:
                self._end = self._world.mono + self._random.uniform(MINUTE, longest)
        if self._random.random() < 1 / 300:
            self.generation += 1
        self._source.otherwise = self._answer(self.kind)
        self._source.takes = 4.0 if self.kind == "slow" else self._random.uniform(0.01, 0.5)

    def _answer(self, kind: str) -> Response | TransportError:
        if kind == "flapping":
            kind = self._random.choice(["well", "down", "refusing", "busy"])
        if kind in ("well", "slow"):
            return good(self.generation)
        if kind == "down":
            return self._random.choice(_DOWN)
        if kind == "busy":
            return self._random.choice(_BUSY)
        return self._random.choice(_REFUSING if kind == "refusing" else _BROKEN)


_DOWN: list[Response | TransportError] = [DOWN, status(503), status(500)]
_BUSY = [status(429, retry_after=value) for value in ("5", "60", "3600", "-1")]
_REFUSING = [status(code) for code in (401, 403, 404)]
_BROKEN = [answer(body) for body in (b"<html>", b"{}", b"")]


@pytest.mark.parametrize("seed", range(3))
def test_thirty_days(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """It mints through all that may be served through, asks seldom, tells little, and always finds back by itself."""
    random = Random(seed)
    world = FakeWorld()
    world.uniform = random.uniform
    source = Source(world)
    kept = keeper(world, source)
    made = server(kept)
    made.refresh()
    weather = Weather(random, world, source)
    caplog.set_level(logging.INFO, "moss_voice_server")
    records: Counter[int] = Counter()

    end = world.mono + DAYS * DAY
    minted = 0
    waits = [1.0]  # that its errors ask for
    met: Counter[str] = Counter()
    calls: Counter[bool] = Counter()  # mints, by whether the credentials served
    asked: Counter[bool] = Counter()  # the requests that these made
    refreshes = forks = freezes = 0
    fetched, confirmed = (world.wall, world.mono), 1  # when a success was last seen, and its generation
    while world.mono < end:
        weather.turn()
        world.advance(random.expovariate(1 / STEP))
        chance = random.random()
        if chance < 1 / 4000:
            freezes += 1
            world.wall += random.uniform(MINUTE, 3 * HOUR)
        elif chance < 2 / 4000:
            world.wall -= random.uniform(0, HOUR)
        elif chance < 4 / 4000:
            forks += 1
            kept.after_fork()
        elif chance < 10 / 4000:
            refreshes += 1
            try:
                made.refresh()
            except CredentialsError as error:
                met[error.code] += 1
        before, state = source.count, made.status().state
        try:
            key = mint(made)
            minted += 1
        except CredentialsError as error:
            met[error.code] += 1
            key = ""
            waits.append(error.retry_after or 0.0)
            # It raises only where it has to: too old, or refused for long enough.
            assert made.status().state in ("expired", "rejected")
        # A mint makes one request at most, and none while the credentials are fresh.
        assert source.count - before <= (0 if state == "fresh" else 1)
        serves = state in ("fresh", "stale")
        calls[serves] += 1
        asked[serves] += source.count - before
        record = kept.record
        assert record.credentials is not None
        if (record.fetched.wall, record.fetched.mono) != fetched:
            fetched = (record.fetched.wall, record.fetched.mono)
            confirmed = int(record.credentials.agent_name.removeprefix("agent-"))
            assert confirmed <= weather.generation
        if key:
            # What signs is what the API said last, and is not too old by either clock.
            assert f"key-{confirmed}" == key
            assert max(world.wall - fetched[0], world.mono - fetched[1]) < HARD
        if len(caplog.records) > 1000:
            records.update(each.levelno for each in caplog.records)
            caplog.clear()
    records.update(each.levelno for each in caplog.records)

    # What there was: enough of everything for this to say something.
    assert minted > 60_000
    assert {"well", "down", "refusing", "broken", "busy", "slow", "flapping"} == set(weather.spells)
    assert min(weather.generation, refreshes, forks, freezes) > 5
    assert calls[False] > 5_000
    assert min(waits) >= 1.0
    assert max(waits) <= 300.0
    # Requests: two an hour where all is well, twelve in an outage and a few more when it begins; where nothing serves,
    # one in fifteen seconds at the most.
    assert asked[True] / (calls[True] * STEP / HOUR) < 12
    assert asked[False] / (calls[False] * STEP / HOUR) < 240
    # Records: those of an outage do not grow with its length; a rotation is one.
    assert records[logging.WARNING] + records[logging.ERROR] < 4 * sum(weather.spells.values())
    assert records[logging.INFO] < weather.generation + 2 * sum(weather.spells.values())
    # And at last it finds back.
    weather.kind = "well"
    source.otherwise = good(1000)
    world.advance(2 * HOUR)
    for _ in range(2):
        try:
            mint(made)
        except CredentialsError:
            world.advance(5 * MINUTE)
    assert "key-1000" == mint(made)
    assert "fresh" == made.status().state


def test_fleet() -> None:
    """Two hundred processes that started together spread their renewals: no minute of an hour sees a crowd."""
    minutes: Counter[int] = Counter()
    for seed in range(200):
        random = Random(seed)
        world = FakeWorld()
        world.uniform = random.uniform
        source = Source(world)
        made = server(keeper(world, source))
        made.refresh()
        begun = world.mono
        while world.mono < begun + 6 * HOUR:
            count = source.count
            mint(made)
            if source.count > count:
                minutes[int((world.mono - begun) // MINUTE)] += 1
            world.advance(MINUTE)

    # Between 6 and 12 renewals each, so some 5 a minute; the first wave is the densest.
    assert 200 * 5 <= sum(minutes.values()) <= 200 * 12
    assert max(minutes.values()) < 25
    assert 0 == sum(minutes[minute] for minute in range(29))
