"""Source: where a cache gets its value from; `MossSource` fetches a voice agent's credentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from .._http.flow import Flow
from .._secret import Sealed
from ..credentials import RefreshPolicy
from ..errors import CredentialsNotLoaded, CredentialsRejected, CredentialsUnavailable
from .config import Config
from .fetch import fetch
from .model import Credentials
from .result import Result
from .runtime import Runtime
from .wording import Wording

Value_co = TypeVar("Value_co", covariant=True)


class Source(Protocol[Value_co]):
    """Fetches a value, on whatever thread it is called."""

    def prepare(self) -> None:
        """Imports what `fetch` needs.

        A cache calls this on the caller's thread: an import on the fetching thread could leave the import lock held in a
        child that is forked meanwhile.
        """
        ...

    def fetch(self, attempts: int, budget: float, etag: str) -> Result[Value_co]:
        """Makes at most `attempts` requests within `budget` seconds; `etag` is the cached value's, or ""."""
        ...


class MossSource(Sealed):
    """The Moss API. `run` sends what a `fetch` asks for and returns its result."""

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
        """Imports the HTTP client."""
        from .._http import drivers as _drivers  # noqa: F401  # imported for its effect

    def fetch(self, attempts: int, budget: float, etag: str) -> Result[Credentials]:
        """Asks the Moss API."""
        result: Result[Credentials] = self.run(
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


def wording(owner: str) -> Wording:
    """How the cache of a voice agent's credentials speaks; `owner` is the class that users see."""
    return Wording(
        owner=owner,
        value="LiveKit credentials",
        source="the Moss API",
        suspended="token creation is suspended",
        not_loaded=CredentialsNotLoaded,
        not_loaded_remedy=f"create it with {owner}.create() or {owner}.from_env(), or call refresh() first",
        unavailable=CredentialsUnavailable,
        rejected=CredentialsRejected,
    )
