"""One look: labels are taken together at one look where that is enough, and never when a careful check would refuse one."""

from __future__ import annotations

import itertools
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from moss_voice_server import _validation as labels
from moss_voice_server._token.claims import DEFAULT_TTL, payload
from moss_voice_server.errors import InvalidArgument
from moss_voice_server.grants import ParticipantInfo

# What the one look decides by: the ends of printable ASCII, what JSON escapes, blanks, and what is beyond ASCII.
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
    """What the careful checks say of these labels, one after the other: the first one's complaint, or nothing."""
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
    """What minting says of them; what it signs must be what was asked."""
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
    """Minting takes and refuses the labels that the careful checks take and refuse, with the same words."""
    assert careful(identity, room, name, agent) == seen(identity, room, name, agent)


def test_minting_agrees_at_every_edge() -> None:
    """Each edge, alone and before, behind and beside a plain letter, in each of the four places."""
    for first in EDGES:
        for text, place in itertools.product([first, first + "a", "a" + first, first + first], range(4)):
            four = ["user", "lobby", "Ada", "assistant"]
            four[place] = text
            assert careful(*four) == seen(*four)


def test_minting_agrees_on_lengths() -> None:
    """The labels' length together is where the one look ends, and not where the labels do."""
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
