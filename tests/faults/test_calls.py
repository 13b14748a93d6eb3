"""Rooms and session reports meet faults of the table too: both classes report each of them alike, to the letter."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from moss_voice_server import MossVoiceServer, MossVoiceServerSync
from moss_voice_server._http import flow
from moss_voice_server._livekit_api import call
from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsUnavailable, LiveKitUnavailable, MossVoiceError
from tests.faults.conftest import Authority
from tests.faults.table import BROKEN, FAULTS, HIDDEN, MARK, RESET, SECRET, Fault, Place
from tests.rooms.plain import PlainRooms, Server
from tests.support.errors import Facts, caught, facts
from tests.support.secret_scan import spilled

pytestmark = pytest.mark.once

ATTEMPTS = 2
SINCE = datetime(2026, 11, 28, tzinfo=timezone.utc)
CLASSES = (MossVoiceServerSync, MossVoiceServer)


def list_rooms(kind: type[Server], arguments: Any, _timeout: float) -> None:
    """Asks LiveKit's server API, as if the faulty server were LiveKit."""
    PlainRooms(kind.from_livekit(arguments["api_url"], "key", SECRET)).list()


def read_reports(kind: type[Server], arguments: Any, timeout: float) -> None:
    """Asks the Moss API for session reports."""
    server = kind(**arguments, refresh=RefreshPolicy(attempts=ATTEMPTS, attempt_timeout=timeout))
    if isinstance(server, MossVoiceServerSync):
        list(server.session_reports(SINCE))
        return

    async def read() -> None:
        async for _ in server.session_reports(SINCE):
            pass

    asyncio.run(read())


ROWS = (
    *("status 401", "status 429, an hour", "status 418", "status 304, unasked", "endless body trickles"),
    *("interim responses without end", "headers without end", "huge", "gzip bomb", "cut off at once", "not chunks"),
    *("HTTP/0.9", "switching protocols", "reset when asked", "reset after the headers", "HTML", "deeply nested"),
    *("no such name", "swallowed", "unknown authority", "handshake hangs", "plain HTTP on a TLS port"),
    *("TLS alert in the clear", "TLS cut off"),
)
"""One of each kind: what is below HTTP is the code that the credentials use."""

RACY_WITH_A_BODY = (BROKEN, RESET, "TLS", "")
"""A request with a body is written in two parts, and the second part may come after the end of the connection."""


def reported(ask: Callable[..., None], kind: type[Server], fault: Fault, place: Place) -> Facts:
    """The fault, met by this class."""
    with fault.serve(place) as target:
        error = caught(ask, kind, target.arguments, fault.timeout / 2)
        assert [] == spilled(error, HIDDEN)
        return facts(error, target.seen())


@pytest.mark.parametrize(
    ("ask", "unavailable"), [(list_rooms, LiveKitUnavailable), (read_reports, CredentialsUnavailable)]
)
@pytest.mark.parametrize("fault", [FAULTS[name] for name in ROWS], ids=ROWS)
def test_fault_is_reported_alike(
    ask: Callable[..., None],
    unavailable: type[MossVoiceError],
    fault: Fault,
    authority: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Class, code, text, remedy, attempts and time to wait of both classes are equal; what failed below HTTP says so."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setattr(flow, "_FIRST_BACKOFF", 0.0)
    monkeypatch.setattr(call, "_ATTEMPTS", ATTEMPTS)
    monkeypatch.setattr(call, "_ATTEMPT_TIMEOUT", fault.timeout / 2)
    place = Place(authority.ca, tmp_path, monkeypatch)

    first, second = (reported(ask, kind, fault, place) for kind in CLASSES)

    if fault.message in RACY_WITH_A_BODY and ask is list_rooms:
        second = second._replace(text=first.text, remedy=first.remedy)
    assert first == second
    assert first.text.endswith(f": {first.remedy}")
    if fault.kind is CredentialsUnavailable and "HTTP" not in fault.message:
        assert (unavailable, fault.attempts) == (first.kind, first.attempts)
    assert MARK not in caplog.text
