"""Join: whether a participant gets in, by the signal connection, without media."""

from __future__ import annotations

from .check import Check, Stopwatch, shown
from .keys import Keys
from .livekit import Server
from .plan import Plan
from .rooms import delete
from .signal import JOIN_FAILURE, Joined, Left, Refused, connect
from .token import new_room

NAMES = ("join",)
NEEDS = 'the package websockets is not installed: pip install "moss-voice-server[cli]"'
_PROXY = "let the proxy before LiveKit pass WebSockets on /rtc (the headers Upgrade and Connection)"
_MINUTE = 60.0  # seconds


def check(server: Server, keys: Keys, plan: Plan) -> Check:
    """Joins a room of its own, for which no agent is sent, and leaves it; nothing remains."""
    watch = Stopwatch(plan.mono)
    room = new_room()
    # An agent that nobody is: it keeps the workers without a name from being sent for.
    signal = connect(server, keys.join_token(room, f"nobody-{room}", lasting=_MINUTE), plan)
    if isinstance(signal, Refused):
        return watch.fail(NAMES[0], *why(signal, plan))
    try:
        for message in signal.messages(plan.timeout):
            if isinstance(message, Joined):
                version = f"; the server is LiveKit {shown(message.version)}" if message.version else ""
                return watch.ok(NAMES[0], f"joined by WebSocket (/rtc), and left{version}")
            if isinstance(message, Left):
                return watch.fail(NAMES[0], *sent_away(message))
        return watch.fail(
            NAMES[0],
            f"the WebSocket opened, and LiveKit said nothing within {plan.timeout:g} s",
            f"{_PROXY}; look at LiveKit's log",
        )
    finally:
        delete(server, keys, room, plan)
        signal.close()


def why(refused: Refused, plan: Plan) -> tuple[str, str]:
    """Detail and remedy for a join that was not let in."""
    words = {
        "timeout": (f"no answer within {plan.timeout:g} s: something between holds the WebSocket", _PROXY),
        "handshake": ("the answer is no WebSocket's", _PROXY),
        "tls": ("the TLS handshake failed", "see the check `livekit.tls`"),
        "connection": ("the connection could not be made, or broke off", _PROXY),
    }
    statuses = {
        401: (
            "LiveKit refuses the token",
            "see the check `token`: the path /rtc gives another answer than /rtc/validate",
        ),
        404: ("there is no WebSocket at /rtc", _PROXY),
        500: (
            "LiveKit cannot open a session",
            "look at its log: limits of its own, a preset, a room that is being closed",
        ),
        503: ("the server is over its limits", "try again later, or give LiveKit more room"),
    }
    detail, remedy = words.get(refused.word) or statuses.get(
        refused.status, ("something between does not let WebSockets pass", _PROXY)
    )
    return (f"/rtc: HTTP {refused.status}: {detail}" if refused.status else f"/rtc: {detail}"), remedy


def sent_away(left: Left) -> tuple[str, str]:
    """Detail and remedy for a connection that LiveKit ended."""
    if left.reason == JOIN_FAILURE:
        return "LiveKit let in and sent away at once: the room is full", "raise room.max_participants of the server"
    reason = f" (reason {left.reason})" if left.reason else ""
    return f"LiveKit let in, and sent away again{reason}", "look at LiveKit's log"
