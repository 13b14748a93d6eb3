"""Check the Moss API: fetch the voice agent's credentials as the library does."""

from __future__ import annotations

import json
import random
from collections.abc import Generator
from typing import NamedTuple

from .._credentials.config import Config
from .._credentials.fetch import fetch
from .._credentials.response import FIELDS
from .._credentials.result import Failure, Fetched, Result
from .._escape import escape
from .._http.flow import Flow
from .._http.model import Response, TransportError
from .._livekit_credentials import LiveKitCredentials
from ..credentials import RefreshPolicy
from ..errors import CredentialsInvalid
from . import connectivity
from .check import Check, Stopwatch
from .clock_offset import ClockOffset
from .connectivity import Target
from .options import Options

NAMES = (*connectivity.names("moss"), "moss.response")
_SETTING = "MOSS_PLATFORM_API_URL"


class Found(NamedTuple):
    """The credentials from the Moss API, if any, and the offset of its clock."""

    credentials: LiveKitCredentials | None = None
    offset: ClockOffset | None = None


def checks(config: Config, options: Options) -> Generator[Check, None, Found]:
    """The connection to the API, and its response."""
    target = Target("moss", config.url.partition("?")[0], _SETTING)
    if not (yield from connectivity.checks(target, options)):
        yield Stopwatch(options.mono).skip(NAMES[-1], "the Moss API was not reached")
        return Found()
    watch = Stopwatch(options.mono)
    flow = fetch(
        config,
        RefreshPolicy(attempt_timeout=options.timeout),
        attempts=1,
        budget=options.timeout,
        etag="",
        mono=options.mono,
        wall=options.now,
        uniform=random.uniform,
    )
    attempt = next(flow)
    before = options.now()
    from .._http.client import send

    response = send(attempt, None)
    if isinstance(response, TransportError):
        yield watch.fail(NAMES[-1], *connectivity.explain(response, target))
        return Found()
    offset = ClockOffset.of("the Moss API", response, before, options.now())
    result = _result(flow, response)
    if not isinstance(result, Fetched):
        failure = result if isinstance(result, Failure) else Failure(CredentialsInvalid, "unexpected HTTP 304")
        yield watch.fail(NAMES[-1], f"{target.origin}: {failure.message}", failure.remedy or f"check {_SETTING}")
        return Found(None, offset)
    fields = json.loads(response.body.reveal())
    credentials = LiveKitCredentials(*(fields[name] for name in FIELDS))
    options.redactor.learn(credentials.api_secret)
    name, url = escape(credentials.agent_name), escape(credentials.url)
    yield watch.ok(NAMES[-1], f"{target.origin}: HTTP 200; agent {name}, LiveKit at {url}")
    return Found(credentials, offset)


def _result(flow: Flow[Result], response: Response) -> Result:
    """What the library makes of the response; only one attempt was allowed."""
    while True:
        try:
            flow.send(response)
        except StopIteration as finished:
            result: Result = finished.value
            return result
