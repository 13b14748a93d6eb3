"""Check whether a participant can join, through the signal connection and without media."""

from __future__ import annotations

from .._escape import escape
from .._livekit_credentials import LiveKitCredentials
from .._random import new_room
from .check import Check, Stopwatch
from .livekit_server import LiveKitServer
from .options import Options
from .room_service import delete
from .signalling import JOIN_FAILURE, Joined, Left, Refused, connect
from .tokens import join_token

NAMES = ("join",)
MISSING_EXTRA = 'the package websockets is not installed: pip install "moss-voice-server[cli]"'
_PROXY = "let the proxy pass WebSockets on /rtc (the headers Upgrade and Connection)"
_MINUTE = 60.0  # seconds


def check(server: LiveKitServer, credentials: LiveKitCredentials, options: Options) -> Check:
    """Joins a new room to which no agent is dispatched, leaves it, and deletes it."""
    watch = Stopwatch(options.mono)
    room = new_room("doctor-")
    # Naming an agent that does not exist keeps LiveKit from dispatching the unnamed workers.
    token = join_token(credentials, options, room, f"none-{room}", ttl=_MINUTE)
    signal = connect(server, token, options.timeout)
    if isinstance(signal, Refused):
        return watch.fail(NAMES[0], *explain(signal, options.timeout))
    try:
        for message in signal.messages(options.timeout):
            if isinstance(message, Joined):
                version = f"; the server is LiveKit {escape(message.version)}" if message.version else ""
                return watch.ok(NAMES[0], f"joined over WebSocket (/rtc), and left{version}")
            if isinstance(message, Left):
                return watch.fail(NAMES[0], *explain_leave(message))
        return watch.fail(
            NAMES[0],
            f"the WebSocket opened, but LiveKit sent nothing within {options.timeout:g} s",
            f"{_PROXY}; check LiveKit's log",
        )
    finally:
        delete(server, credentials, room, options)
        signal.close()


def explain(refused: Refused, timeout: float) -> tuple[str, str]:
    """Cause and remedy for a signal connection that was not opened."""
    reasons = {
        "timeout": (f"no response within {timeout:g} s: a proxy may hold the WebSocket", _PROXY),
        "handshake": ("the response is not a WebSocket handshake", _PROXY),
        "tls": ("TLS handshake failed", "see the check `livekit.tls`"),
        "connection": ("connection failed or lost", _PROXY),
    }
    statuses = {
        401: ("LiveKit rejects the token", "see the check `token`: /rtc answers unlike /rtc/validate"),
        404: ("there is no WebSocket at /rtc", _PROXY),
        500: ("LiveKit cannot open a session", "check its log for limits, an unknown preset or a closing room"),
        503: ("the server has reached its limits", "retry later, or raise LiveKit's limits"),
    }
    detail, remedy = reasons.get(refused.reason) or statuses.get(
        refused.status, ("a proxy does not pass WebSockets", _PROXY)
    )
    return (f"/rtc: HTTP {refused.status}: {detail}" if refused.status else f"/rtc: {detail}"), remedy


def explain_leave(left: Left) -> tuple[str, str]:
    """Cause and remedy for a connection that LiveKit closed."""
    if left.reason == JOIN_FAILURE:
        return (
            "LiveKit closed the connection right after the join: the room is full",
            "raise room.max_participants of the server",
        )
    reason = f" (reason {left.reason})" if left.reason else ""
    return f"LiveKit closed the connection right after the join{reason}", "check LiveKit's log"
