"""A simulated runtime: clocks, random numbers and threads that a test controls, and a Moss API without a network."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any

from moss_voice_server import MossVoiceServer, MossVoiceServerSync, ParticipantInfo
from moss_voice_server._credentials.cache import CredentialsCache
from moss_voice_server._credentials.config import config
from moss_voice_server._credentials.fetch import FIELDS, MossSource
from moss_voice_server._credentials.model import Credentials
from moss_voice_server._credentials.runtime import Runtime
from moss_voice_server._http.flow import Flow
from moss_voice_server._http.model import Answer, Attempt, Response, TransportError
from moss_voice_server._secret import Secret
from moss_voice_server.credentials import CredentialsStatus, RefreshPolicy
from tests.support.tokens import claims

ADA = ParticipantInfo("ada")
CONFIG = config(Secret("project"), Secret("moss-project-key"), Secret("agent"), Secret("https://moss.example"))
DOWN = TransportError("connection refused", retry=True)


class Simulation:
    """Two clocks that move only by `advance`, a fixed random number, and threads that can be held back.

    random: every draw from low to high gives low + random * (high - low).
    """

    def __init__(self, random: float = 0.0) -> None:
        self.wall = 1_800_000_000.0
        self.mono = 5_000.0
        self.uniform: Callable[[float, float], float] = lambda low, high: low + random * (high - low)
        self.hold = False
        """True: a thread waits for `run`. False: it runs at once, on the thread that starts it."""
        self.held: deque[Callable[[], None]] = deque()
        self.started = 0

    def time(self) -> float:
        """As `Clock.time`."""
        return self.wall

    def monotonic(self) -> float:
        """As `Clock.monotonic`."""
        return self.mono

    def advance(self, seconds: float) -> None:
        """Moves both clocks."""
        self.wall += seconds
        self.mono += seconds

    def start_thread(self, work: Callable[[], None]) -> None:
        """As `Runtime.start_thread`."""
        self.started += 1
        if self.hold:
            self.held.append(work)
        else:
            work()

    def run(self) -> None:
        """Runs the oldest thread that was held back."""
        self.held.popleft()()

    def lose(self) -> None:
        """The threads that were held back never run: killed, or left behind by a fork."""
        self.held.clear()

    @property
    def runtime(self) -> Runtime:
        """What a cache takes."""
        return Runtime(self, self.uniform, self.start_thread)


class Source:
    """The Moss API in simulated time: `run` sends the requests of a `fetch`.

    answers: what the next requests get; `otherwise` when there are none left.
    takes: how many seconds a request takes.
    attempts: what was sent, oldest first.
    """

    def __init__(self, simulation: Simulation) -> None:
        self.answers: deque[Answer] = deque()
        self.otherwise: Answer = good()
        self.takes = 0.0
        self.attempts: list[Attempt] = []
        self._simulation = simulation

    @property
    def count(self) -> int:
        """How many requests there were."""
        return len(self.attempts)

    def run(self, flow: Flow[Any]) -> Any:
        """As `_http.drivers.run`."""
        try:
            attempt = next(flow)
            while True:
                self._simulation.advance(attempt.delay)
                self.attempts.append(attempt)
                answer = self.answers.popleft() if self.answers else self.otherwise
                self._simulation.advance(min(self.takes, attempt.timeout))
                attempt = flow.send(answer)
        except StopIteration as finished:
            return finished.value


def fields(generation: int = 1) -> dict[str, str]:
    """Credentials whose every part shows their generation."""
    secret = f"secret-{generation}".ljust(40, ".")
    return dict(
        zip(FIELDS, (f"wss://livekit-{generation}", f"key-{generation}", secret, f"agent-{generation}"), strict=True)
    )


def good(generation: int = 1, **headers: str) -> Response:
    """A success: these credentials. Headers by name with `_` for `-`."""
    return answer(json.dumps(fields(generation)).encode(), **headers)


def answer(body: bytes, status: int = 200, /, **headers: str) -> Response:
    """Any response."""
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, Secret(body))


def status(code: int, **headers: str) -> Response:
    """A response that is only a status."""
    return answer(b"", code, **headers)


def cache(
    simulation: Simulation,
    source: Any,
    policy: RefreshPolicy | None = None,
    on_change: Callable[[CredentialsStatus], object] | None = None,
) -> CredentialsCache[Credentials]:
    """A real cache over a `Source`, or anything else with its `run`."""
    moss = MossSource(CONFIG, policy or RefreshPolicy(), source.run, simulation.runtime)
    return CredentialsCache(moss, "MossVoiceServerSync", on_change)


def server(cached: CredentialsCache[Credentials]) -> MossVoiceServerSync:
    """A real server over that cache, so that tokens are created by its fast path."""
    made = MossVoiceServerSync("project", "moss-project-key", "agent", "https://moss.example")
    made._use(cached, cached._runtime.clock)
    return made


def mint(made: MossVoiceServer | MossVoiceServerSync) -> str:
    """Creates a token and returns the key that signed it."""
    return str(claims(made.create_participant_token(ADA, "room"))["iss"])
