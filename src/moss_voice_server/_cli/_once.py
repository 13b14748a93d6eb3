"""`dev --once`: fetch credentials, create one token, ask LiveKit about it, and print it."""

from __future__ import annotations

import argparse
import os
import time
from contextlib import ExitStack
from urllib.parse import urlsplit

from .._inspect.egress import MASK
from .._random import new_room
from .._urls import LOOPBACK
from . import _local
from ._screen import Screen


def show(options: argparse.Namespace, stack: ExitStack) -> int:
    """Print each step and the token; what is started stops with `stack`."""
    from .._doctor.livekit_server import validate
    from .._jwt import read
    from ..grants import ParticipantInfo
    from ._claims_table import describe

    screen = Screen()
    livekit = _local.livekit_of(options, stack, screen, build=False)
    moss, server = _local.start(stack, screen, livekit)
    url, participant = server.get_server_url(), ParticipantInfo(f"user-{os.urandom(4).hex()}", name="Ada")
    token = server.create_participant_token(participant, new_room(), server.get_agent_name())
    screen.step("Fetched", f"its credentials: API key {moss.credentials['voice_agent_api_key']}, secret {MASK}")
    screen.step("Created", "a token for Ada, in a new room, for 15 minutes")
    is_accepted = True
    if livekit is None:
        screen.step("Checked", "no: there is no LiveKit server that could accept the token", good=None)
    else:
        verdict = validate(url, token)
        is_accepted = verdict.status != "fail"
        screen.step("Checked", verdict.text, good=is_accepted)
    screen.claims(describe(read(token).claims, time.time()))
    screen.copyable("Server URL" if livekit else "Server URL: a placeholder, no server runs there", url)
    if urlsplit(url).hostname in LOOPBACK:
        screen.copyable("Participant token", token)
    else:  # it would let anyone who sees this screen join the room
        screen.copyable("Participant token, without its signature", f"{token.rpartition('.')[0]}.{MASK}")
    return 0 if is_accepted else 1
