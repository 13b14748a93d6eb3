"""Session: the users, and the request that every endpoint gets."""

from __future__ import annotations

from ..request import Request

ASKED = Request()
URL = "wss://livekit.example"
KEY, SECRET = ASKED.api_key, ASKED.api_secret
BEARER = "a-made-up-session-of-forty-characters-xy"
USERS = {BEARER: (ASKED.identity, ASKED.name)}
"""Identity and name by session; a stand-in for the application's login."""
