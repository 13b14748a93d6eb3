"""Once: `dev --once`, the whole way of a token, gone once and shown."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from . import _credential_options, _local
from ._screen import Screen

if TYPE_CHECKING:
    import argparse

    from ..testing import FakeMoss

_MASK = "********"


def show(options: argparse.Namespace, stack: ExitStack) -> int:
    """Go the whole way once and show it; what is started is stopped with `stack`."""
    import asyncio

    from .._doctor.validation import validate
    from .._jwt import read
    from ._claims_table import describe

    screen = Screen()
    livekit = _local.livekit_of(options, stack, screen)
    moss = stack.enter_context(_local.fake_moss(livekit))
    screen.step("Moss API", f"a fake one, started on {moss.url}")
    url, token = asyncio.run(_mint(moss))
    screen.step("Fetched", f"from it over HTTP: API key {moss.credentials['voice_agent_api_key']}, secret {_MASK}")
    screen.step("Minted", "a token for Ada, in a new room, for 15 minutes")
    verdict = validate(url, token) if livekit else None
    if verdict:
        screen.step("Checked", verdict.text, good=verdict.is_accepted)
    screen.claims(describe(read(token).claims, time.time()))
    screen.copyable("Server URL" if livekit else "Server URL, a stand-in: no server was asked", url)
    if _local.is_local(url):
        screen.copyable("Participant token", token)
    else:  # it opens a room for everybody who is shown this screen
        screen.copyable("Participant token, its signature left out", f"{token.rpartition('.')[0]}.{_MASK}")
    has_started = livekit is not None and not _credential_options.is_given(options)
    ours = "livekit-server and the fake Moss API" if has_started else "the fake Moss API"
    screen.remark(f"Stopping {ours}: nothing stays behind.")
    return 0 if verdict is None or verdict.is_accepted else 1


async def _mint(moss: FakeMoss) -> tuple[str, str]:
    """What an application does with Moss: the LiveKit URL and a token."""
    from .._server import MossVoiceServer
    from ..grants import ParticipantInfo

    arguments: dict[str, Any] = {**moss.arguments}
    async with await MossVoiceServer.create(**arguments) as server:
        participant = ParticipantInfo(f"user-{os.urandom(4).hex()}", name="Ada")
        return server.get_server_url(), server.create_participant_token(participant, f"room-{os.urandom(16).hex()}")
