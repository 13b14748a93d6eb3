"""Source: the Moss API, as the cache uses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .._http.flow import Flow
from .._secret import Sealed
from ..credentials import RefreshPolicy
from .config import Config
from .fetch import fetch
from .result import Result
from .runtime import Runtime


class MossSource(Sealed):
    """The Moss API. `run` sends what a `fetch` requests, and returns its result."""

    def __init__(
        self,
        config: Config,
        policy: RefreshPolicy,
        run: Callable[[Flow[Any]], Any],
        runtime: Runtime,
    ) -> None:
        self.config = config
        self.policy = policy
        self.run = run
        self.runtime = runtime

    def prepare(self) -> None:
        """Imports the HTTP client.

        A cache calls this on the caller's thread: an import on the fetching thread could leave the import lock held in a
        child that is forked meanwhile.
        """
        from .._http import drivers as _drivers  # noqa: F401  # imported for its effect

    def fetch(self, attempts: int, budget: float, etag: str) -> Result:
        """Makes at most `attempts` requests within `budget` seconds; `etag` is that of the cached credentials, or ""."""
        result: Result = self.run(
            fetch(
                self.config,
                self.policy,
                attempts=attempts,
                budget=budget,
                etag=etag,
                mono=self.runtime.clock.monotonic,
                wall=self.runtime.clock.time,
                uniform=self.runtime.uniform,
            )
        )
        return result
