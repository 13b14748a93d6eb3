"""Session: who may ask, for what, and what every endpoint is asked; the made-up credentials are those of `request`."""

from __future__ import annotations

from ..request import Request

ASKED = Request()
URL = "wss://livekit.example"
KEY, SECRET = ASKED.api_key, ASKED.api_secret
BEARER = "a-made-up-session-of-forty-characters-xy"
USERS = {BEARER: (ASKED.identity, ASKED.name)}
"""Users by their session, identity and name: stands for the application's own sign-in."""
