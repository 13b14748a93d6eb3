"""Iterate: all requested reports, page by page, on a thread or on an event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import count

from .. import _clock
from .._credentials.fetch import MossSource
from .._http.flow import Timing
from .._http.model import Failure
from .._http.threads import run_in_thread
from ..errors import CredentialsUnavailable
from .models import SessionReport
from .pages import LIMIT, Query, page, selected


def pages(source: object, wanted: Query, wall: Callable[[], float]) -> Iterator[list[SessionReport]]:
    """The pages one after the other, each fetched when it is needed, until one is short or brings nothing new.

    Raises:
        CredentialsUnavailable: at once, if the credentials do not come from the Moss API.
        CredentialsError: there is no next page.
    """
    if not isinstance(source, MossSource):
        raise CredentialsUnavailable(
            "a server with static credentials has no Moss project",
            remedy="create the server with create() or from_env()",
        )
    return _fetched(source, wanted, wall)


def _fetched(source: MossSource, wanted: Query, wall: Callable[[], float]) -> Iterator[list[SessionReport]]:
    # The clock for deadlines is real: a test that freezes the server's clock must not wait forever.
    timing = Timing(_clock.elapsed, wall, source.runtime.uniform)
    seen: set[str] = set()
    for number in count():
        received = source.run(page(source.config, wanted, number, source.policy, timing))
        if isinstance(received, Failure):
            raise received.error()
        known = len(seen)
        yield list(selected(received, wanted, seen))
        if len(received) < LIMIT or len(seen) == known:
            return


async def iterate_async(pages: Iterator[list[SessionReport]]) -> AsyncIterator[SessionReport]:
    """The reports for coroutines: pages are fetched on a thread, where a custom transport is bound to no event loop."""
    while (reports := await run_in_thread(lambda: next(pages, None))) is not None:
        for report in reports:
            yield report
