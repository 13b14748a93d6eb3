"""Rooms and session reports meet the faults of the table too: both classes report each of them alike, to the letter."""

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
from tests.faults.table import BROKEN, FAULTS, KEY, MARK, RESET, Fault, Place
from tests.rooms.plain import PlainRooms, Server
from tests.support.errors import Facts, facts
from tests.support.secret_scan import spilled

pytestmark = pytest.mark.once

SECRET = "a-secret-of-more-than-32-bytes-for-tests"
ATTEMPTS, TIMEOUT = 2, 0.3
SINCE = datetime(2026, 11, 28, tzinfo=timezone.utc)
CLASSES = (MossVoiceServerSync, MossVoiceServer)


def list_rooms(kind: type[Server], arguments: Any) -> None:
    """Asks LiveKit's server API, as if the faulty server were LiveKit."""
    PlainRooms(kind.from_livekit(arguments["api_url"], "key", SECRET)).list()


def read_reports(kind: type[Server], arguments: Any) -> None:
    """Asks the Moss API for session reports."""
    server = kind(**arguments, refresh=RefreshPolicy(attempts=ATTEMPTS, attempt_timeout=TIMEOUT))
    if isinstance(server, MossVoiceServerSync):
        list(server.session_reports(SINCE))
        return

    async def read() -> None:
        async for _ in server.session_reports(SINCE):
            pass

    asyncio.run(read())


HARMLESS: dict[Callable[..., None], str] = {list_rooms: "wrong field", read_reports: "cut off"}
"""The fault of the credentials' response that is none of the other call's: its response is a short JSON object."""


RACY_WITH_A_BODY = (BROKEN, RESET, "TLS", "")
"""A request with a body is written in two parts, and the second part may come after the end of the connection."""


def reported(ask: Callable[[type[Server], Any], None], kind: type[Server], fault: Fault, place: Place) -> Facts | None:
    """The fault, met by this class; `None` if there is no error."""
    with fault.serve(place) as target:
        error: MossVoiceError | None = None
        try:
            ask(kind, target.arguments)
        except MossVoiceError as raised:
            error = raised
        assert [] == (spilled(error, [KEY, SECRET, MARK]) if error else [])
        return facts(error, target.seen()) if error else None


@pytest.mark.parametrize(
    ("ask", "unavailable"), [(list_rooms, LiveKitUnavailable), (read_reports, CredentialsUnavailable)]
)
@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_reported_alike(
    ask: Callable[[type[Server], Any], None],
    unavailable: type[MossVoiceError],
    name: str,
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
    monkeypatch.setattr(call, "_ATTEMPT_TIMEOUT", TIMEOUT)
    place = Place(authority.ca, tmp_path, monkeypatch)

    fault = FAULTS[name]
    first, second = (reported(ask, kind, fault, place) for kind in CLASSES)

    assert (first is None) == (name == HARMLESS[ask])
    if (fault.is_racy or (fault.message in RACY_WITH_A_BODY and ask is list_rooms)) and first and second:
        second = second._replace(text=first.text, remedy=first.remedy)
    assert first == second
    if first is not None:
        assert first.text.endswith(f": {first.remedy}")
        if fault.kind is CredentialsUnavailable and "HTTP" not in fault.message:
            assert (unavailable, fault.attempts) == (first.kind, first.attempts)
    assert MARK not in caplog.text
