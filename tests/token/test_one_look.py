"""The fast check of all labels together accepts exactly the labels that the single checks accept."""

from __future__ import annotations

import itertools
import json

from moss_voice_server import _validation
from moss_voice_server._token.claims import DEFAULT_TTL, payload
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import ParticipantInfo

# The edges of the fast check: the ends of printable ASCII, what JSON escapes, blanks, and what is beyond ASCII.
EDGES = ["", *' !"#\\/~a\x7f\x80\x9f\xa0é\0\t\n\x1f\ud800']


def careful(identity: str, room: str, name: str | None, agent: str) -> str:
    """The first error of the single checks, or an empty text."""
    try:
        _validation.label("identity", identity)
        _validation.label("room_name", room)
        if name is not None:
            _validation.label("name", name, blank=True)
        _validation.agent("agent_name", agent)
    except InvalidArgument as error:
        return str(error)
    return ""


def seen(identity: str, room: str, name: str | None, agent: str) -> str:
    """The error of creating a token, or an empty text; the claims must have these labels."""
    try:
        written = payload("{", 0.0, ParticipantInfo(identity, name), room, agent, DEFAULT_TTL, None, (), None)
    except InvalidArgument as error:
        return str(error)
    claims = json.loads(written.replace(b"{0", b'{"nbf":0', 1))
    agents = claims.get("roomConfig", {}).get("agents", [{"agentName": ""}])
    found = (claims["sub"], claims["video"]["room"], claims.get("name"), agents)
    assert (identity, room, name or None, [{"agentName": agent}]) == found
    return ""


def test_minting_agrees_at_every_edge() -> None:
    """Each edge, alone and with a letter or itself before or after it, in each of the four places."""
    for first, place in itertools.product(EDGES, range(4)):
        for text in (first, first + "a", "a" + first, first + first):
            for four in (["user", "lobby", "Ada", "assistant"], ["user", "lobby", None, ""]):
                four[place] = text
                assert careful(*four) == seen(*four)


def test_minting_agrees_on_lengths() -> None:
    """The fast check limits the labels' total length; longer labels are still accepted one by one."""
    for size, place in itertools.product([240, 248, 249, 250, 255, 256, 257, 300], range(4)):
        for text in ("x" * size, "é" * (size // 2), "\\" * (size // 2), '"' * size):
            four = ["i", "r", "n", "a"]
            four[place] = text
            assert careful(*four) == seen(*four)
