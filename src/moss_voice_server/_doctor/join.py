"""Check whether a participant can join, through the signal connection and without media."""

from __future__ import annotations

from importlib.util import find_spec

from .._escape import escape
from .._random import new_room
from .check import Ended, Verdict, fail, need, ok, skip
from .found import Found
from .livekit_api import delete_room, join_token
from .signalling import JOIN_FAILURE, Joined, Left, Refused, connect

_PROXY = "let the proxy pass WebSockets on /rtc (the headers Upgrade and Connection)"
_MINUTE = 60.0  # seconds


def require(found: Found) -> None:
    """Ends the check where a join makes no sense."""
    if found.status("token") != "ok":
        raise Ended
    if find_spec("websockets") is None:
        raise Ended(skip('the package websockets is not installed: pip install "moss-voice-server[cli]"'))


def judge(found: Found) -> Verdict:
    """Joins a new room to which no agent is dispatched, leaves it, and deletes it."""
    require(found)
    timeout, room = found.options.timeout, new_room("doctor-")
    # Naming an agent that does not exist keeps LiveKit from dispatching the unnamed workers.
    signal = connect(need(found.server), join_token(found, room, f"none-{room}", ttl=_MINUTE), timeout)
    if isinstance(signal, Refused):
        return explain(signal, timeout)
    try:
        for message in signal.messages(timeout):
            if isinstance(message, Joined):
                version = f"; the server is LiveKit {escape(message.version)}" if message.version else ""
                return ok(f"joined over WebSocket (/rtc), and left{version}")
            if isinstance(message, Left):
                return explain(message, timeout)
        detail = f"the WebSocket opened, but LiveKit sent nothing within {timeout:g} s"
        return fail(detail, f"{_PROXY}; check LiveKit's log")
    finally:
        delete_room(found, room)
        signal.close()


def explain(end: Refused | Left, timeout: float) -> Verdict:
    """Why the signal connection was not opened, or was closed."""
    if isinstance(end, Left):
        closed = "LiveKit closed the connection right after the join"
        if end.reason == JOIN_FAILURE:
            return fail(f"{closed}: the room is full", "raise room.max_participants of the server")
        return fail(f"{closed} (reason {end.reason})" if end.reason else closed, "check LiveKit's log")
    reasons = {
        "timeout": (f"no response within {timeout:g} s: a proxy may hold the WebSocket", _PROXY),
        "handshake": ("the response is not a WebSocket handshake", _PROXY),
        "tls": ("TLS handshake failed", "see the check `livekit.tls`"),
        "connection": ("connection failed or lost", _PROXY),
        401: ("LiveKit rejects the token", "see the check `token`: /rtc answers unlike /rtc/validate"),
        404: ("there is no WebSocket at /rtc", _PROXY),
        500: ("LiveKit cannot open a session", "check its log for limits, an unknown preset or a closing room"),
        503: ("the server has reached its limits", "retry later, or raise LiveKit's limits"),
    }
    detail, remedy = reasons.get(end.reason, ("a proxy does not pass WebSockets", _PROXY))
    status = f"HTTP {end.reason}: " if isinstance(end.reason, int) else ""
    return fail(f"/rtc: {status}{detail}", remedy)
