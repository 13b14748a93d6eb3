"""Iterate: all requested reports, page by page, on a thread or on an event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

from .. import _clock
from .._credentials.fetch import MossSource
from .._http.flow import Timing
from .._http.model import Failure
from .._http.threads import run_in_thread
from .._secret import Sealed
from ..errors import CredentialsUnavailable
from .models import SessionReport
from .pages import LIMIT, Query, page, selected


class Reader(Sealed):
    """Reads the pages one after the other, until one is short or brings nothing new.

    Raises:
        CredentialsUnavailable: the credentials do not come from the Moss API.
    """

    def __init__(self, source: object, query: Query, wall: Callable[[], float]) -> None:
        if not isinstance(source, MossSource):
            raise CredentialsUnavailable(
                "a server with static credentials has no Moss project",
                remedy="create the server with create() or from_env()",
            )
        self._source = source
        self._query = query
        # The clock for deadlines is real: a test that freezes the server's clock must not wait forever.
        self._timing = Timing(_clock.elapsed, wall, source.runtime.uniform)
        self._number = 0
        self._seen: set[str] = set()
        self.is_done = False

    def read(self) -> list[SessionReport]:
        """The reports of the next page.

        Raises:
            CredentialsError: there is none.
        """
        source = self._source
        received = source.run(page(source.config, self._query, self._number, source.policy, self._timing))
        if isinstance(received, Failure):
            raise received.error()
        known = len(self._seen)
        reports = list(selected(received, self._query, self._seen))
        self._number += 1
        self.is_done = len(received) < LIMIT or len(self._seen) == known
        return reports


def iterate(reader: Reader) -> Iterator[SessionReport]:
    """The reports, each page fetched when it is needed."""
    while not reader.is_done:
        yield from reader.read()


async def iterate_async(reader: Reader) -> AsyncIterator[SessionReport]:
    """The same for coroutines: pages are fetched on a thread, where a custom transport is bound to no event loop."""
    while not reader.is_done:
        for report in await run_in_thread(reader.read):
            yield report
