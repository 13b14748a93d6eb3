"""Programs that are frozen as a whole, as by a suspended laptop, a paused container or a function between two requests."""

from __future__ import annotations

import time
from contextlib import suppress

from moss_voice_server.credentials import RefreshPolicy
from moss_voice_server.errors import CredentialsUnavailable
from tests.processes.inside import construct, create, mint, refresh, say

# The fetch counts as lost one second after it has begun.
SHORT = RefreshPolicy(refresh_after=1e-6, attempt_timeout=0.5, total_timeout=0.5)


def refresh_until_it_works(server_class: str) -> None:
    """The first `refresh` is frozen; the application tries again when it fails."""
    server = construct(server_class, refresh=SHORT)
    say(ready=1)
    while server.status().state == "empty":
        try:
            refresh(server)
        except CredentialsUnavailable as error:
            time.sleep(error.retry_after or 0.1)
    say(key=mint(server))


def mint_without_a_pause(server_class: str) -> None:
    """Mints all the time and sends each new key; every mint must work. A renewal is always due."""
    server = create(server_class, refresh=SHORT)
    say(ready=1)
    old = ""
    while True:
        key = mint(server)
        if key != old:
            say(key=key)
            old = key
        if server.status().last_error is not None:
            # What an operator would do: in the background it is too early for another attempt.
            with suppress(CredentialsUnavailable):
                refresh(server)
        time.sleep(0.005)
