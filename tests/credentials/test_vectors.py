"""The life-cycle vectors of tests/vectors/lifecycle, run against the real keeper in a fake world; see the README there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server._http.model import Response, TransportError
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsError
from tests.support.world import DOWN, FakeWorld, Source, answer, good, keeper, mint, server, status

FOLDER = Path(__file__).parent.parent / "vectors" / "lifecycle"
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['name']}")
    for path in sorted(FOLDER.glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))["cases"]
]


class Run:
    """One case under way. Each method carries out the step of its name and returns the result, where there is one."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.world = FakeWorld(given["random"])
        self.source = Source(self.world)
        self.keeper = keeper(self.world, self.source, RefreshPolicy(**given.get("policy", {})))
        self.server = server(self.keeper)
        self.error: CredentialsError | None = None
        self._sent = 1
        if given["cached"]:
            self.server.refresh()
            self.source.attempts.clear()

    def advance(self, step: dict[str, Any]) -> None:
        """Time goes by."""
        self.world.wall += step["wall"] if "wall" in step else step["seconds"]
        self.world.mono += step["mono"] if "mono" in step else step["seconds"]

    def source_(self, step: dict[str, Any]) -> None:
        """What is answered from here on."""
        answers = [self._answer(each) for each in step["answers"]]
        self.source.answers.clear()
        self.source.answers.extend(answers)
        self.source.otherwise = answers[-1]

    def _answer(self, each: Any) -> Response | TransportError:
        if each == "unreachable":
            return DOWN
        told: dict[str, Any] = {"status": each} if isinstance(each, int) else each
        headers: dict[str, str] = {}
        if "max_age" in told:
            headers["cache_control"] = f"max-age={told['max_age']}"
        if "etag" in told:
            headers["etag"] = told["etag"]
        if "retry_after" in told:
            headers["retry_after"] = told["retry_after"]
        if "body" in told:
            return answer(told["body"].encode(), told["status"], **headers)
        if told["status"] != 200:
            return status(told["status"], **headers)
        self._sent = told.get("generation", self._sent)
        return good(self._sent, **headers)

    def mint(self, _step: dict[str, Any]) -> object:
        """The generation that signed, or the error."""
        return self._call(lambda: int(mint(self.server).removeprefix("key-")))

    def refresh(self, _step: dict[str, Any]) -> object:
        """ "ok", or the error."""
        # A test cannot wait for what it holds back itself.
        hold, self.world.hold = self.world.hold, False
        try:
            return self._call(self.server.refresh) or "ok"
        finally:
            self.world.hold = hold

    def _call(self, call: Callable[[], object]) -> object:
        try:
            return call()
        except CredentialsError as error:
            self.error = error
            return error.code

    def hold(self, _step: dict[str, Any]) -> None:
        """Renewals stay under way."""
        self.world.hold = True

    def land(self, _step: dict[str, Any]) -> None:
        """The oldest of them is carried out."""
        self.world.run()

    def lose(self, _step: dict[str, Any]) -> None:
        """They never come back."""
        self.world.lose()

    def fork(self, _step: dict[str, Any]) -> None:
        """The child goes on."""
        self.world.lose()
        self.keeper.after_fork()


@pytest.mark.parametrize("case", CASES)
def test_lifecycle(case: dict[str, Any]) -> None:
    """Each step of a vector has the result, the requests, the pauses and the state that the vector says."""
    run = Run(case["given"])
    for number, step in enumerate(case["steps"], 1):
        before = len(run.source.attempts)
        do = step["do"]
        result = getattr(run, "source_" if do == "source" else do)(step)
        sent = run.source.attempts[before:]
        actual = {
            "result": result,
            "requests": len(sent),
            "delays": [each.delay for each in sent],
            "conditional": bool(sent) and "If-None-Match" in dict(sent[-1].request.headers),
            "retry_after": run.error.retry_after if run.error else None,
            "state": run.server.status().state,
        }
        expected = step.get("expected", {})
        assert expected == {name: actual[name] for name in expected}, f"step {number}: {do}"


def test_vectors_are_well_formed() -> None:
    """No step and no key of a vector is misspelt: another language would not notice either."""
    expected_keys = {"result", "requests", "delays", "conditional", "retry_after", "state"}
    step_keys = {"advance": {"seconds", "wall", "mono"}, "source": {"answers"}}
    names = []
    for path in sorted(FOLDER.glob("*.json")):
        whole = json.loads(path.read_text(encoding="utf-8"))
        assert {"about", "cases"} == set(whole)
        for case in whole["cases"]:
            names.append(case["name"])
            assert {"name", "given", "steps"} == set(case)
            assert set(case["given"]) <= {"policy", "random", "cached"}
            for step in case["steps"]:
                assert set(step) - {"do", "expected"} <= step_keys.get(step["do"], set()), step
                assert set(step.get("expected", {})) <= expected_keys, step
    assert len(names) == len(set(names))
    assert len(names) >= 40
