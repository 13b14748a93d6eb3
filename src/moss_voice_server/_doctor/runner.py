"""Run the checks in order, from the environment to the agent in the room; a failed link skips the links behind it."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from importlib.util import find_spec

from .._credentials.config import Config
from .._livekit_credentials import LiveKitCredentials
from . import clock_offset, dispatch, endpoint, environment, join, key_pair, livekit_server, moss_api, validation
from .check import Check, Stopwatch
from .clock_offset import ClockOffset
from .livekit_server import LiveKitServer
from .options import Options

NAMES = (
    *environment.NAMES,
    *moss_api.NAMES,
    *key_pair.NAMES,
    *livekit_server.NAMES,
    *validation.NAMES,
    *clock_offset.NAMES,
    *join.NAMES,
    *dispatch.NAMES,
)
"""Every check up to the agent, in order."""
_NOT_REACHED = "not reached: see above"

Links = Generator[Check, None, tuple[LiveKitServer | None, LiveKitCredentials | None]]


def names(options: Options) -> tuple[str, ...]:
    """The names of all checks that `examine` makes."""
    return (*NAMES, *endpoint.NAMES) if options.endpoint else NAMES


def examine(options: Options) -> Iterator[Check]:
    """Makes every check and yields each as soon as it is done. No check contains a secret."""
    watch = Stopwatch(options.mono)
    links = _links(options)
    pending = list(NAMES)
    server: LiveKitServer | None = None
    credentials: LiveKitCredentials | None = None
    while True:
        try:
            check = next(links)
        except StopIteration as finished:
            server, credentials = finished.value
            break
        while pending[0] != check.name:
            yield watch.skip(pending.pop(0), _NOT_REACHED)
        del pending[0]
        yield options.redactor.clean(check)
    for name in pending:
        yield watch.skip(name, _NOT_REACHED)
    if options.endpoint:
        for check in endpoint.checks(options, server, credentials):
            yield options.redactor.clean(check)


def _links(options: Options) -> Links:
    """Every link up to the agent; returns the server and credentials that it found."""
    offsets: list[ClockOffset] = []
    credentials, setting = yield from _credentials(options, offsets)
    if credentials is None:
        if offsets:
            yield clock_offset.check(offsets, Stopwatch(options.mono))
        return None, None
    is_usable = yield from key_pair.checks(credentials, options)
    server = yield from livekit_server.checks(credentials.url, setting, options)
    if server is not None and server.offset is not None:
        offsets.append(server.offset)
    can_join = False
    if is_usable and server is not None:
        can_join = yield from validation.checks(server, credentials, options)
    yield clock_offset.check(offsets, Stopwatch(options.mono))
    if can_join and server is not None:
        yield from _room(server, credentials, options)
    return server, credentials if is_usable else None


def _credentials(
    options: Options, offsets: list[ClockOffset]
) -> Generator[Check, None, tuple[LiveKitCredentials | None, str]]:
    """The LiveKit credentials, and the setting that their URL comes from."""
    source = yield from environment.checks(options)
    if source is None:
        return None, ""
    if isinstance(source, Config):
        found = yield from moss_api.checks(source, options)
        if found.offset is not None:
            offsets.append(found.offset)
        return found.credentials, "the voice agent's LiveKit URL in Moss"
    for name in moss_api.NAMES:
        yield Stopwatch(options.mono).skip(name, "LiveKit credentials are set: the Moss API is not needed")
    return source, "--livekit-url" if options.credentials else "LIVEKIT_URL"


def _room(server: LiveKitServer, credentials: LiveKitCredentials, options: Options) -> Iterator[Check]:
    """The join, and the agents."""
    if find_spec("websockets") is None:
        for name in (*join.NAMES, *dispatch.NAMES):
            yield Stopwatch(options.mono).skip(name, join.MISSING_EXTRA)
        return
    check = join.check(server, credentials, options)
    yield check
    if not options.agents:
        for name in dispatch.NAMES:
            yield Stopwatch(options.mono).skip(name, "skipped by --no-agent")
    elif check.status == "ok":
        yield from dispatch.checks(server, credentials, options)
