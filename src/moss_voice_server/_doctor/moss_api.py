"""Check the Moss API: fetch the voice agent's credentials as the library does."""

from __future__ import annotations

import json
import random
import time

from .._credentials.fetch import FIELDS, fetch, limits
from .._credentials.model import Credentials
from .._credentials.source import Fetched, Result
from .._escape import escape
from .._http.flow import Flow, Timing
from .._http.model import Failure, Response, TransportError
from .._livekit_credentials import LiveKitCredentials
from ..credentials import RefreshPolicy
from ..errors import CredentialsInvalid
from .check import Verdict, fail, need, ok, skip
from .clock_offset import ClockOffset
from .found import Found


def judge(found: Found) -> Verdict:
    """Finds the voice agent's credentials, and the clock of the API."""
    target, options = found.target("moss"), found.options
    if not found.is_reached("moss"):
        return skip("the Moss API was not reached")
    policy = limits(RefreshPolicy(attempt_timeout=options.timeout), attempts=1, budget=options.timeout)
    flow = fetch(need(found.config), policy, Timing(time.monotonic, options.now, random.uniform))
    attempt = next(flow)
    before = options.now()
    from .._http.client import send

    response = send(attempt, None)
    if isinstance(response, TransportError):
        return target.failure(response)
    offset = ClockOffset.of("the Moss API", response, before, options.now())
    found.offsets += [offset] if offset else []
    result = _result(flow, response)
    if not isinstance(result, Fetched):
        failure = result if isinstance(result, Failure) else Failure(CredentialsInvalid, "unexpected HTTP 304")
        return fail(f"{target.origin}: {failure.message}", failure.remedy or f"check {target.setting}")
    fields = json.loads(response.body.reveal())
    found.unchecked = LiveKitCredentials(*(fields[name] for name in FIELDS))
    found.setting = "the voice agent's LiveKit URL in Moss"
    options.redactor.learn(found.unchecked.api_secret)
    name, url = escape(found.unchecked.agent_name), escape(found.unchecked.url)
    return ok(f"{target.origin}: HTTP 200; agent {name}, LiveKit at {url}")


def _result(flow: Flow[Result[Credentials]], response: Response) -> Result[Credentials]:
    """What the library makes of the response; only one attempt was allowed."""
    while True:
        try:
            flow.send(response)
        except StopIteration as finished:
            result: Result[Credentials] = finished.value
            return result
