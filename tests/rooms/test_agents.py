"""One agent for a room: the rules of `ensure_agent` as values, with many callers whose calls interleave in any order."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from moss_voice_server._http.flow import Pause, Steps, Timing
from moss_voice_server._http.model import Answer, Response
from moss_voice_server._livekit_api.agents import ensure, wanted
from moss_voice_server._livekit_api.call import Access, Signed
from moss_voice_server._livekit_api.models import Dispatch
from moss_voice_server._secret import Secret
from moss_voice_server.testing._livekit_api import LiveKitApi
from moss_voice_server.testing._request import Headers, RecordedRequest

pytestmark = pytest.mark.once


class Memory:
    """A LiveKit project in memory, with an `Access`; time goes by with each call."""

    fingerprint = "0123456789ab"

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.api = LiveKitApi(Secret({}), {"clerk"}, self.tick)
        self.api._authorize = lambda *_: None  # type: ignore[method-assign]  # tokens are not what this is about
        timing = Timing(lambda: 0.0, lambda: self.now, lambda low, _high: low)
        signed = Signed("wss://livekit.example", self, lambda _grants: Secret("token"))
        self.access = Access(timing, lambda: signed, lambda: None, lambda: False)

    def tick(self) -> float:
        """A moment later."""
        self.now += 0.000_001
        return self.now

    def same_as(self, other: object) -> bool:
        """Its credentials never change."""
        return self is other

    def answer(self, step: Any) -> Answer | None:
        """What comes back for a step."""
        if isinstance(step, Pause):
            return None
        request = step.request
        path = "/" + request.url.split("/", 3)[3]
        settled = self.api.respond(RecordedRequest("POST", path, Headers(), 0.0, request.body.reveal()))
        body = json.dumps(settled.json).encode()
        return Response(settled.status, {"date": settled.headers["Date"]}, Secret(body))


def interleaved(
    project: Memory, callers: list[Steps[Dispatch]], choice: random.Random, *, pauses: bool = False
) -> list[Dispatch]:
    """Runs all callers to their ends, one step of one of them at a time.

    With `pauses`, a pause ends only when all others have paused or ended too: it is longer than a call.
    """
    steps: dict[int, Any] = {number: next(caller) for number, caller in enumerate(callers)}
    results: list[Dispatch] = []
    while steps:
        ready = [number for number, step in steps.items() if not (pauses and isinstance(step, Pause))]
        number = choice.choice(ready or list(steps))
        try:
            steps[number] = callers[number].send(project.answer(steps[number]))
        except StopIteration as finished:
            results.append(finished.value)
            del steps[number]
    return results


@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize("exists", [True, False], ids=["existing", "new"])
def test_all_get_the_same_dispatch(exists: bool, pauses: bool) -> None:
    """Sixty runs of ten callers in random order: one dispatch and one agent remain, and every caller gets that dispatch."""
    for seed in range(60):
        project = Memory()
        if exists:
            project.api.room("room")
        agent = wanted("room", "clerk", str, "", None, None)
        callers = [ensure(project.access, agent) for _ in range(10)]
        results = interleaved(project, callers, random.Random(seed), pauses=pauses)

        live = [each for each in project.api.rooms["room"].dispatches.values() if each["agent_name"] == "clerk"]
        assert 1 == len(live), seed
        assert {live[0]["id"]} == {each.id for each in results}, seed
        assert 1 == len(project.api.rooms["room"].participants), seed


def test_dispatches_of_other_agents_stay() -> None:
    """Another agent's dispatches, and the automatic one, are none of its business."""
    project = Memory()
    project.api.room("room", [{"agent_name": "other"}, {"agent_name": ""}])
    interleaved(project, [ensure(project.access, wanted("room", "clerk", str, "", None, None))], random.Random(1))

    assert ["other", "", "clerk"] == [each["agent_name"] for each in project.api.rooms["room"].dispatches.values()]
