"""This package's ASGI application."""

from __future__ import annotations

from typing import Any

from moss_voice_server import MossVoiceServer, ParticipantInfo
from moss_voice_server.asgi import token_app
from moss_voice_server.endpoint import Admission, Denied, TokenRequest

from .session import KEY, SECRET, URL, USERS


async def authorize(scope: Any, token_request: TokenRequest) -> Admission:
    """The user of the bearer token."""
    scheme, _, bearer = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1").partition(" ")
    user = USERS.get(bearer) if scheme.lower() == "bearer" else None
    if user is None:
        raise Denied(401)
    return Admission(ParticipantInfo(*user))


app = token_app(MossVoiceServer.from_livekit(URL, KEY, SECRET), authorize=authorize)
