"""Moss: the Moss API, asked and judged as the library does it."""

from __future__ import annotations

import json
import random
from collections.abc import Generator
from typing import NamedTuple

from .._credentials.config import Settings
from .._credentials.fetch import Failure, Fetched, FetchFlow, FetchResult, fetch
from .._credentials.response import FIELDS
from .._http.model import Response, TransportError
from .._secret import Secret
from ..credentials import RefreshPolicy
from ..errors import CredentialsInvalid
from . import reach
from .check import Check, Stopwatch, shown
from .clock import Reading
from .keys import Keys
from .plan import Plan
from .reach import Place
from .redact import Redactor

NAMES = (*reach.names("moss"), "moss.answer")
_SETTING = "MOSS_PLATFORM_API_URL"


class Found(NamedTuple):
    """What the Moss API gave: the credentials, or none; and its clock."""

    keys: Keys | None = None
    reading: Reading | None = None


def checks(settings: Settings, plan: Plan, redactor: Redactor) -> Generator[Check, None, Found]:
    """The way to the API, and its answer; returns what was found."""
    place = Place("moss", settings.url.partition("?")[0], _SETTING)
    if not (yield from reach.checks(place, plan)):
        yield Stopwatch(plan.mono).skip(NAMES[-1], "the Moss API was not reached")
        return Found()
    watch = Stopwatch(plan.mono)
    exchange = fetch(
        settings,
        RefreshPolicy(attempt_timeout=plan.timeout),
        attempts=1,
        budget=plan.timeout,
        etag="",
        mono=plan.mono,
        wall=plan.now,
        uniform=random.uniform,
    )
    attempt = next(exchange)
    before = plan.now()
    from .._http.client import send

    answer = send(attempt, None)
    if isinstance(answer, TransportError):
        yield watch.fail(NAMES[-1], *reach.why(answer, place, plan.timeout))
        return Found()
    reading = Reading.of("the Moss API", answer, before, plan.now())
    outcome = _judged(exchange, answer)
    if not isinstance(outcome, Fetched):
        failure = outcome if isinstance(outcome, Failure) else Failure(CredentialsInvalid, "unexpected HTTP 304")
        remedy = failure.remedy or f"check {_SETTING}"
        yield watch.fail(NAMES[-1], f"{place.origin}: {failure.message}", remedy)
        return Found(None, reading)
    fields = Secret(_fields(answer))
    redactor.learn(fields.reveal()["voice_agent_api_secret"])
    keys = Keys(
        outcome.credentials.url,
        Secret(fields.reveal()["voice_agent_api_key"]),
        Secret(fields.reveal()["voice_agent_api_secret"]),
        outcome.credentials.agent_name,
        plan,
        redactor,
    )
    yield watch.ok(NAMES[-1], f"{place.origin}: HTTP 200; agent {shown(keys.agent_name)}, LiveKit at {shown(keys.url)}")
    return Found(keys, reading)


def _judged(exchange: FetchFlow, answer: Response) -> FetchResult:
    """What the library makes of the answer: one attempt was allowed, so it has to say."""
    while True:
        try:
            exchange.send(answer)
        except StopIteration as finished:
            outcome: FetchResult = finished.value
            return outcome


def _fields(answer: Response) -> dict[str, str]:
    """The four strings of an answer that the library has found to be whole."""
    fields = Secret(json.loads(answer.body.reveal()))
    return {name: fields.reveal()[name] for name in FIELDS}
