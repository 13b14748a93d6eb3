"""Source: where a cache gets its value from; `MossSource` fetches a voice agent's credentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from .._secret import Sealed
from ..credentials import RefreshPolicy
from ..errors import CredentialsNotLoaded, CredentialsRejected, CredentialsUnavailable
from .config import Config
from .fetch import FetchFlow, fetch
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
        run: Callable[[FetchFlow], Result[Credentials]],
        runtime: Runtime,
    ) -> None:
        self._config = config
        self._policy = policy
        self._run = run
        self._runtime = runtime

    def prepare(self) -> None:
        """Imports the HTTP client."""
        from .._http import drivers as _drivers  # noqa: F401  # imported for its effect

    def fetch(self, attempts: int, budget: float, etag: str) -> Result[Credentials]:
        """Asks the Moss API."""
        return self._run(
            fetch(
                self._config,
                self._policy,
                attempts=attempts,
                budget=budget,
                etag=etag,
                mono=self._runtime.clock.monotonic,
                wall=self._runtime.clock.time,
                uniform=self._runtime.uniform,
            )
        )


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
