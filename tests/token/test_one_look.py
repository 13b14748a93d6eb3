"""The fast check of all labels together accepts exactly the labels that the single checks accept."""

from __future__ import annotations

import itertools
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from moss_voice_server import _validation as labels
from moss_voice_server._token.claims import DEFAULT_TTL, payload
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import ParticipantInfo

# The edges of the fast check: the ends of printable ASCII, what JSON escapes, blanks, and what is beyond ASCII.
EDGES = [
    "",
    " ",
    "!",
    '"',
    "#",
    "\\",
    "/",
    "~",
    "a",
    "\x7f",
    "\x80",
    "\x9f",
    "\xa0",
    "é",
    "\0",
    "\t",
    "\n",
    "\x1f",
    "\ud800",
]
LABELS = st.lists(st.sampled_from(EDGES), max_size=4).map("".join)


def careful(identity: str, room: str, name: str | None, agent: str) -> str:
    """The first error of the single checks, or an empty text."""
    try:
        labels.label("identity", identity)
        labels.label("room_name", room)
        if name is not None:
            labels.label("name", name, blank=True)
        if agent:
            labels.label("agent_name", agent)
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


@settings(deadline=None, max_examples=500)
@given(LABELS, LABELS, st.none() | LABELS, LABELS)
def test_minting_agrees_with_the_careful_checks(identity: str, room: str, name: str | None, agent: str) -> None:
    """Creating a token accepts and rejects the labels that the single checks accept and reject, with the same error."""
    assert careful(identity, room, name, agent) == seen(identity, room, name, agent)


def test_minting_agrees_at_every_edge() -> None:
    """Each edge, alone and with a letter or itself before or after it, in each of the four places."""
    for first in EDGES:
        for text, place in itertools.product([first, first + "a", "a" + first, first + first], range(4)):
            four = ["user", "lobby", "Ada", "assistant"]
            four[place] = text
            assert careful(*four) == seen(*four)


def test_minting_agrees_on_lengths() -> None:
    """The fast check limits the labels' total length; longer labels are still accepted one by one."""
    for size in [240, 248, 249, 250, 255, 256, 257, 300]:
        for text in ("x" * size, "é" * (size // 2), "\\" * (size // 2), '"' * size):
            for four in (
                (text, "r", None, ""),
                ("i", text, "n", ""),
                ("i", "r", text, "a"),
                ("i", "r", "n", text),
                (text,) * 4,
            ):
                assert careful(*four) == seen(*four)
