"""The world in a test's hands: clocks, random numbers, threads, and a Moss API that is played without a network."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable
from typing import Any

from moss_voice_server import MossVoiceServerSync, ParticipantInfo
from moss_voice_server._credentials.cache import Keeper, World
from moss_voice_server._credentials.config import settings
from moss_voice_server._credentials.fetch import FetchFlow, FetchResult
from moss_voice_server._credentials.response import FIELDS
from moss_voice_server._http.model import Attempt, Response, TransportError
from moss_voice_server._secret import Secret
from moss_voice_server.credentials import CredentialsStatus, RefreshPolicy

ADA = ParticipantInfo("ada")
SETTINGS = settings("project", Secret("moss-project-key"), "agent", "https://moss.example")
DOWN = TransportError("connection refused", retry=True)


class FakeWorld:
    """Two clocks that stand still until they are told, a pinned random number, and threads that may be held back.

    random: every draw from low to high gives low + random * (high - low).
    """

    def __init__(self, random: float = 0.0) -> None:
        self.wall = 1_800_000_000.0
        self.mono = 5_000.0
        self.random = random
        self.uniform: Callable[[float, float], float] = lambda low, high: low + self.random * (high - low)
        """As `World.uniform`."""
        self.hold = False
        """True: what is spawned waits for `run`. False: it runs at once, on the thread that spawns it."""
        self.held: deque[Callable[[], None]] = deque()
        self.spawned = 0

    def advance(self, seconds: float) -> None:
        """Time goes by."""
        self.wall += seconds
        self.mono += seconds

    def spawn(self, work: Callable[[], None]) -> None:
        """As `World.spawn`."""
        self.spawned += 1
        if self.hold:
            self.held.append(work)
        else:
            work()

    def run(self) -> None:
        """Run what was held back, the oldest only."""
        self.held.popleft()()

    def lose(self) -> None:
        """The threads that were held back never run: killed, or left behind by a fork."""
        self.held.clear()

    @property
    def world(self) -> World:
        """What a keeper takes."""
        return World(wall=lambda: self.wall, mono=lambda: self.mono, uniform=self.uniform, spawn=self.spawn)


class Source:
    """The Moss API, played against a fetch in fake time: `drive` is what a keeper takes.

    answers: what the next requests get; `otherwise` when there are none left.
    takes: how many seconds a request takes.
    attempts: what was sent, oldest first.
    """

    def __init__(self, world: FakeWorld) -> None:
        self.answers: deque[Response | TransportError] = deque()
        self.otherwise: Response | TransportError = good()
        self.takes = 0.0
        self.attempts: list[Attempt] = []
        self._world = world

    @property
    def count(self) -> int:
        """How many requests there were."""
        return len(self.attempts)

    def drive(self, flow: FetchFlow) -> FetchResult:
        """As `_http.drivers.run`."""
        try:
            attempt = next(flow)
            while True:
                self._world.advance(attempt.delay)
                self.attempts.append(attempt)
                answer = self.answers.popleft() if self.answers else self.otherwise
                self._world.advance(min(self.takes, attempt.timeout))
                attempt = flow.send(answer)
        except StopIteration as finished:
            outcome: FetchResult = finished.value
            return outcome


def fields(generation: int = 1) -> dict[str, str]:
    """Credentials whose every part tells their generation."""
    secret = f"secret-{generation}".ljust(40, ".")
    return dict(
        zip(FIELDS, (f"wss://livekit-{generation}", f"key-{generation}", secret, f"agent-{generation}"), strict=True)
    )


def good(generation: int = 1, **headers: str) -> Response:
    """A success: these credentials. Headers by name with `_` for `-`."""
    return answer(json.dumps(fields(generation)).encode(), **headers)


def answer(body: bytes, status: int = 200, /, **headers: str) -> Response:
    """Any answer."""
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, Secret(body))


def status(code: int, **headers: str) -> Response:
    """An answer that is only a status."""
    return answer(b"", code, **headers)


def keeper(
    world: FakeWorld,
    source: Source,
    policy: RefreshPolicy | None = None,
    on_change: Callable[[CredentialsStatus], object] | None = None,
) -> Keeper:
    """A real keeper in that world."""
    return Keeper("MossVoiceServerSync", SETTINGS, policy or RefreshPolicy(), source.drive, on_change, world.world)


def server(kept: Keeper) -> MossVoiceServerSync:
    """A real server over that keeper, so that minting goes through its fast path."""
    made = MossVoiceServerSync("project", "moss-project-key", "agent", "https://moss.example")
    made._keep(kept)
    return made


def mint(made: MossVoiceServerSync) -> str:
    """Mint, and tell the key that signed."""
    return str(claims(made.create_participant_token(ADA, "room"))["iss"])


def claims(token: str) -> dict[str, Any]:
    """A token's payload, unverified."""
    payload = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return decoded
