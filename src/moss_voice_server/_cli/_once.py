"""`dev --once`: fetch credentials, create one token, ask LiveKit about it, and print it."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .._random import new_room
from . import _local
from ._screen import Screen

if TYPE_CHECKING:
    import argparse

    from ..testing import FakeMoss

_MASK = "********"


def show(options: argparse.Namespace, stack: ExitStack) -> int:
    """Print each step and the token; what is started stops with `stack`."""
    import asyncio

    from .._doctor.validation import validate
    from .._jwt import read
    from ._claims_table import describe

    screen = Screen()
    livekit = _local.livekit_of(options, stack, screen, build=False)
    moss = stack.enter_context(_local.local_moss(livekit))
    screen.step("Moss API", f"a local one, started on {moss.url}")
    url, token = asyncio.run(_create(moss))
    screen.step("Fetched", f"its credentials: API key {moss.credentials['voice_agent_api_key']}, secret {_MASK}")
    screen.step("Created", "a token for Ada, in a new room, for 15 minutes")
    verdict = validate(url, token) if livekit else None
    if verdict is None:
        screen.step("Checked", "no: there is no LiveKit server that could accept the token", good=None)
    else:
        screen.step("Checked", verdict.text, good=verdict.status != "fail")
    screen.claims(describe(read(token).claims, time.time()))
    screen.copyable("Server URL" if livekit else "Server URL: a placeholder, no server runs there", url)
    if _local.is_local(url):
        screen.copyable("Participant token", token)
    else:  # it would let anyone who sees this screen join the room
        screen.copyable("Participant token, without its signature", f"{token.rpartition('.')[0]}.{_MASK}")
    return 0 if verdict is None or verdict.status != "fail" else 1


async def _create(moss: FakeMoss) -> tuple[str, str]:
    """What an application does with Moss: get the LiveKit URL and a token that names the voice agent."""
    from .._server import MossVoiceServer
    from ..grants import ParticipantInfo

    arguments: dict[str, Any] = {**moss.arguments}
    async with await MossVoiceServer.create(**arguments) as server:
        participant = ParticipantInfo(f"user-{os.urandom(4).hex()}", name="Ada")
        room = new_room()
        return server.get_server_url(), server.create_participant_token(participant, room, server.get_agent_name())
